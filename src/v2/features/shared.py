"""Columns inside a ticker that several features read, each worked out once.

They are computed where a feature in force asks for them, and are no features themselves:
some are in units of price. A window stands at the end of each name.
"""

from __future__ import annotations

import math

import polars as pl

from src.v2.features.alpha158_columns import alpha_columns
from src.v2.features.formulas import TINY, above, deviation, slope, wilder_mean

MARKET_WINDOWS = (60, 120, 252)


def shared_columns() -> dict[str, pl.Expr]:
    """Return every shared column by name; one may read another.

    Returns
    -------
    dict[str, pl.Expr]
        Expressions over the rows of one ticker in date order.
    """
    returns, close, volume = pl.col("return"), pl.col("close"), pl.col("volume")
    columns: dict[str, pl.Expr] = {}
    for window in (5, 10, 20, 30, 60, 90, 120, 252):
        columns[f"deviation_{window}"] = deviation(returns, window)
    for window in (5, 10, 20, 30, 60, 90, 120, 252):
        columns[f"mean_return_{window}"] = returns.rolling_mean(window)
    for window in (5, 10, 20, 30, 50, 60, 100, 200):
        columns[f"sma_{window}"] = close.rolling_mean(window)
    for window in (20, 60):
        middle = pl.col(f"sma_{window}")
        spread = close.rolling_std(window, ddof=0) / middle
        columns[f"close_deviation_{window}"] = above(spread, TINY) * middle
    for window in (20, 60, 120):
        columns[f"trend_slope_{window}"] = slope(pl.col("log_close"), window)
    columns["absolute_return"] = returns.abs()
    columns["absolute_mean_60"] = pl.col("absolute_return").rolling_mean(60)
    columns["absolute_deviation_60"] = deviation(pl.col("absolute_return"), 60)
    for window in (8, 12, 21, 26, 50):
        columns[f"ema_{window}"] = close.ewm_mean(span=window, adjust=False)
    columns["macd_12_26"] = pl.col("ema_12") - pl.col("ema_26")
    columns["macd_signal_12_26_9"] = pl.col("macd_12_26").ewm_mean(span=9, adjust=False)
    for window in (5, 10, 14, 20, 30, 60):
        columns[f"highest_{window}"] = pl.col("high").rolling_max(window)
        columns[f"lowest_{window}"] = pl.col("low").rolling_min(window)
    for window in (90, 180, 252):
        columns[f"top_close_{window}"] = close.rolling_max(window)
    for window in (5, 10, 20, 30, 60):
        columns[f"mean_volume_{window}"] = volume.rolling_mean(window)
    columns["volume_deviation_60"] = volume.rolling_std(60)
    columns["atr_14"] = wilder_mean(pl.col("true_range"), 14, first=1)
    columns["rsi_14"] = _rsi(14)
    columns |= _directional_columns() | _market_columns() | _volume_columns() | alpha_columns()
    return columns


def _rsi(window: int) -> pl.Expr:
    """Return Wilder's relative strength index, 0 to 100; null while nothing has moved."""
    change = pl.col("close") - pl.col("last_close")
    gain = wilder_mean(change.clip(lower_bound=0), window, first=1)
    move = wilder_mean(change.abs(), window, first=1)
    return 100 * gain / above(move)


def _directional_columns() -> dict[str, pl.Expr]:
    """Return Wilder's directional indicators of 14 sessions, 0 to 1."""
    high, low = pl.col("high"), pl.col("low")
    rise, fall = high - high.shift(1), low.shift(1) - low
    up = pl.when((rise > fall) & (rise > 0)).then(rise).when(rise.is_not_null()).then(0.0)
    down = pl.when((fall > rise) & (fall > 0)).then(fall).when(fall.is_not_null()).then(0.0)
    smoothed = [
        # Wilder starts these sums one row early, with 13 values in place of 14.
        wilder_mean(values, 14, first=0, seed=values.rolling_sum(13) / 14)
        for values in (up, down, pl.col("true_range"))
    ]
    plus, minus, total = pl.col("plus_14"), pl.col("minus_14"), pl.col("directional_range_14")
    index = pl.when(plus + minus > 0).then((plus - minus).abs() / (plus + minus))
    return {
        "plus_14": smoothed[0],
        "minus_14": smoothed[1],
        "directional_range_14": smoothed[2],
        "adx_14": wilder_mean(pl.when(total > 0).then(index), 14, first=14),
    }


def _market_columns() -> dict[str, pl.Expr]:
    """Return moments of the ticker's return together with the market's."""
    returns, market = pl.col("return"), pl.col("market_return")
    columns: dict[str, pl.Expr] = {}
    for window in MARKET_WINDOWS:
        product = (returns * market).rolling_mean(window)
        means = pl.col(f"mean_return_{window}") * pl.col(f"market_mean_{window}")
        bessel = window / (window - 1)
        columns[f"market_mean_{window}"] = market.rolling_mean(window)
        columns[f"market_deviation_{window}"] = deviation(market, window)
        columns[f"covariance_{window}"] = (product - means) * bessel
        columns[f"beta_{window}"] = (
            pl.col(f"covariance_{window}") / pl.col(f"market_deviation_{window}") ** 2
        )
        columns[f"correlation_{window}"] = (
            pl.col(f"covariance_{window}")
            / (pl.col(f"market_deviation_{window}") * pl.col(f"deviation_{window}"))
        ).clip(-1, 1)
        unexplained = 1 - pl.col(f"correlation_{window}") ** 2
        # Below 1e-9 the ticker is the market itself, and the rest is rounding.
        columns[f"residual_deviation_{window}"] = pl.when(unexplained > 1e-9).then(
            pl.col(f"deviation_{window}") * unexplained.sqrt()
        )
    return columns


def _volume_columns() -> dict[str, pl.Expr]:
    """Return the running sums and the daily illiquidity that the volume family reads."""
    returns, volume = pl.col("return"), pl.col("volume")
    traded = pl.col("dollar_volume")
    return {
        "signed_volume": returns.sign() * volume,
        "on_balance_volume": pl.col("signed_volume").fill_null(0.0).cum_sum(),
        "recent_illiquidity_20": pl.col("illiquidity").rolling_mean(20, min_samples=14),
        # A session without trade counts as infinitely illiquid: the median bears that, and
        # Polars is ten times faster without nulls.
        "usual_illiquidity_252": pl.col("illiquidity").fill_null(math.inf).rolling_median(252),
        "illiquidity": pl.when(traded > 0).then(pl.col("absolute_return") / traded),
    }
