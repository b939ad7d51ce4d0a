"""How the forecast changes along one feature, and with what it depends on beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.explain.direction import explained, quantity_axis
from src.v2.explanation_records import Effect
from src.v2.figures.beeswarm import swarm
from src.v2.figures.marks import plain_ticks
from src.v2.figures.point_cloud import (
    FACE,
    FACE_GRID,
    ON_FACE,
    draw_points,
    light_face,
    rank_bar,
    ranks,
)
from src.v2.figures.style import INK, Array, bare_figure, look, shorten
from src.v2.records import ShapSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 20
"""Up to so many distinct values, the axis shows them all."""
OUTER = 0.01
"""Share of the rows at each end that the axis leaves out otherwise."""
MOST_POINTS = 1500
"""Of more rows, every second or third is drawn; medians and effect are of all."""
GROUPS = 12
"""Groups of equal size that have a median."""


def shown_values(values: Array) -> tuple[float, float]:
    """Give the range of the feature that is drawn.

    Parameters
    ----------
    values
        Array (rows,), NaN where missing.

    Returns
    -------
    tuple
        The middle 98% of many distinct values, or all of few; (0, 1) without any.

    Examples
    --------
    >>> shown_values(np.array([1.0, np.nan, 3.0]))
    (1.0, 3.0)
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    outer = OUTER if len(np.unique(known)) > FEW else 0.0
    low, high = np.quantile(known, [outer, 1 - outer])
    return float(low), float(high)


def group_medians(values: Array, effect: Array) -> tuple[Array, Array]:
    """Give the median contribution of each value, or of twelve equal groups of values.

    Parameters
    ----------
    values, effect
        Arrays (rows,); rows without the feature are left out.

    Returns
    -------
    tuple
        Arrays (groups,) of median values and median contributions; groups below 5 rows are
        left out.
    """
    known = np.flatnonzero(~np.isnan(values))
    ranked = known[np.argsort(values[known], kind="stable")]
    starts = np.flatnonzero(np.diff(values[ranked])) + 1
    parts = starts if len(starts) < GROUPS else GROUPS
    groups = [group for group in np.array_split(ranked, parts) if len(group) >= 5]
    return (
        np.array([np.median(values[group]) for group in groups]),
        np.array([np.median(effect[group]) for group in groups]),
    )


def spread_levels(values: Array, effect: Array, rank: Array) -> Array:
    """Move points of the same value apart where values are few, by sorting alone.

    Parameters
    ----------
    values, effect, rank
        Arrays (rows,), the first two without NaN.

    Returns
    -------
    ndarray
        Array (rows,): the values, each moved by less than a quarter of the smallest gap.
    """
    levels = np.unique(values)
    moved = values.copy()
    if not 1 < len(levels) <= FEW:
        return moved
    room = 0.5 * float(np.diff(levels).min())
    ends = float(effect.min()), float(effect.max())
    for level in levels:
        same = values == level
        moved[same] += room * swarm(effect[same], rank[same], *ends)
    return moved


@look()
def dependence(sample: ShapSample, effect: Effect, quantity: str) -> Figure:
    """Draw each row's contribution over the feature's value, and the accumulated local effect.

    Parameters
    ----------
    sample
        The rows explained.
    effect
        Of a feature of the sample; its partner shades the points.
    quantity
        What is explained.
    """
    factor, unit = quantity_axis(quantity)
    place = sample.feature_names.index(effect.feature)
    values = sample.features[:, place].astype(np.float64)
    shap = factor * explained(sample)[:, place].astype(np.float64)
    partner = np.full(len(values), 0.5)
    named = effect.partner in sample.feature_names
    if named:
        column = sample.feature_names.index(effect.partner)
        partner = ranks(sample.features[:, column].astype(np.float64))
    figure = bare_figure(4.6, 3.3)
    axes = figure.add_subplot()
    light_face(axes)
    low, high = shown_values(values)
    inside = np.flatnonzero((values >= low) & (values <= high))
    _draw_medians(axes, values[inside], shap[inside])
    drawn = inside[:: max(1, -(-len(inside) // MOST_POINTS))]
    across = spread_levels(values[drawn], shap[drawn], partner[drawn])
    draw_points(axes, across, shap[drawn], partner[drawn])
    _draw_effect(axes, effect, factor)
    _finish(axes, (low, high))
    axes.set_xlabel(shorten(effect.feature, 48))
    axes.set_ylabel(f"SHAP value\n({shorten(unit, 44)})")
    if named:
        rank_bar(figure, axes, shorten(effect.partner, 30))
    return figure


def _draw_medians(axes: Axes, values: Array, shap: Array) -> None:
    """Draw the median of each group as a square that any shade leaves visible."""
    middle, median = group_medians(values, shap)
    axes.plot(
        middle, median, "s", ms=4.5, markerfacecolor=FACE, markeredgecolor=ON_FACE, zorder=4,
    )  # fmt: skip


def _draw_effect(axes: Axes, effect: Effect, factor: float) -> None:
    """Draw the accumulated effect with its band; the casing keeps it apart from the points."""
    edges = np.array(effect.edges)
    line, low, high = (factor * np.array(each) for each in (effect.effect, effect.low, effect.high))
    axes.fill_between(edges, low, high, color=ON_FACE, alpha=0.2, linewidth=0, zorder=3)
    for color, width in ((FACE, 4.0), (ON_FACE, 1.9)):
        axes.plot(edges, line, color=color, lw=width, zorder=3.5 + 0.1 * (width < 3))


def _finish(axes: Axes, ends: tuple[float, float]) -> None:
    """Set the range, and explain line and squares in colours that follow the page."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    margin = 0.03 * (ends[1] - ends[0]) or 0.5
    axes.set_xlim(ends[0] - margin, ends[1] + margin)
    axes.axhline(0, color="#8A8A86", lw=0.9, zorder=1)
    axes.grid(axis="y", color=FACE_GRID)
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    handles = [
        Line2D([], [], color=INK, lw=1.9),
        Patch(color=INK, alpha=0.25),
        Line2D([], [], color=INK, marker="s", ms=4.5, markerfacecolor="none", ls="none"),
    ]
    axes.legend(
        handles, ["effect (ALE)", "95%, each point", "median of rows"], loc="lower left",
        bbox_to_anchor=(-0.02, 1.0), ncols=3, handlelength=1.3, columnspacing=1.2,
        borderaxespad=0.2,
    )  # fmt: skip
