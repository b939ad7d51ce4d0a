"""What speaks for and against the page itself: checks, limits of belief, drift."""

from __future__ import annotations

import math

from src.v2.explain.trust import MUCH_DRIFT, PLAUSIBILITY, drifted
from src.v2.page.panels import Answer, Fact, Panel, Section, Table
from src.v2.page.sections.verdict import passed_checks
from src.v2.records import TrainingResult

LITTLE, MUCH = 0.1, MUCH_DRIFT
"""Limits of the population stability index in common use."""
MOST_DRIFT = 10


def section(result: TrainingResult) -> Section:
    """Show every check that was made, and what it found."""
    return Section(
        "trust",
        "Trust",
        "Can I believe this page?",
        "Checks of the explanation on the rows that it explains, of the scores on all test rows, "
        "and of the features between training and test.",
        (_summary(result), _checks(result), _guard(result), _drift(result)),
    )


def _summary(result: TrainingResult) -> Panel:
    passed, made, failed = passed_checks(result)
    facts = {"passed": Fact(passed, "count"), "made": Fact(made, "count")}
    template = "{passed} of {made} checks passed."
    if failed:
        facts["failed"] = Fact(", ".join(failed))
        template += " Not passed: {failed}."
    much, within = drifted(result.explanation.drift)
    facts |= {
        "drifted": Fact(much, "count"),
        "within": Fact(within, "count"),
        "features": Fact(len(result.explanation.drift), "count"),
    }
    template += " {drifted} of {features} features moved much between training and test"
    if math.isnan(within):
        template += "; the training rows are too few to tell what is usual."
    else:
        template += ", {within} as much inside the training rows."
    return Panel("trust-summary", "How many checks passed?", Answer(template, facts))


def _checks(result: TrainingResult) -> Table:
    words = {True: "✓ passed", False: "✗ not passed", None: "informs"}
    rows = tuple(
        (check.name, words[check.passed], check.question, check.finding)
        for check in result.explanation.checks
    )
    head = ("Check", "Outcome", "Question", "Finding")
    note = f"{PLAUSIBILITY.capitalize()} is counted by its numbers, which the next table lists."
    return Table("trust-checks", "Checks of the explanation", head, rows, note)


def _guard(result: TrainingResult) -> Table:
    words = {
        "plausible": "✓ plausible",
        "suspicious": "! suspicious",
        "implausible": "✗ implausible",
    }
    rows = tuple(
        (
            check.quantity,
            words[check.outcome],
            Fact(check.value, "short"),
            Fact(check.low, "short"),
            Fact(check.suspicious, "short"),
            Fact(check.implausible, "short"),
        )
        for check in result.evaluation.verdict.guard
    )
    head = ("Quantity", "Outcome", "Value", "Lower bound", "Suspicious above", "Implausible above")
    note = (
        "The limits depend on the horizon: what is beyond them is far more often a leak than skill."
    )
    return Table("trust-guard", "Are the numbers believable?", head, rows, note)


def _drift(result: TrainingResult) -> Table:
    rows = tuple(
        (
            drift.feature,
            Fact(drift.psi, "chance"),
            _moved(drift.psi),
            Fact(drift.fold, "count"),
            Fact(drift.within, "chance"),
        )
        for drift in result.explanation.drift[:MOST_DRIFT]
    )
    note = (
        "Population stability index over ten bins of equal training mass, missing values apart; "
        "the largest over folds. Below 0.1 little, above 0.25 much. Inside training: of a block as "
        "long as the test against the other training rows. Features that persist move as much "
        "without any drift."
    )
    head = ("Feature", "PSI", "Moved", "Fold", "Inside training")
    return Table("drift", "Which features moved most between training and test?", head, rows, note)


def _moved(psi: float) -> str:
    if not psi >= LITTLE:
        return "little" if psi < LITTLE else "–"
    return "much" if psi > MUCH else "some"
