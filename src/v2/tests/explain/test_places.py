"""Where a value stands, against slow counting and in words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from src.v2.explain.places import daily_values, place_words, places, shared_features

Array = np.ndarray[Any, Any]

GRID = st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("nan")])
TABLES = npst.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=GRID, unique=False
)


def _slow(value: float, others: list[float]) -> tuple[float, float]:
    """Place and tied share by counting."""
    known = [other for other in others if other == other]
    if value != value or not known:
        return float("nan"), float("nan")
    smaller = sum(other < value for other in known)
    equal = sum(other == value for other in known)
    return (smaller + equal / 2) / len(known), equal / len(known)


@given(TABLES, st.data())
def test_places_are_those_of_counting(table: Array, data: st.DataObject) -> None:
    shared = data.draw(npst.arrays(np.bool_, table.shape[1]))
    shape = (data.draw(st.integers(0, 5)), int(shared.sum()))
    earlier = data.draw(npst.arrays(np.float32, shape, elements=GRID))
    found = places(table, table, earlier, shared)
    column = 0
    for number in range(table.shape[1]):
        others = earlier[:, column] if shared[number] else table[:, number]
        column += int(shared[number])
        for row, value in enumerate(table[:, number].tolist()):
            expected = _slow(value, others.tolist())
            got = float(found.place[row, number]), float(found.tied[row, number])
            assert got == pytest.approx(expected, nan_ok=True)


def test_a_place_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).integers(0, 30, 200).astype(float)[:, None]
    found = places(values, values, np.empty((0, 0)), np.array([False])).place[:, 0]
    expected = [
        stats.percentileofscore(values[:, 0], value, "mean") / 100 for value in values[:, 0]
    ]
    np.testing.assert_allclose(found, expected)


def test_features_of_the_market_are_shared_and_those_of_tickers_are_not() -> None:
    rng = np.random.default_rng(2)
    session = np.repeat(np.arange(100), 5)
    market = rng.normal(size=100)[session]
    own = rng.normal(size=500)
    holes = np.where(rng.random(500) < 0.3, np.nan, market)
    late = np.where(session < 90, np.nan, own)
    ticker = np.tile(np.arange(5.0), 100)
    nothing = np.full(500, np.nan)
    table = np.column_stack([market, own, holes, late, ticker, nothing])
    found = shared_features(table, session)
    assert found.tolist() == [True, False, True, False, False, True]
    daily = daily_values(table, session, found)
    np.testing.assert_array_equal(daily[:, 0], market[::5])
    assert daily.shape == (100, 3)
    there = ~np.isnan(daily[:, 1])
    np.testing.assert_array_equal(daily[there, 1], market[::5][there])


def test_of_a_single_ticker_every_feature_is_compared_with_earlier_dates() -> None:
    table = np.random.default_rng(3).normal(size=(50, 3))
    session = np.arange(50)
    shared = shared_features(table, session)
    assert shared.all()
    daily = daily_values(table, session, shared)
    found = places(table[-1:], table[-1:], daily[:-1], shared)
    np.testing.assert_allclose(found.place[0], (table[:-1] < table[-1]).mean(axis=0))
    assert found.words(0, 0).endswith("of earlier dates")


SAID = {
    (0.995, 0.01, 100, False): "in the top 1% of the market",
    (0.98, 0.01, 100, False): "in the top 5% of the market",
    (0.93, 0.01, 100, False): "in the top 10% of the market",
    (0.705, 0.01, 100, False): "above 70% of the market",
    (0.52, 0.01, 100, False): "near the middle of the market",
    (0.295, 0.01, 100, False): "below 70% of the market",
    (0.07, 0.01, 100, False): "in the lowest 10% of the market",
    (0.005, 0.01, 100, False): "in the lowest 1% of the market",
    (0.975, 0.05, 20, False): "in the top 5% of the market",
    (0.925, 0.05, 20, False): "in the top 10% of the market",
    (0.75, 0.5, 100, False): "level with 50% of the market, above the rest",
    (0.25, 0.5, 100, False): "level with 50% of the market, below the rest",
    (0.5, 0.4, 100, False): "level with 40% of the market, above 30%",
    (0.5, 1.0, 100, False): "the same for the whole market",
    (0.9, 0.2, 5, False): "the highest of 5 tickers",
    (0.7, 0.2, 5, False): "the 2nd highest of 5 tickers",
    (0.5, 0.2, 5, False): "the 3rd highest of 5 tickers",
    (0.3, 0.2, 5, False): "the 2nd lowest of 5 tickers",
    (0.8, 0.4, 5, False): "the joint highest of 5 tickers",
    (0.5, 1.0, 5, False): "the same for all 5 tickers",
    (0.5, 1.0, 1, False): "known for no other ticker",
    (0.92, 0.0, 2500, True): "higher than on 92% of earlier dates",
    (0.08, 0.0, 2500, True): "lower than on 92% of earlier dates",
    (1.0, 0.0, 2500, True): "higher than on all earlier dates",
    (0.9999, 0.0, 9000, True): "higher than on 99% of earlier dates",
    (0.51, 0.0, 2500, True): "near its median over earlier dates",
    (0.6, 0.2, 2500, True): "the same as on 20% of earlier dates, higher than on 50%",
    (0.1, 0.2, 2500, True): "the same as on 20% of earlier dates, lower than on the rest",
    (0.5, 1.0, 2500, True): "the same as on all earlier dates",
    (float("nan"), float("nan"), 0, True): "with nothing to compare",
}


@pytest.mark.parametrize("case", SAID)
def test_a_place_in_words(case: tuple[float, float, int, bool]) -> None:
    place, tied, compared, shared = case
    assert place_words(place, tied, compared, shared=shared) == SAID[case]


@given(st.lists(st.integers(0, 40), min_size=20, max_size=40))
def test_what_the_words_say_of_the_others_is_true(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=float)[:, None]
    found = places(values, values, np.empty((0, 0)), np.array([False]))
    n = len(numbers)
    for row, value in enumerate(numbers):
        words = found.words(row, 0)
        below, above = (sum(o < value for o in numbers), sum(o > value for o in numbers))
        if match := re.search(r"top (\d+)%", words):
            assert n - below <= int(match[1]) / 100 * n + 1e-9
        elif match := re.search(r"lowest (\d+)%", words):
            assert n - above <= int(match[1]) / 100 * n + 1e-9
        elif match := re.search(r"above (\d+)%", words):
            assert below / n == pytest.approx(int(match[1]) / 100, abs=0.0051)
        elif match := re.search(r"below (\d+)%", words):
            assert above / n == pytest.approx(int(match[1]) / 100, abs=0.0051)
        elif "middle" in words:
            assert abs(below - above) < 0.1 * n + 1e-9
        else:
            assert "the rest" in words or "whole market" in words
