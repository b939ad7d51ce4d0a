"""How much of a forecast features make together."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from src.v2.explain import interactions as module
from src.v2.explain.direction import signed_values
from src.v2.explain.interactions import interactions, summarise_interactions
from src.v2.modeling.learners import xgboost_trees
from src.v2.modeling.learners.xgboost_shap import interaction_rows
from src.v2.tests.explain.fitted_folds import booster_of, make_folds

Array = np.ndarray[Any, Any]


def normal(rng: np.random.Generator, rows: int) -> Array:
    return rng.normal(size=(rows, 5))


def product(features: Array) -> Array:
    return features[:, 1] * features[:, 3] + features[:, 0]


def test_the_two_features_of_a_product_are_the_strongest_pair() -> None:
    sample, fits = make_folds(normal, product, rounds=40)
    record, strengths = interactions(sample, fits, 200, seed=1)
    first = record.pairs[0]
    assert {first.first, first.second} == {"f1", "f3"}
    assert first.share > 0.6
    assert first.strength > 5 * record.pairs[1].strength
    assert record.rows == 200
    assert set(record.names[:3]) == {"f0", "f1", "f3"}
    np.testing.assert_array_equal(strengths, strengths.T)
    assert first.strength == strengths[1, 3]


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_strengths_equal_a_loop_over_the_oracle(classes: int) -> None:
    shap = pytest.importorskip("shap")
    sample, fits = make_folds(normal, product, sessions=30, classes=classes, rounds=8)
    _, strengths = interactions(sample, fits, 10_000, seed=1)
    sizes = []
    for fit in fits:
        values = shap.TreeExplainer(booster_of(fit.model)).shap_interaction_values(
            fit.test.features
        )
        values = values @ np.array([-2, -1, 0, 1, 2]) / 3 if classes > 2 else values
        for row in values:
            both = [[abs(row[i, j] + row[j, i]) for j in range(5)] for i in range(5)]
            sizes.append(np.array(both) - np.diag(np.abs(np.diag(row))))
    np.testing.assert_allclose(strengths, np.mean(sizes, axis=0), atol=1e-6)


def test_each_row_is_taken_apart_by_the_model_of_its_own_fold() -> None:
    sample, fits = make_folds(normal, product, sessions=30, rounds=8)
    whole = interactions(sample, fits, 10_000, seed=1)[1]
    apart = []
    for fit in fits:
        mine = sample.rows["fold"].to_numpy() == fit.fold.number
        part = dataclasses.replace(
            sample,
            rows=sample.rows.filter(mine),
            features=sample.features[mine],
            values=sample.values[mine],
            base=sample.base[mine],
        )
        apart.append(interactions(part, [fit], 10_000, seed=1)[1])
    np.testing.assert_allclose(whole, np.mean(apart, axis=0), rtol=1e-10)
    assert np.abs(apart[0] - apart[1]).max() > 1e-3


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, fits = make_folds(normal, product, sessions=20, classes=5, rounds=4)
    whole = interactions(sample, fits, 57, seed=1)[1]
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 1000)
    np.testing.assert_allclose(interactions(sample, fits, 57, seed=1)[1], whole, rtol=1e-12)


def test_main_effects_alone_equal_the_contributions() -> None:
    sample, fits = make_folds(normal, lambda x: x[:, 0] + np.abs(x[:, 1]), max_depth=1)
    record, strengths = interactions(sample, fits, 10_000, seed=1)
    assert record.share == 0.0
    assert record.pairs == ()
    size = np.abs(signed_values(sample.values)).mean(axis=0)
    np.testing.assert_allclose(np.diag(strengths), size, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("classes", [0, 5])
def test_a_model_without_trees_that_split_has_no_interactions(classes: int) -> None:
    sample, fits = make_folds(
        normal, product, sessions=10, classes=classes, rounds=3, min_child_weight=1e9
    )
    record, strengths = interactions(sample, fits, 20, seed=1)
    assert (record.share, record.pairs) == (0.0, ())
    assert not strengths.any()
    assert len(record.names) == 5


def test_a_constant_and_a_missing_feature_interact_with_nothing() -> None:
    def draw(rng: np.random.Generator, rows: int) -> Array:
        features = normal(rng, rows)
        features[:, 2], features[:, 4] = 1.0, np.nan
        return features

    sample, fits = make_folds(draw, product, sessions=20)
    _, strengths = interactions(sample, fits, 60, seed=1)
    assert not strengths[[2, 4]].any()


def test_one_feature_alone_has_no_pair() -> None:
    sample, fits = make_folds(
        lambda rng, rows: rng.normal(size=(rows, 1)), lambda x: x[:, 0], sessions=10, folds=1
    )
    record, _ = interactions(sample, fits, 20, seed=1)
    assert (record.names, record.pairs, record.share) == (("f0",), (), 0.0)


def test_a_summary_names_twelve_features_and_ten_pairs() -> None:
    rng = np.random.default_rng(4)
    strengths = rng.uniform(size=(20, 20))
    strengths += strengths.T
    names = [f"x{place}" for place in range(20)]
    record = summarise_interactions(strengths, names, 7)
    pairs = {(names[i], names[j]): strengths[i, j] for i in range(20) for j in range(i + 1, 20)}
    wanted = sorted(pairs, key=lambda pair: -pairs[pair])[:10]
    assert [(pair.first, pair.second) for pair in record.pairs] == wanted
    total = sum(pairs.values())
    for pair in record.pairs:
        assert pair.share == pytest.approx(pairs[pair.first, pair.second] / total)
    assert record.share == pytest.approx(total / (total + np.trace(strengths)))
    assert list(record.names) == sorted(names, key=lambda n: -strengths[names.index(n)].sum())[:12]
    for row, first in zip(record.matrix, record.names, strict=True):
        for cell, second in zip(row, record.names, strict=True):
            assert cell == strengths[names.index(first), names.index(second)]


def test_the_rows_spread_evenly_over_dates_and_follow_the_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample, fits = make_folds(normal, product, sessions=40, rounds=4)
    asked: list[Array] = []

    def record(booster: Any, features: Array, *others: Any) -> Array:
        asked.append(features)
        return interaction_rows(booster, features, *others)

    monkeypatch.setattr(xgboost_trees, "interaction_rows", record)
    one = interactions(sample, fits, 160, 1)[1]
    taken = {row.tobytes() for row in np.concatenate(asked)}
    chosen = [row.tobytes() in taken for row in sample.features]
    assert sum(chosen) == 160
    assert set(sample.rows.filter(chosen).group_by("date").len()["len"]) == {2}
    again, other = (interactions(sample, fits, 160, seed)[1] for seed in (1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
