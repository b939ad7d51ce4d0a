"""The forecast along one feature, against loops, known functions and a bootstrap by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.explain.direction import signed_values
from src.v2.explain.effects import accumulate, bin_rows, effects
from src.v2.explanation_records import Effect
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample
from src.v2.tests.explain.fitted_folds import make_folds

Array = np.ndarray[Any, Any]

NONE = np.zeros((4, 4))
NAMES = ("f0", "f1", "f2", "f3")


def draw(rng: np.random.Generator, rows: int) -> Array:
    """Two features that move together, one of whole numbers, one with holes."""
    features = rng.normal(size=(rows, 4))
    features[:, 1] = features[:, 0] + 0.1 * features[:, 1]
    features[:, 2] = rng.integers(0, 3, rows)
    features[rng.random(rows) < 0.3, 3] = np.nan
    return features


def mixed(features: Array) -> Array:
    return np.asarray(features[:, 0] * features[:, 2] + np.nan_to_num(features[:, 3]) ** 2)


def loop(sample: ShapSample, fits: tuple[FoldFit, ...], name: str, edges: list[float]) -> Array:
    """Accumulate row by row, and centre by interpolating each row on the curve."""
    place = sample.feature_names.index(name)
    folds = {fit.fold.number: fit for fit in fits}
    steps: list[list[float]] = [[] for _ in edges[1:]]
    own = []
    for row, number in zip(sample.features, sample.rows["fold"], strict=True):
        value = row[place]
        if np.isnan(value):
            continue
        at = next(i for i in range(len(edges) - 1) if value <= edges[i + 1])
        ends = np.stack([row, row])
        ends[:, place] = edges[at], edges[at + 1]
        model = folds[number].model
        low, high = signed_values(model.margin(ends))
        steps[at].append(float(high) - float(low))
        own.append(value)
    curve = np.cumsum([0.0, *(np.mean(each) for each in steps)])
    return np.asarray(curve - np.interp(own, edges, curve).mean())


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_an_effect_equals_a_slow_loop_over_rows(classes: int) -> None:
    sample, fits = make_folds(draw, mixed, sessions=25, classes=classes, rounds=8)
    found = effects(sample, fits, NAMES, NONE, 10, seed=1)
    assert [effect.feature for effect in found] == list(NAMES)
    for effect in found:
        expected = loop(sample, fits, effect.feature, list(effect.edges))
        np.testing.assert_allclose(effect.effect, expected, atol=1e-6)


def test_an_additive_function_is_recovered() -> None:
    def known(features: Array) -> Array:
        return np.sin(2 * features[:, 0]) + np.nan_to_num(features[:, 3])

    def apart(rng: np.random.Generator, rows: int) -> Array:
        return rng.uniform(-2, 2, size=(rows, 4))

    sample, fits = make_folds(apart, known, rounds=150, eta=0.1)
    wave, line = effects(sample, fits, ("f0", "f3"), NONE, 30, seed=1)
    truths = {"f0": lambda x: np.sin(2 * x), "f3": np.asarray}
    for effect in (wave, line):
        truth: Any = truths[effect.feature]
        edges = np.array(effect.edges)
        values = sample.features[:, NAMES.index(effect.feature)]
        wanted = truth(edges) - truth(values).mean()
        assert np.abs(np.array(effect.effect) - wanted).max() < 0.2
        assert np.corrcoef(effect.effect, wanted)[0, 1] > 0.99


def test_an_unused_feature_is_flat_however_correlated() -> None:
    def only_first(features: Array) -> Array:
        return 2 * features[:, 0]

    def twins(rng: np.random.Generator, rows: int) -> Array:
        features = draw(rng, rows)
        features[: rows // 2, 1] = 0.0
        return features

    sample, fits = make_folds(twins, only_first, rounds=30, max_depth=2)
    used, twin = effects(sample, fits, ("f0", "f1"), NONE, 30, seed=1)
    assert np.corrcoef(sample.features[:, 0], sample.features[:, 1])[0, 1] > 0.5
    assert np.ptp(used.effect) > 5
    assert np.ptp(twin.effect) < 0.02 * np.ptp(used.effect)


def test_bounds_equal_blocks_drawn_and_accumulated_anew() -> None:
    sample, fits = make_folds(draw, mixed, sessions=160, rounds=15)
    (effect,) = effects(sample, fits, ("f0",), NONE, 8, seed=1)
    bins = bin_rows(sample.features[:, 0])
    assert bins is not None
    block = np.repeat(np.arange(320) // 8, 5)
    steps = np.zeros(len(block))
    for fit in fits:
        mine = np.flatnonzero(sample.rows["fold"].to_numpy() == fit.fold.number)
        ends = []
        for side in (0, 1):
            moved = sample.features[mine]
            moved[:, 0] = bins.edges[bins.number[mine] + side]
            ends.append(fit.model.margin(moved)[:, 0])
        steps[mine] = ends[1] - ends[0]
    rng = np.random.default_rng(3)
    rows_of = [np.flatnonzero(block == number) for number in range(40)]
    curves = []
    for _ in range(1000):
        rows = np.concatenate([rows_of[number] for number in rng.integers(0, 40, 40)])
        drawn = dataclasses.replace(bins, number=bins.number[rows], within=bins.within[rows])
        curves.append(accumulate(drawn, steps[rows]).effect)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    width = np.array(effect.high) - np.array(effect.low)
    # The bounds allow for 40 blocks by Student's t, 4.5% wider than percentiles.
    np.testing.assert_allclose(width, 1.045 * (high - low), rtol=0.12)
    np.testing.assert_allclose(effect.low, low, atol=0.12 * width.max())
    assert np.all(np.array(effect.low) <= np.array(effect.effect))
    assert np.all(np.array(effect.effect) <= np.array(effect.high))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=70), st.integers(0, 9))
def test_the_parts_of_the_rows_average_to_the_effect(values: list[int], seed: int) -> None:
    bins = bin_rows(np.array(values, dtype=np.float32))
    if bins is None:
        assert len(set(values)) == 1
        return
    steps = np.random.default_rng(seed).normal(size=len(values))
    curve = accumulate(bins, steps)
    np.testing.assert_allclose(curve.by_row.mean(axis=0), curve.effect, atol=1e-9)
    own = np.interp(np.array(values), bins.edges, curve.effect)
    assert own.mean() == pytest.approx(0, abs=1e-9)


def test_the_parts_of_the_rows_are_the_derivatives_by_their_weights() -> None:
    rng = np.random.default_rng(8)
    bins = bin_rows(rng.normal(size=60).astype(np.float32))
    assert bins is not None
    steps = rng.normal(size=60)
    curve = accumulate(bins, steps)
    many = 2000
    for row in (0, 17, 59):
        # One more copy of one row, in many copies of all.
        rows = np.concatenate([np.tile(np.arange(60), many), [row]])
        more = dataclasses.replace(bins, number=bins.number[rows], within=bins.within[rows])
        slope = (accumulate(more, steps[rows]).effect - curve.effect) * len(rows)
        np.testing.assert_allclose(slope, curve.by_row[row] - curve.effect, rtol=2e-3, atol=2e-3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-(2.0**90), 2.0**90, width=32), max_size=90))
def test_bins_cut_at_quantiles_and_none_is_empty(values: list[float]) -> None:
    column = np.array(values, dtype=np.float32)
    bins = bin_rows(column)
    if bins is None:
        assert len(set(values)) < 2
        return
    grid = np.arange(21) / 20
    wanted = sorted({sorted(values)[max(0, _ceil(share, len(values)) - 1)] for share in grid})
    np.testing.assert_array_equal(bins.edges, np.array(wanted, dtype=np.float32))
    assert bins.edges[0] == column.min() and bins.edges[-1] == column.max()
    assert np.all(np.bincount(bins.number, minlength=len(bins.edges) - 1) > 0)
    assert np.all(column >= bins.edges[bins.number])
    assert np.all(column <= bins.edges[bins.number + 1])
    assert np.all((bins.within >= 0) & (bins.within <= 1))


def _ceil(share: float, rows: int) -> int:
    """Smallest number of rows that holds a share of them, in twentieths."""
    return next(count for count in range(rows + 1) if 20 * count >= round(20 * share) * rows)


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    bins = bin_rows(values)
    assert bins is not None
    grid = np.arange(1, 20) / 20
    wanted = np.quantile(values, grid, method="inverted_cdf")
    np.testing.assert_array_equal(bins.edges[1:-1], wanted)
    assert np.bincount(bins.number).tolist() == [50] * 20


def test_a_feature_of_two_values_gives_its_mean_difference() -> None:
    def flag(rng: np.random.Generator, rows: int) -> Array:
        features = draw(rng, rows)
        features[:, 2] = rng.random(rows) < 0.04
        return features

    sample, fits = make_folds(flag, lambda x: x[:, 0] + 3 * x[:, 2], rounds=30)
    (effect,) = effects(sample, fits, ("f2",), NONE, 20, seed=1)
    share = float(sample.features[:, 2].mean())
    assert effect.edges == (0.0, 1.0)
    assert effect.rows == (len(sample.features),)
    assert effect.effect[1] - effect.effect[0] == pytest.approx(3, abs=0.3)
    assert share * effect.effect[1] + (1 - share) * effect.effect[0] == pytest.approx(0, abs=1e-6)


def test_missing_values_are_left_out() -> None:
    sample, fits = make_folds(draw, mixed, sessions=40)
    (effect,) = effects(sample, fits, ("f3",), NONE, 10, seed=1)
    assert sum(effect.rows) == int((~np.isnan(sample.features[:, 3])).sum()) < 400


def test_a_constant_and_a_missing_feature_have_no_effect() -> None:
    def hollow(rng: np.random.Generator, rows: int) -> Array:
        features = draw(rng, rows)
        features[:, 1], features[:, 3] = 2.5, np.nan
        return features

    sample, fits = make_folds(hollow, mixed, sessions=20)
    found = effects(sample, fits, NAMES, NONE, 10, seed=1)
    assert [effect.feature for effect in found] == ["f0", "f2"]
    assert effects(sample, fits, (), NONE, 10, seed=1) == ()


def test_a_feature_known_on_one_row_has_no_effect() -> None:
    sample, fits = make_folds(draw, mixed, sessions=20)
    sample.features[1:, 0] = np.nan
    assert effects(sample, fits, ("f0",), NONE, 10, seed=1) == ()


def test_the_partner_is_the_feature_of_the_strongest_interaction() -> None:
    sample, fits = make_folds(draw, mixed, sessions=20)
    strengths = np.array([[9, 1, 3, 0], [1, 9, 0, 0], [3, 0, 9, 0], [0, 0, 0, 9.0]])
    found = {e.feature: e for e in effects(sample, fits, NAMES, strengths, 10, seed=1)}
    assert (found["f0"].partner, found["f0"].partner_strength) == ("f2", 3.0)
    assert (found["f1"].partner, found["f1"].partner_strength) == ("f0", 1.0)
    assert found["f3"].partner == ""
    assert np.isnan(found["f3"].partner_strength)
    assert strengths[0, 0] == 9


def test_few_blocks_give_an_effect_without_bounds() -> None:
    sample, fits = make_folds(draw, mixed, folds=1, sessions=6, rounds=5)
    (effect,) = effects(sample, fits, ("f0",), NONE, 63, seed=1)
    assert np.isfinite(effect.effect).all()
    assert np.isnan(effect.low).all() and np.isnan(effect.high).all()


def test_blocks_are_cut_by_session_and_follow_the_seed() -> None:
    sample, fits = make_folds(draw, mixed, sessions=60, rounds=5)

    def run(block: int, seed: int) -> Effect:
        return effects(sample, fits, ("f0",), NONE, block, seed=seed)[0]

    assert repr(run(10, 1)) == repr(run(10, 1))
    assert run(10, 1).low != run(10, 2).low
    assert np.isnan(run(31, 1).low).all()
    assert np.isfinite(run(24, 1).low).all()


def test_the_records_lengths_agree() -> None:
    sample, fits = make_folds(draw, mixed, sessions=60, rounds=5)
    for effect in effects(sample, fits, NAMES, NONE, 10, seed=1):
        sizes = {len(effect.edges), len(effect.effect), len(effect.low), len(effect.high)}
        assert sizes == {len(effect.rows) + 1}
        assert len(effect.rows) <= 20
        assert list(effect.edges) == sorted(set(effect.edges))
    (whole,) = effects(sample, fits, ("f2",), NONE, 10, seed=1)
    assert whole.edges == (0.0, 1.0, 2.0)
