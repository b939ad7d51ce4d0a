"""Row weights against slow references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.modeling.weights import label_uniqueness, row_weights


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 3), st.integers(0, 999))
def test_uniqueness_equals_a_plain_loop(horizon: int, lag: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ticker = rng.integers(0, 3, 60).astype(np.int32)
    bar = rng.permutation(60).astype(np.int32)
    got = label_uniqueness(ticker, bar, lag, horizon)
    for row in range(60):
        shares = []
        for day in range(bar[row] + lag + 1, bar[row] + lag + horizon + 1):
            same = ticker == ticker[row]
            alive = same & (bar + lag + 1 <= day) & (day <= bar + lag + horizon)
            shares.append(1 / alive.sum())
        assert got[row] == pytest.approx(np.mean(shares))


def test_every_date_weighs_the_same() -> None:
    session = np.array([5, 5, 5, 6, 7, 7])
    weight = row_weights(session, np.ones(6), None)
    totals = [weight[session == day].sum() for day in (5, 6, 7)]
    assert totals == pytest.approx([2.0, 2.0, 2.0])
    assert weight.mean() == pytest.approx(1.0)


def test_a_thin_date_weighs_no_more_than_half_a_usual_one_a_row() -> None:
    session = np.repeat([1, 2, 3, 4], [10, 10, 10, 1])
    weight = row_weights(session, np.ones(31), None)
    assert weight[-1] == pytest.approx(2 * weight[0])


def test_a_row_one_half_life_older_weighs_half() -> None:
    weight = row_weights(np.array([0, 50, 100]), np.ones(3), 50.0)
    assert weight[1] / weight[2] == pytest.approx(0.5)
    assert weight[0] / weight[2] == pytest.approx(0.25)
