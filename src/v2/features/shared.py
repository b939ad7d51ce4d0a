"""Columns inside a ticker that several features read, each worked out once.

They are computed where a feature in force asks for them, and are no features themselves:
some are in units of price. A window stands at the end of each name.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.alpha158_columns import alpha_columns
from src.v2.features.formulas import TINY, above
from src.v2.features.kernel_columns import KernelCall, kernel_columns
from src.v2.features.rolling_columns import (
    Columns,
    correlation_columns,
    extreme_columns,
    mean_column,
    sum_column,
)
from src.v2.features.shared_bars import bar_columns

MARKET_WINDOWS = (60, 252)
CONDITION_WINDOW, CONDITION_SESSIONS = 252, 22


def shared_columns() -> Columns:
    """Return every shared column by name; one may read another.

    Returns
    -------
    dict
        Expressions over single rows, and outputs of kernels that walk down the rows of a
        ticker in date order.
    """
    return {
        **_lags(),
        **_return_columns(),
        **_close_columns(),
        **_extremes(),
        **_market_columns(),
        **bar_columns(),
        **alpha_columns(),
    }


def _lags() -> Columns:
    """Return columns of earlier rows: ``close_lag_5`` is the close of 5 rows ago."""
    wanted = {
        "close": (5, 10, 20, 21, 30, 60, 90, 120, 126, 252),
        "log_close": (5, 20, 60, 120, 252),
        "volume": (1,),
        "typical_price": (1,),
        "rsi_14": (5,),
        "deviation_60": (1,),
        "return": (1,),
        "absolute_return": (1,),
        "market_log_level": MARKET_WINDOWS,
        "high": (1,),
        "low": (1,),
    }
    columns: Columns = {}
    for source, lags in wanted.items():
        for rows in lags:
            call = KernelCall("lags", (source,), (rows,))
            columns |= kernel_columns(call, value=f"{source}_lag_{rows}")
    return columns


def _return_columns() -> Columns:
    """Return moments of returns, and shares of rises and falls."""
    returns = pl.col("return")
    columns: Columns = {
        "absolute_return": returns.abs(),
        "rise": (returns > 0).cast(pl.Float64),
        "fall": (returns < 0).cast(pl.Float64),
        "fall_square": returns.clip(upper_bound=0) ** 2,
    }
    for window in (5, 10, 20, 30, 60, 90, 120, 252):
        call = KernelCall("moments", ("return",), (window,))
        columns |= kernel_columns(
            call, mean=f"mean_return_{window}", deviation=f"raw_deviation_{window}"
        )
        # A deviation of zero is of no use below a fraction.
        columns[f"deviation_{window}"] = above(pl.col(f"raw_deviation_{window}"), TINY)
    for window in (5, 10, 20, 30, 60, 252):
        columns |= mean_column(f"rise_share_{window}", "rise", window)
        columns |= mean_column(f"fall_share_{window}", "fall", window)
    for window in (5, 60):
        columns |= sum_column(f"absolute_sum_{window}", "absolute_return", window)
    for window in (30, 60, 90):
        columns |= mean_column(f"fall_square_{window}", "fall_square", window)
    for step, window in ((5, 120), (20, 252)):
        columns[f"log_change_{step}"] = pl.col("log_close") - pl.col(f"log_close_lag_{step}")
        for source, name in ((f"log_change_{step}", f"step_{step}"), ("log_return", "log")):
            call = KernelCall("moments", (source,), (window,))
            columns |= kernel_columns(call, deviation=f"{name}_deviation_{window}")
    columns |= kernel_columns(
        KernelCall("moments", ("deviation_20",), (60,)),
        mean="volatility_mean_20_60",
        deviation="volatility_deviation_20_60",
    )
    shapes = KernelCall("shapes", ("return",), (90,))
    columns |= kernel_columns(shapes, skewness="skewness_90", kurtosis="kurtosis_90")
    columns |= correlation_columns("autocorrelation_60", "return", "return_lag_1", 60)
    return columns | correlation_columns(
        "absolute_autocorrelation_60", "absolute_return", "absolute_return_lag_1", 60
    )


def _close_columns() -> Columns:
    """Return means, deviations, lines and falls of the close and of its logarithm."""
    columns: Columns = {}
    for window in (5, 10, 20, 30, 50, 60, 100, 200):
        columns |= mean_column(f"sma_{window}", "close", window)
    for window in (20, 60):
        call = KernelCall("moments", ("close",), (window,))
        columns |= kernel_columns(call, deviation=f"raw_close_deviation_{window}")
        # Of the window itself, not of what it is drawn from.
        spread = pl.col(f"raw_close_deviation_{window}") * (1 - 1 / window) ** 0.5
        moved = spread > TINY * pl.col(f"sma_{window}")
        columns[f"close_deviation_{window}"] = pl.when(moved).then(spread)
    for window in (20, 60, 120):
        call = KernelCall("lines", ("log_close",), (window,))
        columns |= kernel_columns(
            call, slope=f"trend_slope_{window}", deviation=f"log_close_deviation_{window}"
        )
    for window in (60, 90, 180):
        call = KernelCall("falls", ("log_close",), (window,))
        columns |= kernel_columns(call, fall=f"deepest_fall_{window}")
    columns["drawdown_square_90"] = (pl.col("close") / pl.col("top_close_90") - 1) ** 2
    columns |= mean_column("drawdown_square_90_90", "drawdown_square_90", 90)
    for span in (8, 12, 21, 26, 50):
        call = KernelCall("decaying_means", ("close",), (span,))
        columns |= kernel_columns(call, mean=f"ema_{span}")
    columns["macd_12_26"] = pl.col("ema_12") - pl.col("ema_26")
    signal = KernelCall("decaying_means", ("macd_12_26",), (9,))
    return columns | kernel_columns(signal, mean="macd_signal_12_26_9")


def _extremes() -> Columns:
    """Return highest and lowest values, and the rows since; the latest of equals counts."""
    columns: Columns = {}
    for window in (5, 10, 14, 20, 26, 30, 60):
        columns |= extreme_columns(
            "high", 1, window, extreme=f"highest_{window}", age=f"since_high_{window}"
        )
        columns |= extreme_columns(
            "low", -1, window, extreme=f"lowest_{window}", age=f"since_low_{window}"
        )
    for window in (90, 180, 252):
        names = {"extreme": f"top_close_{window}", "age": f"since_top_close_{window}"}
        columns |= extreme_columns("close", 1, window, **names)
    columns |= extreme_columns("close", -1, 252, extreme="low_close_252", age="since_low_close_252")
    columns |= extreme_columns("return", 1, 20, extreme="largest_return_20")
    return columns | extreme_columns("return", -1, 20, extreme="smallest_return_20")


def _market_columns() -> Columns:
    """Return moments of the ticker's return together with the market's."""
    returns, up = pl.col("return"), pl.col("market_up")
    columns: Columns = {"market_log_level": pl.col("market_level").log()}
    for state, wanted in (("bull", up), ("bear", ~up)):
        columns[f"{state}_return"] = pl.when(wanted).then(returns)
        settings = (CONDITION_WINDOW, CONDITION_SESSIONS)
        columns |= kernel_columns(
            KernelCall("known_moments", (f"{state}_return",), settings),
            mean=f"{state}_mean_{CONDITION_WINDOW}",
            deviation=f"{state}_deviation_{CONDITION_WINDOW}",
        )
    for window in MARKET_WINDOWS:
        call = KernelCall("pairs", ("return", "market_return"), (window,))
        columns |= kernel_columns(
            call,
            other_mean=f"market_mean_{window}",
            other_deviation=f"raw_market_deviation_{window}",
            covariance=f"covariance_{window}",
        )
        spread = pl.col(f"market_deviation_{window}")
        covariance, own = pl.col(f"covariance_{window}"), pl.col(f"deviation_{window}")
        columns[f"market_deviation_{window}"] = above(
            pl.col(f"raw_market_deviation_{window}"), TINY
        )
        columns[f"beta_{window}"] = covariance / spread**2
        columns[f"correlation_{window}"] = (covariance / (spread * own)).clip(-1, 1)
        unexplained = 1 - pl.col(f"correlation_{window}") ** 2
        # Below 1e-9 the ticker is the market itself, and the rest is rounding.
        columns[f"residual_deviation_{window}"] = pl.when(unexplained > 1e-9).then(
            own * unexplained.sqrt()
        )
    return columns
