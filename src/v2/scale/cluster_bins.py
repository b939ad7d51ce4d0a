"""The same bins of features on a cluster as on one machine.

XGBoost bins each feature by quantiles that it sketches. Workers that sketch their own rows
and merge get other bins than one process does, and on weak signals other bins are another
model: the forecasts of two such models agreed no better than those of two seeds. So whole
columns are brought together, some on each worker, and sketched as one process sketches them.
Values then give way to the lowest one of their bin: of so few distinct values every sketch is
exact, and the bins of all workers are those of one process.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.v2.modeling.feature_rows import Matrix, Places

Cuts = list[Matrix]
"""For each feature the values at which a new bin begins, rising."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Some columns of some rows.

    Parameters
    ----------
    values
        Array (rows, columns), float32.
    places
        Place of each row among all that are fitted on.
    """

    values: Matrix
    places: Places


def quantile_cuts(parts: Sequence[Columns], weight: Matrix, max_bin: int) -> Cuts:
    """Find the bins that XGBoost gives columns, in the order of the rows.

    Parameters
    ----------
    parts
        The same columns of all rows.
    weight
        Weight of every row.
    max_bin
        Most bins of a feature.

    Returns
    -------
    list
        Array a column; empty where all values share a bin.
    """
    import xgboost as xgb

    whole = np.empty((len(weight), parts[0].values.shape[1]), dtype=np.float32)
    for part in parts:
        whole[part.places] = part.values
    matrix = xgb.QuantileDMatrix(whole, weight=weight, max_bin=max_bin, nthread=1)
    starts, values = matrix.get_quantile_cut()
    # Of each feature the first value is minus infinity, the last lies above all of its values.
    return [
        np.asarray(values[start + 1 : stop - 1], dtype=np.float32)
        for start, stop in itertools.pairwise(starts)
    ]


def lowest_of_bins(features: Matrix, cuts: Cuts) -> Matrix:
    """Put the lowest value of its bin in the place of every value.

    Parameters
    ----------
    features
        Array (rows, features), float32, NaN where missing.
    cuts
        Of every feature.

    Returns
    -------
    ndarray
        A new array; NaN stays.

    Examples
    --------
    >>> lowest_of_bins(np.array([[1.5], [2.0]], np.float32), [np.array([2.0], np.float32)])[1, 0]
    np.float32(2.0)
    """
    found = np.full_like(features, np.nan)
    for column, starts in enumerate(cuts):
        values = features[:, column]
        known = ~np.isnan(values)
        below = np.nextafter(starts[:1], np.float32(-np.inf)) if len(starts) else np.zeros(1)
        lowest = np.concatenate([below, starts], dtype=np.float32, casting="same_kind")
        found[known, column] = lowest[np.searchsorted(starts, values[known], side="right")]
    return found
