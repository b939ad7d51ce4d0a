"""How far below the top, how deep the falls were, and how long ago the extremes are."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ANNUAL
from src.v2.features.registry import Feature

FAMILY = "drawdown"
CLOSE = ("close",)


def drawdown_features() -> list[Feature]:
    """Return the features of drawdowns and of distances from extremes."""
    return [*_drawdowns(), *_depth_over_risk(), *_extremes()]


def _current(window: int) -> pl.Expr:
    """Return the close over the highest close of the window, minus 1."""
    return pl.col("close") / pl.col(f"top_close_{window}") - 1


def _drawdowns() -> list[Feature]:
    records = [
        Feature(
            f"drawdown_{window}",
            FAMILY,
            _current(window),
            CLOSE,
            window - 1,
            f"close over the highest close of {window} sessions, minus 1",
            "own",
        )
        for window in (90, 180)
    ]
    records += [
        Feature(
            f"max_drawdown_{window}",
            FAMILY,
            pl.col(f"deepest_fall_{window}").exp() - 1,
            CLOSE,
            window - 1,
            f"largest fall from a close to a later one inside {window} sessions (fraction)",
            "Magdon-Ismail and Atiya 2004",
        )
        for window in (60, 90, 180)
    ]
    return records


def _depth_over_risk() -> list[Feature]:
    depth = pl.col("drawdown_square_90_90").sqrt()
    return [
        Feature(
            "drawdown_over_volatility_90",
            FAMILY,
            _current(90) / (ANNUAL * pl.col("deviation_90")),
            CLOSE,
            90,
            "current drawdown over annual volatility, 90 sessions",
            "own",
        ),
        Feature(
            "ulcer_index_90",
            FAMILY,
            depth,
            CLOSE,
            178,
            "root mean square, over 90 sessions, of the drawdown from the top of 90",
            "Martin and McCann 1989",
        ),
    ]


def _extremes() -> list[Feature]:
    close = pl.col("close")
    return [
        Feature(
            "high_distance_252",
            FAMILY,
            _current(252),
            CLOSE,
            251,
            "close over the highest close of 252 sessions, minus 1",
            "George and Hwang 2004",
        ),
        Feature(
            "low_distance_252",
            FAMILY,
            close / pl.col("low_close_252") - 1,
            CLOSE,
            251,
            "close over the lowest close of 252 sessions, minus 1",
            "George and Hwang 2004",
        ),
        Feature(
            "since_high_252",
            FAMILY,
            pl.col("since_top_close_252") / 252,
            CLOSE,
            251,
            "sessions since the highest close of 252, over 252",
            "Bhootra and Hur 2013",
        ),
        Feature(
            "since_low_252",
            FAMILY,
            pl.col("since_low_close_252") / 252,
            CLOSE,
            251,
            "sessions since the lowest close of 252, over 252",
            "own",
        ),
    ]
