"""Which features a model uses: the bars of ``feature_importance.png``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.style import (
    CATEGORIES,
    GREY,
    INK,
    QUIET,
    framed_figure,
    look,
    percent,
    quiet_axes,
    shorten,
)
from src.v2.modeling.learners.kinds import KINDS, LearnerKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 20
"""Features with a bar."""


@look()
def feature_importance(
    importance: Mapping[str, float],
    folds: Sequence[Mapping[str, float]],
    families: Mapping[str, str],
    kind: LearnerKind = KINDS["xgboost"],
) -> Figure:
    """Draw the features with the largest share of what the model is made of.

    Parameters
    ----------
    importance
        Share (fraction) by feature, mean over folds; at least one feature.
    folds
        The same share in each fold; a feature that a fold leaves out has none.
    families
        Family of each feature; a feature without one counts as "other".
    kind
        What the shares are shares of.
    """
    ranked = sorted(importance, key=lambda name: (-importance[name], name))
    shown = ranked[:SHOWN]
    top = sum(importance[name] for name in ranked[:5])
    answer = (
        f"The top {min(5, len(ranked))} of {len(ranked)} features hold {percent(top)} of "
        f"{kind.importance}; {shorten(ranked[0])} alone holds {percent(importance[ranked[0]])}."
    )
    note = (
        f"Bar: mean share over {len(folds)} folds, each counting the same. Dot: one fold. "
        f"{kind.caution}"
    )
    height, question = 0.26 * max(len(shown), 3) + 0.75, "Which features does the model use most?"
    figure = framed_figure(8.4, height, question, answer, note)
    axes = figure.add_subplot()
    colors = _family_colors(families, importance)
    rows = np.arange(len(shown))
    values = [importance[name] for name in shown]
    family = [families.get(name, "other") for name in shown]
    axes.barh(rows, values, color=[colors[name] for name in family], height=0.7, zorder=2)
    reach = max(_draw_folds(axes, shown, folds), *values)
    labels = [f"{shorten(name)}  {percent(importance[name]):>5}" for name in shown]
    _finish(axes, labels, reach)
    axes.set_xlabel(f"Share of {kind.importance}")
    _legend(axes, family, families, importance, colors)
    return figure


def _draw_folds(axes: Axes, shown: Sequence[str], folds: Sequence[Mapping[str, float]]) -> float:
    """Draw each fold's share over the bars; return the largest."""
    reach = 0.0
    for row, name in enumerate(shown):
        shares = [fold.get(name, 0.0) for fold in folds]
        if not shares:
            continue
        reach = max(reach, *shares)
        axes.plot([min(shares), max(shares)], [row, row], color=INK, lw=0.7, zorder=3)
        axes.scatter(
            shares,
            np.full(len(shares), row),
            s=13,
            facecolor="white",
            edgecolor=INK,
            linewidth=0.7,
            alpha=0.9,
            zorder=4,
        )
    return reach


def _finish(axes: Axes, labels: Sequence[str], reach: float) -> None:
    """Label the axes; the labels hold the numbers, where no dot can hide them."""
    from matplotlib.ticker import PercentFormatter

    quiet_axes(axes)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, (reach or 1.0) * 1.03)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(axis="x")


def _family_colors(families: Mapping[str, str], importance: Mapping[str, float]) -> dict[str, str]:
    """Give each family of the run a colour, the same whichever features lead."""
    names = list(dict.fromkeys(families.values()))
    colors = {name: CATEGORIES[place] for place, name in enumerate(names[: len(CATEGORIES)])}
    unplaced = {*names, *("other" for name in importance if name not in families)} - colors.keys()
    return colors | dict.fromkeys(sorted(unplaced), GREY)


def _legend(
    axes: Axes,
    shown: Sequence[str],
    families: Mapping[str, str],
    importance: Mapping[str, float],
    colors: Mapping[str, str],
) -> None:
    """Name the families of the bars with the share that all their features hold."""
    from matplotlib.patches import Patch

    totals = dict.fromkeys(shown, 0.0)
    for name, share in importance.items():
        family = families.get(name, "other")
        if family in totals:
            totals[family] += share
    ranked = sorted(totals, key=lambda family: -totals[family])
    handles = [Patch(color=colors[family]) for family in ranked]
    labels = [f"{shorten(family, 20)}  {percent(totals[family])}" for family in ranked]
    legend = axes.legend(
        handles,
        labels,
        title="Family, share",
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        alignment="left",
        handlelength=1.2,
    )
    legend.get_title().set_color(QUIET)
    legend.get_title().set_fontsize(8.5)
