"""Ratings of a date, and the returns that followed them."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation.ratings import rate, rating_returns
from src.v2.evaluation.significance import ewc_interval
from src.v2.modeling.labels import RATING_CLASSES
from src.v2.tests.synthetic import weekdays


def _table(dates: int = 60, tickers: int = 23, seed: int = 0, signal: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=dates * tickers).round(1)
    market = np.repeat(rng.normal(0, 0.05, dates), tickers)
    return pl.DataFrame(
        {
            "date": [day for day in weekdays(dates) for _ in range(tickers)],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * dates,
            "score": score,
            "forward_return": signal * score + market + rng.normal(0, 0.1, len(score)),
        }
    )


def _by_hand(scores: list[float]) -> list[str | None]:
    if len(scores) < 10 or min(scores) == max(scores):
        return [None] * len(scores)
    ranks = stats.rankdata(scores)
    return [RATING_CLASSES[int((10 * rank - 5) // (2 * len(scores)))] for rank in ranks]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12).map(float), min_size=1, max_size=60))
def test_a_rating_is_the_fifth_of_the_average_rank(scores: list[float]) -> None:
    assert rate(scores) == _by_hand(scores)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=10, max_size=40), st.randoms())
def test_a_rating_depends_on_the_order_of_scores_alone(scores: list[float], random: object) -> None:
    ratings = rate(scores)
    order = np.argsort(scores, kind="stable")[::-1]
    assert rate([scores[place] for place in order]) == [ratings[place] for place in order]
    codes = [RATING_CLASSES.index(name) for name in ratings if name is not None]
    if codes:
        assert all(np.diff(np.array(codes)[np.argsort(scores, kind="stable")]) >= 0)


def test_fifths_are_equally_large() -> None:
    got = rate(np.random.default_rng(0).permutation(50).tolist())
    assert {name: got.count(name) for name in RATING_CLASSES} == dict.fromkeys(RATING_CLASSES, 10)


def test_nine_scores_or_equal_scores_rate_nobody() -> None:
    assert rate(list(range(9))) == [None] * 9
    assert rate([0.5] * 30) == [None] * 30
    assert rate([]) == []
    assert None not in rate([0.5] * 29 + [0.6])


def test_returns_are_those_of_the_ratings_that_a_date_gives() -> None:
    table = _table()
    daily: dict[str, list[float]] = {name: [] for name in RATING_CLASSES}
    rows = dict.fromkeys(RATING_CLASSES, 0)
    for _, day in table.group_by("date", maintain_order=True):
        future = day["forward_return"].to_numpy()
        names = np.array(rate(day["score"]))
        for name in RATING_CLASSES:
            rows[name] += int((names == name).sum())
            if (names == name).any():
                daily[name].append(float(future[names == name].mean() - future.mean()))
    got = rating_returns(table.sample(fraction=1.0, shuffle=True, seed=1), 4)
    assert [part.name for part in got] == list(RATING_CLASSES)
    for part in got:
        expected = ewc_interval(np.array(daily[part.name]), 4)
        assert part.rows == rows[part.name]
        assert part.excess.mean == pytest.approx(expected.mean)
        assert part.excess.low == pytest.approx(expected.low)
        assert part.excess.windows == expected.windows
    assert sum(part.rows for part in got) == table.height


def test_a_planted_signal_rises_from_rating_to_rating_and_noise_does_not() -> None:
    means = [part.excess.mean for part in rating_returns(_table(signal=0.05), 2)]
    assert means == sorted(means)
    assert means[0] < -0.05 and means[-1] > 0.05
    for part in rating_returns(_table(dates=200), 2):
        assert part.excess.low < 0 < part.excess.high


def test_a_ticker_that_stopped_trading_is_rated_but_not_counted() -> None:
    table = _table(tickers=24)
    ended = pl.col("ticker") == "T05"
    gone = table.with_columns(forward_return=pl.when(~ended).then("forward_return"))
    got = rating_returns(gone, 4)
    day = gone.filter(pl.col("date") == gone["date"][0])
    names = np.array(rate(day["score"]))
    known = day["forward_return"].is_not_null().to_numpy()
    one = rating_returns(day, 4)
    future = day["forward_return"].to_numpy()
    for part in one:
        inside = known & (names == part.name)
        assert part.rows == inside.sum()
        assert part.excess.mean == pytest.approx(future[inside].mean() - np.nanmean(future))
    assert sum(part.rows for part in got) == 60 * 23


def test_a_date_of_equal_scores_or_few_tickers_rates_nobody() -> None:
    table = _table(dates=20)
    dates = table["date"].unique().sort()
    flat = pl.when(pl.col("date") == dates[3]).then(0.0).otherwise("score").alias("score")
    thin = (pl.col("date") != dates[5]) | (pl.col("ticker") < "T09")
    got = rating_returns(table.with_columns(flat).filter(thin), 1)
    rest = rating_returns(table.filter(~pl.col("date").is_in([dates[3], dates[5]])), 1)
    assert got == rest
    nobody = rating_returns(table.with_columns(score=pl.lit(1.0)), 2)
    assert [part.rows for part in nobody] == [0] * 5
    assert all(math.isnan(part.excess.mean) for part in nobody)


def test_below_twenty_tickers_no_rating_is_judged() -> None:
    assert rating_returns(_table(tickers=19), 2) == ()
    assert len(rating_returns(_table(tickers=20), 2)) == 5
