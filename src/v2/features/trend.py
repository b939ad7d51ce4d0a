"""Averages, their crossings, straight lines through prices, and the strength of a trend."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import TINY, above
from src.v2.features.registry import Feature

FAMILY = "trend"
CLOSE = ("close",)


def trend_features() -> list[Feature]:
    """Return the features of trends, one record a window."""
    return [*_distances(), *_crossings(), *_macd(), *_lines(), *_strength()]


def _distances() -> list[Feature]:
    close = pl.col("close")
    records = [
        Feature(
            f"sma_distance_{window}",
            FAMILY,
            close / pl.col(f"sma_{window}") - 1,
            CLOSE,
            window - 1,
            f"close over its mean of {window} sessions, minus 1",
            "Brock, Lakonishok and LeBaron 1992",
        )
        for window in (5, 10, 20, 50, 200)
    ]
    records += [
        Feature(
            f"ema_distance_{window}",
            FAMILY,
            close / pl.col(f"ema_{window}") - 1,
            CLOSE,
            10 * window,
            f"close over its exponential mean of span {window}, minus 1",
            "Appel 1979",
        )
        for window in (8, 21, 50)
    ]
    return records


def _crossings() -> list[Feature]:
    averages = [pl.col(f"sma_{window}") for window in (10, 20, 50, 100, 200)]
    # A close that equals its average up to rounding does not stand above it.
    above = [(pl.col("close") > average * (1 + TINY)).cast(pl.Float64) for average in averages]
    share = (above[0] + above[1] + above[2] + above[3] + above[4]) / len(averages)
    return [
        Feature(
            "ema_cross_8_21",
            FAMILY,
            pl.col("ema_8") / pl.col("ema_21") - 1,
            CLOSE,
            210,
            "exponential mean of span 8 over that of span 21, minus 1",
            "Appel 1979",
        ),
        Feature(
            "sma_cross_50_200",
            FAMILY,
            pl.col("sma_50") / pl.col("sma_200") - 1,
            CLOSE,
            199,
            "mean of 50 sessions over that of 200, minus 1 (golden cross above 0)",
            "Brock, Lakonishok and LeBaron 1992",
        ),
        Feature(
            "above_averages_share_200",
            FAMILY,
            share,
            CLOSE,
            199,
            "share of the means of 10, 20, 50, 100 and 200 sessions that the close is above",
            "own",
        ),
    ]


def _macd() -> list[Feature]:
    close, line = pl.col("close"), pl.col("macd_12_26")
    signal = pl.col("macd_signal_12_26_9")
    source = "Appel 1979"
    return [
        Feature(
            "macd_12_26",
            FAMILY,
            line / close,
            CLOSE,
            260,
            "exponential mean of span 12 minus that of span 26, over the close",
            source,
        ),
        Feature(
            "macd_signal_12_26_9",
            FAMILY,
            signal / close,
            CLOSE,
            350,
            "exponential mean of span 9 of the MACD line, over the close",
            source,
        ),
        Feature(
            "macd_histogram_12_26_9",
            FAMILY,
            (line - signal) / close,
            CLOSE,
            350,
            "MACD line minus its signal, over the close",
            source,
        ),
    ]


def _lines() -> list[Feature]:
    records = []
    for window in (20, 60, 120):
        rise = pl.col(f"trend_slope_{window}")
        # Of the window itself, not of what it is drawn from.
        spread = pl.col(f"log_close_deviation_{window}") ** 2 * (1 - 1 / window)
        explained = rise**2 * ((window**2 - 1) / 12) / above(spread, TINY**2)
        records += [
            Feature(
                f"trend_slope_{window}",
                FAMILY,
                rise,
                CLOSE,
                window - 1,
                f"slope of the line through the log closes of {window} sessions, per session",
                "Clenow 2015",
            ),
            Feature(
                f"trend_r2_{window}",
                FAMILY,
                explained.clip(0, 1),
                CLOSE,
                window - 1,
                f"share of the variance of {window} log closes that the line explains",
                "Clenow 2015",
            ),
        ]
    return records


def _strength() -> list[Feature]:
    bars = ("high", "low", "close")
    difference = (pl.col("plus_14") - pl.col("minus_14")) / pl.col("directional_range_14")
    total = pl.col("directional_range_14")
    return [
        Feature(
            "adx_14",
            FAMILY,
            pl.col("adx_14"),
            bars,
            140,
            "average directional index of 14 sessions, 0 to 1: strength without direction",
            "Wilder 1978",
        ),
        Feature(
            "directional_difference_14",
            FAMILY,
            pl.when(total > 0).then(difference),
            bars,
            140,
            "plus minus minus directional indicator of 14 sessions, -1 to 1",
            "Wilder 1978",
        ),
        Feature(
            "aroon_oscillator_25",
            FAMILY,
            (pl.col("since_low_26") - pl.col("since_high_26")) / 25,
            ("high", "low"),
            25,
            "recency of the high minus recency of the low of 25 sessions, -1 to 1",
            "Chande 1995",
        ),
    ]
