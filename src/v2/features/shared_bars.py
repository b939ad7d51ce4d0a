"""Shared columns of what the bar says beyond its close: its range, its open and its volume."""

from __future__ import annotations

import math

import polars as pl

from src.v2.features.formulas import TINY, ratio
from src.v2.features.kernel_columns import KernelCall, KernelColumn, kernel_columns
from src.v2.features.rolling_columns import Columns, correlation_columns, mean_column, sum_column


def bar_columns() -> Columns:
    """Return the columns by name, as `src.v2.features.shared.shared_columns` does."""
    return {**_wilder_columns(), **_range_columns(), **_volume_columns()}


def _wilder(name: str, source: str, begin: int, count: int = 14) -> dict[str, KernelColumn]:
    """Name Wilder's mean of 14 rows that begins on a row with the sum of some values over 14."""
    return kernel_columns(KernelCall("wilder_means", (source,), (14, begin, count)), mean=name)


def _wilder_columns() -> Columns:
    """Return Wilder's indicators of 14 sessions: RSI 0 to 100, directional ones 0 to 1."""
    change = pl.col("close") - pl.col("last_close")
    high, low = pl.col("high"), pl.col("low")
    rise, fall = high - pl.col("high_lag_1"), pl.col("low_lag_1") - low
    plus, minus, total = pl.col("plus_14"), pl.col("minus_14"), pl.col("directional_range_14")
    index = pl.when(plus + minus > 0).then((plus - minus).abs() / (plus + minus))
    up = pl.when((rise > fall) & (rise > 0)).then(rise).when(rise.is_not_null()).then(0.0)
    down = pl.when((fall > rise) & (fall > 0)).then(fall).when(fall.is_not_null()).then(0.0)
    return {
        "gain": change.clip(lower_bound=0),
        "move": change.abs(),
        **_wilder("gain_14", "gain", 14),
        **_wilder("move_14", "move", 14),
        # Null while nothing has moved.
        "rsi_14": 100 * ratio(pl.col("gain_14"), pl.col("move_14")),
        **_wilder("atr_14", "true_range", 14),
        "directional_rise": up,
        "directional_fall": down,
        # Wilder starts these sums one row early, with 13 values in place of 14.
        **_wilder("plus_14", "directional_rise", 13, 13),
        **_wilder("minus_14", "directional_fall", 13, 13),
        **_wilder("directional_range_14", "true_range", 13, 13),
        "directional_index_14": pl.when(total > 0).then(index),
        **_wilder("adx_14", "directional_index_14", 27),
    }


def _range_columns() -> Columns:
    """Return what is read from the bar's range, and its rolling means and sums."""
    start, high, low, close = (pl.col(name) for name in ("open", "high", "low", "close"))
    spread, body = (high / low).log() ** 2, (close / start).log() ** 2
    columns: Columns = {
        "bar_width": (high - low) / close,
        "bar_place": ratio(close - low, high - low),
        "night_return": (start / pl.col("last_close")).log(),
        "day_return": (close / start).log(),
        "parkinson": spread / (4 * math.log(2)),
        "garman_klass": 0.5 * spread - (2 * math.log(2) - 1) * body,
        "stochastic_14": ratio(
            close - pl.col("lowest_14"), pl.col("highest_14") - pl.col("lowest_14")
        ),
        **mean_column("bar_width_10", "bar_width", 10),
        **mean_column("true_range_20", "true_range", 20),
        **mean_column("slow_stochastic_14_3", "stochastic_14", 3),
        **mean_column("slowest_stochastic_14_3_3", "slow_stochastic_14_3", 3),
        **mean_column("typical_price_20", "typical_price", 20),
        **kernel_columns(
            KernelCall("distances", ("typical_price",), (20,)), distance="typical_distance_20"
        ),
        **kernel_columns(
            KernelCall("known_moments", ("bar_place",), (20, 10)), mean="bar_place_20"
        ),
    }
    for window in (20, 60):
        for name in ("night_return", "day_return"):
            columns |= sum_column(f"{name}_{window}", name, window)
        for name in ("parkinson", "garman_klass"):
            columns |= mean_column(f"{name}_{window}", name, window)
    return columns


def _volume_columns() -> Columns:
    """Return running sums, means and daily illiquidity that the volume family reads."""
    returns, volume, price = pl.col("return"), pl.col("volume"), pl.col("typical_price")
    traded, high, low = pl.col("dollar_volume"), pl.col("high"), pl.col("low")
    change = price - pl.col("typical_price_lag_1")
    still = TINY * pl.col("mean_volume_60")
    columns: Columns = {
        "signed_volume": returns.sign() * volume,
        **kernel_columns(KernelCall("totals", ("signed_volume",)), total="on_balance_volume"),
        "illiquidity": pl.when(traded > 0).then(pl.col("absolute_return") / traded),
        # A session without trade counts as infinitely illiquid: the median bears that.
        "illiquidity_or_none": pl.col("illiquidity").fill_null(math.inf),
        "money_flow": price * volume,
        "money_inflow": price * volume * (change > 0),
        "money_outflow": price * volume * (change < 0),
        "pressure": ratio(2 * pl.col("close") - high - low, high - low) * volume,
        "rise_volume": volume * (returns > 0),
        "moved_volume": volume * returns.is_not_null(),
        **sum_column("money_inflow_14", "money_inflow", 14),
        **sum_column("money_outflow_14", "money_outflow", 14),
        **sum_column("rise_volume_60", "rise_volume", 60),
        **sum_column("moved_volume_60", "moved_volume", 60),
        **mean_column("dollar_volume_20", "dollar_volume", 20),
        **mean_column("dollar_volume_252", "dollar_volume", 252),
        **kernel_columns(KernelCall("known_moments", ("pressure",), (20, 10)), sum="pressure_20"),
        **kernel_columns(
            KernelCall("known_moments", ("illiquidity",), (20, 14)), mean="recent_illiquidity_20"
        ),
        **kernel_columns(
            KernelCall("quantiles", ("illiquidity_or_none",), (252, 0.5, 0.5)),
            low="usual_illiquidity_252",
        ),
        **kernel_columns(
            KernelCall("moments", ("volume",), (60,)), deviation="volume_deviation_60"
        ),
        **correlation_columns("volume_move_60", "volume", "absolute_return", 60, still),
    }
    for window in (5, 10, 20, 30, 60):
        columns |= mean_column(f"mean_volume_{window}", "volume", window)
    for window in (20, 60):
        columns |= sum_column(f"money_flow_{window}", "money_flow", window)
        call = KernelCall("lines", ("on_balance_volume",), (window,))
        columns |= kernel_columns(call, slope=f"balance_slope_{window}")
    return columns
