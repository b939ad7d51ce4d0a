"""The beeswarm of SHAP values, as shap's users know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from src.v2.figures.shap_base import SHOWN, Unit, mean_abs_shap, shap_guard
from src.v2.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PAPER,
    SKY,
    VERMILION,
    Array,
    framed_figure,
    look,
    number,
    percent,
    shorten,
)
from src.v2.records import ShapSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_RED = "red: high values of the feature, blue: low, grey: missing."


@look()
def shap_summary(sample: ShapSample, unit: Unit | None = None) -> Figure:
    """Draw shap's beeswarm of the leading features.

    With several classes, bars of every class stand beside the beeswarm of the last one.

    Parameters
    ----------
    sample
        The rows explained.
    unit
        Unit of the last output.
    """
    unit = unit or Unit()
    total = mean_abs_shap(sample).sum(axis=0)
    order = np.argsort(-total, kind="stable")[:SHOWN]
    several = len(sample.outputs) > 1
    held = total[order].sum() / total.sum() if total.sum() else 0.0
    note = (
        f"{len(sample.values):,} out-of-sample rows, each explained by its own fold's model. "
        f"Dot: one row; {_RED} The {len(order)} features shown, of {len(total)}, hold "
        f"{percent(held)} of mean |SHAP|. SHAP says what moves the forecast, not that it is right."
    )
    figure = framed_figure(
        9.6 if several else 7.6,
        0.3 * max(len(order), 4) + 0.9,
        f"Which features move the {_subject(sample)}, and in which direction?",
        _summary_answer(sample, int(order[0]), unit),
        note,
    )
    if several:
        bars, swarm = figure.subplots(1, 2, width_ratios=[1, 1.9])
        _draw_class_bars(bars, sample, order)
    else:
        swarm = figure.add_subplot()
    _draw_beeswarm(swarm, sample, order, unit)
    if several:
        swarm.set_yticklabels([])
        swarm.set_title(f"Effect on {shorten(sample.outputs[-1], 30)}", size=9, loc="left")
    return figure


def _subject(sample: ShapSample) -> str:
    """Name what the SHAP values of the last output move."""
    return "forecast" if len(sample.outputs) == 1 else "score of each class"


def _summary_answer(sample: ShapSample, first: int, unit: Unit) -> str:
    """Say how far and in which direction the leading feature moves the last output."""
    from scipy.stats import spearmanr

    effect = sample.values[:, -1, first]
    value = sample.features[:, first]
    known = ~np.isnan(value)
    name = shorten(sample.feature_names[first])
    size = unit.write(float(np.abs(effect).mean()), signed=False)
    answer = f"{name} moves it most, by {size} on average"
    if len(sample.outputs) > 1:
        answer += f" for {shorten(sample.outputs[-1], 24)}"
    if known.sum() < 3 or not np.ptp(value[known]) or not np.ptp(effect[known]):
        return answer + "."
    rho = float(spearmanr(value[known], effect[known]).statistic)
    way = "push it up" if rho > 0 else "push it down"
    if abs(rho) < 0.3:
        way = "push it neither up nor down as a rule"
    return f"{answer}; its high values {way} (rank correlation {number(rho, '+.2f')})."


def _draw_beeswarm(axes: Axes, sample: ShapSample, order: Array, unit: Unit) -> None:
    """Let shap draw the last output of the features in this order."""
    names = [shorten(sample.feature_names[place]) for place in order]
    figure = cast("Figure", axes.get_figure(root=True))
    with shap_guard(figure) as shap:
        explanation = shap.Explanation(
            values=sample.values[:, -1, order].astype(np.float64) * unit.factor,
            data=sample.features[:, order].astype(np.float64),
            feature_names=names,
        )
        shap.plots.beeswarm(
            explanation,
            max_display=len(order),
            order=np.arange(len(order)),
            ax=axes,
            show=False,
            s=9,
            plot_size=None,
            group_remaining_features=False,
            color_bar=False,
        )
        _draw_color_bar(axes, figure, shap.plots.colors.red_blue, len(order))
    axes.set_xlabel(f"SHAP value ({unit.name})", size=9)
    axes.set_ylim(-0.8, len(order) - 0.3)
    axes.tick_params("y", labelsize=9, length=0)
    axes.tick_params("x", labelsize=9)


def _draw_color_bar(axes: Axes, figure: Figure, colors: Colormap, rows: int) -> None:
    """Explain the colours; shap's own bar is a hair's breadth beside few rows."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(cmap=colors), ax=axes, ticks=[0, 1], aspect=4 * max(rows, 3), pad=0.02
    )
    bar.ax.set_yticklabels(["low", "high"])
    bar.ax.tick_params(length=0)
    bar.set_label("Value of the feature", labelpad=-8)
    bar.outline.set_visible(False)


def _draw_class_bars(axes: Axes, sample: ShapSample, order: Array) -> None:
    """Stack each class's mean absolute SHAP value, aligned with the beeswarm's rows."""
    from matplotlib.colors import LinearSegmentedColormap

    means = mean_abs_shap(sample)[:, order]
    blend = LinearSegmentedColormap.from_list("classes", [VERMILION, ORANGE, GREY, SKY, BLUE])
    rows = np.arange(len(order))[::-1]
    left = np.zeros(len(order))
    for place, name in enumerate(sample.outputs):
        color = blend(place / (len(sample.outputs) - 1))
        axes.barh(
            rows, means[place], left=left, height=0.66, color=color, label=shorten(name, 15),
            edgecolor=PAPER, linewidth=0.6,
        )  # fmt: skip
        left += means[place]
    axes.set_yticks(rows, [shorten(sample.feature_names[place]) for place in order])
    axes.set_ylim(-0.8, len(order) - 0.3)
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_title("All classes", size=9, loc="left")
    axes.set_xlabel("Mean |SHAP value| (log-odds)")
    axes.legend(loc="lower right", handlelength=1.2)
    beside = left[-(2 * len(sample.outputs) // 3 + 1) :].max()
    wide = 2.0 if max(map(len, sample.outputs)) < 12 else 2.7
    axes.set_xlim(0, max(1.05 * left.max(), wide * beside) or 1.0)
