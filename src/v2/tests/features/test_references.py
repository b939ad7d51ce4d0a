"""Features of closes and bars against slow loops, and the list of those without a twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES
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
    line,
    mean,
    rolling,
    std,
    worst_fall,
)
from src.v2.tests.features.test_context import CONTEXT
from src.v2.tests.features.test_cross_section import CROSS_SECTION
from src.v2.tests.features.test_market import MARKET
from src.v2.tests.features.test_talib import TALIB

FEATURES = {item.name: item for item in collect_features(FAMILIES, FAMILIES)}
BARS = probes.make_bars(tickers=2, sessions=480, seed=11)
COLUMNS = columns_of(BARS, "T01")
Columns = dict[str, Array]


def skipped(window: int) -> Reference:
    return lambda c: lagged(c["close"], 21) / lagged(c["close"], window) - 1


def over_risk(window: int, risk: int, sign: int = 1) -> Reference:
    return lambda c: sign * change(c["close"], window) / std(c["return"], risk) / window**0.5


def volatility(window: int) -> Reference:
    return lambda c: ANNUAL * std(c["return"], window)


def downside(window: int) -> Reference:
    def falls(part: Array) -> float:
        return math.sqrt(sum(min(value, 0.0) ** 2 for value in part) / len(part))

    return lambda c: ANNUAL * rolling(window, falls, c["return"])


def volatility_ratio(short: int, long: int) -> Reference:
    return lambda c: std(c["return"], short) / std(c["return"], long)


def variance_ratio(step: int, window: int) -> Reference:
    def reference(c: Columns) -> Array:
        log = np.log(c["close"])
        long = std(log - lagged(log, step), window) ** 2
        return long / (step * std(c["log_return"], window) ** 2)

    return reference


def drawdown(window: int) -> Reference:
    return lambda c: rolling(window, lambda part: part[-1] / part.max() - 1, c["close"])


def rebound(c: Columns) -> Array:
    return rolling(252, lambda part: part[-1] / part.min() - 1, c["close"])


def deepest(window: int) -> Reference:
    return lambda c: rolling(window, worst_fall, c["close"])


def ulcer(c: Columns) -> Array:
    return np.sqrt(mean(drawdown(90)(c) ** 2, 90))


def since(sign: int) -> Reference:
    def rows_ago(part: Array) -> float:
        return (len(part) - 1 - int(np.argmax(sign * part))) / 252

    return lambda c: rolling(252, rows_ago, c["close"])


def discreteness(c: Columns) -> Array:
    shares = rolling(252, lambda part: float((part < 0).mean() - (part > 0).mean()), c["return"])
    return np.sign(change(c["close"], 252)) * shares


def above_averages(c: Columns) -> Array:
    windows = (10, 20, 50, 100, 200)
    return np.mean([c["close"] > mean(c["close"], window) for window in windows], axis=0)


def movement_share(c: Columns) -> Array:
    return rolling(60, lambda part: part[-5:].sum() / part.sum(), np.abs(c["return"]))


def rsi(c: Columns) -> Array:
    return 100 * TALIB["rsi_14"](c)


def rsi_context(c: Columns) -> Array:
    return (rsi(c) / 50 - 1) * np.sign(c["close"] / mean(c["close"], 50) - 1)


def zscore(c: Columns) -> Array:
    return rolling(60, lambda part: (part[-1] - part.mean()) / part.std(), c["close"])


def true_range(c: Columns) -> Array:
    gaps = [c["high"] - c["low"], abs(c["high"] - c["last"]), abs(c["low"] - c["last"])]
    return np.max(gaps, axis=0)


def width(c: Columns) -> Array:
    return (c["high"] - c["low"]) / c["close"]


def place(c: Columns) -> Array:
    return (c["close"] - c["low"]) / (c["high"] - c["low"])


def donchian(window: int) -> Reference:
    def inside(high: Array, low: Array, close: Array) -> float:
        return float((close[-1] - low.min()) / (high.max() - low.min()))

    return lambda c: rolling(window, inside, c["high"], c["low"], c["close"])


def overnight(window: int) -> Reference:
    return lambda c: rolling(window, np.sum, np.log(c["open"] / c["last"]))


def intraday(window: int) -> Reference:
    return lambda c: rolling(window, np.sum, np.log(c["close"] / c["open"]))


def parkinson(window: int) -> Reference:
    def reference(c: Columns) -> Array:
        daily = np.log(c["high"] / c["low"]) ** 2 / (4 * math.log(2))
        return ANNUAL * np.sqrt(mean(daily, window))

    return reference


def garman_klass(window: int) -> Reference:
    def reference(c: Columns) -> Array:
        wide = 0.5 * np.log(c["high"] / c["low"]) ** 2
        body = (2 * math.log(2) - 1) * np.log(c["close"] / c["open"]) ** 2
        return ANNUAL * np.sqrt(mean(wide - body, window))

    return reference


def volume_ratio(window: int) -> Reference:
    return lambda c: c["volume"] / mean(c["volume"], window)


def value_trend(c: Columns) -> Array:
    value = c["close"] * c["volume"]
    return mean(value, 20) / mean(value, 252)


def chaikin(c: Columns) -> Array:
    def weighted(places: Array, volume: Array) -> float:
        return (places * volume).sum() / volume.sum()

    return rolling(20, weighted, 2 * place(c) - 1, c["volume"])


def up_volume(c: Columns) -> Array:
    def share(returns: Array, volume: Array) -> float:
        return volume[returns > 0].sum() / volume.sum()

    return rolling(60, share, c["return"], c["volume"])


def vwap(window: int) -> Reference:
    def reference(c: Columns) -> Array:
        price = (c["high"] + c["low"] + c["close"]) / 3
        paid = rolling(window, lambda p, v: (p * v).sum() / v.sum(), price, c["volume"])
        return c["close"] / paid - 1

    return reference


def amihud(c: Columns) -> Array:
    daily = np.abs(c["return"]) / (c["close"] * c["volume"])
    return mean(daily, 20) / rolling(252, np.median, daily)


def volume_of_moves(c: Columns) -> Array:
    return rolling(60, correlation, c["volume"], np.abs(c["return"]))


def acceleration(c: Columns) -> Array:
    log = np.log(c["close"])
    return (log - lagged(log, 60)) - (lagged(log, 60) - lagged(log, 120))


def excess_kurtosis(part: Array) -> float:
    return float(stats.kurtosis(part))


REFERENCES: dict[str, Reference] = {
    **{f"momentum_{window}_21": skipped(window) for window in (126, 252)},
    "momentum_change_60": acceleration,
    "sharpe_90": lambda c: ANNUAL * mean(c["return"], 90) / std(c["return"], 90),
    **{f"risk_adjusted_momentum_{window}": over_risk(window, window) for window in (90, 252)},
    **{f"reversal_{window}_60": over_risk(window, 60, -1) for window in (5, 20)},
    **{
        f"up_share_{window}": (lambda w: lambda c: mean((c["return"] > 0) * 1.0, w))(window)
        for window in (20, 60)
    },
    "discreteness_252": discreteness,
    "largest_return_20": lambda c: rolling(20, np.max, c["return"]),
    "smallest_return_20": lambda c: rolling(20, np.min, c["return"]),
    "return_share_5_60": movement_share,
    "above_averages_share_200": above_averages,
    **{
        f"trend_r2_{window}": (
            lambda w: lambda c: rolling(w, lambda part: line(part)[1], np.log(c["close"]))
        )(window)
        for window in (20, 60, 120)
    },
    "rsi_change_14_5": lambda c: (rsi(c) - lagged(rsi(c), 5)) / 100,
    "rsi_context_14_50": rsi_context,
    "close_zscore_60": zscore,
    **{f"volatility_{window}": volatility(window) for window in (10, 20, 60, 90, 252)},
    **{f"downside_deviation_{window}": downside(window) for window in (30, 60, 90)},
    **{
        f"volatility_ratio_{short}_{long}": volatility_ratio(short, long)
        for short, long in ((10, 60), (60, 252))
    },
    "volatility_of_volatility_20_60": lambda c: (
        std(std(c["return"], 20), 60) / mean(std(c["return"], 20), 60)
    ),
    "return_shock_60": lambda c: c["return"] / lagged(std(c["return"], 60), 1),
    "skewness_90": lambda c: rolling(90, lambda part: float(stats.skew(part)), c["return"]),
    "kurtosis_90": lambda c: rolling(90, excess_kurtosis, c["return"]),
    "variance_ratio_5_120": variance_ratio(5, 120),
    "variance_ratio_20_252": variance_ratio(20, 252),
    "autocorrelation_60": lambda c: rolling(60, correlation, c["return"], lagged(c["return"], 1)),
    "absolute_autocorrelation_60": lambda c: rolling(
        60, correlation, np.abs(c["return"]), lagged(np.abs(c["return"]), 1)
    ),
    **{f"drawdown_{window}": drawdown(window) for window in (90, 180)},
    **{f"max_drawdown_{window}": deepest(window) for window in (60, 90, 180)},
    "drawdown_over_volatility_90": lambda c: drawdown(90)(c) / volatility(90)(c),
    "ulcer_index_90": ulcer,
    "high_distance_252": drawdown(252),
    "low_distance_252": rebound,
    "since_high_252": since(1),
    "since_low_252": since(-1),
    "day_range_1": width,
    "average_range_10": lambda c: mean(width(c), 10),
    "range_expansion_20": lambda c: true_range(c) / mean(true_range(c), 20),
    **{f"donchian_place_{window}": donchian(window) for window in (20, 60)},
    "close_place_1": place,
    "close_place_20": lambda c: mean(place(c), 20),
    "overnight_return_1": lambda c: c["open"] / c["last"] - 1,
    "intraday_return_1": lambda c: c["close"] / c["open"] - 1,
    **{f"overnight_return_{window}": overnight(window) for window in (20, 60)},
    **{f"intraday_return_{window}": intraday(window) for window in (20, 60)},
    **{f"parkinson_volatility_{window}": parkinson(window) for window in (20, 60)},
    **{f"garman_klass_volatility_{window}": garman_klass(window) for window in (20, 60)},
    "range_volatility_ratio_60": lambda c: garman_klass(60)(c) / volatility(60)(c),
    **{f"volume_ratio_{window}": volume_ratio(window) for window in (20, 60)},
    "volume_trend_5_60": lambda c: mean(c["volume"], 5) / mean(c["volume"], 60),
    "dollar_volume_trend_20_252": value_trend,
    "volume_variation_60": lambda c: std(c["volume"], 60) / mean(c["volume"], 60),
    "volume_return_correlation_60": volume_of_moves,
    "chaikin_money_flow_20": chaikin,
    "up_volume_share_60": up_volume,
    **{f"vwap_distance_{window}": vwap(window) for window in (20, 60)},
    "amihud_ratio_20_252": amihud,
}


@pytest.fixture(scope="module")
def found() -> Columns:
    table = compute_features(BARS, [FEATURES[name] for name in REFERENCES]).frame
    own = table.filter(table["ticker"] == "T01")
    return {name: own[name].to_numpy().astype(np.float64) for name in REFERENCES}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_slow_loop(found: Columns, name: str) -> None:
    compare(found[name], REFERENCES[name](COLUMNS), FEATURES[name].lookback)


def test_every_feature_has_a_reference() -> None:
    covered = TALIB.keys() | REFERENCES.keys() | MARKET.keys() | CROSS_SECTION | CONTEXT
    assert FEATURES.keys() - covered == set()
