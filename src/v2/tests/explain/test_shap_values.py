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
from src.v2.explain.shap_values import sample_rows_by_date
from src.v2.modeling.learners.additivity import check_additivity
from src.v2.modeling.learners.xgboost_shap import explain_rows, interaction_rows, margins

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


def stop_early(kind: str, missing: float) -> tuple[Any, Array]:
    """Fit a model of shap's own kind that stops early, with trees left over."""
    features, labels = make_rows(missing)
    make = xgboost.XGBRegressor if kind == "regression" else xgboost.XGBClassifier
    model = make(
        n_estimators=200, early_stopping_rounds=8, learning_rate=0.3, max_depth=4, n_jobs=1
    )
    y = labels[kind].astype(float if kind == "regression" else int)
    model.fit(features[:300], y[:300], eval_set=[(features[300:], y[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model, features


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


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_early_stopping_explains_the_rounds_used(kind: str, missing: float) -> None:
    shap = pytest.importorskip("shap")
    model, features = stop_early(kind, missing)
    rounds, booster = model.best_iteration + 1, model.get_booster()
    values, base = explain_rows(booster, features, NAMES, rounds)
    expected = shap.TreeExplainer(model).shap_values(features)
    expected = np.moveaxis(expected, 2, 1) if expected.ndim == 3 else expected[:, None, :]
    np.testing.assert_allclose(values, expected, atol=1e-5)
    margin = model.predict(features, output_margin=True).reshape(len(features), -1)
    np.testing.assert_allclose(values.sum(axis=2) + base, margin, atol=1e-5)
    np.testing.assert_array_equal(margins(booster, features, NAMES, rounds), margin)
    all_rounds, _ = explain_rows(booster, features, NAMES, booster.num_boosted_rounds())
    assert np.abs(all_rounds - values).max() > 1e-4


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_interactions_equal_the_tree_explainer(kind: str, missing: float) -> None:
    shap = pytest.importorskip("shap")
    model, features = stop_early(kind, missing)
    rounds, booster = model.best_iteration + 1, model.get_booster()
    few = features[:60]
    found = interaction_rows(booster, few, NAMES, rounds)
    expected = shap.TreeExplainer(model).shap_interaction_values(few)
    expected = np.moveaxis(expected, 3, 1) if expected.ndim == 4 else expected[:, None]
    assert found.shape == (60, 5 if kind == "multi-class" else 1, 8, 8)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, np.swapaxes(found, 2, 3))
    values, _ = explain_rows(booster, few, NAMES, rounds)
    np.testing.assert_allclose(found.sum(axis=3), values, atol=1e-5)
    all_rounds = interaction_rows(booster, few, NAMES, booster.num_boosted_rounds())
    assert np.abs(all_rounds - found).max() > 1e-4


def test_a_product_of_two_features_interacts_and_a_sum_does_not() -> None:
    features, labels = make_rows()
    booster = fit("regression", features, labels["regression"], rounds=60)
    size = np.abs(interaction_rows(booster, features, NAMES, 60)[:, 0]).mean(axis=0)
    apart = np.array([size[i, j] for i in range(8) for j in range(i) if (i, j) != (1, 0)])
    assert size[0, 1] > 3 * apart.max()
    assert size[2, 2] > 5 * size[2, 3:].max()


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
    parts, sums = np.array([[[1.0, 2.0]], [[3.0, 0.0]]]), np.full((2, 1), 3.0)
    check_additivity(parts, 0.0, np.full((2, 1), 3.0002), "margin")
    with pytest.raises(ModelError, match="must add up to the model's margin"):
        check_additivity(parts, 0.0, np.full((2, 1), 3.001), "margin")
    with pytest.raises(ModelError, match="must add up to the model's margin"):
        check_additivity(parts, 0.001, sums, "margin")
    with pytest.raises(ModelError, match="must add up"):
        check_additivity(parts * np.nan, 0.0, sums, "margin")
    check_additivity(parts * 0, 0.0, sums * 0, "margin")
    check_additivity(parts[:0], 0.0, sums[:0], "margin")


def test_contributions_that_cancel_may_be_off_by_their_own_rounding() -> None:
    parts = np.array([[[3.0, -2.0]]], dtype=np.float32)
    base = -1.0
    check_additivity(parts, base, np.array([[3e-7]]), "margin")
    with pytest.raises(ModelError, match="must add up"):
        check_additivity(parts, base, np.array([[1e-3]]), "margin")


class Wrong:
    """A booster of which one kind of prediction is off."""

    def __init__(self, booster: xgboost.Booster, kind: str) -> None:
        self.booster, self.kind = booster, kind

    def num_boosted_rounds(self) -> int:
        return int(self.booster.num_boosted_rounds())

    def predict(self, matrix: xgboost.DMatrix, **how: Any) -> Array:
        found = self.booster.predict(matrix, **how)
        return found * np.float32(1.001) if self.kind in how else found


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (explain_rows, "pred_contribs", "margin"),
        (explain_rows, "output_margin", "margin"),
        (interaction_rows, "pred_interactions", "contributions"),
        (interaction_rows, "pred_contribs", "contributions"),
    ],
)
@pytest.mark.parametrize("label", OBJECTIVES)
def test_a_booster_whose_parts_do_not_add_up_is_refused(
    ask: Any, kind: str, words: str, label: str
) -> None:
    features, labels = make_rows(0.2)
    booster = fit(label, features, labels[label])
    ask(Wrong(booster, "nothing"), features, NAMES, 25)
    with pytest.raises(ModelError, match=f"must add up to the model's {words} within"):
        ask(Wrong(booster, kind), features, NAMES, 25)


@pytest.mark.parametrize("ask", [explain_rows, interaction_rows, margins])
@pytest.mark.parametrize("rounds", [0, 26])
def test_rounds_that_the_model_lacks_are_refused(rounds: int, ask: Any) -> None:
    features, labels = make_rows()
    booster = fit("regression", features, labels["regression"])
    with pytest.raises(ModelError, match=f"1 to 25 rounds.*got {rounds}"):
        ask(booster, features, NAMES, rounds)


@pytest.mark.parametrize("ask", [explain_rows, interaction_rows, margins])
def test_other_features_are_refused(ask: Any) -> None:
    features, labels = make_rows()
    booster = fit("regression", features, labels["regression"])
    with pytest.raises(ModelError, match="Pass the features"):
        ask(booster, features, NAMES[::-1], 25)


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
