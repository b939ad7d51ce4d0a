"""The pictures that shap itself draws: beeswarm and dependence, as its users know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from src.v2.figures.shap_base import SEED, Unit, mean_abs_shap, shap_guard
from src.v2.figures.style import (
    BLUE,
    GREY,
    INK,
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

SHOWN = 20
"""Features with a row in the summary, and candidates for the colour of a dependence."""

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


@look()
def shap_dependence(sample: ShapSample, feature: str, unit: Unit | None = None) -> Figure:
    """Draw shap's scatter of a feature's effect over its values, for the last output.

    shap chooses the colour: the leading feature that shifts the effect most visibly.

    Parameters
    ----------
    sample
        The rows explained.
    feature
        Name of the feature.
    unit
        Unit of the last output.
    """
    unit = unit or Unit()
    place = sample.feature_names.index(feature)
    effect = sample.values[:, -1, place].astype(np.float64)
    value = sample.features[:, place].astype(np.float64)
    missing = float(np.isnan(value).mean())
    tail = _has_tail(value)
    note = (
        f"{len(value):,} out-of-sample rows, each explained by its own fold's model. "
        "Line: median effect. Grey bars: how many rows have the value. "
        "Colour: the leading feature that shifts the effect most visibly, as shap finds it; "
        "grey: missing."
    )
    if missing:
        note += f" {percent(missing)} of the rows miss the feature: ticks at the left edge."
    if tail:
        note += " The axis is cut to the middle 98% of values."
    subject = "forecast" if len(sample.outputs) == 1 else f"score of {sample.outputs[-1]}"
    figure = framed_figure(
        7.6,
        4.3,
        f"How does {shorten(feature, 40)} move the {subject}?",
        _dependence_answer(value, effect, unit),
        note,
    )
    axes = figure.add_subplot()
    _draw_scatter(axes, sample, place, unit, cut=tail)
    _draw_median(axes, value, effect * unit.factor)
    axes.set_xlabel(shorten(feature, 60), size=9)
    axes.set_ylabel(f"SHAP value ({unit.name})", size=9)
    axes.grid(axis="y")
    for part in figure.axes:
        part.tick_params(labelsize=9)
        part.yaxis.label.set_fontsize(9)
    return figure


def _dependence_answer(value: Array, effect: Array, unit: Unit) -> str:
    """Compare the effect among the lowest and the highest tenth of values."""
    known = ~np.isnan(value)
    if not known.any():
        return "The feature is missing in every row explained."
    low, high = np.quantile(value[known], [0.1, 0.9])
    lowest, highest = effect[known & (value <= low)].mean(), effect[known & (value >= high)].mean()
    return (
        f"Its lowest tenth of values moves it by {unit.write(lowest)} on average, "
        f"its highest tenth by {unit.write(highest)}."
    )


def _draw_scatter(axes: Axes, sample: ShapSample, place: int, unit: Unit, *, cut: bool) -> None:
    """Let shap draw the points, coloured by the partner that it finds."""
    leaders = np.argsort(-mean_abs_shap(sample).sum(axis=0), kind="stable")[:SHOWN]
    columns = np.array([place, *(leader for leader in leaders if leader != place)])
    values = sample.values[:, -1, columns].astype(np.float64) * unit.factor
    data = sample.features[:, columns].astype(np.float64)
    names = [shorten(sample.feature_names[column]) for column in columns]
    with shap_guard(axes.get_figure(root=True)) as shap:
        partner = int(shap.utils.approximate_interactions(0, values, data)[0])
        explanation = shap.Explanation(values=values, data=data, feature_names=names)
        shap.plots.scatter(
            explanation[:, 0],
            color=explanation[:, partner] if partner else BLUE,
            ax=axes,
            show=False,
            dot_size=11,
            alpha=0.85,
            xmin="percentile(1)" if cut else None,
            xmax="percentile(99)" if cut else None,
        )
    if partner:
        _draw_lost(axes, data[:, 0], values[:, 0], np.isnan(data[:, partner]))


def _draw_lost(axes: Axes, value: Array, effect: Array, lost: Array) -> None:
    """Draw in grey the points that shap leaves out because the partner is missing."""
    levels = np.unique(value[~np.isnan(value)])
    jitter = 0.1 * np.diff(levels).min() if 1 < len(levels) <= 20 else 0.0
    shift = np.random.default_rng(SEED).uniform(-jitter, jitter, int(lost.sum()))
    axes.scatter(value[lost] + shift, effect[lost], s=11, color=GREY, linewidth=0, zorder=0.9)


def _has_tail(value: Array) -> bool:
    """Tell whether a few extreme values would squeeze all others."""
    known = value[~np.isnan(value)]
    if not len(known):
        return False
    low, high = np.quantile(known, [0.01, 0.99])
    return bool(high > low and np.ptp(known) > 2 * (high - low))


def _draw_median(axes: Axes, value: Array, effect: Array) -> None:
    """Draw the median effect of each value, or of twenty equal groups where values are many."""
    known = np.flatnonzero(~np.isnan(value))
    ranked = known[np.argsort(value[known], kind="stable")]
    starts = np.flatnonzero(np.diff(value[ranked])) + 1
    parts = starts if len(starts) < 20 else 20
    groups = [group for group in np.array_split(ranked, parts) if len(group) >= 5]
    if len(groups) < 3:
        return
    middle = [np.median(value[group]) for group in groups]
    median = [np.median(effect[group]) for group in groups]
    limits = axes.get_xlim()
    axes.plot(middle, median, color=PAPER, lw=3.6, zorder=5)
    axes.plot(middle, median, color=INK, lw=1.6, zorder=6)
    axes.set_xlim(limits)
