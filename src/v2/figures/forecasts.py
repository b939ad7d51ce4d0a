"""Forecasts against what happened."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.binned import Binned, bin_by_forecast
from src.v2.figures.marks import text_on
from src.v2.figures.style import (
    BLUE,
    INK,
    PAPER,
    QUIET,
    VERMILION,
    Array,
    bare_figure,
    framed_figure,
    look,
    number,
    percent,
    quiet_axes,
    shorten,
)

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@look()
def confusion_matrix(labels: Array, predictions: Array, classes: Sequence[str]) -> Figure:
    """Draw how the rows of each actual class were forecast.

    Parameters
    ----------
    labels, predictions
        Class codes, from 0, of the same rows.
    classes
        Names of the classes by code.
    """
    k = len(classes)
    codes = labels.astype(np.int64) * k + predictions.astype(np.int64)
    counts = np.bincount(codes, minlength=k * k).reshape(k, k)
    figure = framed_figure(
        max(5.6, 2.6 + 1.05 * k),
        max(3.0, 1.0 + 0.66 * k),
        "Which classes does the model confuse?",
        _confusion_answer(counts),
        f"{counts.sum():,} out-of-sample rows of the walk-forward. A cell: share of its row "
        "(the actual class), and rows. A model without skill repeats one row in all rows.",
    )
    _draw_confusion(figure.add_subplot(), counts, classes, letters=24)
    return figure


@look()
def confusion_cells(counts: Array, classes: Sequence[str]) -> Figure:
    """Draw the same for a page, which writes the texts itself.

    Parameters
    ----------
    counts
        Rows by actual class (rows) and forecast class (columns), lowest class first.
    classes
        Their names.
    """
    figure = bare_figure(4.6, 1.1 + 0.5 * len(classes))
    _draw_confusion(figure.add_subplot(), counts, classes, letters=14)
    return figure


def _draw_confusion(axes: Axes, counts: Array, classes: Sequence[str], letters: int) -> None:
    """Draw the cells, named by the classes; ``letters`` of a name are shown."""
    k = len(classes)
    rows = counts.sum(axis=1)
    _draw_cells(axes, counts, counts / np.maximum(rows, 1)[:, None])
    actual = [
        f"{shorten(name, letters)}\n{percent(share)} of rows"
        for name, share in zip(classes, rows / max(int(rows.sum()), 1), strict=True)
    ]
    axes.set_yticks(range(k), actual)
    broken = [textwrap.fill(shorten(name, letters), min(letters // 2 + 1, 13)) for name in classes]
    axes.set_xticks(range(k), broken)
    axes.set_xlabel("Forecast class")
    axes.set_ylabel("Actual class")
    quiet_axes(axes)


def _confusion_answer(counts: Array) -> str:
    """Compare the accuracy with naming the most frequent class every time."""
    total = max(int(counts.sum()), 1)
    accuracy = np.trace(counts) / total
    common = int(counts.sum(axis=1).max()) / total
    answer = (
        f"{accuracy:.1%} of the forecasts are right; naming the most frequent class "
        f"every time would be right in {common:.1%}."
    )
    if len(counts) > 2:
        codes = np.arange(len(counts))
        near = int(counts[np.abs(codes[:, None] - codes) <= 1].sum()) / total
        answer += f" {percent(near)} are at most one class off."
    return answer


def _draw_cells(axes: Axes, counts: Array, shares: Array) -> None:
    """Shade the cells by their share and write the share and the rows into them."""
    from matplotlib.colors import LinearSegmentedColormap

    shade = LinearSegmentedColormap.from_list("share", ["#F3F5F6", "#9CC7E0", BLUE, "#003F66"])
    top = min(1.0, max(2.5 / len(counts), float(shares.max())))
    axes.imshow(shares, cmap=shade, vmin=0, vmax=top, aspect="auto")
    edge = np.arange(len(counts) + 1) - 0.5
    axes.vlines(edge, -0.5, len(counts) - 0.5, color=PAPER, lw=2)
    axes.hlines(edge, -0.5, len(counts) - 0.5, color=PAPER, lw=2)
    for row, column in np.ndindex(counts.shape):
        color = text_on(shade(shares[row, column] / top))
        weight = "bold" if row == column else "normal"
        share = percent(float(shares[row, column]))
        axes.text(
            column, row - 0.1, share, ha="center", va="center", color=color, weight=weight, size=10
        )
        axes.text(
            column, row + 0.22, f"{counts[row, column]:,}", ha="center", va="center", color=color,
            size=7.5,
        )  # fmt: skip


@look()
def forecast_against_actual(
    predictions: pl.DataFrame, forecast: str = "prediction", actual: str = "forward_return"
) -> Figure:
    """Draw the mean return that followed each tenth of the forecasts.

    Parameters
    ----------
    predictions
        | date | label_end | and the two columns named, both as fractions. Rows without
        either number are left out.
    forecast, actual
        Columns of the forecast and of what it is held against, in one unit.
    """
    binned = bin_by_forecast(predictions, forecast, actual)
    interval = ""
    if np.isfinite(binned.slope_error):
        low, high = binned.slope - binned.slope_error, binned.slope + binned.slope_error
        interval = f" (95% interval {number(low, '.2f')} to {number(high, '.2f')})"
    answer = (
        f"For each point of forecast, the return that followed changed by "
        f"{number(binned.slope, '+.2f')} points{interval}. "
        "1 means that the size is right, 0 that nothing follows."
    )
    note = (
        f"{binned.rows:,} out-of-sample rows of the walk-forward in {len(binned.forecast)} equal "
        f"groups. Bar: 95% interval over {binned.blocks} blocks of {binned.span} sessions, since "
        "overlapping horizons repeat each other."
    )
    figure = framed_figure(
        7.6, 4.4, "Do higher forecasts come before higher returns?", answer, note
    )
    _draw_binned(figure.add_subplot(), binned)
    return figure


def _draw_binned(axes: Axes, binned: Binned) -> None:
    """Draw the groups over the line of equality."""
    from matplotlib.ticker import PercentFormatter

    x, y = binned.forecast * 100, binned.actual * 100
    error = np.nan_to_num(binned.error) * 100
    low, high = _range(x)
    bottom, top = _range(np.concatenate([y - error, y + error, x]))
    axes.axhline(0, color=QUIET, lw=0.6)
    ends = np.array([max(low, bottom), min(high, top)])
    axes.plot(ends, ends, color=VERMILION, lw=1.2, ls=(0, (5, 3)), label="forecast = return")
    mean = binned.mean * 100
    axes.axhline(mean, color=INK, lw=0.8, ls=":", label=f"mean of all rows, {number(mean, '.1f')}%")
    axes.errorbar(
        x, y, yerr=error, fmt="o", ms=6, color=BLUE, ecolor=BLUE, elinewidth=1.4, capsize=3,
        label="mean return of a tenth", zorder=4, markeredgecolor=PAPER,
    )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)
    axes.xaxis.set_major_formatter(PercentFormatter(decimals=None))
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=None))
    axes.set_xlabel("Forecast return, mean of the group")
    axes.set_ylabel("Realised return, mean of the group")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)


def _range(values: Array) -> tuple[float, float]:
    """Give the range of an axis with some air around the values."""
    low, high = float(np.min(values)), float(np.max(values))
    air = 0.08 * (high - low) or 0.5
    return low - air, high + air
