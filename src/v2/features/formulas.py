"""Small formulas that the families are built from. All return Polars expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.features import kernels

ANNUAL = 252**0.5
"""Turns the deviation of daily returns into an annual one."""

TINY = 1e-6
"""A deviation below this share of its mean level is rounding noise and counts as zero."""

Kernel = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Divide, giving null where the denominator is not above zero.

    For denominators that are columns: a rolling one would be worked out twice, see `above`.
    """
    return pl.when(denominator > 0).then(numerator / denominator)


def above(values: pl.Expr, limit: float = 0.0) -> pl.Expr:
    """Make null what is not above a limit, working the values out once.

    Polars evaluates an expression anew wherever a formula repeats it, so that ``when`` would
    double the price of a rolling one.
    """
    return values.map_batches(partial(_keep_above, limit=limit), return_dtype=pl.Float64)


def deviation(values: pl.Expr, window: int) -> pl.Expr:
    """Return the sample deviation of returns in the window, null where it is zero."""
    return above(values.rolling_std(window), TINY)


def wilder_mean(values: pl.Expr, window: int, first: int, seed: pl.Expr | None = None) -> pl.Expr:
    """Smooth as Wilder did: start at a plain mean, then move 1/window towards each value.

    Parameters
    ----------
    values
        What is smoothed, known from row ``first`` on.
    window
        Wilder's period, in sessions.
    first
        First row of the ticker that has a value.
    seed
        Starting value; absent: the mean of the first window.
    """
    row = pl.col("row")
    start = first + window - 1
    seed = values.rolling_mean(window) if seed is None else seed
    seeded = pl.when(row > start).then(values).when(row == start).then(seed)
    return seeded.ewm_mean(alpha=1 / window, adjust=False)


def slope(values: pl.Expr, window: int) -> pl.Expr:
    """Return the slope per session of the least-squares line through the window.

    The closed form needs two rolling means: of the values, and of row times value.
    """
    row = pl.col("row")
    middle = row - (window - 1) / 2
    covariance = (row * values).rolling_mean(window) - middle * values.rolling_mean(window)
    return covariance * (12 / (window**2 - 1))


def rolling_kernel(values: pl.Expr, window: int, kernel: Kernel) -> pl.Expr:
    """Apply a numpy function to every full window; null where a value is missing."""
    apply = partial(_apply_kernel, window=window, kernel=kernel)
    return values.map_batches(apply, return_dtype=pl.Float64)


def max_drawdown(window: int) -> pl.Expr:
    """Return the largest fall from a peak to a later low inside the window (fraction)."""
    return rolling_kernel(pl.col("log_close"), window, kernels.largest_fall).exp() - 1


def sessions_since_high(values: pl.Expr, window: int) -> pl.Expr:
    """Return the sessions since the window's highest value, the latest one of equals."""
    return rolling_kernel(values, window, kernels.sessions_since_high)


def mean_absolute_deviation(values: pl.Expr, window: int) -> pl.Expr:
    """Return the mean distance of the window's values from their own mean."""
    return rolling_kernel(values, window, kernels.mean_absolute_deviation)


def _keep_above(values: pl.Series, limit: float) -> pl.Series:
    """Make null what is not above a limit."""
    numbers = values.to_numpy()
    return pl.Series(values.name, np.where(numbers > limit, numbers, np.nan), nan_to_null=True)


def _apply_kernel(values: pl.Series, window: int, kernel: Kernel) -> pl.Series:
    """Run a kernel on one ticker's values."""
    numbers = values.to_numpy().astype(np.float64)
    result = np.full(len(numbers), np.nan)
    if len(numbers) >= window:
        missing = np.isnan(numbers)
        result[window - 1 :] = kernel(np.where(missing, 0.0, numbers), window)
        if missing.any():
            seen = np.concatenate(([0], np.cumsum(missing)))
            result[window - 1 :][seen[window:] > seen[:-window]] = np.nan
    return pl.Series(values.name, result, nan_to_null=True)
