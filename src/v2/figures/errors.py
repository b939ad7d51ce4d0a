"""Where forecasts are wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.detail_records import ForecastBin, RegimeSkill
from src.v2.figures.marks import columns, percent_ticks, plain_ticks, upright_intervals, zero_line
from src.v2.figures.style import BLUE, ORANGE, QUIET, VERMILION, bare_figure, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@look()
def forecast_bins(bins: Sequence[ForecastBin]) -> Figure:
    """Draw the return that came over the forecast, beside the line on which forecasts are right.

    Parameters
    ----------
    bins
        By rising forecast, at least one; fractions.
    """
    figure = bare_figure(4.6, 3.3)
    axes = figure.add_subplot()
    forecast = 100 * np.array([each.forecast for each in bins])
    came, errors = columns([each.realised for each in bins], 100.0)
    ends = np.array([np.nanmin(forecast), np.nanmax(forecast)])
    axes.plot(ends, ends, color=VERMILION, lw=1.3, ls=(0, (5, 3)), label="as forecast")
    axes.errorbar(
        forecast, came, yerr=errors, fmt="o", ms=6, color=BLUE, elinewidth=1.4, capsize=3,
        label="a tenth of the rows", zorder=4,
    )  # fmt: skip
    zero_line(axes)
    axes.axvline(0, color=QUIET, lw=0.5)
    percent_ticks(axes.xaxis)
    percent_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.set_xlabel("Forecast return")
    axes.set_ylabel("Return that came")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


@look()
def regime_skill(regimes: Sequence[RegimeSkill]) -> Figure:
    """Draw the mean rank IC in each state of the market, with 95% intervals.

    Parameters
    ----------
    regimes
        From calm to stormy, at least one with a mean.
    """
    figure = bare_figure(4.6, 2.7)
    axes = figure.add_subplot()
    places = np.arange(len(regimes))
    upright_intervals(axes, places, [each.rank_ic for each in regimes], color=BLUE)
    zero_line(axes)
    _name_regimes(axes, regimes)
    plain_ticks(axes.yaxis)
    axes.set_ylabel("Mean daily rank IC")
    return figure


@look()
def regime_errors(regimes: Sequence[RegimeSkill]) -> Figure:
    """Draw the size of the errors and their mean in each state of the market.

    Parameters
    ----------
    regimes
        From calm to stormy, at least one with errors; fractions.
    """
    figure = bare_figure(4.6, 2.7)
    axes = figure.add_subplot()
    places = np.arange(len(regimes))
    axes.bar(
        places, [100 * each.rmse for each in regimes], width=0.5, color=ORANGE, alpha=0.8,
        label="root mean square",
    )  # fmt: skip
    bias = [100 * each.bias for each in regimes]
    bounds = [(each.bias_low, each.bias_high) for each in regimes]
    axes.plot(places, bias, "D", color=BLUE, ms=6, label="mean, with 95%")
    low, high = (100 * np.array([pair[side] for pair in bounds]) for side in (0, 1))
    axes.vlines(places, low, high, color=BLUE, lw=2)
    zero_line(axes)
    _name_regimes(axes, regimes)
    percent_ticks(axes.yaxis)
    axes.set_ylabel("Forecast error")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


def _name_regimes(axes: Axes, regimes: Sequence[RegimeSkill]) -> None:
    """Name each state with the bounds of its volatility."""
    known = [math.isfinite(each.low + each.high) for each in regimes]
    names = [
        f"{each.name}\n{each.low:.0%} to {each.high:.0%}" if bounded else each.name
        for each, bounded in zip(regimes, known, strict=True)
    ]
    axes.set_xticks(np.arange(len(regimes)), names)
    axes.set_xlim(-0.5, len(regimes) - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set_xlabel("State of the market, annual volatility")
