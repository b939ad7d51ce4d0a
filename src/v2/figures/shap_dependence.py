"""The dependence of a SHAP value on its feature, drawn by shap over a histogram of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.shap_base import SEED, SHOWN, Unit, mean_abs_shap, shap_guard
from src.v2.figures.style import (
    BLUE,
    GREY,
    INK,
    PAPER,
    Array,
    framed_figure,
    look,
    percent,
    shorten,
)
from src.v2.records import ShapSample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 20
"""Up to so many distinct values, each has a bar of its own."""
_BINS = 50
_JITTER = 0.2
"""Width over which the points of one value are spread, as a share of the smallest gap."""
_BAR_HEIGHT = 0.14
"""Height of the tallest grey bar, as a share of the axes."""
_BAR_COLOR = "#E1E4E6"


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
    limits = _limits(value, cut=tail)
    _draw_scatter(axes, sample, place, unit, limits)
    _draw_histogram(axes, value, limits)
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


def _draw_scatter(
    axes: Axes, sample: ShapSample, place: int, unit: Unit, limits: tuple[float, float] | None
) -> None:
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
            # shap takes few distinct values for categories, with bins as wide as integers.
            hist=False,
            x_jitter=_JITTER if len(_levels(data[:, 0])) <= LEVELS else 0,
            xmin=limits[0] if limits else None,
            xmax=limits[1] if limits else None,
        )
    if partner:
        _draw_lost(axes, data[:, 0], values[:, 0], np.isnan(data[:, partner]))


def _draw_lost(axes: Axes, value: Array, effect: Array, lost: Array) -> None:
    """Draw in grey the points that shap leaves out because the partner is missing."""
    levels = _levels(value)
    jitter = _JITTER / 2 * np.diff(levels).min() if 1 < len(levels) <= LEVELS else 0.0
    shift = np.random.default_rng(SEED).uniform(-jitter, jitter, int(lost.sum()))
    axes.scatter(value[lost] + shift, effect[lost], s=11, color=GREY, linewidth=0, zorder=0.9)


def _levels(value: Array) -> Array:
    """List the distinct values of a feature."""
    return np.unique(value[~np.isnan(value)])


def _limits(value: Array, *, cut: bool) -> tuple[float, float] | None:
    """Give the range of the axis: the data with a small margin; None without two values.

    Parameters
    ----------
    value
        The feature, NaN where missing.
    cut
        Leave out the lowest and the highest hundredth.
    """
    levels = _levels(value)
    if len(levels) < 2:
        return None
    low, high = np.nanquantile(value, [0.01, 0.99]) if cut else (levels[0], levels[-1])
    margin = 0.03 * (high - low)
    if len(levels) <= LEVELS:
        margin += _bar_width(levels) / 2
    return float(low - margin), float(high + margin)


def _bar_width(levels: Array) -> float:
    """Give bars of single values the same width, with room between neighbours."""
    span = np.ptp(levels)
    return float(np.clip(0.6 * np.diff(levels).min(), span / 100, span / 5))


def _draw_histogram(axes: Axes, value: Array, limits: tuple[float, float] | None) -> None:
    """Draw low grey bars at the bottom: how many rows have which values."""
    if limits is None:
        return
    levels, counts = np.unique(value[~np.isnan(value)], return_counts=True)
    width = _bar_width(levels)
    if len(levels) > LEVELS:
        low, high = max(levels[0], limits[0]), min(levels[-1], limits[1])
        counts, edges = np.histogram(value[~np.isnan(value)], bins=_BINS, range=(low, high))
        levels, width = (edges[:-1] + edges[1:]) / 2, (high - low) / _BINS
    bottom, top = axes.get_ylim()
    axes.bar(
        levels, _BAR_HEIGHT * counts / counts.max(), width, color=_BAR_COLOR, zorder=-2,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.set_xlim(limits)
    # Room for the bars below the points.
    axes.set_ylim(bottom - _BAR_HEIGHT / (1 - _BAR_HEIGHT) * (top - bottom), top)


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
