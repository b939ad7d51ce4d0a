"""One forecast, from where all forecasts start to where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.case_records import Case
from src.v2.explain.direction import quantity_axis
from src.v2.figures.marks import plain_ticks
from src.v2.figures.style import (
    BLUE,
    GREY,
    INK,
    QUIET,
    VERMILION,
    bare_figure,
    look,
    number,
    quiet_axes,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SPACE = 0.22
"""Room for numbers at each side, as a share of the range."""


@look()
def waterfall(case: Case, quantity: str) -> Figure:
    """Draw the contributions one below the other, each from where the one before ended.

    Parameters
    ----------
    case
        Its parts are drawn in their order, then the rest as one bar.
    quantity
        What is explained.
    """
    factor, unit = quantity_axis(quantity)
    sizes = factor * np.array([*(part.contribution for part in case.parts), case.rest])
    ends = factor * case.base + np.cumsum(sizes)
    starts = ends - sizes
    figure = bare_figure(4.6, 0.27 * (len(sizes) + 2) + 0.6)
    axes = figure.add_subplot()
    rows = np.arange(1, len(sizes) + 1)
    colors = [BLUE if size >= 0 else VERMILION for size in sizes]
    axes.barh(rows, sizes, left=starts, height=0.62, color=colors, zorder=3)
    _draw_path(axes, starts, ends, factor * case.base, factor * case.total)
    _write_sizes(axes, starts, ends)
    labels = [f"{shorten(part.feature, 20)} = {_value(part.value)}" for part in case.parts]
    axes.set_yticks(
        range(len(sizes) + 2), ["start", *labels, "all other features", "forecast"],
    )  # fmt: skip
    axes.set_ylim(len(sizes) + 1.6, -0.6)
    quiet_axes(axes)
    axes.grid(axis="x")
    plain_ticks(axes.xaxis, 4)
    axes.set_xlabel(_two_lines(unit))
    return figure


def _draw_path(axes: Axes, starts: np.ndarray, ends: np.ndarray, base: float, total: float) -> None:
    """Draw start, end, and thin lines from bar to bar; leave room for numbers."""
    rows = len(starts)
    axes.plot([base], [0], "D", color=GREY, ms=6, zorder=4)
    axes.plot([total], [rows + 1], "D", color=INK, ms=7, zorder=4)
    for row, place in enumerate([base, *ends]):
        axes.plot([place, place], [row - 0.31, row + 1.31], color=QUIET, lw=0.7, zorder=2)
    places = np.array([base, total, *starts, *ends])
    span = float(places.max() - places.min()) or abs(base) or 1.0
    axes.set_xlim(places.min() - _SPACE * span, places.max() + _SPACE * span)


def _write_sizes(axes: Axes, starts: np.ndarray, ends: np.ndarray) -> None:
    """Write each number beside its bar, on the side where the bar points."""
    for row, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        up = end >= start
        axes.annotate(
            number(end - start, "+.2g"), (end, row), xytext=(3 if up else -3, 0),
            textcoords="offset points", ha="left" if up else "right", va="center", size=8.5,
            color=INK, zorder=5,
        )  # fmt: skip


def _value(value: float) -> str:
    return number(value, ".3g") if np.isfinite(value) else "missing"


def _two_lines(unit: str) -> str:
    """Break a long unit before its last words."""
    if len(unit) <= 40 or " over " not in unit:
        return shorten(unit, 60)
    return shorten(unit, 90).replace(" over ", "\nover ", 1)
