"""Which dates were fitted on, left out and scored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.v2.figures.style import BLUE, GREY, ORANGE, SKY, bare_figure, look, quiet_axes
from src.v2.records import FoldResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TALLEST = 7.0  # inches
HALF = 0.31  # of a row's height


@look()
def fold_schedule(folds: Sequence[FoldResult], holdout: tuple[dt.date, dt.date]) -> Figure:
    """Draw a bar for each fold along time, and one for the holdout.

    Parameters
    ----------
    folds
        In order; training, the purged gap behind it and the test block are drawn.
    holdout
        First and last date.
    """
    figure = bare_figure(7.2, min(TALLEST, 0.9 + 0.27 * (len(folds) + 1)))
    axes = figure.subplots()
    for place, fold in enumerate(folds):
        _bar(axes, place, fold.train_first, fold.train_last, SKY)
        _bar(axes, place, fold.train_last, fold.test_first, ORANGE)
        _bar(axes, place, fold.test_first, fold.test_last, BLUE)
    _bar(axes, len(folds), *holdout, GREY)
    names = [f"fold {fold.number}" for fold in folds] + ["holdout"]
    step = max(1, len(names) // 30)
    shown = sorted({*range(0, len(folds), step), len(folds)})
    axes.set_yticks(shown, [names[place] for place in shown])
    axes.set_ylim(len(folds) + 0.6, -0.6)
    _time_axis(axes, min(fold.train_first for fold in folds), max(holdout[1], folds[-1].test_last))
    _legend(axes)
    return figure


def _bar(axes: Axes, place: int, first: dt.date, last: dt.date, colour: str) -> None:
    """Draw the dates from first to last."""
    from matplotlib.dates import date2num

    start, stop = (date2num(day) for day in (first, last))  # type: ignore[no-untyped-call]
    axes.barh(place, stop - start, 2 * HALF, start, color=colour)


def _time_axis(axes: Axes, first: dt.date, last: dt.date) -> None:
    """Write few dates below the bars, and draw them through."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    start, stop = (date2num(day) for day in (first, last))  # type: ignore[no-untyped-call]
    room = max(0.01 * (stop - start), 1.0)
    axes.set_xlim(start - room, stop + room)
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    years = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(years)
    axes.grid(axis="x")
    quiet_axes(axes)


def _legend(axes: Axes) -> None:
    """Name the kinds of dates above the bars."""
    from matplotlib.patches import Patch

    kinds = [
        Patch(facecolor=SKY, label="fitted on"),
        Patch(facecolor=ORANGE, label="purged"),
        Patch(facecolor=BLUE, label="scored"),
        Patch(facecolor=GREY, label="holdout"),
    ]
    axes.legend(
        handles=kinds,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=4,
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.6,
    )
