"""Bins that scikit-learn's trees are grown on, and splits put back into units of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.ensemble import HistGradientBoostingRegressor

from src.v2.modeling.learners.quantile_bins import bin_rows, find_edges, unbin_tree

VALUES = st.one_of(st.just(np.nan), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, width=32))
MATRICES = arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=VALUES)


@given(MATRICES, st.integers(2, 9), st.integers(0, 5))
def test_bins_keep_the_order_and_number_no_more_than_asked(
    features: Any, bins: int, seed: int
) -> None:
    weight = np.random.default_rng(seed).uniform(0.1, 2, len(features)).astype(np.float32)
    edges = find_edges(features, weight, bins)
    found = bin_rows(features, edges)
    assert np.array_equal(np.isnan(found), np.isnan(features))
    for column, numbers, bounds in zip(features.T, found.T, edges, strict=True):
        known = ~np.isnan(column)
        order = np.argsort(column[known], kind="stable")
        assert (np.diff(numbers[known][order]) >= 0).all()
        assert (np.diff(bounds) > 0).all() and len(bounds) < bins
        values = np.unique(column[known])
        if len(values) <= bins:
            assert len(np.unique(numbers[known])) == len(values)
        # The slow way: in which bin is each value?
        for value, number in zip(column[known], numbers[known], strict=True):
            assert number == sum(value > bound for bound in bounds)


def test_bins_hold_equal_weight() -> None:
    rng = np.random.default_rng(0)
    features = rng.lognormal(size=(20_000, 1)).astype(np.float32)
    weight = np.where(features[:, 0] > 1, 3.0, 1.0).astype(np.float32)
    numbers = bin_rows(features, find_edges(features, weight, 10))[:, 0].astype(int)
    shares = np.bincount(numbers, weight, minlength=10) / weight.sum()
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.001)


@pytest.mark.parametrize("classes_of_values", [40, None])
def test_a_tree_of_bins_forecasts_as_one_of_values(classes_of_values: int | None) -> None:
    rng = np.random.default_rng(1)
    features: Any = rng.normal(size=(900, 3)).astype(np.float32)
    if classes_of_values:
        features = np.round(features * 8) / 8
    features[rng.random(features.shape) < 0.1] = np.nan
    label = np.nan_to_num(features[:, 0]) + np.isnan(features[:, 1]) + rng.normal(size=900)
    edges = find_edges(features, np.ones(900, dtype=np.float32), 255)
    on_bins = HistGradientBoostingRegressor(max_iter=15, random_state=0)
    numbers = bin_rows(features, edges)
    on_bins.fit(numbers, label)
    wanted = on_bins.predict(numbers)
    for (tree,) in on_bins._predictors:
        unbin_tree(tree.nodes, edges)
    assert np.array_equal(on_bins.predict(features), wanted)
    if classes_of_values:
        # Few enough values: scikit-learn's own bins part them alike.
        own = HistGradientBoostingRegressor(max_iter=15, random_state=0).fit(features, label)
        assert on_bins.predict(features) == pytest.approx(own.predict(features), rel=1e-9)


def test_a_column_without_values_or_with_one_has_one_bin() -> None:
    features = np.array([[np.nan, 2.0], [np.nan, 2.0]], dtype=np.float32)
    edges = find_edges(features, np.ones(2, dtype=np.float32), 255)
    assert [len(bounds) for bounds in edges] == [0, 0]
    assert np.array_equal(bin_rows(features, edges), [[np.nan, 0], [np.nan, 0]], equal_nan=True)
