"""Fifths of the ranking and its memory, against plain loops."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation.quantiles import (
    LAGS,
    daily_quantiles,
    quantile_paths,
    quantile_returns,
    ranking_memory,
)
from src.v2.evaluation.ratings import rate, rating_returns
from src.v2.modeling.labels import RATING_CLASSES
from src.v2.tests.synthetic import weekdays


def _table(dates: int = 70, tickers: int = 23, seed: int = 0, keep: float = 0.0) -> pl.DataFrame:
    """Scores that keep a share of the day before; the second fold begins at date 40."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(dates, tickers))
    for day in range(1, dates):
        score[day] = keep * score[day - 1] + (1 - keep**2) ** 0.5 * score[day]
    return pl.DataFrame(
        {
            "date": [day for day in weekdays(dates) for _ in range(tickers)],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * dates,
            "fold": np.repeat(1 + (np.arange(dates) >= 40), tickers).astype(np.int32),
            "score": score.ravel().round(1),
            "forward_return": 0.02 * score.ravel() + rng.normal(0, 0.1, dates * tickers),
        }
    )


def _holes(table: pl.DataFrame) -> pl.DataFrame:
    """Let a ticker end without a return, one begin late, and give one date equal scores."""
    dates = table["date"].unique().sort()
    ended = (pl.col("ticker") == "T05") & (pl.col("date") > dates[20])
    late = (pl.col("ticker") == "T07") & (pl.col("date") < dates[30])
    flat = pl.col("date") == dates[10]
    return table.filter(~late & ~(ended & (pl.col("date") > dates[45]))).with_columns(
        forward_return=pl.when(~ended).then("forward_return"),
        score=pl.when(flat).then(0.5).otherwise("score"),
    )


def test_fifths_say_what_the_ratings_say() -> None:
    table = _holes(_table())
    daily = daily_quantiles(table.sample(fraction=1.0, shuffle=True, seed=1))
    got = quantile_returns(daily, 4)
    assert [each.quantile for each in got] == [1, 2, 3, 4, 5]
    for each, rating in zip(got, rating_returns(table, 4), strict=True):
        assert (each.rows, each.excess.windows) == (rating.rows, rating.excess.windows)
        assert each.excess.mean == pytest.approx(rating.excess.mean)
        assert each.excess.low == pytest.approx(rating.excess.low)
    assert got[0].excess.mean < 0 < got[-1].excess.mean


def test_paths_sum_the_excess_of_each_date_by_its_share_of_the_horizon() -> None:
    table = _holes(_table())
    paths = quantile_paths(daily_quantiles(table), 4)
    sums = np.zeros(5)
    rows = []
    for (date,), day in table.group_by("date", maintain_order=True):
        names = np.array(rate(day["score"]))
        future = day["forward_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        if names[0] is None:
            continue
        for place, name in enumerate(RATING_CLASSES):
            inside = future[(names == name) & np.isfinite(future)]
            sums[place] += (inside.mean() - np.nanmean(future)) / 4 if len(inside) else 0
        rows.append((date, *sums))
    assert paths.columns == ["date", "q1", "q2", "q3", "q4", "q5"]
    assert paths["date"].to_list() == [row[0] for row in rows]
    assert paths.drop("date").to_numpy() == pytest.approx(np.array([row[1:] for row in rows]))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_fifths_of_equal_size_add_up_to_nothing_whatever_the_scores(fold: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tickers = 5 * (fold + 1)
    days = weekdays(6)
    table = pl.DataFrame(
        {
            "date": [day for day in days for _ in range(tickers)],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * 6,
            "score": np.concatenate([rng.permutation(tickers) for _ in range(6)]).astype(float),
            "forward_return": rng.normal(size=6 * tickers),
        }
    )
    paths = quantile_paths(daily_quantiles(table), 3).drop("date").to_numpy()
    assert np.abs(paths.sum(axis=1)).max() < 1e-12


def _slow_memory(table: pl.DataFrame, lag: int) -> tuple[float, float]:
    days = {
        date: dict(day.select("ticker", "score").iter_rows())
        for (date,), day in table.group_by("date", maintain_order=True)
    }
    tops = {
        date: {name for name, rating in zip(day, ratings, strict=True) if rating == "Strong Buy"}
        for date, day in days.items()
        if (ratings := rate(list(day.values())))[0] is not None
    }
    fold = dict(table.select("date", "fold").iter_rows())
    dates = sorted(days)
    alike, left = [], []
    for before, after in zip(dates[:-lag], dates[lag:], strict=True):
        if fold[before] != fold[after]:
            continue
        both = sorted(days[before].keys() & days[after].keys())
        first, second = ([days[date][name] for name in both] for date in (before, after))
        flat = len(set(first)) == 1 or len(set(second)) == 1
        alike.append(0.0 if flat else stats.spearmanr(first, second)[0])
        if before in tops and after in tops:
            left.append(len(tops[before] - tops[after]) / len(tops[before]))
    return float(np.mean(alike)), float(np.mean(left))


def test_memory_is_that_of_a_plain_loop_and_stops_at_the_border_of_a_fold() -> None:
    table = _holes(_table(keep=0.9))
    got = ranking_memory(table.sample(fraction=1.0, shuffle=True, seed=1))
    assert tuple(each.sessions for each in got) == LAGS
    for each in got[:3]:
        alike, left = _slow_memory(table, each.sessions)
        assert each.autocorrelation == pytest.approx(alike)
        assert each.leavers == pytest.approx(left)
    # Neither fold holds two dates 63 sessions apart.
    assert np.isnan(got[3].autocorrelation) and np.isnan(got[3].leavers)
    values = [each.autocorrelation for each in got[:3]]
    assert values == sorted(values, reverse=True) and values[0] > 0.7


def test_a_ranking_that_never_changes_keeps_everybody_and_noise_keeps_a_fifth() -> None:
    table = _table(dates=140, tickers=50).with_columns(fold=pl.lit(1))
    fixed = table.with_columns(score=pl.col("ticker").rank("dense").cast(pl.Float64))
    for each in ranking_memory(fixed):
        assert each.autocorrelation == pytest.approx(1.0)
        assert each.leavers == 0
    for each in ranking_memory(table):
        assert abs(each.autocorrelation) < 0.06
        assert each.leavers == pytest.approx(0.8, abs=0.05)


def test_a_ticker_of_the_top_that_is_gone_has_left() -> None:
    table = _table(dates=2, tickers=20).with_columns(
        score=pl.col("ticker").rank("dense").cast(pl.Float64), fold=pl.lit(1)
    )
    second = pl.col("date") == table["date"].max()
    gone = table.filter(~(second & (pl.col("ticker") == "T19")))
    memory = ranking_memory(gone)[0]
    assert memory.autocorrelation == pytest.approx(1.0)
    assert memory.leavers == 0.25


def test_dates_that_cannot_be_ranked_leave_nothing() -> None:
    table = _table().with_columns(score=pl.lit(1.0))
    daily = daily_quantiles(table)
    assert daily.is_empty() and quantile_paths(daily, 4).is_empty()
    assert quantile_paths(daily, 4).columns == ["date", "q1", "q2", "q3", "q4", "q5"]
    assert all(each.rows == 0 and np.isnan(each.excess.mean) for each in quantile_returns(daily, 4))
    for each in ranking_memory(table)[:3]:
        assert each.autocorrelation == 0 and np.isnan(each.leavers)
    assert all(np.isnan(each.autocorrelation) for each in ranking_memory(table.clear()))
    few = ranking_memory(_table(tickers=9))
    assert all(np.isnan(each.autocorrelation) and np.isnan(each.leavers) for each in few)
