"""What became of the quantiles of the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.detail_records import QuantileReturn
from src.v2.figures.marks import (
    columns,
    date_ticks,
    end_labels,
    percent_ticks,
    thinned,
    zero_line,
)
from src.v2.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    QUIET,
    SKY,
    VERMILION,
    bare_figure,
    look,
)

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

LINES = ((VERMILION, "--"), (ORANGE, ":"), (GREY, "-."), (SKY, (0, (6, 2))), (BLUE, "-"))
"""Colour and dashes of each fifth, from the lowest scores to the highest."""


@look()
def quantile_returns(quantiles: Sequence[QuantileReturn]) -> Figure:
    """Draw the mean return of each quantile over the mean of its dates, with 95% intervals.

    Parameters
    ----------
    quantiles
        From the lowest scores to the highest, at least one.
    """
    figure = bare_figure(4.6, 2.9)
    axes = figure.add_subplot()
    places = np.arange(len(quantiles))
    mean, errors = columns([each.excess for each in quantiles], 100.0)
    colors = [BLUE if value >= 0 else VERMILION for value in mean]
    axes.bar(places, mean, width=0.62, color=colors, alpha=0.75)
    axes.errorbar(places, mean, yerr=errors, fmt="none", ecolor=INK, elinewidth=1.2, capsize=4)
    zero_line(axes)
    axes.set_xticks(places, quantile_names(quantiles))
    axes.tick_params(axis="x", length=0)
    percent_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.set_xlabel("Quantile of the scores")
    axes.set_ylabel("Mean excess return")
    return figure


def quantile_names(quantiles: Sequence[QuantileReturn]) -> list[str]:
    """Name quantiles by their number, and the two ends in words."""
    names = [str(each.quantile) for each in quantiles]
    if len(names) > 1:
        names[0], names[-1] = f"{names[0]}\nlowest", f"{names[-1]}\nhighest"
    return names


@look()
def quantile_paths(paths: pl.DataFrame) -> Figure:
    """Draw how the excess return of each quantile added up over time.

    Parameters
    ----------
    paths
        | date | q1 ... q5 | sums of fractions, in time, at least one row; null before the
        first return.
    """
    figure = bare_figure(4.6, 2.9)
    axes = figure.add_subplot()
    names = [name for name in paths.columns if name != "date"]
    dates: Any = paths["date"].to_numpy()
    ends = []
    for place, name in enumerate(names):
        color, dashes = LINES[place % len(LINES)]
        path = 100 * paths[name].to_numpy().astype(np.float64)
        kept = thinned(path)
        axes.plot(dates[kept], path[kept], color=color, ls=dashes, lw=1.6)
        known = path[np.isfinite(path)]
        if known.size:
            ends.append((float(known[-1]), _end_name(place, len(names)), color))
    zero_line(axes)
    axes.margins(x=0)
    date_ticks(axes)
    percent_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.spines["bottom"].set_color(QUIET)
    axes.set_ylabel("Excess return, added up")
    end_labels(axes, dates[-1], ends)
    return figure


def _end_name(place: int, count: int) -> str:
    end = " lowest" if place == 0 else " highest" if place == count - 1 else ""
    return f"{place + 1}{end}"
