"""Every row's contribution of every leading feature, as a swarm of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.explain.direction import explained, quantity_axis
from src.v2.figures.marks import plain_ticks
from src.v2.figures.point_cloud import FACE_GRID, draw_points, light_face, rank_bar, ranks
from src.v2.figures.style import Array, bare_figure, look, shorten
from src.v2.records import ShapSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 20
"""Features with a swarm."""
OUTERMOST = 0.001
"""Share of the points at each end that may be drawn at the border instead."""
_COLUMNS = 160
"""Places along the axis in which points are stacked."""
_HALF, _STEP = 0.42, 0.055
"""Largest half height of a swarm, and height of a point, in rows."""


def swarm(effect: Array, rank: Array, low: float, high: float) -> Array:
    """Stack points that would cover each other, by sorting alone.

    Points of the same place along the axis are stacked around the middle, sorted by rank, so
    that shades run upwards. Where the tallest stack would leave its row, all are pressed together
    alike, and so their heights still compare.

    Parameters
    ----------
    effect
        Array (rows,): places along the axis.
    rank
        Array (rows,); NaN is stacked last.
    low, high
        Ends of the axis.

    Returns
    -------
    ndarray
        Array (rows,): heights from -0.42 to 0.42.

    Examples
    --------
    >>> swarm(np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.5]), 0.0, 1.0).tolist()
    [0.0275, -0.0275, 0.0]
    """
    span = high - low
    column = np.floor((effect - low) / span * _COLUMNS) if span > 0 else np.zeros(len(effect))
    order = np.lexsort((rank, column))
    _, start, count = np.unique(column[order], return_index=True, return_counts=True)
    level = np.arange(len(effect)) - np.repeat(start, count)
    size = np.repeat(count, count)
    step = min(_STEP, 2 * _HALF / max(int(count.max(initial=1)) - 1, 1))
    heights = np.empty(len(effect))
    heights[order] = (level - (size - 1) / 2) * step
    return heights


def shown_range(values: Array) -> tuple[float, float]:
    """Give the ends of the axis: all points, or all but the outermost where these reach far.

    Parameters
    ----------
    values
        Array of any shape, finite.

    Returns
    -------
    tuple
        With zero inside. Cut where the middle 99.8% of the points need less than two thirds of
        the room.
    """
    if not values.size:
        return -1.0, 1.0
    whole = (min(float(values.min()), 0.0), max(float(values.max()), 0.0))
    low, high = np.quantile(values, [OUTERMOST, 1 - OUTERMOST])
    inner = (min(float(low), 0.0), max(float(high), 0.0))
    return inner if inner[1] - inner[0] < (whole[1] - whole[0]) / 1.5 else whole


@look()
def beeswarm(sample: ShapSample, features: Sequence[str], quantity: str) -> Figure:
    """Draw one point a row and feature: its contribution, shaded by the feature's value.

    Parameters
    ----------
    sample
        The rows explained.
    features
        Names in the sample, from the top; the first 20 are drawn.
    quantity
        What is explained.
    """
    factor, unit = quantity_axis(quantity)
    columns = [sample.feature_names.index(name) for name in features[:SHOWN]]
    effect = factor * explained(sample)[:, columns].astype(np.float64)
    low, high = shown_range(effect)
    figure = bare_figure(7.2, 0.27 * max(len(columns), 3) + 0.6)
    axes = figure.add_subplot()
    light_face(axes)
    axes.axvline(0, color="#8A8A86", lw=0.9, zorder=1)
    _draw_rows(axes, np.clip(effect, low, high), sample.features[:, columns], (low, high))
    axes.set_yticks(range(len(columns)), [shorten(name, 30) for name in features[:SHOWN]])
    axes.set_ylim(len(columns) - 0.4, -0.6)
    margin = 0.02 * (high - low) or 1.0
    axes.set_xlim(low - margin, high + margin)
    plain_ticks(axes.xaxis)
    axes.set_xlabel(f"SHAP value ({shorten(unit, 60)})")
    rank_bar(figure, axes, "Value of the feature")
    return figure


def _draw_rows(axes: Axes, effect: Array, values: Array, ends: tuple[float, float]) -> None:
    """Draw all swarms as one cloud, each around its row."""
    axes.grid(axis="x", color=FACE_GRID)
    rank = np.array([ranks(column) for column in values.T.astype(np.float64)]).reshape(
        values.T.shape
    )
    heights = [place - swarm(column, rank[place], *ends) for place, column in enumerate(effect.T)]
    if heights:
        draw_points(axes, effect.T.ravel(), np.concatenate(heights), rank.ravel())
