"""Whether the story holds over folds, years, states of the market and sectors."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from src.v2.evaluation_records import Stability
from src.v2.explanation_records import Agreement, CohortKind, FeatureImportance
from src.v2.figures.stability import SHOWN, cohort_shares, directions, fold_shares, fold_taus
from src.v2.page.cohort_words import shift_words, skill_words
from src.v2.page.explaining import above_zero, counted, measured
from src.v2.page.panels import Answer, Fact, Panel, Section
from src.v2.records import TrainingResult

LEADING = 10
"""Features that count as leading in a fold."""
HARDLY_ANY = 0.001
"""Expected number of features below which none is expected."""

COHORTS: dict[CohortKind, tuple[str, str, str]] = {
    "year": (
        "Does the story change from year to year?",
        "years",
        "No year holds a row that was explained.",
    ),
    "volatility": (
        "Does the story change when the market is stormy?",
        "states of the market",
        "The market's volatility is not known on these dates, so its states cannot be told apart.",
    ),
    "sector": (
        "Does the story change between sectors?",
        "sectors",
        "No sector of these tickers is known, so they cannot be told apart.",
    ),
}
"""Question, name of the cohorts, and what is said where there are none, by kind."""


def section(result: TrainingResult) -> Section:
    """Say whether features keep their part, their direction and their skill."""
    agreement, importance = result.explanation.agreement, result.explanation.importance
    data = (
        f"{importance.rows:,} explained rows of {len(agreement.folds)} "
        f"{'fold' if len(agreement.folds) == 1 else 'folds'}, each by the model of its own fold; "
        "rank ICs of every row that the walk-forward forecast. Stability is not skill: a model may "
        "lean on the same noise every time."
    )
    content = [
        _folds(importance.features, agreement),
        _taus(result),
        _directions(importance.features, agreement),
        *(_cohorts(kind, agreement) for kind in COHORTS),
    ]
    return Section(
        "stability", "Is it stable", "Does the story hold over time and segments?", data,
        tuple(content),
    )  # fmt: skip


def _folds(features: tuple[FeatureImportance, ...], agreement: Agreement) -> Panel:
    name, question = "stability-folds", "Do the same features lead in every fold?"
    shares = np.array([each.fold_shares for each in features], dtype=np.float64)
    shares = shares.reshape(len(features), len(agreement.folds))
    if not shares.size:
        return Panel(name, question, Answer("No fold was explained, so this cannot be told."))
    leading = min(LEADING, len(features))
    facts = {"leading": Fact(leading, "count"), "folds": Fact(len(agreement.folds), "count")}
    if len(agreement.folds) == 1:
        template = "There is one fold alone, so nothing can be compared."
    elif not np.nansum(shares) > 0:
        template = "The folds use no feature, so nothing can be compared."
    else:
        always = _always_leading(shares, leading)
        facts |= _widest(features[:SHOWN], agreement)
        facts["always"] = Fact(always, "count")
        chance = leading * (leading / len(features)) ** (len(agreement.folds) - 1)
        facts["chance"] = Fact(chance, "chance")
        template = (
            f"{{always}} {counted(always, 'feature is', 'features are')} among the {{leading}} "
            "largest of all {folds} folds; of folds that have nothing in common, "
        )
        template += "{chance} would be." if chance >= HARDLY_ANY else "hardly any would be."
        if "widest" in facts:
            template += (
                " Of those shown, {widest} varies most: from {least} of mean |SHAP| in fold "
                "{fold_least} to {most} in fold {fold_most}."
            )
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(fold_shares, features, agreement.folds),
        "A grid with a row for each of the leading features and a column for each fold; the "
        "lighter a cell, the larger the feature's share of mean |SHAP| there.",
        "Features of the same kind may take turns without a change of the story. Later folds are "
        "fitted on rows of the earlier ones too.",
        wide=True,
    )


def _always_leading(shares: np.ndarray, leading: int) -> int:
    """Count the features that are among the largest of every fold."""
    best = np.argsort(-np.nan_to_num(shares), axis=0, kind="stable")[:leading]
    return len(set.intersection(*(set(column) for column in best.T.tolist())))


def _widest(shown: tuple[FeatureImportance, ...], agreement: Agreement) -> dict[str, Fact]:
    """Find the feature whose share varies most, and where it is least and most."""
    shares = np.array([each.fold_shares for each in shown], dtype=np.float64)
    complete = np.flatnonzero(np.isfinite(shares).all(axis=1))
    if not len(complete):
        return {}
    row = complete[np.argmax(np.ptp(shares[complete], axis=1))]
    least, most = int(shares[row].argmin()), int(shares[row].argmax())
    return {
        "widest": Fact(shown[row].name),
        "least": Fact(float(shares[row, least]), "share"),
        "most": Fact(float(shares[row, most]), "share"),
        "fold_least": Fact(agreement.folds[least], "count"),
        "fold_most": Fact(agreement.folds[most], "count"),
    }


def _taus(result: TrainingResult) -> Panel:
    agreement, found = result.explanation.agreement, result.evaluation.stability
    facts = {
        "mean": Fact(agreement.mean_kendall, "ratio"),
        "phi": Fact(found.phi, "ratio"),
        "phi_null": Fact(found.phi_null, "ratio"),
        "phi_pair": Fact(found.phi_pair, "ratio"),
        "top": Fact(found.top, "count"),
        "groups": Fact(found.groups, "count"),
    }
    told = math.isfinite(agreement.mean_kendall)
    template = "One fold alone has no other to agree with."
    if told:
        pairs = _pairs(agreement)
        facts["pairs"] = Fact(pairs, "count")
        template = "Kendall's tau between two folds' rankings of all features is {mean} on average"
        template += f" ({{pairs}} {counted(pairs, 'pair', 'pairs')}; 1 is the same order, 0 is none"
        template += " in common)."
    elif len(agreement.folds) > 1:
        template = "No two folds rank the features, so their orders cannot be compared."
    if math.isfinite(found.phi):
        template += " " + _phi_words(found)
    return Panel(
        "stability-tau",
        "How far do the folds agree on the order of features?",
        Answer(template, facts),
        partial(fold_taus, agreement) if told else None,
        "A triangle of cells, one for each two folds, with Kendall's tau in it: purple where the "
        "orders agree, orange where they are reversed." if told else "",
        "Folds share training rows, which alone makes them agree; so no interval is given. Phi is "
        "Nogueira's: 1 is the same choice each time, 0 is chance.",
    )  # fmt: skip


def _phi_words(found: Stability) -> str:
    words = "Phi of the top {top} of {groups} groups of features is {phi} over all folds"
    if not (math.isfinite(found.phi_null) and math.isfinite(found.phi_pair)):
        return words + "; there is no pair of folds fitted on permuted labels to hold it against."
    words += (
        ". On one pair of folds it is {phi_pair}, and {phi_null} where the same pair is fitted on "
        "permuted labels, which have nothing to find"
    )
    if found.phi_pair <= found.phi_null:
        words += ": there the choice is no steadier than on noise"
    return words + ". One pair alone is a rough measure."


def _pairs(agreement: Agreement) -> int:
    taus = np.array(agreement.kendall, dtype=np.float64)
    return int(np.isfinite(taus[np.triu_indices(len(taus), 1)]).sum())


def _directions(features: tuple[FeatureImportance, ...], agreement: Agreement) -> Panel:
    name, question = "stability-direction", "Do features push the same way in every fold?"
    shown = features[:SHOWN]
    told = [each for each in shown if math.isfinite(each.agreement)]
    if not told:
        return Panel(name, question, Answer("No feature has a direction that can be told."))
    folds = len(agreement.folds)
    template, facts = _steady_words(told, folds)
    if folds == 1:
        template = "There is one fold alone, so no direction can be confirmed by another."
    return Panel(
        name,
        question,
        Answer(template, facts),
        partial(directions, features),
        "A row for each of the leading features: a mark at the rank correlation of its values with "
        "its SHAP values, left of zero where high values push down, and the share of the folds "
        "that use it that have the same sign, with their number.",
        "Filled marks: all folds use it and agree. Of an effect that is bent, the sign says "
        "little.",
    )


def _steady_words(told: list[FeatureImportance], folds: int) -> tuple[str, dict[str, Fact]]:
    """Count the features whose sign holds; a fold that does not use one cannot confirm it."""
    same = [each for each in told if each.agreement >= 1]
    steady = sum(each.folds_used == folds for each in same)
    partly = len(same) - steady
    weakest = min(told, key=lambda each: each.agreement)
    facts = {
        "steady": Fact(steady, "count"),
        "partly": Fact(partly, "count"),
        "told": Fact(len(told), "count"),
        "folds": Fact(folds, "count"),
        "weakest": Fact(weakest.name),
        "agreement": Fact(weakest.agreement, "percent"),
        "used": Fact(weakest.folds_used, "count"),
    }
    template = (
        f"{{steady}} of the {{told}} leading features {counted(steady, 'pushes', 'push')} the same "
        "way in all {folds} folds."
    )
    if partly:
        template += (
            f" {{partly}} {counted(partly, 'does', 'do')} so in all of the folds that use "
            f"{counted(partly, 'it', 'them')}, which not all folds do."
        )
    if weakest.agreement < 1:
        template += (
            " The least steady is {weakest}, whose sign holds in {agreement} of the folds that use "
            "it (used in {used} of {folds})."
        )
    return template, facts


def _cohorts(kind: CohortKind, agreement: Agreement) -> Panel:
    question, plural, missing = COHORTS[kind]
    cohorts = tuple(each for each in agreement.cohorts if each.kind == kind)
    name = f"stability-{kind}"
    if not cohorts or not agreement.top:
        return Panel(name, question, Answer(missing), wide=True)
    skill = [each.rank_ic for each in cohorts]
    facts = {
        "cohorts": Fact(len(cohorts), "count"),
        "useful": Fact(above_zero(skill), "count"),
        "measured": Fact(measured(skill), "count"),
    }
    template = ""
    if len(cohorts) == 1:
        facts["only"] = Fact(cohorts[0].name)
        template = f"There is one of the {plural} alone, {{only}}, so nothing can be compared. "
    else:
        template, more = shift_words(cohorts, agreement.top)
        facts |= more
    words, more = skill_words(cohorts)
    return Panel(
        name,
        question,
        Answer(template + words, facts | more),
        partial(cohort_shares, cohorts, agreement.top),
        f"A grid with a row for each of the {plural} and a column for each leading feature, the "
        "lighter the larger its share of mean |SHAP|; beside it the rank IC with its interval.",
        "Rank IC: mean over the dates of the cohort, between its own tickers; without a mark where "
        "these are too few. Several cohorts are looked at, so one interval above 0 may be luck."
        + _kind_note(kind),
        wide=True,
    )


def _kind_note(kind: CohortKind) -> str:
    if kind == "volatility":
        return " States are thirds of the dates by past volatility, named after the fact."
    return ""
