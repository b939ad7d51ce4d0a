"""Numbers with their intervals, one a row: the picture of any short list of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation_records import Interval
from src.v2.figures.marks import columns, percent_ticks, plain_ticks
from src.v2.figures.style import (
    BLUE,
    PAPER,
    QUIET,
    VERMILION,
    bare_figure,
    look,
    quiet_axes,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@look()
def interval_rows(
    rows: Sequence[tuple[str, Interval]],
    axis: str,
    *,
    first_stands_out: bool = False,
    percent: bool = False,
    mark: tuple[float, str] | None = None,
) -> Figure:
    """Draw each number as a point upon its 95% interval, beside a line at zero.

    Parameters
    ----------
    rows
        Name and interval, from the top; a row without a mean stays empty, one without bounds
        has a point alone.
    axis
        What the numbers are.
    first_stands_out
        Whether the first row is the model among others, and is drawn as a diamond.
    percent
        Whether the numbers are fractions to be written as percentages.
    mark
        A place on the axis to be named, as ``(0.04, "smallest to be found")``; NaN is none.
    """
    figure = bare_figure(4.6, 0.34 * len(rows) + (0.9 if mark else 0.65))
    axes = figure.add_subplot()
    factor = 100.0 if percent else 1.0
    mean, errors = columns([interval for _, interval in rows], factor)
    places = np.arange(len(rows))
    axes.axvline(0, color=QUIET, lw=0.9, zorder=1)
    chosen = (places == 0) & first_stands_out
    for members, color, shape, size in ((chosen, VERMILION, "D", 7), (~chosen, BLUE, "o", 6)):
        axes.errorbar(
            mean[members], places[members], xerr=errors[:, members], fmt=shape, ms=size,
            color=color, ecolor=color, elinewidth=1.5, capsize=3, markeredgecolor=PAPER, zorder=3,
        )  # fmt: skip
    if mark is not None and np.isfinite(mark[0]):
        axes.axvline(factor * mark[0], color=QUIET, lw=1.1, ls=(0, (4, 3)), zorder=2)
        axes.annotate(
            mark[1], (factor * mark[0], -0.75), xytext=(0, 1), textcoords="offset points",
            ha="center", va="bottom", color=QUIET, size=8.5, annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks(places, [shorten(name, 26) for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.75)
    (percent_ticks if percent else plain_ticks)(axes.xaxis)
    quiet_axes(axes)
    axes.grid(axis="x")
    axes.set_xlabel(axis)
    return figure
