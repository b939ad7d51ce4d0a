"""Skill month by month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.detail_records import MonthSkill
from src.v2.figures.marks import plain_ticks, text_on, zero_line
from src.v2.figures.style import (
    BLUE,
    INK,
    VERMILION,
    Array,
    bare_figure,
    look,
    number,
    quiet_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rolling_year(months: Sequence[MonthSkill]) -> Array:
    """Mean rank IC over the dates of the last twelve months, at each month.

    Parameters
    ----------
    months
        In time; months without dates may be absent or NaN, and count for nothing.

    Returns
    -------
    ndarray
        NaN before the twelfth month from the first.

    Examples
    --------
    >>> year = [MonthSkill(2020, month, 20, 0.01 * month) for month in range(1, 13)]
    >>> rolling_year(year)[-2:].round(4).tolist()
    [nan, 0.065]
    """
    if not months:
        return np.empty(0)
    place = np.array([12 * each.year + each.month for each in months])
    value = np.array([each.rank_ic for each in months], dtype=np.float64)
    dates = np.where(np.isfinite(value), [each.dates for each in months], 0)
    means = np.full(len(months), np.nan)
    for row in np.flatnonzero(place - place[0] >= 11):
        recent = (place <= place[row]) & (place > place[row] - 12) & (dates > 0)
        if recent.any():
            means[row] = np.average(value[recent], weights=dates[recent])
    return means


@look()
def monthly_rank_ic(months: Sequence[MonthSkill]) -> Figure:
    """Draw the mean rank IC of each month as a bar, under the mean of the last twelve.

    Parameters
    ----------
    months
        In time, at least one.
    """
    from matplotlib.ticker import MaxNLocator

    figure = bare_figure(7.2, 2.9)
    axes = figure.add_subplot()
    time = np.array([each.year + (each.month - 0.5) / 12 for each in months])
    value = np.array([each.rank_ic for each in months], dtype=np.float64)
    colors = [BLUE if each >= 0 else VERMILION for each in value]
    axes.bar(time, value, width=0.8 / 12, color=colors, label="one month")
    mean = rolling_year(months)
    if np.isfinite(mean).any():
        axes.plot(time, mean, color=INK, lw=1.8, label="last 12 months")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    zero_line(axes)
    axes.set_xlim(time[0] - 0.08, time[-1] + 0.08)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(lambda year, _: f"{year:.0f}")
    plain_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.set_ylabel("Mean daily rank IC")
    return figure


@look()
def month_grid(months: Sequence[MonthSkill]) -> Figure:
    """Draw the mean rank IC of each month as a cell of its year, orange below zero.

    Parameters
    ----------
    months
        In any order, at least one; months without a number stay empty.
    """
    years = sorted({each.year for each in months})
    cells = np.full((len(years), 12), np.nan)
    for each in months:
        cells[years.index(each.year), each.month - 1] = each.rank_ic
    figure = bare_figure(7.2, 0.28 * len(years) + 0.55)
    axes = figure.add_subplot()
    _draw_cells(axes, cells)
    axes.set_xticks(np.arange(12) + 0.5, MONTHS)
    axes.set_yticks(np.arange(len(years)) + 0.5, [str(year) for year in years])
    axes.xaxis.tick_top()
    axes.set_ylim(len(years), 0)
    quiet_axes(axes)
    return figure


def _draw_cells(axes: Axes, cells: Array) -> None:
    """Shade each cell by its number, and write the number into it."""
    import matplotlib

    shade = matplotlib.colormaps["PuOr"]
    reach = float(np.nanmax(np.abs(cells))) if np.isfinite(cells).any() else 1.0
    reach = reach or 1.0
    shown: Any = np.ma.masked_invalid(cells)
    axes.pcolormesh(shown, cmap=shade, vmin=-reach, vmax=reach, edgecolors="face", linewidth=0.2)
    for row, column in np.argwhere(np.isfinite(cells)):
        value = float(cells[row, column])
        color = text_on(shade((value / reach + 1) / 2))
        axes.text(
            column + 0.5, row + 0.5, number(round(value, 2) + 0.0, "+.2f"), ha="center",
            va="center", color=color, size=8,
        )  # fmt: skip
