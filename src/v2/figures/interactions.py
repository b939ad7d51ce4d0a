"""Which features act together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.explain.direction import quantity_axis
from src.v2.explanation_records import Interactions
from src.v2.figures.heatmap import draw_cells
from src.v2.figures.marks import plain_ticks
from src.v2.figures.style import INK, QUIET, bare_figure, look, number, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BASIS_POINTS, _THOUSANDTHS = 100, 1000
"""In a percentage point and in one: pairs are too weak for whole units."""
_MOST_DECIMALS = 3


@look()
def interaction_matrix(interactions: Interactions, quantity: str) -> Figure:
    """Draw the mean |interaction| of each two features as a cell below the diagonal.

    Parameters
    ----------
    interactions
        At least two names; main effects are left out, since they would take all the shades.
    quantity
        What is explained.
    """
    factor, unit = quantity_axis(quantity)
    if factor != 1.0:
        factor, unit = factor * _BASIS_POINTS, unit.replace("percentage", "basis", 1)
    else:
        factor, unit = factor * _THOUSANDTHS, f"thousandths of {unit}"
    cells = factor * np.array(interactions.matrix, dtype=np.float64)
    count = len(cells)
    cells[np.triu_indices(count)] = np.nan
    below = cells[1:, :-1]
    figure = bare_figure(7.2, 0.3 * count + 2.0)
    axes = figure.add_subplot()
    highest = float(below[np.isfinite(below)].max(initial=0.0))
    form = f".{_decimals(highest)}f"
    image = draw_cells(
        axes, below, lambda value: number(value, form), low=0.0,
        high=highest, empty="",
    )  # fmt: skip
    names = [shorten(name, 24) for name in interactions.names]
    axes.set_yticks(np.arange(count - 1) + 0.5, names[1:])
    axes.set_xticks(
        np.arange(count - 1) + 0.5, names[:-1], rotation=45, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, aspect=30, pad=0.02)
    plain_ticks(bar.ax.yaxis, 4)
    bar.set_label(f"Mean |interaction|\n({shorten(unit, 54)})", color=INK)
    bar.outline.set_edgecolor(QUIET)
    bar.outline.set_linewidth(0.5)
    return figure


def _decimals(highest: float) -> int:
    """Give the decimals that show two digits of the largest number."""
    if not highest > 0:
        return 0
    return int(np.clip(1 - np.floor(np.log10(highest)), 0, _MOST_DECIMALS))
