"""Kernels of what depends on the order of a window's values: extremes, falls, quantiles, ranks.

They are called and fill ``out`` as those of `src.v2.features.window_sums`, and a missing value
blanks the windows that hold it. Extremes and falls come from the same blocks; quantiles and
ranks from a sorted copy of the window, in which each row replaces one value.
"""

from __future__ import annotations

import numpy as np

from src.v2.features.compiled import Array, Bounds, Out, compiled


@compiled
def extremes(values: Array, bounds: Bounds, window: int, sign: int, latest: bool, out: Out) -> None:
    """Fill each window's highest (sign 1) or lowest (-1) value, and the rows since it.

    Of equal ones the latest counts, or the first.
    """
    tops, ages, gaps = np.empty(window), np.empty(window), np.empty(window)
    tops[0], ages[0], gaps[0] = -np.inf, 0.0, 0.0
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        gaps[1:] = np.nan
        tops[1:] = -np.inf
        for first in range(start, stop, window):
            top, when, gap = -np.inf, 0, 0.0
            if first > start:
                for back in range(1, window):
                    value = sign * values[first - back]
                    gap += value - value
                    if value > top or (value == top and not latest):
                        top, when = value, back
                    tops[back], ages[back], gaps[back] = top, when, gap
            top, when, gap = -np.inf, 0, 0.0
            for row in range(first, min(first + window, stop)):
                place = row - first
                value = sign * values[row]
                gap += value - value
                if value > top or (value == top and latest):
                    top, when = value, place
                back = window - 1 - place
                hole = gap + gaps[back]
                is_new = top > tops[back] or (top == tops[back] and latest)
                out[0, row] = sign * (top if is_new else tops[back]) + hole
                out[1, row] = (place - when if is_new else place + ages[back]) + hole


@compiled
def falls(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill the lowest difference between a value and an earlier one, at most 0."""
    tops, deepest = np.empty(window), np.empty(window)
    tops[0], deepest[0] = -np.inf, 0.0
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        deepest[1:] = np.nan
        for first in range(start, stop, window):
            top, low, deep, gap = -np.inf, np.inf, 0.0, 0.0
            if first > start:
                for back in range(1, window):
                    value = values[first - back]
                    gap += value - value
                    deep = min(deep, low - value)
                    top, low = max(top, value), min(low, value)
                    tops[back], deepest[back] = top, deep + gap
            top, low, deep, gap = -np.inf, np.inf, 0.0, 0.0
            for row in range(first, min(first + window, stop)):
                value = values[row]
                gap += value - value
                deep = min(deep, value - top)
                top, low = max(top, value), min(low, value)
                back = window - 1 - (row - first)
                found = min(deep, low - tops[back])
                earlier = deepest[back] + gap
                out[0, row] = found if earlier > found else earlier


@compiled
def _replace(ordered: Array, old: float, new: float) -> int:
    """Put a value in place of another in sorted values, and return its place."""
    below_old, below_new = 0, 0
    for place in range(len(ordered)):
        below_old += int(ordered[place] < old)
        below_new += int(ordered[place] < new)
    target = below_new - int(old < new)
    for place in range(below_old, target):
        ordered[place] = ordered[place + 1]
    for place in range(below_old, target, -1):
        ordered[place] = ordered[place - 1]
    ordered[target] = new
    return target


@compiled
def _between(ordered: Array, place: int, above: float) -> float:
    """Return a sorted value, or one on the line from it to the next."""
    value = ordered[place]
    return float(value + above * (ordered[place + 1] - value) if above > 0 else value)


@compiled
def quantiles(
    values: Array, bounds: Bounds, window: int, low: float, high: float, out: Out
) -> None:
    """Fill two quantiles, and the rank of the last value, equal ones sharing their mean rank.

    Infinite values are the highest.
    """
    ordered = np.empty(window)
    first, second = int(low * (window - 1)), int(high * (window - 1))
    above_first, above_second = low * (window - 1) - first, high * (window - 1) - second
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        # What is missing stands among the highest, and so do the rows before the history.
        ordered[:] = np.inf
        missing = window
        for row in range(start, stop):
            new = values[row]
            old = values[row - window] if row >= start + window else np.nan
            missing += int(new != new) - int(old != old)
            place = _replace(ordered, old if old == old else np.inf, new if new == new else np.inf)
            if missing > 0:
                out[0, row], out[1, row], out[2, row] = np.nan, np.nan, np.nan
            else:
                last = place
                while last < window - 1 and ordered[last + 1] == new:
                    last += 1
                out[0, row] = _between(ordered, first, above_first)
                out[1, row] = _between(ordered, second, above_second)
                out[2, row] = (place + last) / 2 + 1


@compiled
def distances(values: Array, bounds: Bounds, window: int, out: Out) -> None:
    """Fill the mean distance of each window's values from their mean."""
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        out[0, start : min(start + window - 1, stop)] = np.nan
        for row in range(start + window - 1, stop):
            pivot, total = values[row], 0.0
            for back in range(window):
                total += values[row - back] - pivot
            mean, total = pivot + total / window, 0.0
            for back in range(window):
                total += abs(values[row - back] - mean)
            out[0, row] = total / window
