"""Groups of alike features, and how far folds agree on the important ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2 import judgement
from src.v2.evaluation.stability import (
    Selection,
    group_features,
    nogueira_phi,
    phi_interval,
    phi_of_importance,
    select_top,
    stability,
    top_groups,
)
from src.v2.explain.folds import explain_folds
from src.v2.modeling.baseline_fits import permuted_fits
from src.v2.tests.explain.probed_runs import make_run


def _random_selections(folds: int, features: int, seed: int, share: float = 0.3) -> Selection:
    return np.asarray(np.random.default_rng(seed).random((folds, features)) < share)


def test_groups_hold_features_that_all_correlate() -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(800, 4))
    matrix = np.repeat(factor, 3, axis=1) * rng.choice([-1, 1], 12) + rng.normal(0, 0.25, (800, 12))
    matrix[:, 5] = np.exp(matrix[:, 5])
    groups = group_features(matrix)
    assert groups == ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11))
    correlation = np.abs(stats.spearmanr(matrix)[0])
    assert all(
        correlation[one, other] >= 0.9
        for members in groups
        for one, other in itertools.combinations(members, 2)
    )


def test_a_chain_of_alike_features_is_not_one_group() -> None:
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.normal(0, 0.35, (1000, 12)), axis=1) + rng.normal(size=(1000, 1))
    correlation = np.abs(stats.spearmanr(path)[0])
    assert (np.diag(correlation, 1) > 0.9).sum() >= 8
    groups = group_features(path)
    assert 1 < len(groups) < 12
    for members in groups:
        assert correlation[np.ix_(members, members)].min() >= 0.9
    assert sorted(itertools.chain(*groups)) == list(range(12))


def test_missing_values_take_the_middle_and_constant_features_stand_alone() -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(500, 5)).astype(np.float32)
    matrix[:, 1] = 2 * matrix[:, 0]
    matrix[:40, 1] = np.nan
    matrix[:, 2] = 7.0
    matrix[:, 3] = np.nan
    assert group_features(matrix) == ((0, 1), (2,), (3,), (4,))
    matrix[:400, 1] = np.nan
    assert group_features(matrix) == ((0,), (1,), (2,), (3,), (4,))


def test_ties_share_a_rank() -> None:
    flag = np.random.default_rng(8).integers(0, 2, 300).astype(np.float32)
    assert group_features(np.column_stack([flag, -flag, 5 + 2 * flag])) == ((0, 1, 2),)


def test_none_or_one_feature_needs_no_grouping() -> None:
    assert group_features(np.zeros((10, 0))) == ()
    assert group_features(np.zeros((10, 1))) == ((0,),)


def test_phi_at_equal_sizes_is_the_mean_kuncheva_index() -> None:
    rng = np.random.default_rng(3)
    folds, features, chosen = 6, 30, 8
    selected = np.zeros((folds, features), dtype=np.bool_)
    for fold in range(folds):
        weights = np.exp(-0.1 * np.arange(features))
        picked = rng.choice(features, chosen, replace=False, p=weights / weights.sum())
        selected[fold, picked] = True
    pairs = []
    for one, other in itertools.combinations(selected, 2):
        common = int((one & other).sum())
        pairs.append((common * features - chosen**2) / (chosen * (features - chosen)))
    assert nogueira_phi(selected) == pytest.approx(np.mean(pairs))


def test_phi_by_a_plain_loop() -> None:
    selected = _random_selections(5, 12, 4)
    total, size = 0.0, 0.0
    for column in selected.T.astype(float).tolist():
        total += float(np.var(column, ddof=1)) / 12
        size += sum(column) / 5
    expected = 1 - total / (size / 12 * (1 - size / 12))
    assert nogueira_phi(selected) == pytest.approx(expected)


def test_phi_of_random_selections_is_about_zero_and_of_equal_ones_is_one() -> None:
    random = [nogueira_phi(_random_selections(8, 60, seed)) for seed in range(200)]
    assert np.mean(random) == pytest.approx(0, abs=0.01)
    row = _random_selections(1, 60, 5)
    assert nogueira_phi(np.repeat(row, 4, axis=0)) == 1.0
    same = phi_interval(np.repeat(row, 4, axis=0))
    assert (same.mean, same.low, same.high) == pytest.approx((1, 1, 1))
    assert nogueira_phi(np.array([[True, False], [False, True]])) == pytest.approx(-1.0)


def test_phi_needs_two_folds_and_a_choice() -> None:
    assert math.isnan(nogueira_phi(np.ones((1, 4), dtype=np.bool_)))
    assert math.isnan(nogueira_phi(np.ones((3, 4), dtype=np.bool_)))
    assert math.isnan(nogueira_phi(np.zeros((3, 4), dtype=np.bool_)))
    assert math.isnan(phi_interval(np.zeros((3, 4), dtype=np.bool_)).low)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 12), st.integers(5, 40))
def test_the_variance_of_phi_is_that_of_its_influences(
    seed: int, folds: int, features: int
) -> None:
    selected = _random_selections(folds, features, seed)
    got = phi_interval(selected)
    if math.isnan(got.mean):
        return

    frequency = selected.mean(axis=0)
    chance = frequency.mean() * (1 - frequency.mean())

    def moved(fold: int, step: float) -> float:
        weights = np.ones(folds)
        weights[fold] += step
        moved_to = weights @ selected / weights.sum()
        share = moved_to.mean()
        spread = (moved_to * (1 - moved_to)).mean()
        return float((1 - got.mean) * share * (1 - share) - spread) / chance

    # The delta method in numbers: 1 - spread / chance when one fold weighs a little more.
    step = 1e-5
    influences = [(moved(fold, step) - moved(fold, -step)) / (2 * step) for fold in range(folds)]
    error = math.sqrt(sum(value**2 for value in influences))
    assert got.mean == nogueira_phi(selected)
    assert got.high - got.mean == pytest.approx(1.96 * error, rel=1e-5, abs=1e-8)
    assert got.mean - got.low == pytest.approx(1.96 * error, rel=1e-5, abs=1e-8)


def test_the_interval_covers_the_true_phi_about_as_often_as_it_says() -> None:
    chances = np.clip(np.linspace(0.9, 0.0, 80) ** 2, 0.02, 0.9)
    share = chances.mean()
    truth = 1 - (chances * (1 - chances)).mean() / (share * (1 - share))
    rng = np.random.default_rng(6)
    found = [phi_interval(np.asarray(rng.random((20, 80)) < chances)) for _ in range(300)]
    assert 0.88 <= np.mean([got.low <= truth <= got.high for got in found]) <= 0.99


def test_importance_is_summed_within_groups_before_the_choice() -> None:
    importances = np.array([[0.4, 0.0, 0.3, 0.2, 0.1], [0.0, 0.4, 0.3, 0.1, 0.2]])
    twins = [(0, 1), (2,), (3,), (4,)]
    assert select_top(importances, twins, 2).tolist() == [[True, True, False, False]] * 2
    assert phi_of_importance(importances, twins, 2) == 1.0
    alone = [(place,) for place in range(5)]
    assert phi_of_importance(importances, alone, 2) < 0.5


def test_ties_take_the_first_and_features_without_importance_are_not_chosen() -> None:
    importances = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, np.nan, 2.0]])
    selected = select_top(importances, [(0,), (1,), (2,), (3,)], 2)
    assert selected.tolist() == [[True, True, False, False], [False, False, False, True]]
    many = select_top(np.ones((1, 90)), [(place,) for place in range(90)])
    assert np.flatnonzero(many).tolist() == list(range(18))


def test_a_fifth_of_the_groups_but_five_at_least_is_chosen() -> None:
    assert [top_groups(count) for count in (3, 25, 28, 100, 192)] == [5, 5, 6, 20, 38]


def test_folds_that_share_rows_get_no_bounds() -> None:
    rng = np.random.default_rng(7)
    importances = rng.random((6, 30)) + np.linspace(2, 0, 30)
    noise = rng.random((3, 30))
    groups = [(place,) for place in range(30)]
    pair = importances[[2, 5]]
    shared = stability(0.8, importances, groups, noise, pair)
    assert shared.phi_pair == pytest.approx(phi_of_importance(pair, groups)) != shared.phi
    assert (shared.spearman, shared.groups, shared.top) == (0.8, 30, 6)
    assert math.isnan(shared.phi_low) and math.isnan(shared.phi_high)
    assert shared.phi == pytest.approx(phi_of_importance(importances, groups))
    assert shared.phi_null == pytest.approx(phi_of_importance(noise, groups))
    apart = stability(0.8, importances, groups, disjoint=True)
    expected = phi_interval(select_top(importances, groups))
    assert (apart.phi_low, apart.phi_high) == (expected.low, expected.high)
    assert apart.phi_low < apart.phi < apart.phi_high
    assert math.isnan(apart.phi_null) and math.isnan(apart.phi_pair)
    assert math.isnan(stability(0.8, importances[:4], groups, disjoint=True).phi_low)


def test_the_pair_holds_the_very_folds_and_rows_of_the_permuted_fits() -> None:
    run = make_run()
    permuted = permuted_fits(run.trainer, run.schedule, run.fits, None, 1)
    real = judgement._same_folds(run.fits, permuted)
    assert len(real) == len(permuted) == 2 < len(run.fits)
    null, beside = (explain_folds(fits, run.trainer.plan, 300, 4) for fits in (permuted, real))
    assert null.rows.equals(beside.rows)
    assert set(null.rows["fold"]) == {fit.fold.number for fit in real}
    np.testing.assert_array_equal(null.features, beside.features)
    assert not np.array_equal(null.values, beside.values)
