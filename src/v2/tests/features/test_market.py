"""Features of the market and of the calendar against slow loops."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES
from src.v2.features.inputs import market_sessions
from src.v2.features.registry import collect_features
from src.v2.tests.features import probes
from src.v2.tests.features.references import (
    ANNUAL,
    Array,
    Reference,
    change,
    columns_of,
    compare,
    correlation,
    lagged,
    mean,
    rolling,
    std,
)

FEATURES = {item.name: item for item in collect_features(FAMILIES, ["market", "calendar"])}
BARS = probes.make_bars(tickers=4, sessions=620, seed=13)
DATES: list[dt.date] = BARS["date"].unique().sort().to_list()
COLUMNS = columns_of(BARS, "T01")
Columns = dict[str, Array]
Regression = Callable[[Array, Array], float]


def regress(returns: Array, market: Array) -> tuple[float, float, Array]:
    """Fit a line by least squares: slope, start, and what is left."""
    slope, start = np.polyfit(market, returns, 1)
    return float(slope), float(start), returns - start - slope * market


def beta(returns: Array, market: Array) -> float:
    return regress(returns, market)[0]


def rest_deviation(returns: Array, market: Array) -> float:
    rest = regress(returns, market)[2]
    return math.sqrt((rest**2).sum() / (len(rest) - 1))


def residual_momentum(returns: Array, market: Array) -> float:
    start = regress(returns, market)[1]
    return start / rest_deviation(returns, market) * math.sqrt(len(returns))


def against_market(function: Regression, window: int, factor: float = 1.0) -> Reference:
    return lambda c: factor * rolling(window, function, c["return"], c["market"])


def relative_strength(window: int) -> Reference:
    def reference(c: Columns) -> Array:
        own, market = np.log1p(change(c["close"], window)), np.log1p(change(c["level"], window))
        return own - market

    return reference


def conditional(function: Callable[[Array], float], up: bool) -> Reference:
    """Apply a function to the returns of the window's sessions in a state of the market."""

    def reference(c: Columns) -> Array:
        state = lagged((c["level"] > mean(c["level"], 200)).astype(np.float64), 1)
        result = np.full(len(state), np.nan)
        for end in range(452, len(state) + 1):
            chosen = c["return"][end - 252 : end][state[end - 252 : end] == up]
            if len(chosen) >= 22:
                result[end - 1] = function(chosen)
        return result

    return reference


def annual_mean(values: Array) -> float:
    return 252 * float(values.mean())


def annual_deviation(values: Array) -> float:
    return ANNUAL * float(values.std(ddof=1))


def difference(c: Columns) -> Array:
    return conditional(annual_mean, True)(c) - conditional(annual_mean, False)(c)


def market_return(window: int) -> Reference:
    return lambda c: change(c["level"], window)


def market_volatility(window: int) -> Reference:
    return lambda c: ANNUAL * std(c["market"], window)


def of_date(function: Callable[[dt.date], float]) -> Reference:
    return lambda c: np.array([function(date) for date in DATES])


def turn_of_month(date: dt.date) -> float:
    days = calendar.monthrange(date.year, date.month)[1]
    return float(date.day <= 4 or date.day > days - 4)


def quarter_left(date: dt.date) -> float:
    month = 3 * ((date.month - 1) // 3) + 3
    end = dt.date(date.year, month, calendar.monthrange(date.year, month)[1])
    return (end - date).days / 92


MARKET: dict[str, Reference] = {
    **{f"beta_{window}": against_market(beta, window) for window in (60, 252)},
    **{f"market_correlation_{window}": against_market(correlation, window) for window in (60, 252)},
    **{
        f"idiosyncratic_volatility_{window}": against_market(rest_deviation, window, ANNUAL)
        for window in (60, 252)
    },
    **{
        f"residual_momentum_{window}": against_market(residual_momentum, window)
        for window in (60, 252)
    },
    **{f"relative_strength_{window}": relative_strength(window) for window in (60, 252)},
    "bull_return_252": conditional(annual_mean, True),
    "bear_return_252": conditional(annual_mean, False),
    "bull_volatility_252": conditional(annual_deviation, True),
    "bear_volatility_252": conditional(annual_deviation, False),
    "bull_bear_difference_252": difference,
    **{f"market_return_{window}": market_return(window) for window in (20, 60, 252)},
    **{f"market_volatility_{window}": market_volatility(window) for window in (20, 60)},
    "market_distance_200": lambda c: c["level"] / mean(c["level"], 200) - 1,
    "market_drawdown_252": lambda c: rolling(252, lambda p: p[-1] / p.max() - 1, c["level"]),
    "month_sin": of_date(lambda date: math.sin(2 * math.pi * (date.month - 1) / 12)),
    "month_cos": of_date(lambda date: math.cos(2 * math.pi * (date.month - 1) / 12)),
    "day_of_week": of_date(lambda date: float(date.isoweekday())),
    "turn_of_month": of_date(turn_of_month),
    "quarter_left": of_date(quarter_left),
}


@pytest.fixture(scope="module")
def found() -> Columns:
    table = compute_features(BARS, [FEATURES[name] for name in MARKET]).frame
    own = table.filter(pl.col("ticker") == "T01")
    return {name: own[name].to_numpy().astype(np.float64) for name in MARKET}


@pytest.mark.parametrize("name", MARKET)
def test_equals_the_slow_loop(found: Columns, name: str) -> None:
    # The calendar's zeros (sine of a whole turn) are zeros up to rounding on both sides.
    compare(found[name], MARKET[name](COLUMNS), FEATURES[name].lookback)


def test_both_states_of_the_market_occur() -> None:
    values = MARKET["bear_return_252"](COLUMNS)
    assert np.isfinite(values).any()


def test_market_features_are_the_same_for_all_tickers_of_a_date() -> None:
    shared = [item for item in FEATURES.values() if item.scope == "session"]
    frame = compute_features(probes.make_bars(3, 300, late=150, gap=200), shared).frame
    kinds = frame.group_by("date").agg(pl.exclude("ticker").n_unique())
    assert kinds.drop("date").max_horizontal().max() == 1


def test_a_market_ticker_takes_the_place_of_the_mean() -> None:
    market = BARS.filter(pl.col("ticker") == "T03").select("date", "close")
    wanted = [FEATURES["beta_60"], FEATURES["idiosyncratic_volatility_60"]]
    frame = compute_features(BARS, wanted, market).frame.filter(pl.col("ticker") == "T03")
    np.testing.assert_allclose(frame["beta_60"].drop_nulls(), 1, rtol=1e-6)
    assert frame["idiosyncratic_volatility_60"].null_count() == len(frame)


def test_sessions_that_the_market_lacks_keep_their_level() -> None:
    market = BARS.filter(pl.col("ticker") == "T03").select("date", "close")
    without = market.filter(pl.col("date") != DATES[300])
    sessions = market_sessions(BARS.sort("ticker", "date"), without)
    assert sessions["date"].to_list() == DATES
    assert sessions["market_return"][300] is None
    assert sessions["market_level"][300] == sessions["market_level"][299]
    wanted = [FEATURES["market_volatility_60"], FEATURES["day_of_week"]]
    frame = compute_features(BARS, wanted, without).frame
    assert frame.filter(pl.col("date") == DATES[300]).null_count().sum_horizontal().item() == 0
