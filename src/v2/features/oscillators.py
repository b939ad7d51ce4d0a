"""Bounded indicators: where the close stands between recent extremes."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import TINY, above
from src.v2.features.registry import Feature

FAMILY = "oscillators"
CLOSE = ("close",)
RANGE = ("high", "low", "close")


def oscillator_features() -> list[Feature]:
    """Return the oscillators, one record a window."""
    return [*_relative_strength(), *_stochastics(), *_bands()]


def _relative_strength() -> list[Feature]:
    centred = pl.col("rsi_14") / 50 - 1
    trend = (pl.col("close") / pl.col("sma_50") - 1).sign()
    return [
        Feature(
            "rsi_14",
            FAMILY,
            pl.col("rsi_14") / 100,
            CLOSE,
            140,
            "relative strength index of 14 sessions, Wilder's smoothing, 0 to 1",
            "Wilder 1978",
        ),
        Feature(
            "rsi_change_14_5",
            FAMILY,
            (pl.col("rsi_14") - pl.col("rsi_14_lag_5")) / 100,
            CLOSE,
            145,
            "change of the relative strength index over 5 sessions",
            "own",
        ),
        Feature(
            "rsi_context_14_50",
            FAMILY,
            centred * trend,
            CLOSE,
            140,
            "centred RSI, sign turned below the mean of 50 sessions: below 0 = against the trend",
            "own",
        ),
    ]


def _stochastics() -> list[Feature]:
    price, middle = pl.col("typical_price"), pl.col("typical_price_20")
    spread = above(pl.col("typical_distance_20") / middle, TINY)
    return [
        Feature(
            "stochastic_k_14_3",
            FAMILY,
            pl.col("slow_stochastic_14_3"),
            RANGE,
            15,
            "place of the close in the range of 14 sessions, mean of 3, 0 to 1",
            "Lane 1984",
        ),
        Feature(
            "stochastic_d_14_3_3",
            FAMILY,
            pl.col("slowest_stochastic_14_3_3"),
            RANGE,
            17,
            "mean of 3 sessions of the slow stochastic, 0 to 1",
            "Lane 1984",
        ),
        Feature(
            "williams_r_14",
            FAMILY,
            pl.col("stochastic_14") - 1,
            RANGE,
            13,
            "distance of the close from the top of the range of 14 sessions, -1 to 0",
            "Williams 1973",
        ),
        Feature(
            "cci_20",
            FAMILY,
            (price / middle - 1) / (0.015 * spread) / 100,
            RANGE,
            19,
            "commodity channel index of 20 sessions, in hundreds",
            "Lambert 1980",
        ),
    ]


def _bands() -> list[Feature]:
    close, middle = pl.col("close"), pl.col("sma_20")
    spread = pl.col("close_deviation_20")
    return [
        Feature(
            "bollinger_width_20",
            FAMILY,
            4 * spread / middle,
            CLOSE,
            19,
            "width of the bands of two deviations around the mean of 20 sessions, over it",
            "Bollinger 1992",
        ),
        Feature(
            "bollinger_place_20",
            FAMILY,
            (close - middle) / (4 * spread) + 0.5,
            CLOSE,
            19,
            "place of the close between the bands of 20 sessions (%b): 0 lower, 1 upper",
            "Bollinger 1992",
        ),
        Feature(
            "close_zscore_60",
            FAMILY,
            (close - pl.col("sma_60")) / pl.col("close_deviation_60"),
            CLOSE,
            59,
            "close minus its mean of 60 sessions, in deviations",
            "own",
        ),
    ]
