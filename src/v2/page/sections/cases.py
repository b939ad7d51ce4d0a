"""Single forecasts, each taken apart into its reasons."""

from __future__ import annotations

import math
from functools import partial

from src.v2.case_records import Case, CaseKind
from src.v2.explain.direction import uncalibrated
from src.v2.figures.waterfall import waterfall
from src.v2.page.explaining import move_fact
from src.v2.page.newest import newest_table
from src.v2.page.panels import Answer, Cell, Fact, Panel, Section, Table
from src.v2.page.skill.words import plural
from src.v2.records import TrainingResult

REASONS = 3
"""Reasons that are told as sentences; the table has all."""

WHY: dict[CaseKind, tuple[str, str]] = {
    "best": ("What made the forecast that paid most?", "paid most{side} by {measure}"),
    "worst": ("What made the forecast that cost most?", "cost most{side} by {measure}"),
    "long": ("What made the last fold's highest score?", "had the highest score of the last fold"),
    "short": ("What made the last fold's lowest score?", "had the lowest score of the last fold"),
    "median": ("What does an ordinary forecast look like?", "stood in the middle of its date"),
    "latest long": ("Who leads the newest ranking, and why?", "leads the newest date's ranking"),
    "latest short": ("Who ends the newest ranking, and why?", "ends the newest date's ranking"),
}
"""Question of each kind of case, and why it is shown."""
NO_PROOF: dict[CaseKind, str] = {
    "best": "The best of all is no proof of skill. ",
    "worst": "The worst of all is no proof of its lack. ",
}
CENTRED = " (0 is the middle of the date, -0.5 and +0.5 its ends)"


def section(result: TrainingResult) -> Section:
    """Take single forecasts apart."""
    cases = result.explanation.cases
    quantity = result.explanation.importance.quantity
    data = (
        "Forecasts of rows that the model which made them had not seen, chosen by rule: the "
        "extremes and the middle of the walk-forward, and the newest date by the shipped model. "
        f"Explained is the {quantity}{uncalibrated(quantity)}. What a feature adds explains the "
        "model, not the market."
    )
    content: list[Panel | Table]
    if cases:
        content = [*(_case(case, result) for case in cases), newest_table(result)]
        content += [_compactness(result), _reasons(result)]
    else:
        words = "No forecast could be chosen, so none is taken apart."
        content = [Panel("case-none", "Why this stock?", Answer(words))]
    question = "Why this stock, on this day?"
    return Section("cases", "Single forecasts", question, data, tuple(content))


def _case(case: Case, result: TrainingResult) -> Panel:
    quantity = result.explanation.importance.quantity
    question, why = WHY[case.kind]
    facts = {
        "ticker": Fact(case.ticker),
        "date": Fact(case.date),
        "rank": Fact(case.rank, "count"),
        "tickers": Fact(case.tickers, "count"),
        "level": Fact(case.level, "count"),
        "fold": Fact(case.fold, "count"),
        "quantity": Fact(quantity),
        "total": move_fact(case.total, quantity),
        "base": move_fact(case.base, quantity),
        "score": Fact(case.score, "short"),
        "realised": Fact(case.realised, "signed"),
        "compactness": Fact(case.compactness, "count"),
        "rest": move_fact(case.rest, quantity),
    }
    facts["side"] = Fact(", as a short," if case.above < 0 else "")
    product = "score times return"
    if result.evaluation.ranking is not None:
        product = "score times excess return, each over its date's mean"
    facts["measure"] = Fact(product)
    template = f"{{ticker}} on {{date}} {why}. {NO_PROOF.get(case.kind, '')}{_rank(case)}. "
    template += "The forecast {quantity} is {total}"
    template += CENTRED if quantity.startswith("rank") else ""
    template += "; before any feature it is {base}. "
    template += _outcome(case)
    for place, part in enumerate(case.parts[:REASONS], 1):
        facts[f"reason_{place}"] = Fact(part.reason)
        template += f"\n{{reason_{place}}}"
    if not case.parts:
        template += " No feature moved it."
    return Panel(
        f"case-{case.kind.replace(' ', '-')}",
        question,
        Answer(template, facts),
        partial(waterfall, case, quantity),
        "A waterfall from the start to the forecast: a bar for each of the strongest features, to "
        "the right where it raises the forecast and to the left where it lowers it, and one for "
        "all others.",
        "Start: the model's mean over the rows it was fitted on. A bar is what a feature adds.",
    )


def _rank(case: Case) -> str:
    """Say where the score stood among those of its date."""
    model = "the shipped model" if case.fold == 0 else "the model of fold {fold}"
    if case.tickers == 1:
        return f"It stood alone by {model}"
    if case.level == case.tickers - 1:
        return f"All {{tickers}} tickers of the date have the same score by {model}"
    words = f"It was ranked {{rank}} of {{tickers}} by {model}"
    return f"{words}, level with {{level}} {plural(case.level, 'other')}" if case.level else words


def _outcome(case: Case) -> str:
    """Say what came, as a forward return."""
    if math.isfinite(case.realised):
        return "The forward return that came was {realised}."
    return "What came of it is not known yet."


def _compactness(result: TrainingResult) -> Panel:
    counts = [case.compactness for case in result.explanation.cases]
    importance = result.explanation.importance
    facts = {
        "least": Fact(min(counts), "count"),
        "most": Fact(max(counts), "count"),
        "typical": Fact(importance.compactness, "count"),
        "features": Fact(len(importance.features), "count"),
    }
    template = (
        "These forecasts take {least} to {most} features to reach 90% of their sum of "
        "|contributions|; the median over all rows explained is {typical} of {features}. A story "
        "of three reasons leaves the rest out."
    )
    if not max(counts):
        template = "None: no feature moves any of these forecasts."
    question = "How many features does a full answer take?"
    return Panel("case-compactness", question, Answer(template, facts))


def _reasons(result: TrainingResult) -> Table:
    quantity = result.explanation.importance.quantity
    rows: list[tuple[Cell, ...]] = [
        (
            case.kind,
            case.ticker,
            Fact(case.date),
            part.feature,
            Fact(part.value),
            Fact(part.place, "share"),
            move_fact(part.contribution, quantity),
            part.reason,
        )
        for case in result.explanation.cases
        for part in case.parts
    ]
    head = (
        *("Case", "Ticker", "Date", "Feature", "Value", "Place", "Contribution", "In words"),
    )  # fmt: skip
    note = (
        "Place: share of the date's tickers with a smaller value, or of the earlier dates for a "
        f"feature that all tickers share. Contribution to the {quantity}."
    )
    return Table(
        "case-reasons", "All reasons of these forecasts", head, tuple(rows), note, folded=True
    )
