"""Bounds of means over dates that resemble their neighbours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.explain.blocks import block_length, date_block_bounds

Array = np.ndarray[Any, Any]


def overlapping_sums(days: int, horizon: int, series: int, seed: int = 5) -> Array:
    """Sums of the next `horizon` values of white noise: (days, series), true mean 0."""
    noise = np.random.default_rng(seed).normal(size=(days + horizon, series))
    total = np.cumsum(noise, axis=0)
    return np.asarray(total[horizon:] - total[:-horizon])


def unspread(bound: float, mean: float, blocks: int) -> float:
    """Take the small-sample factor of a bound off again."""
    from scipy import stats

    factor = stats.t.ppf(0.975, blocks - 1) / stats.norm.ppf(0.975)
    return float(mean + (bound - mean) / (factor * np.sqrt(blocks / (blocks - 1))))


@pytest.mark.parametrize(("days", "blocks"), [(378, 6), (630, 10), (2016, 32)])
def test_the_true_mean_of_overlapping_sums_is_inside_19_times_of_20(days: int, blocks: int) -> None:
    values = overlapping_sums(days, 21, 1000)
    found = date_block_bounds(values, np.arange(days), block_length(22), seed=1, draws=500)
    assert found.blocks == blocks
    assert 0.91 <= np.mean((found.low <= 0) & (found.high >= 0)) <= 0.98


def test_single_dates_drawn_instead_of_blocks_claim_far_too_much() -> None:
    values = overlapping_sums(630, 21, 300)
    found = date_block_bounds(values, np.arange(630), 1, seed=1, draws=300)
    assert np.mean((found.low <= 0) & (found.high >= 0)) < 0.5


def test_tickers_of_one_date_that_move_together_are_drawn_together() -> None:
    # The same ten values on each date tell no more than one of them.
    daily = overlapping_sums(630, 21, 20)
    session = np.arange(630)
    alone = date_block_bounds(daily, session, 63, seed=1)
    tenfold = date_block_bounds(np.repeat(daily, 10, axis=0), np.repeat(session, 10), 63, seed=1)
    np.testing.assert_allclose(tenfold.low, alone.low)
    np.testing.assert_allclose(tenfold.high, alone.high)


def test_bounds_are_those_of_arch_on_the_blocks() -> None:
    bootstrap = pytest.importorskip("arch.bootstrap")
    rng = np.random.default_rng(3)
    session = np.sort(rng.integers(0, 800, 1500))
    values = rng.gamma(2.0, size=(1500, 1)) + np.sin(session / 60)[:, None]
    found = date_block_bounds(values, session, 50, seed=0, draws=8000)
    block = session // 50 - session[0] // 50
    pieces = np.array([[values[block == b].sum(), (block == b).sum()] for b in np.unique(block)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws = bootstrap.IIDBootstrap(pieces, seed=np.random.default_rng(1)).apply(
            lambda part: part[:, 0].sum() / part[:, 1].sum(), 8000
        )
    expected = np.quantile(draws, [0.025, 0.975])
    mean = float(found.mean[0])
    assert mean == pytest.approx(values.mean())
    width = expected[1] - expected[0]
    for bound, oracle in zip((found.low[0], found.high[0]), expected, strict=True):
        assert unspread(bound, mean, found.blocks) == pytest.approx(oracle, abs=0.03 * width)


def test_missing_cells_are_left_out_of_their_column_by_a_slow_loop() -> None:
    rng = np.random.default_rng(8)
    session = rng.integers(100, 400, 500)
    values = rng.normal(size=(500, 3))
    values[rng.random(values.shape) < 0.3] = np.nan
    found = date_block_bounds(values, session, 20, seed=4, draws=200)
    block = (session - session.min()) // 20
    codes = np.unique(block)
    counts = np.random.default_rng(4).multinomial(
        len(codes), np.full(len(codes), 1 / len(codes)), size=200
    )
    for column in range(3):
        means = []
        for draw in counts:
            drawn = [values[block == code, column] for code in np.repeat(codes, draw)]
            means.append(np.nanmean(np.concatenate(drawn)))
        mean = float(np.nanmean(values[:, column]))
        assert found.mean[column] == pytest.approx(mean)
        low, high = np.quantile(means, [0.025, 0.975])
        assert unspread(found.low[column], mean, len(codes)) == pytest.approx(low)
        assert unspread(found.high[column], mean, len(codes)) == pytest.approx(high)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 10))
def test_bounds_move_with_the_values_and_not_with_the_order(
    seed: int, shift: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    session = rng.integers(0, 300, 120)
    values = rng.normal(size=(120, 2))
    plain = date_block_bounds(values, session, 20, seed=1, draws=100)
    order = rng.permutation(120)
    shuffled = date_block_bounds(values[order], session[order] + 1000, 20, seed=1, draws=100)
    moved = date_block_bounds(values * scale + shift, session, 20, seed=1, draws=100)
    for name in ("mean", "low", "high"):
        before = getattr(plain, name)
        np.testing.assert_allclose(getattr(shuffled, name), before, atol=1e-9)
        np.testing.assert_allclose(getattr(moved, name), before * scale + shift, atol=1e-9)
    assert (plain.low <= plain.mean).all()
    assert (plain.mean <= plain.high).all()


def test_fewer_than_five_blocks_have_a_mean_without_bounds() -> None:
    values = np.arange(8, dtype=float).reshape(4, 2)
    found = date_block_bounds(values, np.array([0, 70, 140, 200]), 63, seed=0)
    assert found.blocks == 4
    assert found.mean.tolist() == [3.0, 4.0]
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    record = found.interval(1)
    assert (record.mean, record.windows) == (4.0, 4)
    assert np.isnan(record.low)


def test_empty_and_missing_columns_have_no_mean() -> None:
    nothing = date_block_bounds(np.zeros((0, 2)), np.zeros(0, dtype=int), 63, seed=0)
    assert nothing.blocks == 0
    assert np.isnan(nothing.mean).all()
    values = np.column_stack([np.full(700, np.nan), np.ones(700)])
    found = date_block_bounds(values, np.arange(700), 63, seed=0)
    assert np.isnan([found.mean[0], found.low[0], found.high[0]]).all()
    assert (found.mean[1], found.low[1], found.high[1]) == (1.0, 1.0, 1.0)


def test_a_value_in_few_blocks_of_many_is_bounded_without_a_warning() -> None:
    values = np.full((2000, 1), np.nan)
    values[::400] = np.arange(5.0)[:, None]
    found = date_block_bounds(values, np.arange(2000), 63, seed=0)
    assert found.low[0] < found.mean[0] == 2.0 < found.high[0]


def test_a_block_is_a_quarter_or_twice_a_label() -> None:
    assert [block_length(span) for span in (1, 21, 31, 32, 252)] == [63, 63, 63, 64, 504]
    assert [block_length(21, test) for test in (0, 62, 63, 64, 252)] == [63, 63, 63, 64, 252]


def test_sizes_that_stay_for_a_test_block_are_covered_by_blocks_of_its_length_alone() -> None:
    rng = np.random.default_rng(5)
    test, folds = 252, 12
    missed = dict.fromkeys((block_length(21), block_length(21, test)), 0)
    for seed in range(200):
        level = rng.lognormal(0, 0.5, folds).repeat(test) / np.exp(0.125)
        values = level * np.abs(rng.normal(size=len(level))) / np.sqrt(2 / np.pi)
        for length in missed:
            found = date_block_bounds(values[::4, None], np.arange(0, len(level), 4), length, seed)
            missed[length] += not found.low[0] <= 1 <= found.high[0]
    short, long = (count / 200 for count in missed.values())
    assert short > 0.2
    assert long < 0.13


def test_senseless_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        date_block_bounds(np.ones((5, 1)), np.arange(5), 0, seed=0)
    with pytest.raises(ValueError, match="5 rows"):
        date_block_bounds(np.ones((5, 1)), np.arange(4), 3, seed=0)
