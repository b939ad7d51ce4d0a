"""How far features move between the rows that a fold is fitted on and those it is tested on.

A model can only have learned what its training rows showed. A feature whose values have moved
since is read where the model knows little; that is no error, and no proof of one. Any block of
some months differs from the years around it, most where features persist: how far blocks inside
the training rows differ from the others is what the index is held against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from src.v2.explain.shap_values import sample_rows_by_date
from src.v2.explanation_records import Drift
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer

BINS = 10
MOST_ROWS = 10_000
SMALLEST_COUNT = 0.5
"""A bin that only one side fills counts as half a row of the other: its logarithm is finite."""

GOLDEN = (5**0.5 - 1) / 2
"""Step between the places of the training blocks: none of them falls on another's place."""

SEED = 0
"""Of the rows taken within a date, where there are more than are needed."""

Column = npt.NDArray[np.floating[Any]]


def feature_drift(trainer: Trainer, fits: Sequence[FoldFit]) -> tuple[Drift, ...]:
    """Find how far each feature moved, at most, between training and test rows of a fold.

    Both sides are thinned to 10,000 rows, spread evenly over their dates. The same is done with
    one block of each fold's training rows, as many sessions long as the test block, against the
    training rows before and after it.

    Parameters
    ----------
    trainer
        Gives the rows that each fold was fitted on.
    fits
        The folds after their fits.

    Returns
    -------
    tuple
        One record a feature: its largest index over folds and that fold, the first of equal
        ones, and the largest inside training rows. Largest first, then in the order of the
        features. Folds without test rows are left out.
    """
    folds = [fit for fit in fits if len(fit.test.session)]
    if not folds:
        return ()
    pairs = [(trainer.window(fit.fold), fit.test) for fit in folds]
    table = np.array([_fold_drift(*pair) for pair in pairs])
    blocks = np.array([_within(place, *pair) for place, pair in enumerate(pairs)])
    within = np.fmax.reduce(blocks)
    worst, largest = table.argmax(axis=0), table.max(axis=0)
    names = folds[0].test.names
    return tuple(
        Drift(
            names[place],
            folds[worst[place]].fold.number,
            float(largest[place]),
            float(within[place]),
        )
        for place in np.argsort(-largest, kind="stable")
    )


def _within(place: int, train: Panel, test: Panel) -> npt.NDArray[np.float64]:
    """Index of each feature for one block inside the training rows; NaN without two blocks."""
    first, last = int(train.session[0]), int(train.session[-1]) + 1
    length = int(np.ptp(test.session)) + 1
    if last - first < 2 * length:
        return np.full(len(train.names), np.nan)
    start = first + round((place + 1) * GOLDEN % 1 * (last - first - length))
    inside = (train.session >= start) & (train.session < start + length)
    if not inside.any() or inside.all():
        return np.full(len(train.names), np.nan)
    return _fold_drift(train.take(~inside), train.take(inside))


def _fold_drift(train: Panel, test: Panel) -> npt.NDArray[np.float64]:
    """Index of each feature in one fold."""
    before, after = _sorted_columns(train), _sorted_columns(test)
    return np.array([sorted_psi(*pair) for pair in zip(before, after, strict=True)])


def _sorted_columns(panel: Panel) -> npt.NDArray[np.float32]:
    """Thin the rows, and sort each feature: (features, rows), missing values last."""
    chosen = sample_rows_by_date(panel.session, MOST_ROWS, SEED)
    return np.sort(np.ascontiguousarray(np.asarray(panel.feature_rows[chosen]).T), axis=1)


def sorted_psi(train: Column, test: Column) -> float:
    """Compute the stability index of one feature: the sum of (q - p) log(q / p) over bins.

    The bins hold equal shares p of the training values, as far as ties allow: a value that
    spans a bin of its own gets one, so that a feature of few values is compared value by
    value. Missing values are one more bin. Without any drift the index is about bins times
    (1 / rows + 1 / rows) for independent rows; those of neighbouring dates are not.

    Parameters
    ----------
    train, test
        Sorted, missing values (NaN) last; at least one row each.

    Returns
    -------
    float
        0 where both have the same shares. A bin that only one of them fills counts as half a
        row of the other.

    Examples
    --------
    >>> sorted_psi(np.arange(100.0), np.arange(100.0))
    0.0
    >>> round(sorted_psi(np.zeros(100), np.ones(100)), 1)
    10.5
    """
    cuts = quantile_cuts(train[: len(train) - count_missing(train)])
    before, after = bin_counts(train, cuts), bin_counts(test, cuts)
    filled = before + after > 0
    p, q = (
        np.maximum(counts[filled], SMALLEST_COUNT) / len(values)
        for counts, values in ((before, train), (after, test))
    )
    return float(((q - p) * np.log(q / p)).sum())


def count_missing(values: Column) -> int:
    """Count the missing values at the end of a sorted column."""
    return len(values) - int(np.searchsorted(values, np.array(np.nan, dtype=values.dtype)))


def quantile_cuts(known: Column, bins: int = BINS) -> Column:
    """Upper bounds of all bins of equal shares but the last, rising; none without values.

    A value that spans a bin of its own gets one. ``known`` is sorted and holds no NaN.
    """
    if not len(known):
        return known
    last = -(-np.arange(1, bins) * len(known) // bins) - 1
    deciles = known[last]
    repeated = deciles[1:][deciles[1:] == deciles[:-1]]
    below = np.nextafter(repeated, np.array(-np.inf, dtype=known.dtype))
    return np.unique(np.concatenate([deciles, below]))


def bin_counts(values: Column, cuts: Column) -> npt.NDArray[np.intp]:
    """Count the rows in each bin, those without a value (NaN) in the last one.

    ``values`` are sorted, NaN last.
    """
    known = len(values) - count_missing(values)
    places = np.searchsorted(values[:known], cuts, side="right")
    return np.diff(np.concatenate([[0], places, [known, len(values)]]))
