"""What the bar says beyond its close: ranges, gaps, and volatility from high and low."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ANNUAL, ratio
from src.v2.features.registry import Feature

FAMILY = "range"
RANGE = ("high", "low", "close")
FULL = ("open", "high", "low", "close")


def range_features() -> list[Feature]:
    """Return the features of the bar's range, one record a window."""
    return [*_widths(), *_places(), *_gaps(), *_range_volatility()]


def _widths() -> list[Feature]:
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
            pl.col("bar_width"),
            RANGE,
            0,
            "high minus low over the close",
            "own",
        ),
        Feature(
            "average_range_10",
            FAMILY,
            pl.col("bar_width_10"),
            RANGE,
            9,
            "mean of high minus low over the close, 10 sessions",
            "own",
        ),
        Feature(
            "range_expansion_20",
            FAMILY,
            ratio(pl.col("true_range"), pl.col("true_range_20")),
            RANGE,
            20,
            "true range over its mean of 20 sessions",
            "Crabel 1990",
        ),
    ]


def _places() -> list[Feature]:
    close = pl.col("close")
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
    return [
        *records,
        Feature(
            "close_place_1",
            FAMILY,
            pl.col("bar_place"),
            RANGE,
            0,
            "place of the close in the day's range, 0 to 1; null without a range",
            "Williams 1972",
        ),
        Feature(
            "close_place_20",
            FAMILY,
            pl.col("bar_place_20"),
            RANGE,
            19,
            "mean place of the close in the day's range, at least 10 of 20 sessions",
            "Williams 1972",
        ),
    ]


def _gaps() -> list[Feature]:
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
                pl.col(f"night_return_{window}"),
                bars,
                window,
                f"sum of the log returns from close to open, {window} sessions",
                source,
            ),
            Feature(
                f"intraday_return_{window}",
                FAMILY,
                pl.col(f"day_return_{window}"),
                bars,
                window - 1,
                f"sum of the log returns from open to close, {window} sessions",
                source,
            ),
        ]
    return records


def _range_volatility() -> list[Feature]:
    records = []
    for window in (20, 60):
        records += [
            Feature(
                f"parkinson_volatility_{window}",
                FAMILY,
                ANNUAL * pl.col(f"parkinson_{window}").clip(lower_bound=0).sqrt(),
                ("high", "low"),
                window - 1,
                f"annual volatility from high and low, {window} sessions (fraction)",
                "Parkinson 1980",
            ),
            Feature(
                f"garman_klass_volatility_{window}",
                FAMILY,
                ANNUAL * pl.col(f"garman_klass_{window}").clip(lower_bound=0).sqrt(),
                FULL,
                window - 1,
                f"annual volatility from the whole bar, {window} sessions (fraction)",
                "Garman and Klass 1980",
            ),
        ]
    inside = pl.col("garman_klass_60").clip(lower_bound=0).sqrt()
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
