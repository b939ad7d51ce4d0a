"""SHAP values against shap's own explainer, and the rows that are explained."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.errors import ModelError
from src.v2.explain import shap_values
from src.v2.explain.shap_values import explain_rows, sample_rows_by_date

Array = np.ndarray[Any, Any]

NAMES = [f"f{i}" for i in range(8)]
OBJECTIVES: dict[str, dict[str, Any]] = {
    "regression": {"objective": "reg:squarederror"},
    "binary": {"objective": "binary:logistic"},
    "multi-class": {"objective": "multi:softprob", "num_class": 5},
}


def make_rows(missing: float = 0.0) -> tuple[Array, dict[str, Array]]:
    """Make features and one label for each kind of model."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(400, 8)).astype(np.float32)
    score = features[:, 0] * features[:, 1] + features[:, 2] + 0.3 * rng.normal(size=400)
    features[rng.random(features.shape) < missing] = np.nan
    classes = np.searchsorted(np.quantile(score, [0.2, 0.4, 0.6, 0.8]), score)
    return features, {"regression": 0.02 * score, "binary": score > 0, "multi-class": classes}


def fit(kind: str, features: Array, label: Array, rounds: int = 25) -> xgboost.Booster:
    """Fit a small booster of one kind."""
    matrix = xgboost.DMatrix(features, label, feature_names=NAMES)
    return xgboost.train({**OBJECTIVES[kind], "max_depth": 4, "seed": 1}, matrix, rounds)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_values_equal_the_tree_explainer(kind: str, missing: float) -> None:
    shap = pytest.importorskip("shap")
    features, labels = make_rows(missing)
    booster = fit(kind, features, labels[kind])
    values, base = explain_rows(booster, features, NAMES, 25)
    outputs = 5 if kind == "multi-class" else 1
    assert values.shape == (400, outputs, 8)
    assert base.shape == (400, outputs)
    oracle = shap.TreeExplainer(booster)
    expected = oracle.shap_values(xgboost.DMatrix(features, feature_names=NAMES))
    expected = np.moveaxis(expected, 2, 1) if outputs > 1 else expected[:, None, :]
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(base[0], np.ravel(oracle.expected_value), atol=1e-5)


def test_early_stopping_explains_the_rounds_used() -> None:
    shap = pytest.importorskip("shap")
    features, labels = make_rows()
    model = xgboost.XGBRegressor(n_estimators=200, early_stopping_rounds=5, learning_rate=0.3)
    y = labels["regression"]
    model.fit(features[:300], y[:300], eval_set=[(features[300:], y[300:])], verbose=False)
    rounds = model.best_iteration + 1
    booster = model.get_booster()
    assert rounds < booster.num_boosted_rounds()
    values, base = explain_rows(booster, features, NAMES, rounds)
    np.testing.assert_allclose(
        values[:, 0], shap.TreeExplainer(model).shap_values(features), atol=1e-5
    )
    total = values.sum(axis=2) + base
    np.testing.assert_allclose(total[:, 0], model.predict(features), atol=1e-6)
    all_rounds, _ = explain_rows(booster, features, NAMES, booster.num_boosted_rounds())
    assert np.abs(all_rounds - values).max() > 1e-5


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_values_add_up_to_the_margin(kind: str) -> None:
    features, labels = make_rows(0.2)
    booster = fit(kind, features, labels[kind])
    values, base = explain_rows(booster, features, NAMES, 10)
    margin = booster.predict(
        xgboost.DMatrix(features, feature_names=NAMES),
        output_margin=True,
        iteration_range=(0, 10),
        strict_shape=True,
    )
    np.testing.assert_allclose(values.sum(axis=2) + base, margin, atol=1e-5)


def test_contributions_that_do_not_add_up_are_refused() -> None:
    values, base = np.ones((2, 1, 3)), np.zeros((2, 1))
    shap_values._check_additivity(values, base, np.full((2, 1), 3.0002))
    with pytest.raises(ModelError, match="must add up"):
        shap_values._check_additivity(values, base, np.full((2, 1), 3.001))
    with pytest.raises(ModelError, match="must add up"):
        shap_values._check_additivity(values * np.nan, base, np.full((2, 1), 3.0))
    shap_values._check_additivity(values * 0, base, np.zeros((2, 1)))


@pytest.mark.parametrize("rounds", [0, 26])
def test_rounds_that_the_model_lacks_are_refused(rounds: int) -> None:
    features, labels = make_rows()
    booster = fit("regression", features, labels["regression"])
    with pytest.raises(ModelError, match=f"1 to 25 rounds.*got {rounds}"):
        explain_rows(booster, features, NAMES, rounds)


def test_other_features_are_refused() -> None:
    features, labels = make_rows()
    booster = fit("regression", features, labels["regression"])
    with pytest.raises(ModelError, match="Pass the features"):
        explain_rows(booster, features, NAMES[::-1], 25)


def test_sampled_rows_are_even_over_dates() -> None:
    dates = np.repeat(np.arange(50), 20)
    rows = sample_rows_by_date(dates, 230, seed=1)
    assert len(np.unique(rows)) == 230
    assert set(np.bincount(dates[rows])) == {4, 5}
    rich = np.flatnonzero(np.bincount(dates[rows]) == 5)
    assert np.diff(rich).max() <= 3


def test_fewer_rows_than_dates_are_spaced_evenly() -> None:
    dates = np.repeat(np.arange(100), 3)
    chosen = dates[sample_rows_by_date(dates, 10, seed=1)]
    assert chosen.tolist() == list(range(5, 100, 10))


def test_dates_and_sessions_choose_the_same_rows() -> None:
    sessions = np.random.default_rng(0).integers(0, 30, 300)
    dates = pl.Series([dt.date(2024, 1, 1) + dt.timedelta(days=int(day)) for day in sessions])
    chosen = sample_rows_by_date(sessions, 70, seed=5)
    np.testing.assert_array_equal(sample_rows_by_date(dates, 70, seed=5), chosen)
    assert not np.array_equal(sample_rows_by_date(sessions, 70, seed=6), chosen)


def test_no_rows_wanted_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1; got 0"):
        sample_rows_by_date(np.arange(3), 0, seed=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=80), st.integers(1, 90))
def test_no_date_gives_more_while_another_could(days: list[int], wanted: int) -> None:
    dates = np.array(days, dtype=np.int64)
    rows = sample_rows_by_date(dates, wanted, seed=2)
    assert len(rows) == min(wanted, len(dates))
    assert np.all(np.diff(rows) > 0)
    have = np.bincount(dates, minlength=13)
    took = np.bincount(dates[rows], minlength=13)
    for day in range(13):
        if took[day] < have[day]:
            assert took.max(initial=0) <= took[day] + 1
