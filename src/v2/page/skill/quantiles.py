"""Panels on what became of the ends of the ranking."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from src.v2.detail_records import QuantileReturn
from src.v2.figures.skill_quantiles import quantile_paths, quantile_returns
from src.v2.page.panels import Answer, Fact, Panel, Table
from src.v2.page.skill.words import (
    against,
    bounded,
    cells,
    overlap_note,
    own_horizon,
    say,
    spoken,
    together,
)
from src.v2.records import TrainingResult


def quantile_parts(result: TrainingResult) -> Iterator[Panel | Table]:
    """Give the panels of quantiles and the table of ratings that there are numbers for."""
    quantiles = result.detail.quantiles
    if any(math.isfinite(each.excess.mean) for each in quantiles):
        yield _quantiles(result, quantiles)
    if any(math.isfinite(end) for _, end in _ends(result)):
        yield _paths(result)
    if any(rating.rows for rating in result.evaluation.ratings):
        yield _ratings(result)


def _quantiles(result: TrainingResult, quantiles: tuple[QuantileReturn, ...]) -> Panel:
    known = [each for each in quantiles if math.isfinite(each.excess.mean)]
    low, high = known[0], known[-1]
    (top, top_facts), (bottom, bottom_facts) = (
        spoken("top", high.excess, "signed"),
        spoken("bottom", low.excess, "signed"),
    )
    ends = Answer(
        f"The highest scores returned {top} over the date's mean: {against(high.excess)}. The "
        f"lowest returned {bottom}: {against(low.excess)}.",
        top_facts | bottom_facts,
    )
    rises = sum(one.excess.mean < other.excess.mean for one, other in pairwise(known))
    order = say(
        "Steps from one quantile to the next that go up: {rises} of {steps}; the ends are {gap} "
        "apart.",
        rises=Fact(rises, "count"),
        steps=Fact(len(known) - 1, "count"),
        gap=Fact(high.excess.mean - low.excess.mean, "signed"),
    )
    days = own_horizon(result)
    return Panel(
        "skill-quantiles",
        "Do higher scores come before higher returns?",
        together(ends, order) if len(known) > 1 else ends,
        lambda: quantile_returns(quantiles),
        f"Bars of the mean excess return of {len(quantiles)} quantiles of the scores, lowest "
        "first, with 95% intervals.",
        f"Return{f' of {days} sessions' if days else ''} less the mean of all tickers of the date, "
        f"before costs. {overlap_note(result)}",
    )


def _ends(result: TrainingResult) -> list[tuple[str, float]]:
    """Give the last known number of each path; NaN where there is none."""
    paths = result.detail.quantile_paths
    ends = []
    for name in paths.columns:
        if name != "date":
            known = paths[name].drop_nulls().drop_nans()
            ends.append((name, float(known[-1]) if known.len() else math.nan))
    return ends


def _paths(result: TrainingResult) -> Panel:
    paths = result.detail.quantile_paths
    ends = _ends(result)
    top, bottom = ends[-1][1], ends[0][1]
    answer = say(
        "Added up from {first} to {last}, the highest scores come to {top} over the mean of their "
        "dates, the lowest to {bottom}; {between} lies between. Before costs, and not "
        "compounded.",
        first=Fact(paths["date"][0]),
        last=Fact(paths["date"][-1]),
        top=Fact(top, "signed"),
        bottom=Fact(bottom, "signed"),
        between=Fact(top - bottom, "signed"),
    )
    return Panel(
        "skill-paths",
        "Did the quantiles drift apart all along?",
        answer,
        lambda: quantile_paths(paths),
        f"Lines of the excess return of {len(ends)} quantiles of the scores, added up over time "
        "and named at their end.",
        "Each date's mean excess return of a quantile, divided by the horizon. An end that comes "
        "from few months is an episode, not a habit.",
    )


def _ratings(result: TrainingResult) -> Table:
    ratings = result.evaluation.ratings
    sure = sum(
        bounded(each.excess) and (each.excess.low > 0 or each.excess.high < 0) for each in ratings
    )
    note = (
        f"Excess return over the date's mean, before costs. Intervals that exclude 0: {sure} of "
        f"{len(ratings)}. Ratings are fifths of the ranking of a date."
    )
    if result.evaluation.verdict.word != "evidence":
        note += " They are withheld in forecasts, for want of evidence."
    return Table(
        "skill-ratings",
        "What followed each rating?",
        ("Rating", "Rows", "Mean excess return", "95% from", "to"),
        tuple(
            (each.name, Fact(each.rows, "count"), *cells(each.excess, "signed"))
            for each in reversed(ratings)
        ),
        note,
    )
