"""How the forecast changes along one feature: accumulated local effects.

Partial dependence asks the model about rows that do not exist, such as a calm stock with the
returns of a wild one. Local effects move a feature only to the borders of its own bin, so
correlated features do not speak for each other (Apley and Zhu 2020, Journal of the Royal
Statistical Society B 82(4)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.v2.explain.blocks import date_block_bounds
from src.v2.explain.direction import signed_values
from src.v2.explanation_records import Effect
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

MOST_BINS = 20


def effects(
    sample: ShapSample,
    fits: Sequence[FoldFit],
    features: Sequence[str],
    strengths: Array,
    block_sessions: int,
    seed: int,
) -> tuple[Effect, ...]:
    """Follow the forecast along some features, each row by the model of its own fold.

    Parameters
    ----------
    sample
        Out-of-sample rows.
    fits
        The fold of each of its rows among them.
    features
        Names of the features.
    strengths
        Array (features, features) as `src.v2.explain.interactions` gives it.
    block_sessions
        Sessions of a block, which the bounds draw.
    seed
        Seed of the draws.

    Returns
    -------
    tuple
        In the order of `features`, in units of what is explained. Rows without the feature are
        left out; a feature with fewer than two values has no effect. Bounds are NaN where the
        rows fill fewer than 5 blocks.
    """
    dates = np.array(fits[0].test.sessions, dtype="datetime64[D]")
    session = np.searchsorted(dates, sample.rows["date"].to_numpy())
    found = []
    for name in features:
        place = sample.feature_names.index(name)
        rows = np.flatnonzero(~np.isnan(sample.features[:, place]))
        bins = bin_rows(sample.features[rows, place])
        if bins is None:
            continue
        curve = accumulate(bins, _steps(sample, fits, place, rows, bins))
        bounds = date_block_bounds(curve.by_row, session[rows], block_sessions, seed)
        partner, strength = _partner(sample.feature_names, strengths, place)
        borders = (bins.edges, curve.effect, bounds.low, bounds.high, np.bincount(bins.number))
        found.append(Effect(name, partner, strength, *(tuple(each.tolist()) for each in borders)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Bins:
    """Rows sorted into bins of about as many rows each.

    Parameters
    ----------
    edges
        Array (bins + 1,): values of the feature, rising.
    number
        Array (rows,): bin of each row, from 0; none is empty.
    within
        Array (rows,): place between the borders of the bin, from 0 to 1.
    """

    edges: Array
    number: Array
    within: Array


def bin_rows(values: Array) -> Bins | None:
    """Cut a feature at its quantiles.

    The borders are values that rows have, so that a feature of few whole numbers has a bin
    between each two of them. A border belongs to the bin below it, the smallest value to the
    first bin.

    Parameters
    ----------
    values
        Array (rows,) without NaN.

    Returns
    -------
    Bins or None
        At most 20 bins; None where there are fewer than two values.

    Examples
    --------
    >>> bin_rows(np.array([1.0, 0.0, 0.0, 2.0])).number.tolist()
    [0, 0, 0, 1]
    """
    if not len(values):
        return None
    # Quantiles that are values, in whole numbers: 0.15 x 20 rows would round up to the 4th.
    place = -(-np.arange(MOST_BINS + 1) * len(values) // MOST_BINS) - 1
    edges = np.unique(np.sort(values)[np.maximum(place, 0)])
    if len(edges) < 2:
        return None
    number = np.maximum(np.searchsorted(edges, values), 1) - 1
    low, high = (edges[number + side].astype(np.float64) for side in (0, 1))
    return Bins(edges, number, (values - low) / (high - low))


@dataclass(frozen=True, slots=True)
class Curve:
    """An accumulated effect.

    Parameters
    ----------
    effect
        Array (edges,), with mean 0 over the rows.
    by_row
        Array (rows, edges), whose mean over all rows is `effect`, and over drawn rows the
        effect that those would give, to first order.
    """

    effect: Array
    by_row: Array


def accumulate(bins: Bins, steps: Array) -> Curve:
    """Sum the mean steps of the bins up, and centre.

    The curve is a function of sums over rows, and is linearised about their values, as bounds
    need it: then rows can be drawn without accumulating anew, also where a draw leaves a bin
    empty.

    Parameters
    ----------
    bins
        Of the rows.
    steps
        Array (rows,): change of each row's forecast from the lower to the upper border of its
        bin.
    """
    count = np.bincount(bins.number)
    step = np.bincount(bins.number, steps) / count
    before = np.concatenate([[0.0], np.cumsum(step)])
    at_rows = before[bins.number] + bins.within * step[bins.number]
    effect = before - at_rows.mean()

    surprise = (steps - step[bins.number]) * (len(steps) / count[bins.number])
    above = np.arange(len(before)) > bins.number[:, None]
    rises = np.where(above, surprise[:, None], 0.0)
    # Mean height of the rows when a bin's step grows by 1: its own rows and all above it.
    inside = np.bincount(bins.number, bins.within)
    weight = (inside + np.concatenate([np.cumsum(count[::-1])[::-1][1:], [0]])) / len(steps)
    height = surprise * weight[bins.number] + at_rows - at_rows.mean()
    return Curve(effect, effect + rises - height[:, None])


def _steps(
    sample: ShapSample, fits: Sequence[FoldFit], place: int, rows: Array, bins: Bins
) -> Array:
    """Change of each row's forecast from the lower to the upper border of its bin."""
    steps = np.zeros(len(rows))
    for fit, inside in _by_fold(sample.rows["fold"].to_numpy()[rows], fits):
        ends = []
        for side in (0, 1):
            moved = sample.features[rows[inside]]
            moved[:, place] = bins.edges[bins.number[inside] + side]
            margin = fit.model.margin(moved)
            ends.append(signed_values(margin).astype(np.float64))
        steps[inside] = ends[1] - ends[0]
    return steps


def _by_fold(fold: Array, fits: Sequence[FoldFit]) -> Iterator[tuple[FoldFit, Array]]:
    """Give each fold with the positions of its rows, folds without rows left out."""
    for fit in fits:
        inside = np.flatnonzero(fold == fit.fold.number)
        if len(inside):
            yield fit, inside


def _partner(names: Sequence[str], strengths: Array, place: int) -> tuple[str, float]:
    """Name the feature that one interacts with most; empty and NaN where it has none."""
    others = strengths[place].astype(np.float64)
    others[place] = 0.0
    most = int(np.argmax(others))
    return (names[most], float(others[most])) if others[most] > 0 else ("", float("nan"))
