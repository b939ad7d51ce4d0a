"""Kernels of sums over windows: means, deviations, lines, shapes and pairs.

A ticker's rows are cut into blocks as long as the window. A window that ends in a block is the
last rows before the block and the first rows in it, so its sum is that of two running sums that
start at the block's edge. Nothing is ever taken away from a sum: no rounding drifts along, a
missing value blanks the windows that hold it and no other, and later rows change nothing.
Values are summed as differences from the block's first, which lies in every such window: what
is constant has a deviation of exactly zero.

Each kernel takes columns of whole tickers in date order, NaN where missing, the bounds of the
tickers and a window in rows, and fills one row of ``out`` an output: NaN before the first full
window.
"""

from __future__ import annotations

import numpy as np

from src.v2.features.compiled import Array, Bounds, Out, compiled


@compiled
def sums(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill the sum and the mean of each window."""
    part = 1 / window
    older = np.empty(window)
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            if first > start:
                running = 0.0
                for back in range(1, window):
                    running += values[first - back]
                    older[back] = running
            newer = 0.0
            for row in range(first, min(first + window, stop)):
                newer += values[row]
                total = newer + older[window - 1 - (row - first)]
                out[0, row] = total
                out[1, row] = total * part


@compiled
def moments(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill the mean and the sample deviation of each window."""
    part, bessel = 1 / window, 1 / (window - 1)
    older = np.empty((window, 2))
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            pivot = values[first]
            one, two = 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    apart = values[first - back] - pivot
                    one += apart
                    two += apart * apart
                    older[back, 0] = one
                    older[back, 1] = two
            one, two = 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                apart = values[row] - pivot
                one += apart
                two += apart * apart
                back = window - 1 - (row - first)
                whole = one + older[back, 0]
                rest = two + older[back, 1] - whole * whole * part
                out[0, row] = pivot + whole * part
                out[1, row] = np.sqrt((0.0 if rest < 0 else rest) * bessel)


@compiled
def lines(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill mean and sample deviation, and the slope per row of the least-squares line."""
    part, bessel = 1 / window, 1 / (window - 1)
    older = np.empty((window, 3))
    scale = 12.0 / (window * (window * window - 1.0))
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            pivot = values[first]
            one, two, timed = 0.0, 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    apart = values[first - back] - pivot
                    one += apart
                    two += apart * apart
                    timed -= apart * back
                    older[back, 0] = one
                    older[back, 1] = two
                    older[back, 2] = timed
            one, two, timed = 0.0, 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                place = row - first
                apart = values[row] - pivot
                one += apart
                two += apart * apart
                timed += apart * place
                back = window - 1 - place
                whole = one + older[back, 0]
                rest = two + older[back, 1] - whole * whole * part
                middle = place - (window - 1) / 2
                out[0, row] = pivot + whole * part
                out[1, row] = np.sqrt((0.0 if rest < 0 else rest) * bessel)
                out[2, row] = (timed + older[back, 2] - middle * whole) * scale


@compiled
def pairs(left: Array, right: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill both means, both sample deviations and the sample covariance of two columns."""
    part, bessel = 1 / window, 1 / (window - 1)
    older = np.empty((window, 5))
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            pivot, other = left[first], right[first]
            x, y, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    one, two = left[first - back] - pivot, right[first - back] - other
                    x += one
                    y += two
                    xx += one * one
                    yy += two * two
                    xy += one * two
                    older[back, 0] = x
                    older[back, 1] = y
                    older[back, 2] = xx
                    older[back, 3] = yy
                    older[back, 4] = xy
            x, y, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                one, two = left[row] - pivot, right[row] - other
                x += one
                y += two
                xx += one * one
                yy += two * two
                xy += one * two
                back = window - 1 - (row - first)
                whole, another = x + older[back, 0], y + older[back, 1]
                rest = xx + older[back, 2] - whole * whole * part
                other_rest = yy + older[back, 3] - another * another * part
                out[0, row] = pivot + whole * part
                out[1, row] = other + another * part
                out[2, row] = np.sqrt((0.0 if rest < 0 else rest) * bessel)
                out[3, row] = np.sqrt((0.0 if other_rest < 0 else other_rest) * bessel)
                out[4, row] = (xy + older[back, 4] - whole * another * part) * bessel


@compiled
def shapes(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill skewness and excess kurtosis of each window, NaN where nothing moves."""
    part = 1 / window
    older = np.empty((window, 4))
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            pivot = values[first]
            one, two, three, four = 0.0, 0.0, 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    apart = values[first - back] - pivot
                    one += apart
                    two += apart * apart
                    three += apart * apart * apart
                    four += apart * apart * apart * apart
                    older[back, 0] = one
                    older[back, 1] = two
                    older[back, 2] = three
                    older[back, 3] = four
            one, two, three, four = 0.0, 0.0, 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                apart = values[row] - pivot
                one += apart
                two += apart * apart
                three += apart * apart * apart
                four += apart * apart * apart * apart
                back = window - 1 - (row - first)
                mean = (one + older[back, 0]) * part
                square = (two + older[back, 1]) * part
                cube = (three + older[back, 2]) * part
                fourth = (four + older[back, 3]) * part
                spread = square - mean * mean
                lean = cube - 3 * mean * square + 2 * mean * mean * mean
                tails = fourth - 4 * mean * cube + mean * mean * (6 * square - 3 * mean * mean)
                moved = spread > 0
                out[0, row] = lean / (spread * np.sqrt(spread)) if moved else np.nan
                out[1, row] = tails / (spread * spread) - 3 if moved else np.nan


@compiled
def known_moments(values: Array, bounds: Bounds, window: int, least: int, out: Out) -> None:
    """Fill sum, mean and sample deviation of a window's known values, NaN where they are few.

    The values must lie around zero: they are summed as they are.
    """
    older = np.empty((window, 3))
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        older[:] = np.nan
        older[0] = 0.0
        for first in range(start, stop, window):
            count, one, two = 0.0, 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    value = values[first - back]
                    known = value == value
                    value = value if known else 0.0
                    count += 1.0 if known else 0.0
                    one += value
                    two += value * value
                    older[back, 0] = count
                    older[back, 1] = one
                    older[back, 2] = two
            count, one, two = 0.0, 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                value = values[row]
                known = value == value
                value = value if known else 0.0
                count += 1.0 if known else 0.0
                one += value
                two += value * value
                back = window - 1 - (row - first)
                number_known, total = count + older[back, 0], one + older[back, 1]
                rest = two + older[back, 2] - total * total / number_known
                enough = number_known >= least
                spread = np.sqrt((0.0 if rest < 0 else rest) / (number_known - 1))
                out[0, row] = total if enough else np.nan
                out[1, row] = total / number_known if enough else np.nan
                out[2, row] = spread if enough else np.nan
