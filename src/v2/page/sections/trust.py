"""What speaks for and against the page itself: checks, limits of belief, drift."""

from __future__ import annotations

from src.v2.page.panels import Answer, Fact, Panel, Section, Table
from src.v2.page.sections.verdict import passed_checks
from src.v2.records import TrainingResult

LITTLE, MUCH = 0.1, 0.25
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
    drifted = sum(drift.psi > MUCH for drift in result.explanation.drift)
    facts |= {
        "drifted": Fact(drifted, "count"),
        "features": Fact(len(result.explanation.drift), "count"),
    }
    template += " {drifted} of {features} features moved much between training and test."
    return Panel("trust-summary", "How many checks passed?", Answer(template, facts))


def _checks(result: TrainingResult) -> Table:
    words = {True: "✓ passed", False: "✗ not passed", None: "informs"}
    rows = tuple(
        (check.name, words[check.passed], check.question, check.finding)
        for check in result.explanation.checks
    )
    head = ("Check", "Outcome", "Question", "Finding")
    return Table("trust-checks", "Checks of the explanation", head, rows)


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
        (drift.feature, Fact(drift.psi, "chance"), _moved(drift.psi), Fact(drift.fold, "count"))
        for drift in result.explanation.drift[:MOST_DRIFT]
    )
    note = (
        "Population stability index over ten bins of equal training mass, missing values apart; "
        "the largest over folds. Below 0.1 little, above 0.25 much."
    )
    head = ("Feature", "PSI", "Moved", "Fold")
    return Table("drift", "Which features moved most between training and test?", head, rows, note)


def _moved(psi: float) -> str:
    if not psi >= LITTLE:
        return "little" if psi < LITTLE else "–"
    return "much" if psi > MUCH else "some"
