"""States of the market against a plain loop, and what they may not read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.v2.evaluation.regimes import REGIMES, WINDOW, market_regimes
from src.v2.tests.synthetic import ragged, random_walk_bars


def _slow_volatility(closes: pl.DataFrame) -> dict[object, float]:
    """Annual volatility by date, ticker by ticker and date by date."""
    returns: dict[object, list[float]] = {}
    for _, bars in closes.sort("date").group_by("ticker"):
        prices = bars["close"].to_list()
        for place, date in enumerate(bars["date"].to_list()):
            if place:
                returns.setdefault(date, []).append(prices[place] / prices[place - 1] - 1)
    dates = sorted(returns, key=str)
    market = [float(np.mean(returns[date])) for date in dates]
    return {
        date: float(np.std(market[place - WINDOW + 1 : place + 1], ddof=1)) * 252**0.5
        for place, date in enumerate(dates)
        if place >= WINDOW - 1
    }


def test_volatility_is_that_of_a_plain_loop_over_ragged_bars() -> None:
    closes = ragged(random_walk_bars(12, 200, seed=1), seed=1)
    got = market_regimes(closes.sample(fraction=1.0, shuffle=True, seed=3), closes["date"])
    expected = _slow_volatility(closes)
    assert got["date"].to_list() == closes["date"].unique().sort().to_list()
    assert got["volatility"].null_count() == got.height - len(expected) == WINDOW
    for date, volatility, _ in got.drop_nulls().iter_rows():
        assert volatility == pytest.approx(expected[date])


def test_later_closes_change_no_earlier_volatility() -> None:
    closes = random_walk_bars(8, 160, seed=2)
    dates = closes["date"].unique().sort()
    cut = closes.filter(pl.col("date") <= dates[120])
    got, whole = (market_regimes(each, dates[:121])["volatility"] for each in (cut, closes))
    assert got.equals(whole)


def test_regimes_are_thirds_of_the_dates_given_by_rising_volatility() -> None:
    closes = random_walk_bars(8, 400, seed=3)
    dates = closes["date"].unique().sort()[100:310:1]
    got = market_regimes(closes, pl.concat([dates, dates[:50]]))
    assert got.height == 210
    assert got.group_by("regime").len().sort("regime")["len"].to_list() == [70, 70, 70]
    bounds = [
        (part["volatility"].min(), part["volatility"].max())
        for part in (got.filter(pl.col("regime") == name) for name in REGIMES)
    ]
    flat = [bound for pair in bounds for bound in pair]
    assert flat == sorted(flat, key=float)  # type: ignore[arg-type]


def test_a_wild_stretch_is_stormy_and_the_rest_is_not() -> None:
    closes = random_walk_bars(8, 400, seed=4).sort("ticker", "date")
    dates = closes["date"].unique().sort()
    inside = pl.col("date").is_between(dates[200], dates[330])
    swing = pl.when(inside & (pl.col("date").rank("dense") % 2 == 0)).then(1.2).otherwise(1.0)
    got = market_regimes(closes.with_columns(pl.col("close") * swing), dates)
    stormy = got.filter(pl.col("regime") == "stormy")["date"]
    assert stormy.min() >= dates[200]
    assert stormy.max() <= dates[330 + WINDOW]


def test_equal_volatilities_share_the_middle_and_unknown_dates_have_none() -> None:
    closes = random_walk_bars(3, 100).with_columns(close=pl.lit(10.0))
    dates = closes["date"].unique().sort()
    got = market_regimes(closes, dates)
    assert set(got["regime"][WINDOW:]) == {"middle"}
    later = pl.Series("date", [dates[-1]]).dt.offset_by("9d")
    assert market_regimes(closes, later)["regime"].to_list() == [None]
    assert market_regimes(closes, dates.clear()).is_empty()
    early = market_regimes(closes, dates[:20])
    assert early["volatility"].null_count() == early["regime"].null_count() == 20
