"""Probabilities against how often the class came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation_records import CalibrationBin, ClassSkill
from src.v2.figures.style import (
    BLUE,
    INK,
    PAPER,
    QUIET,
    SKY,
    VERMILION,
    Array,
    bare_figure,
    framed_figure,
    look,
    number,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@look()
def calibration_curve(skill: ClassSkill, class_name: str) -> Figure:
    """Draw the realised share of a class over its forecast probability: a reliability diagram.

    Parameters
    ----------
    skill
        Of out-of-sample forecasts; its curve is that of the highest class.
    class_name
        Name of that class.
    """
    name = shorten(class_name, 24).replace(" ", "\N{NO-BREAK SPACE}")
    figure = framed_figure(
        7.6,
        5.0,
        "Do probabilities mean what they say?",
        f"{_error_answer(skill)} {_spread_answer(skill.curve, name)}",
        _note(skill.curve),
    )
    _draw(figure, skill, name, legend_columns=3)
    return figure


@look()
def reliability(skill: ClassSkill, class_name: str) -> Figure:
    """Draw the same for a page, which writes the texts itself.

    Parameters
    ----------
    skill
        Its curve has at least one group.
    class_name
        Name of the highest class.
    """
    figure = bare_figure(4.6, 3.9)
    _draw(figure, skill, shorten(class_name, 14), legend_columns=2)
    return figure


def _draw(figure: Figure, skill: ClassSkill, name: str, legend_columns: int) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    _draw_curve(upper, skill.curve, name, legend_columns)
    _draw_forecasts(lower, skill.curve, name)


def _error_answer(skill: ClassSkill) -> str:
    """Hold the calibration error against what right probabilities would show."""
    classes = len(skill.confusion)
    over = "" if classes == 2 else f" over the {classes} classes"
    answer = f"Probabilities miss the realised shares by {_points(skill.ece)} points on average"
    if not np.isfinite(skill.ece_null):
        return f"{answer}{over}; there are too few dates to tell that from chance."
    verdict = "more than chance explains" if skill.ece > skill.ece_null else "no more than chance"
    return (
        f"{answer}{over}, {verdict}: right ones miss by up to {_points(skill.ece_null)}, 95% of "
        "the time."
    )


def _spread_answer(curve: tuple[CalibrationBin, ...], name: str) -> str:
    """Say how far apart the forecasts are, and what came at both ends."""
    if len(curve) == 1:
        return f"Every row has about the same P({name})."
    first, last = curve[0], curve[-1]
    return (
        f"For P({name}), the lowest group says {first.predicted:.1%} and {first.observed:.1%} "
        f"came, the highest {last.predicted:.1%} and {last.observed:.1%}."
    )


def _note(curve: tuple[CalibrationBin, ...]) -> str:
    rows = sum(part.rows for part in curve)
    note = f"{rows:,} out-of-sample rows of the walk-forward"
    if len(curve) > 1:
        note += f" in {len(curve)} groups of about equal size"
    if all(np.isfinite(part.low) for part in curve):
        return (
            f"{note}. Bar: 95% interval over dates, since tickers of a date and overlapping "
            "horizons repeat each other."
        )
    return f"{note}. Without intervals: the dates hold too few independent windows."


def _draw_curve(
    axes: Axes, curve: tuple[CalibrationBin, ...], name: str, legend_columns: int
) -> None:
    """Draw the groups over the line on which forecasts are right."""
    said, came, low, high, rows = _columns(curve)
    left, right = _range(_edges(said))
    bottom, top = _range(np.concatenate([said, came, low[np.isfinite(low)], high[high == high]]))
    ends = np.array([max(left, bottom), min(right, top)])
    axes.plot(ends, ends, color=VERMILION, lw=1.2, ls=(0, (5, 3)), label="as often as said")
    share = float(came @ rows / rows.sum())
    axes.axhline(share, color=INK, lw=0.8, ls=":", label=f"share of all rows, {share:.1%}")
    bars = np.nan_to_num(np.abs(np.vstack([came - low, high - came])))
    axes.errorbar(
        said, came, yerr=bars, fmt="o", ms=6, color=BLUE, ecolor=BLUE, elinewidth=1.4, capsize=3,
        label="group of rows", zorder=4, markeredgecolor=PAPER,
    )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_formatter(_percent_tick)
    axes.set_ylabel(f"Realised share of {name}")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=legend_columns, borderaxespad=0.2)


def _draw_forecasts(axes: Axes, curve: tuple[CalibrationBin, ...], name: str) -> None:
    """Draw where the forecasts lie, as a histogram whose bars are the groups."""
    said, _, _, _, rows = _columns(curve)
    edges = _edges(said)
    density = rows / np.maximum(np.diff(edges), 1e-9)
    axes.stairs(density, edges, fill=True, color=SKY, alpha=0.55)
    axes.stairs(density, edges, color=BLUE, lw=0.9)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("Rows", color=QUIET)
    axes.xaxis.set_major_formatter(_percent_tick)
    axes.set_xlabel(f"Forecast probability of {name}, mean of the group")


def _edges(said: Array) -> Array:
    """Put edges half-way between the groups' means, and as far beyond the outer ones."""
    if len(said) == 1:
        return np.array([said[0] - 0.005, said[0] + 0.005])
    between = (said[1:] + said[:-1]) / 2
    first, last = 2 * said[0] - between[0], 2 * said[-1] - between[-1]
    return np.concatenate([[max(first, 0)], between, [min(last, 1)]])


def _percent_tick(share: float, _: float) -> str:
    return f"{round(100 * share, 6):g}%"


def _columns(curve: tuple[CalibrationBin, ...]) -> tuple[Array, Array, Array, Array, Array]:
    """Give forecast, share that came, its bounds and the rows of each group."""
    table = np.array(
        [(part.predicted, part.observed, part.low, part.high, part.rows) for part in curve]
    )
    said, came, low, high, rows = table.T
    return said, came, low, high, rows


def _points(share: float) -> str:
    return number(100 * share, ".1f" if share >= 0.001 else ".2f")


def _range(values: Array) -> tuple[float, float]:
    """Give the range of an axis with some air around the values."""
    low, high = float(np.min(values)), float(np.max(values))
    air = 0.04 * (high - low) or 0.005
    return low - air, high + air
