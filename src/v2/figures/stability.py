"""Whether features keep their part over folds, years, states of the market and sectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.explanation_records import Agreement, Cohort, FeatureImportance
from src.v2.figures.heatmap import draw_cells, name_cells
from src.v2.figures.marks import columns, percent_ticks, plain_ticks
from src.v2.figures.style import (
    BLUE,
    INK,
    PAPER,
    QUIET,
    SKY,
    Array,
    bare_figure,
    look,
    number,
    percent,
    quiet_axes,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 12
"""Features with a row."""
MOST_NAMED = 12
"""Folds whose numbers fit beside each other."""

MOST_PAIRS = 45
"""Pairs of folds up to which each has its number: those of ten folds."""


@look()
def fold_shares(features: Sequence[FeatureImportance], folds: Sequence[int]) -> Figure:
    """Draw each feature's share of mean |SHAP| in each fold as a cell.

    Parameters
    ----------
    features
        The first 12 are drawn from the top.
    folds
        Numbers of the folds, as of `FeatureImportance.fold_shares`.
    """
    shown = features[:SHOWN]
    cells = np.array([feature.fold_shares for feature in shown], dtype=np.float64)
    cells = 100 * cells.reshape(len(shown), len(folds))
    figure = bare_figure(7.2, 0.25 * max(len(shown), 3) + 0.55)
    axes = figure.add_subplot()
    image = draw_cells(axes, cells, lambda value: number(value, ".1f"), low=0.0, high=_top(cells))
    name_cells(axes, [shorten(feature.name, 28) for feature in shown], _every(folds), turned=False)
    axes.set_xlabel("Fold")
    _shares_bar(figure, axes, image)
    return figure


@look()
def fold_taus(agreement: Agreement) -> Figure:
    """Draw Kendall's tau between the rankings of the features of each two folds.

    Parameters
    ----------
    agreement
        At least two folds; the diagonal and what stands above it say nothing new.
    """
    cells = np.array(agreement.kendall, dtype=np.float64)
    cells[np.triu_indices(len(cells))] = np.nan
    below = cells[1:, :-1]
    figure = bare_figure(4.6, 3.6)
    axes = figure.add_subplot()
    image = draw_cells(
        axes, below, lambda value: number(value, ".2f"), low=-1.0, high=1.0, colors="PuOr",
        empty="", most=MOST_PAIRS,
    )  # fmt: skip
    places = np.arange(len(below)) + 0.5
    axes.set_xticks(places, _every(agreement.folds[:-1]))
    axes.set_yticks(places, _every(agreement.folds[1:]))
    axes.set_xlabel("Fold")
    axes.set_ylabel("Fold")
    bar = figure.colorbar(image, ax=axes, aspect=24, pad=0.02, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels([number(value, "g") for value in (-1, 0, 1)])
    bar.ax.tick_params(length=0)
    bar.set_label("Kendall's tau", labelpad=-4)
    bar.outline.set_visible(False)
    return figure


@look()
def directions(features: Sequence[FeatureImportance]) -> Figure:
    """Draw in which direction features act, and in how many folds that holds.

    Parameters
    ----------
    features
        The first 12 are drawn from the top; filled where all folds use it and agree, without a
        mark where no direction can be told.
    """
    shown = features[:SHOWN]
    figure = bare_figure(4.6, 0.25 * max(len(shown), 3) + 0.75)
    axes = figure.add_subplot()
    rows = np.arange(len(shown))
    value = np.array([feature.direction for feature in shown], dtype=np.float64)
    agreed = np.array([feature.agreement for feature in shown], dtype=np.float64)
    axes.axvline(0, color=INK, lw=0.9, zorder=1)
    axes.hlines(rows, 0, value, color=SKY, lw=2.2, zorder=2)
    used = np.array([feature.folds_used for feature in shown])
    every = (agreed >= 1) & (used == [len(feature.fold_shares) for feature in shown])
    for members, face in ((every, BLUE), (~every, PAPER)):
        axes.plot(
            value[members], rows[members], "o", ms=6, color=BLUE, markerfacecolor=face, zorder=3,
        )  # fmt: skip
    for row, share, count in zip(rows, agreed, used, strict=True):
        text = f"{percent(share)} of {count}" if np.isfinite(share) else "–"
        axes.annotate(
            text, (1.0, row), xytext=(4, 0),
            xycoords=("axes fraction", "data"), textcoords="offset points", va="center", size=8.5,
            color=INK, annotation_clip=False,
        )  # fmt: skip
    axes.annotate(
        "of the folds\nthat use it", (1.0, 1.0), xytext=(4, 2), xycoords="axes fraction",
        color=QUIET, textcoords="offset points", va="bottom", size=8.5, annotation_clip=False,
    )  # fmt: skip
    axes.set_yticks(rows, [shorten(feature.name, 22) for feature in shown])
    axes.set(xlim=(-1.05, 1.05), ylim=(len(shown) - 0.4, -0.6))
    plain_ticks(axes.xaxis, 4)
    quiet_axes(axes)
    axes.grid(axis="x")
    axes.set_xlabel("Rank correlation with its SHAP value")
    return figure


@look()
def cohort_shares(cohorts: Sequence[Cohort], top: Sequence[str]) -> Figure:
    """Draw the leading features' shares in each cohort, beside the rank IC there.

    Parameters
    ----------
    cohorts
        Of one kind, from the top; at least one.
    top
        Names of the features, as of `Cohort.shares`.
    """
    cells = 100 * np.array([each.shares for each in cohorts], dtype=np.float64)
    cells = cells.reshape(len(cohorts), len(top))
    figure = bare_figure(7.2, 0.27 * max(len(cohorts), 2) + 2.15)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.3, 1])
    image = draw_cells(left, cells, lambda value: number(value, ".0f"), low=0.0, high=_top(cells))
    names = [shorten(name, 20) for name in top]
    name_cells(left, [shorten(each.name, 22) for each in cohorts], names, turned=True)
    mean, errors = columns([each.rank_ic for each in cohorts])
    right.axvline(0, color=INK, lw=0.9, zorder=1)
    right.errorbar(
        mean, np.arange(len(cohorts)) + 0.5, xerr=errors, fmt="o", ms=5, color=BLUE,
        elinewidth=1.4, capsize=2.5, markeredgecolor=PAPER, zorder=3,
    )  # fmt: skip
    quiet_axes(right)
    right.tick_params(labelleft=False)
    plain_ticks(right.xaxis)
    right.xaxis.get_major_locator().set_params(nbins=3, min_n_ticks=1)
    right.grid(axis="x")
    right.set_xlabel("Rank IC")
    _shares_bar(figure, left, image, location="bottom")
    return figure


def _top(cells: Array) -> float:
    """Largest number that is known; 0 without one."""
    known = cells[np.isfinite(cells)]
    return float(known.max(initial=0.0))


def _every(folds: Sequence[int]) -> list[str]:
    """Name folds; of many only some, so that the names do not touch."""
    step = -(-len(folds) // MOST_NAMED)
    return [str(fold) if place % step == 0 else "" for place, fold in enumerate(folds)]


def _shares_bar(figure: Figure, axes: Axes, image: Any, location: str = "right") -> None:
    """Explain the shades."""
    lying = location == "bottom"
    bar = figure.colorbar(image, ax=axes, aspect=30, pad=0.03, location=location)
    percent_ticks(bar.ax.xaxis if lying else bar.ax.yaxis, 4)
    bar.set_label("Share of mean |SHAP|")
    bar.outline.set_edgecolor(QUIET)
    bar.outline.set_linewidth(0.5)
