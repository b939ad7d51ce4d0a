"""The card: what was fitted, on what, by which code, and what the numbers leave out."""

from __future__ import annotations

import math
from typing import Any

from src.v2.evaluation_records import Interval
from src.v2.modeling.learners.kinds import kind_of
from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Cell, Fact, Section, Table
from src.v2.records import TrainingResult, flatten
from src.v2.summary_text import between, sessions

UNKNOWN = "–"
MOST_DROPS = 300
"""Rows of the table of what was left out; the summary of the run has them all."""
UNFOLDED = 8
TICKERS_A_ROW = 20

LIMITS = (
    (
        "Survivorship",
        "A list of tickers written today leaves out companies that vanished. Past returns look "
        "better than anyone's could have been.",
    ),
    ("Last weeks of a delisted company", "No later price tells what became of them."),
    ("Taxes and borrowing fees", "None is charged; a short position costs more than shown."),
    ("Market impact", "Costs are a fixed share of each trade, whatever its size."),
    (
        "Choices made before",
        "Only configurations tried with this program on these data are counted.",
    ),
    (
        "Cause",
        "An explanation tells what moves the forecast. It does not tell what moves prices.",
    ),
)


def section(result: TrainingResult, identity: RunIdentity) -> Section:
    """Give the run's card, its limits, and what was left out and why."""
    tables = [_fitted(result), _data(result), _tickers(result), _made(result, identity)]
    tables += [_learner(result), _limits()]
    tables += [table for table in (_drops(result), _left_out(result)) if table is not None]
    return Section(
        "card",
        "Card",
        "What was fitted, on what?",
        "Everything that another run would need to give the same numbers.",
        tuple(tables),
    )


def title_of(result: TrainingResult) -> str:
    """Name what was forecast, as the title of a page."""
    return target_words(result.target, flatten(result.settings).get("label.forward_days"))


def target_words(target: str, horizon: int | None) -> str:
    """Write a target and its horizon.

    Examples
    --------
    >>> target_words("excess", 21), target_words("sign", 1), target_words("return", None)
    ('Excess return over 21 sessions', 'Up or down over 1 session', 'Return')
    """
    words = {
        "excess": "Excess return",
        "return": "Return",
        "rank": "Rank within the date",
        "sign": "Up or down",
        "median": "Above or below the date's median",
        "quintile": "Fifth of the date's ranking",
        "fixed": "Rating by fixed limits",
    }.get(target, target.replace("_", " ").capitalize())
    return words if horizon is None else f"{words} over {sessions(horizon)}"


def _fitted(result: TrainingResult) -> Table:
    settings = flatten(result.settings)
    families = len(set(result.features.families.values()))
    rows: list[tuple[Cell, ...]] = [
        ("Kind", result.mode),
        ("Target", target_words(result.target, None)),
        ("Horizon, sessions", _setting(settings, "label.forward_days")),
        ("Sessions until the trade", _setting(settings, "label.entry_lag")),
        ("Scheme", _setting(settings, "validation.scheme")),
        ("Folds", Fact(len(result.folds), "count")),
        ("Embargo, sessions", _setting(settings, "validation.embargo_sessions")),
        ("Rows purged in all folds", Fact(sum(fold.purged_rows for fold in result.folds), "count")),
        ("Fitted on every n-th session, n", Fact(result.train_stride, "count")),
        ("Features", Fact(len(result.features.names), "count")),
        ("Families of features", Fact(families, "count")),
        ("Rows of the shipped model", Fact(result.training_rows, "count")),
    ]
    if result.classes:
        rows.insert(2, ("Classes", ", ".join(result.classes)))
    rows += _held(result)
    return Table("card-task", "The task", ("What", "Value"), tuple(rows))


def _held(result: TrainingResult) -> list[tuple[Cell, ...]]:
    """Say what share of outcomes the intervals held; nothing where it was not measured."""
    held, low, high, later, calm, other = (
        result.metrics.get(f"cv_interval_80_{end}", math.nan)
        for end in ("held", "low", "high", "later", "calm", "other")
    )
    if not math.isfinite(held):
        return []
    parts = [("on the later half of the dates", later)]
    if math.isfinite(calm) and math.isfinite(other):
        parts += [("on the calmest fifth of the dates", calm), ("on the other dates", other)]
    return [
        ("Outcomes that 80% intervals held", between(Interval(held, low, high, 0), "share")),
        *((f"… {where}", Fact(value, "share")) for where, value in parts if math.isfinite(value)),
    ]


def _data(result: TrainingResult) -> Table:
    coverage, settings = result.coverage, flatten(result.settings)
    rows: list[tuple[Cell, ...]] = [
        ("Source", coverage.source),
        ("Data set", coverage.dataset_name),
        ("Fingerprint of the bars", coverage.fingerprint),
        ("First session", Fact(coverage.first)),
        ("Last session", Fact(coverage.last)),
        ("Sessions", Fact(coverage.sessions, "count")),
        ("Bars", Fact(coverage.rows, "count")),
        ("Tickers used", Fact(len(coverage.tickers), "count")),
        ("Tickers unfit", Fact(len(coverage.skipped), "count")),
        ("Tickers not given", Fact(len(coverage.errors), "count")),
        ("Market", str(settings.get("data.market_ticker") or "mean of the tickers")),
        ("Rows that a halt leaves without a label", Fact(result.stretched_rows, "count")),
    ]
    note = " ".join(coverage.notes)
    return Table("card-data", "The data", ("What", "Value"), tuple(rows), note)


def _made(result: TrainingResult, identity: RunIdentity) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("Model", identity.model),
        ("MLflow run", identity.run_id or "not kept"),
        ("Commit", identity.commit or "no repository"),
        ("Began", identity.timestamp.isoformat(timespec="seconds")),
        ("Fingerprint of the configuration", result.config_fingerprint),
        ("Seed", _setting(flatten(result.settings), "seed")),
        *((name, version) for name, version in sorted(identity.versions.items())),
    ]
    return Table("card-run", "The run", ("What", "Value"), tuple(rows), folded=True)


def _learner(result: TrainingResult) -> Table:
    settings = flatten(result.settings)
    kind = kind_of(result.settings)
    read = {f"model.{name}" for name in ("type", *kind.settings)}
    names = sorted(name for name in settings if name in read)
    rows: list[tuple[Cell, ...]] = [
        (f"{kind.steps.heading} of the shipped model", Fact(kind.steps.value(result.rounds))),
        ("contributions of features", kind.contributions),
    ]
    rows += [
        (name.removeprefix("model."), _setting(settings, name))
        for name in names
        if settings[name] is not None
    ]
    return Table("card-learner", "The learner", ("Setting", "Value"), tuple(rows), folded=True)


def _tickers(result: TrainingResult) -> Table:
    """List the tickers, a few to a row."""
    names = result.coverage.tickers
    rows = tuple(
        (f"{start + 1} to {min(start + TICKERS_A_ROW, len(names))}", ", ".join(group))
        for start in range(0, len(names), TICKERS_A_ROW)
        if (group := names[start : start + TICKERS_A_ROW])
    )
    return Table("card-tickers", "The tickers", ("Number", "Tickers"), rows, folded=True)


def _limits() -> Table:
    return Table("card-limits", "What the numbers leave out", ("Limit", "What it means"), LIMITS)


def _drops(result: TrainingResult) -> Table | None:
    """List the tickers and bars left out; None where there are none."""
    drops = result.coverage.drops
    if not drops:
        return None
    rows = tuple(
        (
            drop.ticker,
            "whole ticker" if drop.whole_ticker else "bars",
            Fact(drop.rows, "count"),
            drop.reason,
        )
        for drop in drops[:MOST_DROPS]
    )
    more = len(drops) - len(rows)
    return Table(
        "card-drops",
        "Left out of the data",
        ("Ticker", "What", "Bars", "Reason"),
        rows,
        f"{more:,} more are in the summary of the run." if more else "",
        folded=len(rows) > UNFOLDED,
    )


def _left_out(result: TrainingResult) -> Table | None:
    """List the features left out; None where all are there."""
    rows = tuple(sorted(result.features.left_out.items()))
    if not rows:
        return None
    head = ("Feature", "Reason")
    return Table("card-left-out", "Features left out", head, rows, folded=len(rows) > UNFOLDED)


def _setting(settings: dict[str, Any], name: str) -> Cell:
    """Give one setting; numbers are facts."""
    value = settings.get(name)
    if value is None:
        return UNKNOWN
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Fact(value)
    return str(value)
