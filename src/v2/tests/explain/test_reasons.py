"""Reasons in words: which are given, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from src.v2.explain.places import places
from src.v2.explain.reasons import reason_rows, strongest, write_reason

Array = np.ndarray[Any, Any]

DOCS = {
    "return_60": "simple return over 60 sessions (fraction)",
    "rsi_14": "relative strength index of 14 sessions, Wilder's smoothing, 0 to 1",
    "market_volatility_20": "annual deviation of the market's daily returns, 20 sessions",
    "day_of_week": "1 Monday to 5 Friday",
}
NAMES = tuple(DOCS)
SHARED = np.array([False, False, True, True])


def _date(tickers: int = 100) -> tuple[Array, Array]:
    """Make the features of a date, and what they contribute."""
    rng = np.random.default_rng(4)
    values = np.column_stack(
        [np.arange(tickers), rng.random(tickers), np.full(tickers, 0.3), np.full(tickers, 2)]
    ).astype(np.float32)
    values[3, 1] = np.nan
    return values, rng.normal(0, 0.01, (tickers, 4))


def test_reasons_read_like_those_of_a_person() -> None:
    values, contributions = _date()
    contributions[3] = [-0.0012, 0.0003, 0.0, 0.00019]
    contributions[99] = [0.008, 0.0, -0.0012, 0.0]
    earlier = np.column_stack([np.linspace(0, 0.32, 1000), np.ones(1000)]).astype(np.float32)
    where = places(values, values, earlier, SHARED)
    rows = reason_rows(values, contributions, where, NAMES, DOCS, "excess return", 3)
    assert rows[3] == [
        "Return of 60 sessions in the lowest 5% of the market: -0.12%",
        "RSI of 14 sessions missing: +0.03%",
        "Decided on a Tuesday: +0.02%",
    ]
    assert rows[99] == [
        "Return of 60 sessions in the top 1% of the market: +0.80%",
        "Market volatility of 20 sessions higher than on 94% of earlier dates: -0.12%",
    ]


def test_a_unit_stands_behind_log_odds() -> None:
    words = write_reason(
        "beta of 60 sessions", "", 1.0, "the highest of 5 tickers", -0.02, "log-odds"
    )
    assert words == "Beta of 60 sessions, the highest of 5 tickers: -0.020 log-odds"


def test_no_reason_says_what_the_stock_will_do() -> None:
    values, contributions = _date()
    where = places(values, values, np.empty((0, 2), dtype=np.float32), SHARED)
    rows = reason_rows(values, contributions, where, NAMES, DOCS, "excess return", 4)
    said = " ".join(reason for row in rows for reason in row).lower()
    assert not any(word in said.split() for word in ("will", "because", "rise", "rises", "buy"))


@given(
    npst.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.floats(-1, 1, width=32),
    ),
    st.integers(1, 10),
)
def test_the_strongest_are_those_of_sorting_each_row(table: Array, count: int) -> None:
    found = strongest(table, count)
    for row, columns in zip(table.tolist(), found.tolist(), strict=True):
        expected = sorted(range(len(row)), key=lambda column: (-abs(row[column]), column))
        assert columns == expected[:count]


def test_a_model_that_knows_nothing_gives_no_reason() -> None:
    values, contributions = _date()
    where = places(values, values, np.empty((0, 2), dtype=np.float32), SHARED)
    rows = reason_rows(values, 0 * contributions, where, NAMES, DOCS, "excess return", 3)
    assert rows == [[]] * 100


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_row_is_explained_as_if_it_stood_alone(count: int) -> None:
    values, contributions = _date()
    earlier = np.random.default_rng(5).random((50, 2)).astype(np.float32)
    where = places(values, values, earlier, SHARED)
    rows = reason_rows(values, contributions, where, NAMES, DOCS, "excess return", count)
    for row in (0, 3, 50, 99):
        one = slice(row, row + 1)
        alone = places(values[one], values, earlier, SHARED)
        single = reason_rows(
            values[one], contributions[one], alone, NAMES, DOCS, "excess return", count
        )
        assert single == [rows[row]]
        assert len(rows[row]) == count
