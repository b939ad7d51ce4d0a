"""The permutation of ticker identity: exact, of the right size, with power."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation.grid import make_grid
from src.v2.evaluation.permutation import (
    exchange_groups,
    histogram,
    permutation_test,
    standardised_ranks,
)
from src.v2.tests.synthetic import ragged, random_walk_bars

Matrix = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]

HORIZON, LOOK_BACK = 40, 80


def _walks(seed: int, tickers: int = 24, dates: int = 240) -> tuple[Matrix, Matrix]:
    """Momentum of a random walk, persistent over dates, and its overlapping forward return."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(LOOK_BACK + dates + HORIZON, tickers)) + rng.normal(
        size=(LOOK_BACK + dates + HORIZON, 1)
    )
    level = np.cumsum(steps, axis=0)
    now = slice(LOOK_BACK, LOOK_BACK + dates)
    scores = level[now] - level[:dates]
    returns = level[LOOK_BACK + HORIZON :] - level[now]
    return scores, returns


def _rejections(
    seeds: int, masked: Present | None = None, signal: float = 0.0, tickers: int = 24
) -> int:
    count = 0
    for seed in range(seeds):
        scores, returns = _walks(seed, tickers)
        scores = scores + signal * returns
        if masked is not None:
            scores = np.where(masked, scores, np.nan)
        count += permutation_test(scores, returns, 199, seed).p <= 0.05
    return count


def _slow_rank_correlation(scores: Matrix, returns: Matrix) -> float:
    daily = []
    for day in range(len(scores)):
        both = np.isfinite(scores[day]) & np.isfinite(returns[day])
        if both.sum() >= 10:
            daily.append(stats.spearmanr(scores[day, both], returns[day, both])[0])
    return float(np.mean(daily))


def _pairs(seed: int) -> tuple[Matrix, Matrix]:
    """Ten pairs of tickers; each has its own dates, and one of every second pair one less."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(60, 20))
    scores = np.round(0.15 * returns + rng.normal(size=(60, 20)), 1)
    for pair in range(10):
        scores[5 * pair : 5 * pair + 5, [pair, pair + 10]] = np.nan
        if pair % 2:
            returns[55, pair] = np.nan
    return scores, returns


def test_statistic_is_the_mean_daily_rank_correlation() -> None:
    rng = np.random.default_rng(0)
    scores, returns = rng.normal(size=(2, 40, 15)).round(1)
    scores[rng.random((40, 15)) < 0.2] = np.nan
    returns[rng.random((40, 15)) < 0.1] = np.nan
    # Too few tickers, and therefore no date.
    scores[3, 5:] = np.nan
    got = permutation_test(scores, returns, 10, 0)
    assert got.statistic == pytest.approx(_slow_rank_correlation(scores, returns))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_p_agrees_with_every_exchange_of_ten_pairs(seed: int) -> None:
    scores, returns = _pairs(seed)
    present = np.isfinite(scores) & np.isfinite(returns)
    ranked = []
    for values in (scores, returns):
        table = np.zeros_like(values)
        for day in range(60):
            ranks = stats.rankdata(values[day, present[day]])
            table[day, present[day]] = stats.zscore(ranks) / np.sqrt(len(ranks))
        ranked.append(table)
    statistics = []
    for swaps in product([False, True], repeat=10):
        order = np.arange(20)
        for pair in np.flatnonzero(swaps):
            order[[pair, pair + 10]] = [pair + 10, pair]
        statistics.append((ranked[0][:, order] * ranked[1]).sum() / 60)
    exact = np.mean(np.array(statistics) >= statistics[0] - 1e-9)
    got = permutation_test(scores, returns, 40_000, seed)
    assert got.exchangeable == 20
    assert got.statistic == pytest.approx(statistics[0])
    assert got.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000))


def test_size_is_as_stated_for_persistent_scores_and_overlapping_returns() -> None:
    low, high = stats.binom.ppf([0.001, 0.999], 500, 0.05)
    assert low <= _rejections(500) <= high


def test_permuting_within_each_date_would_reject_a_true_null_far_too_often() -> None:
    rejected = 0
    for seed in range(60):
        scores, returns = _walks(seed)
        everywhere = np.ones(scores.shape, dtype=np.bool_)
        scored, came = (standardised_ranks(each, everywhere) for each in (scores, returns))
        rng = np.random.default_rng(seed)
        mixed = [(rng.permuted(scored, axis=1) * came).sum() for _ in range(39)]
        reached = np.sum(np.array(mixed) >= (scored * came).sum())
        rejected += bool(1 + reached <= 2)
    assert rejected > 15


def test_size_is_as_stated_on_a_ragged_panel() -> None:
    bars = ragged(random_walk_bars(60, 240))
    present = np.isfinite(make_grid(bars, ["close"]).values["close"])
    groups = exchange_groups(present)
    assert 12 <= sum(len(group) for group in groups) < 40
    low, high = stats.binom.ppf([0.001, 0.999], 300, 0.05)
    assert low <= _rejections(300, present, tickers=60) <= high


def test_size_is_as_stated_with_cohorts_of_nearly_equal_coverage() -> None:
    present = np.ones((240, 30), dtype=np.bool_)
    present[:100, 10:20] = False
    present[180:, 20:] = False
    # One missing session a ticker: of 140 dates or more two such tickers differ on 1.4%.
    present[np.arange(30) + 120, np.arange(30)] = False
    assert sorted(len(group) for group in exchange_groups(present)) == [10, 10, 10]
    low, high = stats.binom.ppf([0.001, 0.999], 400, 0.05)
    assert low <= _rejections(400, present, tickers=30) <= high


def test_a_planted_signal_is_found() -> None:
    assert _rejections(40, signal=1.0) >= 38


def test_scores_against_the_returns_give_a_large_p() -> None:
    scores, returns = _walks(0)
    assert permutation_test(scores - returns, returns, 199, 0).p > 0.95


def test_the_order_of_the_tickers_does_not_matter() -> None:
    for seed in range(5):
        scores, returns = _walks(seed)
        scores[:60, ::3] = np.nan
        scores[np.arange(24) + 100, np.arange(24)] = np.nan
        order = np.random.default_rng(seed).permutation(24)
        plain = permutation_test(scores, returns, 199, 7)
        assert plain == permutation_test(scores[:, order], returns[:, order], 199, 7)
        assert plain.exchangeable == 24


def test_another_seed_draws_other_permutations() -> None:
    scores, returns = _walks(2)
    drawn = {permutation_test(scores, returns, 999, seed).p for seed in range(4)}
    assert len(drawn) > 1
    assert max(drawn) - min(drawn) < 0.1


def test_p_is_never_zero() -> None:
    returns = np.random.default_rng(0).normal(size=(30, 20))
    assert permutation_test(returns, returns, 99, 0).p == 1 / 100


def test_scores_that_are_all_the_same_are_reached_by_every_permutation() -> None:
    _, returns = _walks(0)
    got = permutation_test(np.ones_like(returns), returns, 99, 0)
    assert (got.statistic, got.p) == (0.0, 1.0)


def test_too_few_tickers_of_equal_coverage_give_no_p() -> None:
    scores, returns = np.random.default_rng(0).normal(size=(2, 100, 12))
    for ticker in range(3):
        scores[10 * ticker : 10 * ticker + 10, ticker] = np.nan
    got = permutation_test(scores, returns, 99, 0)
    assert (got.exchangeable, got.permutations) == (9, 0)
    assert np.isnan(got.p) and np.isfinite(got.statistic)
    scores[:10, 1] = scores[10:20, 1] = scores[:10, 0]
    scores[10:20, 1] = 0.0
    assert permutation_test(scores, returns, 99, 0).exchangeable == 11


@pytest.mark.parametrize("shape", [(0, 0), (5, 9), (0, 20)])
def test_without_dates_there_is_no_test(shape: tuple[int, int]) -> None:
    got = permutation_test(np.ones(shape), np.ones(shape), 99, 0)
    assert np.isnan(got.statistic) and np.isnan(got.p)
    assert (got.permutations, got.exchangeable) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 8), st.integers(92, 100), st.sets(st.integers(10, 90), max_size=3)
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_groups_hold_tickers_of_about_equal_coverage_in_any_order(
    listings: list[tuple[int, int, set[int]]], draw: object
) -> None:
    days = [frozenset(range(start, stop)) - gaps for start, stop, gaps in listings]
    present = np.array([[day in own for own in days] for day in range(100)])
    groups = exchange_groups(present)
    found = {frozenset(group.tolist()) for group in groups}
    assert sum(len(group) for group in groups) == len(frozenset().union(*found))
    for group in found:
        assert len(group) >= 2
        for one in group:
            for other in group:
                assert len(days[one] ^ days[other]) <= 0.02 * len(days[one] | days[other])
    for one in range(len(days)):
        for other in range(one):
            if days[one] == days[other]:
                assert any({one, other} <= group for group in found)
    order = list(range(len(days)))
    draw.shuffle(order)  # type: ignore[attr-defined]
    again = exchange_groups(present[:, order])
    assert found == {frozenset(order[place] for place in group) for group in again}


def test_a_chain_of_small_differences_is_no_group() -> None:
    present = np.ones((100, 3), dtype=np.bool_)
    present[:2, 1] = present[:4, 2] = False
    groups = exchange_groups(present)
    assert [len(group) for group in groups] == [2]


def test_a_ticker_with_half_the_dates_is_no_match_for_one_with_all() -> None:
    present = np.ones((100, 12), dtype=np.bool_)
    present[:50, :5] = False
    assert sorted(group.tolist() for group in exchange_groups(present)) == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9, 10, 11],
    ]


def test_tickers_are_exchanged_within_their_kind_only() -> None:
    rng = np.random.default_rng(5)
    kinds = ["a"] * 6 + ["b"] * 6
    level = np.repeat([1.0, -1.0], 6)
    scores = rng.normal(size=(60, 12)) + 3 * level
    returns = rng.normal(size=(60, 12)) + 3 * level
    # All of the skill is the sector's: exchanged freely it is, and within sectors it is not.
    assert permutation_test(scores, returns, 999, 0).p < 0.01
    within = permutation_test(scores, returns, 999, 0, kinds)
    assert within.p > 0.05 and within.exchangeable == 12
    few = permutation_test(scores, returns, 999, 0, [str(n // 2) for n in range(12)])
    assert few.exchangeable == 12 and few.p > 0.01
    assert np.isnan(permutation_test(scores, returns, 999, 0, [str(n) for n in range(12)]).p)


def test_the_histogram_holds_every_draw_and_shows_the_p_value() -> None:
    scores, returns = _walks(3)
    got = permutation_test(scores, returns, 4_000, 1)
    assert len(got.null) == 40
    assert sum(each.count for each in got.null) == got.permutations == 4_000
    for before, after in pairwise(got.null):
        assert before.high == after.low
        assert after.high - after.low == pytest.approx(before.high - before.low)
    above = sum(each.count for each in got.null if each.low >= got.statistic)
    around = sum(each.count for each in got.null if each.high >= got.statistic)
    assert above <= got.p * 4_001 - 1 <= around
    middle = sum(each.count * (each.low + each.high) / 2 for each in got.null) / 4_000
    width = got.null[0].high - got.null[0].low
    assert abs(middle) < 0.02 + width / 2


def test_the_histogram_depends_on_neither_the_order_of_tickers_nor_the_last_bits() -> None:
    scores, returns = _walks(4)
    order = np.random.default_rng(0).permutation(24)
    got = permutation_test(scores, returns, 500, 1)
    assert got.null == permutation_test(scores[:, order], returns[:, order], 500, 1).null
    draws = np.random.default_rng(1).normal(size=300)
    assert histogram(draws) == histogram(draws * (1 + 1e-15))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=50))
def test_no_draw_is_lost_whatever_the_draws(draws: list[float]) -> None:
    bins = histogram(np.array(draws))
    assert sum(each.count for each in bins) == len(draws)
    assert len(bins) == (40 if draws else 0)
    for each in bins:
        assert each.low < each.high


def test_without_a_test_there_is_no_histogram() -> None:
    scores, returns = _walks(0, tickers=9)
    assert permutation_test(scores, returns, 100, 0).null == ()
    assert permutation_test(scores[:0], returns[:0], 100, 0).null == ()
    scores, returns = _walks(0)
    assert permutation_test(scores, returns, 0, 0).null == ()
