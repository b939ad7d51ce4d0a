"""How much skill, how steadily, after costs, and beside simple rules."""

from __future__ import annotations

from src.v2.page.panels import Panel, Section, Table
from src.v2.page.skill.books import book_parts
from src.v2.page.skill.forecasts import forecast_parts
from src.v2.page.skill.quantiles import quantile_parts
from src.v2.page.skill.rules import rule_parts
from src.v2.page.skill.time import time_panels
from src.v2.page.skill.words import data_used, no_ranking
from src.v2.records import TrainingResult


def section(result: TrainingResult) -> Section:
    """Give the panels and tables of skill that there are numbers for.

    Parameters
    ----------
    result
        Below 20 tickers there is no ranking to show, and the first panel says so.
    """
    content: list[Panel | Table] = []
    if result.evaluation.ranking is None:
        question = "Why is no ranking judged?"
        content.append(Panel("skill-no-ranking", question, no_ranking(result)))
    content += time_panels(result)
    content += quantile_parts(result)
    content += book_parts(result)
    content += rule_parts(result)
    content += forecast_parts(result)
    return Section(
        "skill",
        "Skill",
        "How much skill, how steadily, and what is left after costs?",
        data_used(result),
        tuple(content),
    )
