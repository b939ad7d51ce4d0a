"""Which features move the forecast, which of them help, and how far noise gets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation_records import Interval
from src.v2.explain.direction import quantity_axis
from src.v2.explanation_records import FamilyImportance, FeatureImportance, Importance
from src.v2.figures.marks import columns, percent_ticks, plain_ticks
from src.v2.figures.style import (
    BLUE,
    GREEN,
    INK,
    PAPER,
    PURPLE,
    QUIET,
    SKY,
    VERMILION,
    Array,
    bare_figure,
    look,
    quiet_axes,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 20
"""Features with a row."""
PROBE_MARKS = (("D", VERMILION), ("s", GREEN), ("^", PURPLE), ("v", SKY))
"""Shape and colour of each kind of chance, one after another."""


def passes(feature: FeatureImportance) -> bool:
    """Tell whether a feature is drawn filled: above the noise line, or where there is none."""
    return feature.better_than_noise is not False


@look()
def top_features(importance: Importance) -> Figure:
    """Draw how far each of the leading features moves the forecast, beside whether it helps.

    Parameters
    ----------
    importance
        The first 20 features are drawn from the top; those no better than noise are hollow.
    """
    factor, unit = quantity_axis(importance.quantity)
    shown = importance.features[:SHOWN]
    figure, left, right = _two_columns(7.2, [feature.name for feature in shown], 26)
    filled = np.array([passes(feature) for feature in shown], dtype=bool)
    _draw_sizes(left, shown, filled, factor)
    left.set_xlabel(f"Mean |SHAP value|,\n{shorten(unit, 42)}")
    _draw_drops(right, shown, filled, importance)
    return figure


@look()
def family_columns(importance: Importance) -> Figure:
    """Draw the same for whole families of features.

    Parameters
    ----------
    importance
        At least one family.
    """
    factor, unit = quantity_axis(importance.quantity)
    shown = importance.families
    figure, left, right = _two_columns(4.6, [family.name for family in shown], 15)
    filled = np.ones(len(shown), dtype=bool)
    _draw_sizes(left, shown, filled, factor)
    left.set_xlabel(f"Mean |SHAP|,\n{_narrow(unit)}")
    _draw_drops(right, shown, filled, importance)
    for axes in (left, right):
        axes.locator_params(axis="x", nbins=3)
    return figure


@look()
def probe_ranking(importance: Importance) -> Figure:
    """Draw all features by falling share in the extra fits, and where columns of chance stand.

    Each kind of chance has its mark at the largest share of its columns, on a bar from the least.

    Parameters
    ----------
    importance
        At least one feature.
    """
    figure = bare_figure(4.6, 3.1)
    axes = figure.add_subplot()
    shares = 100 * np.array([feature.probed_share for feature in importance.features])
    shares = np.sort(shares[np.isfinite(shares)])[::-1]
    axes.plot(np.arange(1, len(shares) + 1), shares, color=BLUE, lw=1.2, marker="o", ms=3.5)
    for place, kind in enumerate(importance.noise.kinds):
        share = kind.high
        if not np.isfinite(share):
            continue
        shape, color = PROBE_MARKS[place % len(PROBE_MARKS)]
        # Where the probe would stand among the features.
        rank = float((shares > 100 * share).sum()) + 0.5
        axes.vlines(rank, 100 * kind.low, 100 * share, color=color, lw=1.4, zorder=3)
        if share == importance.noise.limit > 0:
            axes.axhline(100 * share, color=color, lw=1.0, ls=(0, (4, 3)), zorder=1)
        axes.plot(
            [rank], [100 * share], shape, color=color, ms=7, markeredgecolor=PAPER, zorder=4,
            label=shorten(kind.name, 20), ls="none",
        )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        axes.legend(title="Columns of chance:", loc="upper right", alignment="left")
    axes.set_ylim(0, None)
    percent_ticks(axes.yaxis)
    plain_ticks(axes.xaxis)
    axes.grid(axis="y")
    axes.set_xlabel("Features, most important first")
    axes.set_ylabel("Share in the extra fits")
    return figure


@look()
def null_shares(features: Sequence[FeatureImportance]) -> Figure:
    """Draw each feature's share of mean |SHAP| over its share in fits on permuted labels.

    Parameters
    ----------
    features
        At least one with both shares; those no better than noise are hollow.
    """
    figure = bare_figure(4.6, 3.6)
    axes = figure.add_subplot()
    table = 100 * np.array([(each.null_share, each.share) for each in features], dtype=np.float64)
    filled = np.array([passes(each) for each in features], dtype=bool)
    known = np.isfinite(table).all(axis=1)
    end = 1.06 * float(table[known].max(initial=0.0)) or 1.0
    axes.plot([0, end], [0, end], color=QUIET, lw=0.9, ls=(0, (4, 3)), zorder=1)
    for members, face in ((filled, BLUE), (~filled, PAPER)):
        null, real = table[members & known].T
        axes.plot(null, real, "o", color=BLUE, ms=5, alpha=0.85, markerfacecolor=face)
    axes.annotate(
        "equal shares", (end, 0.8 * end), ha="right", va="top", color=QUIET, size=8.5,
    )  # fmt: skip
    axes.set(xlim=(0, end), ylim=(0, end))
    for axis in (axes.xaxis, axes.yaxis):
        percent_ticks(axis)
    axes.grid()
    axes.set_xlabel("Share of mean |SHAP| on permuted labels")
    axes.set_ylabel("Share on the real labels")
    return figure


def _narrow(unit: str) -> str:
    """Break a unit into short lines for a narrow column."""
    lines = textwrap.wrap(shorten(unit, 60), 22, break_on_hyphens=False)
    return "\n".join(lines)


def _two_columns(width: float, names: Sequence[str], letters: int) -> tuple[Figure, Axes, Axes]:
    """Make two aligned columns with one row a name."""
    figure = bare_figure(width, 0.235 * max(len(names), 3) + 0.85)
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_yticks(range(len(names)), [shorten(name, letters) for name in names])
    left.set_ylim(len(names) - 0.4, -0.6)
    for axes in (left, right):
        quiet_axes(axes)
        axes.grid(axis="x")
    return figure, left, right


def _draw_sizes(
    axes: Axes,
    shown: Sequence[FeatureImportance] | Sequence[FamilyImportance],
    filled: Array,
    factor: float,
) -> None:
    """Draw bars from zero with a dot and its interval at their ends."""
    mean, errors = columns([each.shap for each in shown], factor)
    rows = np.arange(len(shown))
    faces = [SKY if each else "none" for each in filled]
    axes.barh(rows, mean, height=0.55, color=faces, edgecolor=SKY, lw=0.8, zorder=2)
    _draw_dots(axes, mean, errors, filled, "o", BLUE)
    highest = np.nanmax(np.append(mean + np.nan_to_num(errors[1]), 0.0))
    axes.set_xlim(0, 1.05 * float(highest) or 1.0)
    plain_ticks(axes.xaxis, 4)


def _draw_drops(
    axes: Axes,
    shown: Sequence[FeatureImportance] | Sequence[FamilyImportance],
    filled: Array,
    importance: Importance,
) -> None:
    """Draw what a permutation costs, beside a line at zero."""
    ranks = importance.measure == "rank IC"
    drops: list[Interval] = [each.permutation for each in shown]
    mean, errors = columns(drops, 1.0 if ranks else 100.0)
    axes.axvline(0, color=INK, lw=0.9, zorder=1)
    _draw_dots(axes, mean, errors, filled, "s", GREEN)
    (plain_ticks if ranks else percent_ticks)(axes.xaxis, 4)
    lost = "rank IC lost" if ranks else f"rise of {importance.measure}"
    axes.set_xlabel(f"Permutation drop:\n{lost}")


def _draw_dots(
    axes: Axes, mean: Array, errors: Array, filled: Array, shape: str, color: str
) -> None:
    """Draw means upon their intervals; those no better than noise are hollow."""
    rows = np.arange(len(mean))
    for members, face in ((filled, color), (~filled, PAPER)):
        axes.errorbar(
            mean[members], rows[members], xerr=errors[:, members], fmt=shape, ms=4.5,
            color=color, elinewidth=1.3, capsize=2, markerfacecolor=face, zorder=3,
        )  # fmt: skip
