"""Panels on how close forecasts come: returns, probabilities and sides."""

from __future__ import annotations

import math
from collections.abc import Iterator

from src.v2.evaluation_records import ClassSkill, ReturnSkill
from src.v2.figures.interval_rows import interval_rows
from src.v2.page.panels import Answer, Fact, Panel, Table
from src.v2.page.skill.words import against, cells, chance, overlap_note, say, spoken, together
from src.v2.records import TrainingResult


def forecast_parts(result: TrainingResult) -> Iterator[Panel | Table]:
    """Give the panels of returns or of probabilities, and that of sides."""
    evaluation = result.evaluation
    if evaluation.returns is not None and math.isfinite(evaluation.returns.r2.mean):
        yield _returns(result, evaluation.returns)
    if evaluation.classes is not None:
        yield _classes(result, evaluation.classes)
    if math.isfinite(evaluation.sides.hit_rate):
        yield _sides(result)
    if evaluation.classes is not None:
        yield _class_table(evaluation.classes)


def _returns(result: TrainingResult, skill: ReturnSkill) -> Panel:
    words, facts = spoken("r2", skill.r2, "signed")
    answer = Answer(
        f"R2 over the mean known at the time is {words}: {against(skill.r2)}.",
        facts,
    )
    if math.isfinite(skill.clark_west_mean.p):
        answer = together(
            answer,
            say(
                "One-sided p {p} that the features add nothing to that mean (Clark and West).",
                p=chance(skill.clark_west_mean.p),
            ),
        )
    rows = (
        ("over the known mean", skill.r2),
        ("within dates", skill.r2_demeaned),
        ("over zero", skill.r2_zero),
    )
    return Panel(
        "skill-r2",
        "Are forecasts closer to what came than the mean known then?",
        answer,
        lambda: interval_rows(rows, "R2 out of sample", percent=True),
        "Three R2 with 95% bars, beside zero: over the known mean, within dates, and over zero.",
        "Over zero a market that only drifts upward looks like skill; the first two do not "
        f"reward it. {overlap_note(result)}",
    )


def _classes(result: TrainingResult, skill: ClassSkill) -> Panel:
    (loss, loss_facts), (brier, brier_facts), (auc, auc_facts) = (
        spoken("log_loss_skill", skill.log_loss_skill, "signed"),
        spoken("brier_skill", skill.brier_skill, "signed"),
        spoken("auc", skill.auc, "loss"),
    )
    answers = [
        Answer(
            f"Over the plain shares of the classes, the log loss is better by {loss}: "
            f"{against(skill.log_loss_skill)}; the Brier score by {brier}: "
            f"{against(skill.brier_skill)}.",
            loss_facts | brier_facts,
        )
    ]
    if math.isfinite(skill.auc.mean):
        answers.append(
            Answer(f"The AUC within dates is {auc}: {against(skill.auc, 0.5)}.", auc_facts)
        )
    rows = (("log loss", skill.log_loss_skill), ("Brier score", skill.brier_skill))
    return Panel(
        "skill-classes",
        "Are probabilities better than the shares of the classes?",
        together(*answers),
        lambda: interval_rows(rows, "Better than the shares by", percent=True),
        "The skill of log loss and Brier score with 95% bars, beside zero.",
        "The shares are those of the rows that each fold was fitted on. An AUC of 0.5 is luck. "
        f"{overlap_note(result)}",
    )


def _class_table(skill: ClassSkill) -> Table:
    none = Fact(math.nan)
    rows = (
        ("Log-loss skill", *cells(skill.log_loss_skill, "signed"), "0%"),
        ("Brier skill", *cells(skill.brier_skill, "signed"), "0%"),
        ("AUC within dates", *cells(skill.auc, "loss"), "0.5"),
        ("Log loss", Fact(skill.log_loss, "loss"), none, none, ""),
        ("Brier score", Fact(skill.brier, "loss"), none, none, ""),
        ("ROC AUC, all rows", Fact(skill.roc_auc, "loss"), none, none, "0.5"),
        ("Average precision", Fact(skill.pr_auc, "loss"), none, none, Fact(skill.pr_base, "loss")),
        (
            "Balanced accuracy",
            Fact(skill.balanced_accuracy, "share"),
            none,
            none,
            Fact(1 / max(len(skill.confusion), 1), "share"),
        ),
        ("Matthews correlation", Fact(skill.mcc, "short"), none, none, "0"),
    )
    return Table(
        "skill-class-table",
        "The probabilities in numbers",
        ("Measure", "Value", "95% from", "to", "Luck"),
        rows,
        "Without bounds where rows of all dates are pooled. Luck: what no skill reaches.",
        folded=True,
    )


def _sides(result: TrainingResult) -> Panel:
    sides = result.evaluation.sides
    words, facts = spoken("gain", sides.difference, "signed")
    facts |= {"hits": Fact(sides.hit_rate, "share"), "base": Fact(sides.base_rate, "share")}
    answer = Answer(
        "{hits} of the rows are on the right side; naming the more frequent one would reach "
        f"{{base}}. The gain is {words}: {against(sides.difference)}.",
        facts,
    )
    return Panel(
        "skill-sides",
        "Is the direction right more often than naming one side?",
        answer,
        lambda: interval_rows(
            [("hit rate less base rate", sides.difference)], "Share of rows", percent=True
        ),
        "The gain of the hit rate over naming one side, with its 95% bar, beside zero.",
        overlap_note(result),
    )
