"""Columns inside a ticker that several features read, each worked out once.

They are computed where a feature in force asks for them, and are no features themselves:
some are in units of price. A window stands at the end of each name.
"""

from __future__ import annotations

import math

import polars as pl

from src.v2.features.alpha158_columns import Columns, alpha_columns
from src.v2.features.formulas import TINY, above, ratio
from src.v2.features.kernel_columns import KernelCall, KernelColumn, kernel_columns

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
        **_wilder_columns(),
        **_market_columns(),
        **_range_columns(),
        **_volume_columns(),
        **alpha_columns(),
    }


def _mean(name: str, source: str, window: int) -> dict[str, KernelColumn]:
    """Name the rolling mean of a column."""
    return kernel_columns(KernelCall("sums", (source,), (window,)), mean=name)


def _sum(name: str, source: str, window: int) -> dict[str, KernelColumn]:
    """Name the rolling sum of a column."""
    return kernel_columns(KernelCall("sums", (source,), (window,)), sum=name)


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
        columns |= _mean(f"rise_share_{window}", "rise", window)
        columns |= _mean(f"fall_share_{window}", "fall", window)
    for window in (5, 60):
        columns |= _sum(f"absolute_sum_{window}", "absolute_return", window)
    for window in (30, 60, 90):
        columns |= _mean(f"fall_square_{window}", "fall_square", window)
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
    columns |= _correlation("autocorrelation_60", "return", "return_lag_1", 60)
    return columns | _correlation(
        "absolute_autocorrelation_60", "absolute_return", "absolute_return_lag_1", 60
    )


def _correlation(
    name: str, left: str, right: str, window: int, least: float | pl.Expr = TINY
) -> Columns:
    """Return a rolling correlation; null where a side, the right one of returns, stands still."""
    parts = {part: f"{name}_{part}" for part in ("deviation", "other_deviation", "covariance")}
    spreads = [pl.col(parts[part]) for part in ("deviation", "other_deviation")]
    moved = (spreads[0] > least) & (spreads[1] > TINY)
    found = pl.col(parts["covariance"]) / (spreads[0] * spreads[1])
    return {
        **kernel_columns(KernelCall("pairs", (left, right), (window,)), **parts),
        name: pl.when(moved).then(found.clip(-1, 1)),
    }


def _close_columns() -> Columns:
    """Return means, deviations, lines and falls of the close and of its logarithm."""
    columns: Columns = {}
    for window in (5, 10, 20, 30, 50, 60, 100, 200):
        columns |= _mean(f"sma_{window}", "close", window)
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
    columns |= _mean("drawdown_square_90_90", "drawdown_square_90", 90)
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
        columns |= _extreme(
            "high", 1, window, extreme=f"highest_{window}", age=f"since_high_{window}"
        )
        columns |= _extreme(
            "low", -1, window, extreme=f"lowest_{window}", age=f"since_low_{window}"
        )
    for window in (90, 180, 252):
        names = {"extreme": f"top_close_{window}", "age": f"since_top_close_{window}"}
        columns |= _extreme("close", 1, window, **names)
    columns |= _extreme("close", -1, 252, extreme="low_close_252", age="since_low_close_252")
    columns |= _extreme("return", 1, 20, extreme="largest_return_20")
    return columns | _extreme("return", -1, 20, extreme="smallest_return_20")


def _extreme(source: str, sign: int, window: int, **names: str) -> dict[str, KernelColumn]:
    """Name the highest or lowest value of a window and the rows since it."""
    return kernel_columns(KernelCall("extremes", (source,), (window, sign, True)), **names)


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
        **_mean("bar_width_10", "bar_width", 10),
        **_mean("true_range_20", "true_range", 20),
        **_mean("slow_stochastic_14_3", "stochastic_14", 3),
        **_mean("slowest_stochastic_14_3_3", "slow_stochastic_14_3", 3),
        **_mean("typical_price_20", "typical_price", 20),
        **kernel_columns(
            KernelCall("distances", ("typical_price",), (20,)), distance="typical_distance_20"
        ),
        **kernel_columns(
            KernelCall("known_moments", ("bar_place",), (20, 10)), mean="bar_place_20"
        ),
    }
    for window in (20, 60):
        for name in ("night_return", "day_return"):
            columns |= _sum(f"{name}_{window}", name, window)
        for name in ("parkinson", "garman_klass"):
            columns |= _mean(f"{name}_{window}", name, window)
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
        **_sum("money_inflow_14", "money_inflow", 14),
        **_sum("money_outflow_14", "money_outflow", 14),
        **_sum("rise_volume_60", "rise_volume", 60),
        **_sum("moved_volume_60", "moved_volume", 60),
        **_mean("dollar_volume_20", "dollar_volume", 20),
        **_mean("dollar_volume_252", "dollar_volume", 252),
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
        **_correlation("volume_move_60", "volume", "absolute_return", 60, still),
    }
    for window in (5, 10, 20, 30, 60):
        columns |= _mean(f"mean_volume_{window}", "volume", window)
    for window in (20, 60):
        columns |= _sum(f"money_flow_{window}", "money_flow", window)
        call = KernelCall("lines", ("on_balance_volume",), (window,))
        columns |= kernel_columns(call, slope=f"balance_slope_{window}")
    return columns
