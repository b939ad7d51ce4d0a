"""Panels on where class probabilities are wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from src.v2.console import printable
from src.v2.evaluation_records import ClassSkill
from src.v2.figures.calibration import reliability
from src.v2.figures.forecasts import confusion_cells
from src.v2.page.panels import Answer, Fact, Panel
from src.v2.page.skill.words import say, together
from src.v2.records import TrainingResult


def class_panels(result: TrainingResult) -> Iterator[Panel]:
    """Give the calibration curve and the confusion matrix that there are numbers for."""
    skill = result.evaluation.classes
    if skill is None:
        return
    known = [math.isfinite(part.predicted + part.observed) for part in skill.curve]
    if known and all(known):
        yield _calibration(skill, result.classes[-1])
    if sum(map(sum, skill.confusion)):
        yield _confusion(skill, result.classes)


def _calibration(skill: ClassSkill, name: str) -> Panel:
    return Panel(
        "errors-calibration",
        "Do probabilities mean what they say?",
        together(_error(skill), _ends(skill, name)),
        lambda: reliability(skill, name),
        f"Points of the realised share over the forecast probability of {printable(name)}, for "
        f"{len(skill.curve)} groups of rows, with 95% bars; a dashed line where both are equal; "
        "below, where the forecasts lie.",
        f"{sum(part.rows for part in skill.curve):,} rows. Probabilities are calibrated on "
        "earlier folds.",
    )


def _error(skill: ClassSkill) -> Answer:
    """Hold the calibration error against what right probabilities would show."""
    facts = {"ece": Fact(skill.ece, "share"), "ece_null": Fact(skill.ece_null, "share")}
    if not math.isfinite(skill.ece_null):
        return Answer(
            "Probabilities miss the realised shares by {ece} on average; there are too few dates "
            "to tell that from chance.",
            facts,
        )
    verdict = "more than chance explains" if skill.ece > skill.ece_null else "no more than chance"
    return Answer(
        f"Probabilities miss the realised shares by {{ece}} on average, {verdict}: right ones "
        "miss by up to {ece_null}, 95% of the time.",
        facts,
    )


def _ends(skill: ClassSkill, name: str) -> Answer:
    """Tell what came at both ends of the forecasts."""
    named = {"name": Fact(printable(name))}
    if len(skill.curve) == 1:
        return Answer("Every row has about the same probability of {name}.", named)
    low, high = skill.curve[0], skill.curve[-1]
    return say(
        "For {name}, the lowest group says {low_said} and {low_came} came, the highest "
        "{high_said} and {high_came}.",
        **named,
        low_said=Fact(low.predicted, "share"),
        low_came=Fact(low.observed, "share"),
        high_said=Fact(high.predicted, "share"),
        high_came=Fact(high.observed, "share"),
    )


def _confusion(skill: ClassSkill, classes: tuple[str, ...]) -> Panel:
    counts = np.array(skill.confusion)
    total, actual = int(counts.sum()), counts.sum(axis=1)
    answer = say(
        "{right} of {rows} forecasts name the class that came; naming the most frequent one each "
        "time would be right in {common}.",
        right=Fact(float(np.trace(counts)) / total, "share"),
        rows=Fact(total, "count"),
        common=Fact(int(actual.max()) / total, "share"),
    )
    if len(counts) > 2:
        codes = np.arange(len(counts))
        close = np.abs(codes[:, None] - codes) <= 1
        near_answer = say(
            "{near} are at most one class off; naming {middle} each time would be in {base}.",
            near=Fact(int(counts[close].sum()) / total, "share"),
            middle=Fact(printable(classes[int((actual @ close).argmax())])),
            base=Fact(int((actual @ close).max()) / total, "share"),
        )
        answer = together(answer, near_answer)
    return Panel(
        "errors-confusion",
        "Which classes are confused?",
        answer,
        lambda: confusion_cells(counts, classes),
        "A table of the actual class by the likeliest class; each cell holds its share of the "
        "actual class and its rows, darker for more.",
        "A model without skill repeats one row in all rows. Rows of all dates are pooled, so "
        "there is no interval.",
    )
