"""A ticker among the others of the same date.

Ranks compare tickers, so they forget what the whole market did that day. They are made
from ticker-wise features, and a date with fewer than 10 known values has none.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.registry import Feature

FAMILY = "cross_section"
LEAST_TICKERS = 10

RANKED = (
    *("return_1", "return_5", "return_20", "return_60", "return_120", "return_252"),
    *("momentum_126_21", "momentum_252_21", "momentum_change_60", "sharpe_90"),
    *("discreteness_252", "largest_return_20", "sma_distance_50", "sma_distance_200"),
    *("macd_histogram_12_26_9", "trend_slope_60", "trend_r2_60", "rsi_14"),
    *("bollinger_place_20", "volatility_20", "volatility_60", "volatility_ratio_10_60"),
    *("skewness_90", "variance_ratio_5_120", "max_drawdown_90", "high_distance_252"),
    *("atr_14", "overnight_return_20", "intraday_return_20"),
    *("volume_trend_5_60", "obv_slope_20", "amihud_ratio_20_252", "volume_return_correlation_60"),
    *("beta_252", "residual_momentum_252", "idiosyncratic_volatility_60"),
)
"""Ticker-wise features that are also ranked."""

COMPARED = ("return_20", "volatility_60", "volume_trend_5_60", "beta_252")
"""Ticker-wise features that are also shown as a difference from the date's mean."""


def cross_section_features() -> list[Feature]:
    """Return ranks, differences from the date's mean, and the date's dispersion."""
    records = [
        Feature(
            f"{name}_rank",
            FAMILY,
            pl.col(name),
            (),
            0,
            f"centred rank of {name} among the tickers of the date: (rank - 0.5) / tickers",
            "Gu, Kelly and Xiu 2020",
            scope="rank",
            needs=(name,),
        )
        for name in RANKED
    ]
    records += [
        Feature(
            f"{name}_relative",
            FAMILY,
            _if_enough(name, pl.col(name) - pl.col(name).mean()),
            (),
            0,
            f"{name} minus its mean over the tickers of the date",
            "own",
            scope="date",
            needs=(name,),
        )
        for name in COMPARED
    ]
    dispersion = pl.col("return_20").std()
    records.append(
        Feature(
            "return_20_dispersion",
            FAMILY,
            _if_enough("return_20", pl.when(pl.col("return_20").is_not_null()).then(dispersion)),
            (),
            0,
            "deviation of return_20 over the tickers of the date",
            "Stivers and Sun 2010",
            scope="date",
            needs=("return_20",),
        )
    )
    return records


def _if_enough(name: str, expression: pl.Expr) -> pl.Expr:
    """Keep the value only on dates with enough known tickers."""
    return pl.when(pl.col(name).count() >= LEAST_TICKERS).then(expression)
