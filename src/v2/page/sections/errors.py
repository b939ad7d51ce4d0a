"""Where the forecasts are wrong."""

from __future__ import annotations

from src.v2.page.panels import Answer, Panel, Section, Table
from src.v2.page.skill.class_errors import class_panels
from src.v2.page.skill.misses import bin_panels, regime_panels, worst_parts
from src.v2.page.skill.words import data_used
from src.v2.records import TrainingResult

QUESTION = "Where is it wrong?"


def section(result: TrainingResult) -> Section:
    """Give the panels and tables of errors that there are numbers for.

    Parameters
    ----------
    result
        Regression is held against its forecasts, classes against their probabilities.
    """
    content: list[Panel | Table] = [*bin_panels(result), *class_panels(result)]
    content += regime_panels(result)
    content += worst_parts(result)
    if not content:
        nothing = Answer("No scored row has a return that is known yet, so no error can be told.")
        content.append(Panel("errors-none", QUESTION, nothing))
    return Section("errors", "Errors", QUESTION, data_used(result), tuple(content))
