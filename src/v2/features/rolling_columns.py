"""Columns over windows by name: what the shared columns are put together from."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import TINY
from src.v2.features.kernel_columns import KernelCall, KernelColumn, kernel_columns

Columns = dict[str, pl.Expr | KernelColumn]
"""Expressions over single rows, and outputs of kernels, by name."""


def mean_column(name: str, source: str, window: int) -> dict[str, KernelColumn]:
    """Name the rolling mean of a column."""
    return kernel_columns(KernelCall("sums", (source,), (window,)), mean=name)


def sum_column(name: str, source: str, window: int) -> dict[str, KernelColumn]:
    """Name the rolling sum of a column."""
    return kernel_columns(KernelCall("sums", (source,), (window,)), sum=name)


def correlation_columns(
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


def extreme_columns(source: str, sign: int, window: int, **names: str) -> dict[str, KernelColumn]:
    """Name the highest or lowest value of a window and the rows since it."""
    return kernel_columns(KernelCall("extremes", (source,), (window, sign, True)), **names)
