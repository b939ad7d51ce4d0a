"""The mean rank IC beside those of exchanged tickers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation_records import NullBin
from src.v2.figures.marks import plain_ticks
from src.v2.figures.style import GREY, ORANGE, QUIET, VERMILION, bare_figure, look, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@look()
def null_histogram(null: Sequence[NullBin], actual: float) -> Figure:
    """Draw the histogram of what luck reaches, and where the model stands.

    Parameters
    ----------
    null
        Bars from left to right, at least one.
    actual
        Mean rank IC of the model; bars wholly at or beyond it are hatched.
    """
    from matplotlib.ticker import MaxNLocator

    figure = bare_figure(4.6, 2.9)
    axes = figure.add_subplot()
    low = np.array([each.low for each in null])
    width = np.array([each.high for each in null]) - low
    count = np.array([each.count for each in null])
    beyond = low >= actual
    kinds = ((~beyond, GREY, ""), (beyond, ORANGE, "////"))
    for members, color, hatch in kinds:
        axes.bar(
            low[members], count[members], width[members], align="edge", color=color, hatch=hatch,
            edgecolor=color if not hatch else VERMILION, lw=0.3,
        )  # fmt: skip
    axes.axvline(0, color=QUIET, lw=0.8)
    if math.isfinite(actual):
        axes.axvline(actual, color=VERMILION, lw=2)
        right = actual > (low[0] + low[-1] + width[-1]) / 2
        axes.annotate(
            f"this model {number(actual, '+.4f')}", (actual, 1), xytext=(0, 4),
            xycoords=("data", "axes fraction"), textcoords="offset points", color=VERMILION,
            ha="right" if right else "left", va="bottom", weight="bold", annotation_clip=False,
        )  # fmt: skip
    plain_ticks(axes.xaxis)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y")
    axes.set_xlabel("Mean rank IC with exchanged tickers")
    axes.set_ylabel("Draws")
    return figure
