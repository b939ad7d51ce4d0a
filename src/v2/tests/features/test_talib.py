"""The classic indicators against TA-Lib, ten windows into the history."""

from __future__ import annotations

import numpy as np
import pytest
import talib
from talib._ta_lib import MA_Type

from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES
from src.v2.features.registry import collect_features
from src.v2.tests.features import probes
from src.v2.tests.features.references import Array, Reference, columns_of, compare

FEATURES = {item.name: item for item in collect_features(FAMILIES, FAMILIES)}
BARS = probes.make_bars(tickers=2, sessions=700, seed=9)
COLUMNS = columns_of(BARS, "T01")
Columns = dict[str, Array]
PLAIN = MA_Type.SMA


def ema_distance(span: int) -> Reference:
    return lambda c: c["close"] / talib.EMA(c["close"], span) - 1


def sma_distance(window: int) -> Reference:
    return lambda c: c["close"] / talib.SMA(c["close"], window) - 1


def momentum(window: int) -> Reference:
    return lambda c: talib.ROCP(c["close"], window)


def macd(part: int) -> Reference:
    return lambda c: talib.MACD(c["close"], 12, 26, 9)[part] / c["close"]


def bands(c: Columns) -> tuple[Array, Array, Array]:
    upper, middle, lower = talib.BBANDS(c["close"], 20, 2.0, 2.0)
    return upper, middle, lower


def stochastic(part: int) -> Reference:
    return lambda c: (
        talib.STOCH(c["high"], c["low"], c["close"], 14, 3, PLAIN, 3, PLAIN)[part] / 100
    )


def directional(c: Columns) -> Array:
    bar = (c["high"], c["low"], c["close"])
    return (talib.PLUS_DI(*bar, 14) - talib.MINUS_DI(*bar, 14)) / 100


def money_flow(c: Columns) -> Array:
    return talib.MFI(c["high"], c["low"], c["close"], c["volume"], 14) / 100


def obv_slope(window: int) -> Reference:
    def reference(c: Columns) -> Array:
        balance = talib.OBV(c["close"], c["volume"])
        return talib.LINEARREG_SLOPE(balance, window) / talib.SMA(c["volume"], window)

    return reference


def trend_slope(window: int) -> Reference:
    return lambda c: talib.LINEARREG_SLOPE(np.log(c["close"]), window)


TALIB: dict[str, Reference] = {
    "rsi_14": lambda c: talib.RSI(c["close"], 14) / 100,
    "adx_14": lambda c: talib.ADX(c["high"], c["low"], c["close"], 14) / 100,
    "directional_difference_14": directional,
    "atr_14": lambda c: talib.NATR(c["high"], c["low"], c["close"], 14) / 100,
    "macd_12_26": macd(0),
    "macd_signal_12_26_9": macd(1),
    "macd_histogram_12_26_9": macd(2),
    "bollinger_width_20": lambda c: (bands(c)[0] - bands(c)[2]) / bands(c)[1],
    "bollinger_place_20": lambda c: (c["close"] - bands(c)[2]) / (bands(c)[0] - bands(c)[2]),
    "stochastic_k_14_3": stochastic(0),
    "stochastic_d_14_3_3": stochastic(1),
    "williams_r_14": lambda c: talib.WILLR(c["high"], c["low"], c["close"], 14) / 100,
    "cci_20": lambda c: talib.CCI(c["high"], c["low"], c["close"], 20) / 100,
    "money_flow_14": money_flow,
    "aroon_oscillator_25": lambda c: talib.AROONOSC(c["high"], c["low"], 25) / 100,
    "ema_cross_8_21": lambda c: talib.EMA(c["close"], 8) / talib.EMA(c["close"], 21) - 1,
    "sma_cross_50_200": lambda c: talib.SMA(c["close"], 50) / talib.SMA(c["close"], 200) - 1,
    **{f"ema_distance_{span}": ema_distance(span) for span in (8, 21, 50)},
    **{f"sma_distance_{window}": sma_distance(window) for window in (5, 10, 20, 50, 200)},
    **{f"return_{window}": momentum(window) for window in (1, 5, 10, 20, 60, 120, 252)},
    **{f"obv_slope_{window}": obv_slope(window) for window in (20, 60)},
    **{f"trend_slope_{window}": trend_slope(window) for window in (20, 60, 120)},
}


@pytest.fixture(scope="module")
def found() -> Columns:
    table = compute_features(BARS, [FEATURES[name] for name in TALIB]).frame
    own = table.filter(table["ticker"] == "T01")
    return {name: own[name].to_numpy().astype(np.float64) for name in TALIB}


@pytest.mark.parametrize("name", TALIB)
def test_equals_talib(found: Columns, name: str) -> None:
    theirs = TALIB[name](COLUMNS)
    # STOCH waits for its second smoothing before it gives the first one's values.
    both = max(FEATURES[name].lookback, int(np.argmax(~np.isnan(theirs))))
    assert np.isnan(found[name][: FEATURES[name].lookback]).all()
    compare(found[name][both:], theirs[both:], 0)
