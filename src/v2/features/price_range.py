"""What the bar says beyond its close: ranges, gaps, and volatility from high and low."""

from __future__ import annotations

import math

import polars as pl

from src.v2.features.formulas import ANNUAL, above, ratio
from src.v2.features.registry import Feature

FAMILY = "range"
RANGE = ("high", "low", "close")
FULL = ("open", "high", "low", "close")


def range_features() -> list[Feature]:
    """Return the features of the bar's range, one record a window."""
    return [*_widths(), *_places(), *_gaps(), *_range_volatility()]


def _widths() -> list[Feature]:
    width = (pl.col("high") - pl.col("low")) / pl.col("close")
    return [
        Feature(
            "atr_14",
            FAMILY,
            pl.col("atr_14") / pl.col("close"),
            RANGE,
            140,
            "average true range of 14 sessions, Wilder's smoothing, over the close",
            "Wilder 1978",
        ),
        Feature(
            "day_range_1",
            FAMILY,
            width,
            RANGE,
            0,
            "high minus low over the close",
            "own",
        ),
        Feature(
            "average_range_10",
            FAMILY,
            width.rolling_mean(10),
            RANGE,
            9,
            "mean of high minus low over the close, 10 sessions",
            "own",
        ),
        Feature(
            "range_expansion_20",
            FAMILY,
            pl.col("true_range") / above(pl.col("true_range").rolling_mean(20)),
            RANGE,
            20,
            "true range over its mean of 20 sessions",
            "Crabel 1990",
        ),
    ]


def _places() -> list[Feature]:
    close, high, low = pl.col("close"), pl.col("high"), pl.col("low")
    records = [
        Feature(
            f"donchian_place_{window}",
            FAMILY,
            ratio(
                close - pl.col(f"lowest_{window}"),
                pl.col(f"highest_{window}") - pl.col(f"lowest_{window}"),
            ),
            RANGE,
            window - 1,
            f"place of the close between the low and the high of {window} sessions, 0 to 1",
            "Donchian 1960",
        )
        for window in (20, 60)
    ]
    place = ratio(close - low, high - low)
    return [
        *records,
        Feature(
            "close_place_1",
            FAMILY,
            place,
            RANGE,
            0,
            "place of the close in the day's range, 0 to 1; null without a range",
            "Williams 1972",
        ),
        Feature(
            "close_place_20",
            FAMILY,
            place.rolling_mean(20, min_samples=10),
            RANGE,
            19,
            "mean place of the close in the day's range, at least 10 of 20 sessions",
            "Williams 1972",
        ),
    ]


def _gaps() -> list[Feature]:
    night = (pl.col("open") / pl.col("last_close")).log()
    day = (pl.col("close") / pl.col("open")).log()
    source = "Lou, Polk and Skouras 2019"
    bars = ("open", "close")
    records = [
        Feature(
            "overnight_return_1",
            FAMILY,
            pl.col("open") / pl.col("last_close") - 1,
            bars,
            1,
            "open over the last close, minus 1",
            source,
        ),
        Feature(
            "intraday_return_1",
            FAMILY,
            pl.col("close") / pl.col("open") - 1,
            bars,
            0,
            "close over the open, minus 1",
            source,
        ),
    ]
    for window in (20, 60):
        records += [
            Feature(
                f"overnight_return_{window}",
                FAMILY,
                night.rolling_sum(window),
                bars,
                window,
                f"sum of the log returns from close to open, {window} sessions",
                source,
            ),
            Feature(
                f"intraday_return_{window}",
                FAMILY,
                day.rolling_sum(window),
                bars,
                window - 1,
                f"sum of the log returns from open to close, {window} sessions",
                source,
            ),
        ]
    return records


def _range_volatility() -> list[Feature]:
    spread = (pl.col("high") / pl.col("low")).log() ** 2
    body = (pl.col("close") / pl.col("open")).log() ** 2
    parkinson = spread / (4 * math.log(2))
    garman_klass = 0.5 * spread - (2 * math.log(2) - 1) * body
    records = []
    for window in (20, 60):
        records += [
            Feature(
                f"parkinson_volatility_{window}",
                FAMILY,
                ANNUAL * parkinson.rolling_mean(window).clip(lower_bound=0).sqrt(),
                ("high", "low"),
                window - 1,
                f"annual volatility from high and low, {window} sessions (fraction)",
                "Parkinson 1980",
            ),
            Feature(
                f"garman_klass_volatility_{window}",
                FAMILY,
                ANNUAL * garman_klass.rolling_mean(window).clip(lower_bound=0).sqrt(),
                FULL,
                window - 1,
                f"annual volatility from the whole bar, {window} sessions (fraction)",
                "Garman and Klass 1980",
            ),
        ]
    inside = garman_klass.rolling_mean(60).clip(lower_bound=0).sqrt()
    records.append(
        Feature(
            "range_volatility_ratio_60",
            FAMILY,
            inside / pl.col("deviation_60"),
            FULL,
            60,
            "volatility inside the bars over that of the closes, 60 sessions",
            "own",
        )
    )
    return records
