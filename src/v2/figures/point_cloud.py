"""Thousands of points, coloured by where a value stands among its rows.

Points become pixels, since as shapes they would fill a page with megabytes. The colours run
from dark to light, so they lie on a face that stays light when the page turns dark; what is
drawn upon it takes colours of its own, which stay as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.style import QUIET, Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACE, ON_FACE, FACE_GRID = "#F6F6F4", "#111111", "#E1E1DD"
LEVELS = 6
"""Shades of the points; few shades keep the picture's file small."""
_RING = "#6E6E6E"


def ranks(values: Array) -> Array:
    """Give each value its place among the others, ties in the middle of theirs.

    Parameters
    ----------
    values
        Array (rows,); NaN where missing.

    Returns
    -------
    ndarray
        Array (rows,) from 0 to 1, NaN where missing; 0.5 where all values are equal.

    Examples
    --------
    >>> ranks(np.array([3.0, 1.0, np.nan, 2.0])).tolist()
    [1.0, 0.0, nan, 0.5]
    """
    places = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        _, which, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - (counts + 1) / 2
        places[known] = middle[which] / (known.sum() - 1) if len(counts) > 1 else 0.5
    return places


def light_face(axes: Axes) -> None:
    """Give axes a face that stays light on a dark page."""
    axes.set_facecolor(FACE)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def draw_points(axes: Axes, x: Array, y: Array, rank: Array, size: float = 6.0) -> None:
    """Draw points as pixels, dark to light by rank; rows without one as empty rings.

    Parameters
    ----------
    x, y
        Arrays (points,).
    rank
        Array (points,) from 0 to 1; NaN draws a ring.
    size
        Area of a point in square points.
    """
    from matplotlib import colormaps

    known = ~np.isnan(rank)
    shade = (np.floor(np.clip(rank[known], 0, 0.999) * LEVELS) + 0.5) / LEVELS
    axes.scatter(
        x[~known], y[~known], s=size, facecolor="none", edgecolor=_RING, linewidth=0.6,
        rasterized=True, zorder=2.0, antialiased=False,
    )  # fmt: skip
    axes.scatter(
        x[known], y[known], s=size, c=colormaps["cividis"](shade), linewidth=0,
        rasterized=True, zorder=2.1, antialiased=False,
    )  # fmt: skip


def rank_bar(figure: Figure, axes: Axes, label: str) -> None:
    """Explain the shades beside axes, from low to high."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(cmap=colormaps["cividis"].resampled(LEVELS)), ax=axes, ticks=[0, 1],
        aspect=32, pad=0.02,
    )  # fmt: skip
    bar.ax.set_yticklabels(["low", "high"])
    bar.ax.tick_params(length=0)
    bar.set_label(label, labelpad=-8)
    bar.outline.set_edgecolor(QUIET)
    bar.outline.set_linewidth(0.5)
