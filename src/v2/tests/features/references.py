"""Slow, obvious twins of the features, to hold the fast ones against.

Each takes the columns of one ticker as numpy arrays and returns one number a row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]
Reference = Callable[[dict[str, Array]], Array]
ANNUAL = 252**0.5


def columns_of(bars: pl.DataFrame, ticker: str) -> dict[str, Array]:
    """Return the bars of one ticker, its returns, and the market's returns and level."""
    own = bars.filter(pl.col("ticker") == ticker).sort("date")
    columns = {name: own[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    columns["return"] = change(columns["close"], 1)
    columns["log_return"] = np.log1p(columns["return"])
    columns["last"] = lagged(columns["close"], 1)
    wide = bars.pivot(on="ticker", index="date", values="close").sort("date").drop("date")
    market = np.full(len(own), np.nan)
    prices = wide.to_numpy()
    market[1:] = (prices[1:] / prices[:-1] - 1).mean(axis=1)
    columns["market"] = market
    columns["level"] = np.cumprod(1 + np.nan_to_num(market))
    return columns


def lagged(values: Array, rows: int) -> Array:
    """Return the value of some rows ago."""
    return np.concatenate([np.full(rows, np.nan), values[: len(values) - rows]])


def change(values: Array, rows: int) -> Array:
    """Return the simple change over some rows."""
    return values / lagged(values, rows) - 1


def rolling(window: int, function: Callable[..., float], *arrays: Array) -> Array:
    """Apply a function to each full window of the arrays."""
    result = np.full(len(arrays[0]), np.nan)
    for end in range(window, len(result) + 1):
        parts = [array[end - window : end] for array in arrays]
        if not any(np.isnan(part).any() for part in parts):
            result[end - 1] = function(*parts)
    return result


def mean(values: Array, window: int) -> Array:
    """Return the rolling mean."""
    return rolling(window, np.mean, values)


def std(values: Array, window: int) -> Array:
    """Return the rolling sample deviation."""
    return rolling(window, lambda part: float(np.std(part, ddof=1)), values)


def ema(values: Array, span: int) -> Array:
    """Return the recursive exponential mean that starts at the first value."""
    result = values.copy()
    for row in range(1, len(values)):
        result[row] = result[row - 1] + 2 / (span + 1) * (values[row] - result[row - 1])
    return result


def correlation(first: Array, second: Array) -> float:
    """Return Pearson's correlation."""
    return float(np.corrcoef(first, second)[0, 1])


def worst_fall(closes: Array) -> float:
    """Try every pair of an earlier and a later close."""
    return float(
        min(late / closes[early] - 1 for early in range(len(closes)) for late in closes[early:])
    )


def line(values: Array) -> tuple[float, float]:
    """Fit a line: slope and share of variance explained."""
    time = np.arange(len(values))
    slope, start = np.polyfit(time, values, 1)
    rest = values - start - slope * time
    return float(slope), float(1 - rest.var() / values.var())


def compare(ours: Array, theirs: Array, lookback: int, rtol: float = 1e-6) -> None:
    """Hold values against their twin wherever the feature is past its look-back."""
    np.testing.assert_array_equal(np.isnan(ours[:lookback]), True)
    np.testing.assert_allclose(ours[lookback:], theirs[lookback:], rtol=rtol, atol=1e-8)
