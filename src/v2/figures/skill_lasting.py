"""How far ahead scores see, and how long a ranking lasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.detail_records import Decay, Memory
from src.v2.figures.marks import percent_ticks, plain_ticks, upright_intervals, zero_line
from src.v2.figures.style import BLUE, ORANGE, VERMILION, bare_figure, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@look()
def rank_ic_decay(decay: Sequence[Decay], own: int | None = None) -> Figure:
    """Draw the mean rank IC with returns over other horizons, each with its 95% interval.

    Parameters
    ----------
    decay
        At rising horizons, at least one.
    own
        The horizon that the model was fitted on, drawn as a diamond.
    """
    figure = bare_figure(4.6, 2.9)
    axes = figure.add_subplot()
    places = np.arange(len(decay))
    fitted = np.array([each.horizon == own for each in decay])
    kinds = ((~fitted, BLUE, "o", 6, "another horizon"), (fitted, VERMILION, "D", 7, "fitted on"))
    for members, color, shape, size, label in kinds:
        if members.any():
            chosen = [decay[place].rank_ic for place in places[members]]
            upright_intervals(
                axes, places[members], chosen, color=color, fmt=shape, ms=size, label=label
            )
    zero_line(axes)
    axes.set_xlim(-0.5, len(decay) - 0.5)
    axes.set_xticks(places, [str(each.horizon) for each in decay])
    axes.tick_params(axis="x", length=0)
    plain_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.set_xlabel("Sessions ahead")
    axes.set_ylabel("Mean daily rank IC")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


@look()
def ranking_memory(memory: Sequence[Memory]) -> Figure:
    """Draw how alike two rankings are and how much of the top has left, by the time between.

    Parameters
    ----------
    memory
        At rising numbers of sessions, at least one.
    """
    figure = bare_figure(4.6, 2.9)
    axes = figure.add_subplot()
    places = np.arange(len(memory))
    alike = [100 * each.autocorrelation for each in memory]
    left = [100 * each.leavers for each in memory]
    axes.plot(places, alike, "o-", color=BLUE, lw=1.6, label="rank correlation")
    axes.plot(places, left, "s--", color=ORANGE, lw=1.6, label="left the top quantile")
    axes.set_xlim(-0.3, len(memory) - 0.7)
    lowest = min([0.0, *(value for value in [*alike, *left] if np.isfinite(value))])
    axes.set_ylim(1.1 * lowest, 105)
    axes.set_xticks(places, [str(each.sessions) for each in memory])
    axes.tick_params(axis="x", length=0)
    percent_ticks(axes.yaxis)
    axes.grid(axis="y")
    axes.set_xlabel("Sessions between two rankings")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
