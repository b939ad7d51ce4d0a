"""Bins of features for scikit-learn's trees, found in one pass over each column.

scikit-learn looks for weighted quantiles one at a time and sorts the column for each: 255 bins of
184 features take 8 CPU seconds a fit, many times what its trees do. So the trees are grown on the
numbers of bins, few enough to be taken as they are, and their splits are put back into units of
the features afterwards: the fitted model knows nothing of bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix

MOST_ROWS = 200_000
"""Quantiles of more rows are taken from evenly spaced ones, as scikit-learn samples them."""

Edges = tuple[Matrix, ...]
"""Upper bounds of all bins but the last, rising, one array a feature."""


def find_edges(features: Matrix, weight: Matrix, bins: int) -> Edges:
    """Part each feature into bins of equal weight.

    Parameters
    ----------
    features
        Rows (rows, features), NaN where a value is missing; those have no bin.
    weight
        One a row, above 0.
    bins
        Most bins; a feature of fewer values has one for each.
    """
    step = -(-len(features) // MOST_ROWS) or 1
    rows, weights = features[::step], weight[::step].astype(np.float64)
    return tuple(_column_edges(rows[:, place], weights, bins) for place in range(rows.shape[1]))


def _column_edges(column: Matrix, weight: npt.NDArray[np.float64], bins: int) -> Matrix:
    """Find the bounds of one feature; the largest value is none, since nothing lies above."""
    known = ~np.isnan(column)
    values, place = np.unique(column[known], return_inverse=True)
    if len(values) <= bins:
        return values[:-1]
    total = np.cumsum(np.bincount(place, weight[known]))
    wanted = np.arange(1, bins) / bins * total[-1]
    places = np.unique(np.minimum(np.searchsorted(total, wanted), len(values) - 2))
    return np.asarray(values[places], dtype=np.float32)


def bin_rows(features: Matrix, edges: Edges) -> npt.NDArray[np.float64]:
    """Find the number of each value's bin, NaN where it is missing: (rows, features)."""
    numbers = np.empty(features.shape)
    for place, bounds in enumerate(edges):
        numbers[:, place] = np.searchsorted(bounds, features[:, place])
    numbers[np.isnan(features)] = np.nan
    return numbers


def unbin_tree(nodes: npt.NDArray[Any], edges: Edges) -> None:
    """Put the splits of one tree, grown on numbers of bins, into units of the features, in place.

    Parameters
    ----------
    nodes
        Of scikit-learn's `TreePredictor`: rows up to `num_threshold` go left.
    """
    # A split of the missing values from all others lies above every bin, at infinity.
    inner = (nodes["is_leaf"] == 0) & np.isfinite(nodes["num_threshold"])
    for place in np.flatnonzero(inner):
        bounds = edges[nodes["feature_idx"][place]]
        nodes["num_threshold"][place] = bounds[int(nodes["num_threshold"][place])]
