"""The design of the evaluation: which rows were fitted on, left out and scored."""

from __future__ import annotations

from src.v2.modeling.learners.kinds import kind_of
from src.v2.page.panels import Answer, Fact, Panel, Section, Table
from src.v2.records import FoldResult, TrainingResult, flatten


def section(result: TrainingResult) -> Section:
    """Show the folds and the holdout in time."""
    return Section(
        "design",
        "Design",
        "Could the test have leaked?",
        "Dates and rows of every fold, and of the holdout.",
        (_schedule(result), _folds(result)),
    )


def label_span(result: TrainingResult) -> int | None:
    """Give the sessions from a decision until its label is known; None where not recorded."""
    settings = flatten(result.settings)
    days, lag = settings.get("label.forward_days"), settings.get("label.entry_lag")
    return None if days is None or lag is None else int(days) + int(lag)


def _gap(fold: FoldResult) -> int:
    """Calendar days between the last row fitted and the first row scored."""
    return (fold.test_first - fold.train_last).days


def _schedule(result: TrainingResult) -> Panel:
    from src.v2.figures.folds import fold_schedule

    folds, holdout, span = result.folds, result.holdout, label_span(result)
    gap = min(_gap(fold) for fold in folds)
    facts = {
        "folds": Fact(len(folds), "count"),
        "purged": Fact(sum(fold.purged_rows for fold in folds), "count"),
        "gap": Fact(gap, "count"),
        "holdout_first": Fact(holdout.first),
        "holdout_last": Fact(holdout.last),
    }
    template = (
        "Each of the {folds} folds is fitted only on rows whose label was known at the first date "
        "that it scores, so no label outlives its fold. {purged} rows before the test blocks were "
        "left out for that; "
    )
    if span is None:
        template += "the shortest gap is {gap} calendar days."
    else:
        facts["span"] = Fact(span, "count")
        template += "the shortest gap is {gap} calendar days, for a label of {span} sessions."
        # Sessions are days at least, in any calendar: fewer cannot hold a label.
        if gap < span:
            template += " That is too short: look for a leak."
    template += (
        "\nThe holdout, {holdout_first} to {holdout_last}, was scored once by a model fitted on "
        "earlier rows, and has no part in the verdict."
    )
    return Panel(
        "folds",
        "Which dates were fitted on, and which were scored?",
        Answer(template, facts),
        lambda: fold_schedule(folds, (holdout.first, holdout.last)),
        f"A bar for each of {len(folds)} folds along time: training dates, then a purged gap, "
        "then the test block, each later than the one above; the last bar is the holdout.",
        "A fold's training ends with the last row that it may be fitted on. No training row "
        "follows a test block.",
        wide=True,
    )


def _folds(result: TrainingResult) -> Table:
    steps = kind_of(result.settings).steps
    rows = tuple(
        (
            Fact(fold.number, "count"),
            Fact(fold.train_first),
            Fact(fold.train_last),
            Fact(fold.train_rows, "count"),
            Fact(fold.purged_rows, "count"),
            Fact(fold.test_first),
            Fact(fold.test_last),
            Fact(fold.test_rows, "count"),
            Fact(steps.value(fold.rounds)),
            Fact(fold.metrics.get("rank_ic", float("nan")), "ic"),
        )
        for fold in result.folds
    )
    head = (
        *("Fold", "Fitted from", "to", "Rows fitted", "Rows purged", "Scored from", "to"),
        *("Rows scored", steps.heading.capitalize(), "Rank IC"),
    )
    note = "A fold's own rank IC stands on few independent dates: do not compare folds by it."
    return Table("fold-dates", "The folds in numbers", head, rows, note, folded=True)
