"""Cells shaded by a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.figures.marks import text_on
from src.v2.figures.style import FAINT, QUIET, Array, quiet_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NUMBERS = 110
"""Cells up to which each has its number; more would be clutter, and a large file."""


def draw_cells(
    axes: Axes,
    cells: Array,
    write: Callable[[float], str],
    *,
    low: float,
    high: float,
    colors: str = "cividis",
    empty: str = "–",
    most: int = MOST_NUMBERS,
) -> Any:
    """Shade cells by their numbers and, where they are few, write these into them.

    Parameters
    ----------
    cells
        Array (rows, columns).
    write
        Makes the text of a number.
    low, high
        Numbers of the first and the last shade; equal ones give the first shade to all.
    colors
        Name of a matplotlib colour map.
    empty
        Text of a cell that is NaN; without one, such cells are not there at all.
    most
        Cells up to which each has its number.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    scale = Normalize(low, high if high > low else low + 1.0)
    rows, columns = cells.shape
    axes.set_facecolor(FAINT if empty else "none")
    # Pixels instead of one shape a cell keep the file small.
    image = axes.pcolormesh(
        np.arange(columns + 1), np.arange(rows + 1), np.ma.masked_invalid(cells),
        cmap=colormaps[colors], norm=scale, rasterized=True,
    )  # fmt: skip
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    quiet_axes(axes)
    known = np.isfinite(cells)
    written = known | bool(empty)
    for row, column in np.argwhere(written) if written.sum() <= most else ():
        value = float(cells[row, column])
        color = text_on(colormaps[colors](scale(value))) if known[row, column] else QUIET
        axes.text(
            column + 0.5, row + 0.5, write(value) if known[row, column] else empty, color=color,
            size=8, ha="center", va="center",
        )  # fmt: skip
    return image


def name_cells(axes: Axes, rows: Sequence[str], columns: Sequence[str], *, turned: bool) -> None:
    """Name rows to the left and columns above, turned upright where they are long."""
    axes.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, list(columns), rotation=90 if turned else 0,
    )  # fmt: skip
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
