"""Kernels that walk down a ticker's rows: earlier values, running sums, recursive means.

They are called and fill ``out`` as those of `src.v2.features.window_sums`.
"""

from __future__ import annotations

import numpy as np

from src.v2.features.compiled import Array, Bounds, Out, compiled


@compiled
def lags(values: Array, bounds: Bounds, rows: int, out: Out) -> None:
    """Fill the value of some rows ago."""
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        known = min(start + rows, stop)
        out[0, start:known] = np.nan
        for row in range(known, stop):
            out[0, row] = values[row - rows]


@compiled
def totals(values: Array, bounds: Bounds, out: Out) -> None:
    """Fill the sum since the ticker's first row; a missing value adds nothing."""
    for number in range(len(bounds) - 1):
        total = 0.0
        for row in range(bounds[number], bounds[number + 1]):
            value = values[row]
            total += value if value == value else 0.0
            out[0, row] = total


@compiled
def decaying_means(values: Array, bounds: Bounds, span: int, out: Out) -> None:
    """Fill the exponential mean of a span, which starts at the first known value.

    A missing value has no mean, and what came before it weighs less by one row more.
    """
    weight = 2 / (span + 1)
    for number in range(len(bounds) - 1):
        mean, old = np.nan, 1.0
        for row in range(bounds[number], bounds[number + 1]):
            value = values[row]
            old *= 1 - weight
            if value == value:
                if mean == mean:
                    mean += weight / (old + weight) * (value - mean)
                else:
                    mean = value
                old = 1.0
            out[0, row] = mean if value == value else np.nan


@compiled
def wilder_means(
    values: Array, bounds: Bounds, window: int, begin: int, count: int, out: Out
) -> None:
    """Fill Wilder's mean: a start on row ``begin``, then 1/window towards each value.

    The start is the sum of the last ``count`` values over the window. A missing value has no
    mean, and what came before it weighs less by one row more; with one among the first, the
    mean starts at the next known value.
    """
    weight = 1 / window
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        mean, old = np.nan, 1.0
        for row in range(start, stop):
            value = values[row]
            if row < start + begin:
                value = np.nan
            elif row == start + begin:
                total = 0.0
                for back in range(count):
                    total += values[row - back]
                value = total / window
            old *= 1 - weight
            if value == value:
                if mean == mean:
                    mean += weight / (old + weight) * (value - mean)
                else:
                    mean = value
                old = 1.0
            out[0, row] = mean if value == value else np.nan
