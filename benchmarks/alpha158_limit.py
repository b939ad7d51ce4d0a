"""How fast the 158 columns of Alpha158 could be: one numba kernel written for them alone.

It knows the set, the windows and their order, takes contiguous 64-bit arrays of complete bars,
keeps no names, joins nothing, and writes each ticker's columns one after the other. Every window
moves by what enters and what leaves it; windows of closes are kept sorted. The rules where a
window is not full or a ratio is over zero are those of `src.v2.features.alpha158`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

WINDOWS = (5, 10, 20, 30, 60)
FACTORS = 29
BAR_COLUMNS = 13
COLUMNS = BAR_COLUMNS + FACTORS * len(WINDOWS)
TINY = 1e-6

(ROC, MA, STD, BETA, RSQR, RESI, MAX, MIN, QTLU, QTLD) = range(10)
(RANK, RSV, IMAX, IMIN, IMXD, CORR, CORD, CNTP, CNTN, CNTD) = range(10, 20)
(SUMP, SUMN, SUMD, VMA, VSTD, WVMA, VSUMP, VSUMN, VSUMD) = range(20, 29)
"""Places of the factors in qlib's order."""

Array = np.ndarray[Any, Any]


@njit(inline="always")
def _share(part: float, whole: float) -> float:
    """Divide by what is zero only where the numerator is zero too."""
    return part / whole if whole > 0 else 0.0


@njit(inline="always")
def _spread(total: float, squares: float, count: int) -> float:
    """Give the sample deviation of values by their sums."""
    return np.sqrt(max((squares - total * total / count) / (count - 1), 0.0))


@njit(error_model="numpy")
def _bar(start: Array, high: Array, low: Array, close: Array, paid: Array, out: Array) -> None:
    """Write the 13 factors of single bars."""
    for row in range(len(close)):
        first, top, bottom, last = start[row], high[row], low[row], close[row]
        upper, lower, extent = max(first, last), min(first, last), top - bottom
        out[0, row] = (last - first) / first
        out[1, row] = extent / first
        out[2, row] = _share(last - first, extent)
        out[3, row] = (top - upper) / first
        out[4, row] = _share(top - upper, extent)
        out[5, row] = (lower - bottom) / first
        out[6, row] = _share(lower - bottom, extent)
        out[7, row] = (2 * last - top - bottom) / first
        out[8, row] = _share(2 * last - top - bottom, extent)
        out[9, row] = first / last
        out[10, row] = top / last
        out[11, row] = bottom / last
        out[12, row] = paid[row] / last


@njit(error_model="numpy")
def _levels(close: Array, logs: Array, window: int, out: Array) -> None:
    """Write mean, deviation, line and lag of closes, and their correlation with volume."""
    total = squares = ramp = volumes = volume_squares = products = 0.0
    time_spread = window * (window + 1) / 12
    for row in range(len(close)):
        value, volume = close[row], logs[row]
        if row >= window:
            old, old_volume = close[row - window], logs[row - window]
            ramp += (window - 1) * value - (total - old)
            total += value - old
            squares += value * value - old * old
            volumes += volume - old_volume
            volume_squares += volume * volume - old_volume * old_volume
            products += value * volume - old * old_volume
            out[ROC, row] = old / value
        else:
            ramp += row * value
            total += value
            squares += value * value
            volumes += volume
            volume_squares += volume * volume
            products += value * volume
        if row < window - 1:
            continue
        mean, spread = total / window, _spread(total, squares, window)
        slope = (ramp - (window - 1) / 2 * total) / (time_spread * (window - 1))
        out[MA, row] = mean / value
        out[STD, row] = spread / value
        out[BETA, row] = slope / value
        out[RESI, row] = 1 - (mean + (window - 1) / 2 * slope) / value
        if spread > TINY * mean:
            out[RSQR, row] = min((slope / spread) ** 2 * time_spread, 1.0)
            other = _spread(volumes, volume_squares, window)
            if other > TINY:
                shared = (products - total * volumes / window) / (window - 1)
                out[CORR, row] = min(max(shared / (spread * other), -1.0), 1.0)


@njit(error_model="numpy")
def _extremes(high: Array, low: Array, close: Array, window: int, out: Array) -> None:
    """Write the highest high, the lowest low, when they were, and where the close lies."""
    tops, bottoms = np.empty(len(close), np.int64), np.empty(len(close), np.int64)
    top_first = top_end = bottom_first = bottom_end = 0
    for row in range(len(close)):
        while top_end > top_first and high[tops[top_end - 1]] < high[row]:
            top_end -= 1
        tops[top_end] = row
        top_end += 1
        while bottom_end > bottom_first and low[bottoms[bottom_end - 1]] > low[row]:
            bottom_end -= 1
        bottoms[bottom_end] = row
        bottom_end += 1
        if tops[top_first] <= row - window:
            top_first += 1
        if bottoms[bottom_first] <= row - window:
            bottom_first += 1
        if row < window - 1:
            continue
        highest, lowest = high[tops[top_first]], low[bottoms[bottom_first]]
        from_start = row - window
        out[MAX, row] = highest / close[row]
        out[MIN, row] = lowest / close[row]
        out[RSV, row] = _share(close[row] - lowest, highest - lowest)
        out[IMAX, row] = (tops[top_first] - from_start) / window
        out[IMIN, row] = (bottoms[bottom_first] - from_start) / window
        out[IMXD, row] = (tops[top_first] - bottoms[bottom_first]) / window


@njit(error_model="numpy")
def _order(close: Array, window: int, out: Array) -> None:
    """Write quantiles and the rank of the close, from a window that is kept sorted."""
    kept = np.empty(window + 1)
    count = 0
    for row in range(len(close)):
        value = close[row]
        if count == window:
            gone = np.searchsorted(kept[:count], close[row - window])
            for place in range(gone, count - 1):
                kept[place] = kept[place + 1]
            count -= 1
        below = np.searchsorted(kept[:count], value)
        for place in range(count, below, -1):
            kept[place] = kept[place - 1]
        kept[below] = value
        count += 1
        if count < window:
            continue
        equal = 1
        while below + equal < count and kept[below + equal] == value:
            equal += 1
        out[RANK, row] = (below + (equal + 1) / 2) / window
        for column, level in ((QTLU, 0.8), (QTLD, 0.2)):
            at = level * (window - 1)
            floor = int(at)
            rest = at - floor
            upper = kept[min(floor + 1, window - 1)]
            out[column, row] = (kept[floor] + rest * (upper - kept[floor])) / value


@njit(error_model="numpy")
def _changes(close: Array, volume: Array, returns: Array, window: int, out: Array) -> None:
    """Write counts and sums of rises and falls, of closes and of volumes, and WVMA."""
    rises = falls = 0
    gain = moved = volume_gain = volume_moved = weighted = weighted_squares = 0.0
    still = volume_still = 0
    for row in range(1, len(close)):
        for sign in (1, -1):
            at = row if sign == 1 else row - window
            if at < 1:
                continue
            step, volume_step = close[at] - close[at - 1], volume[at] - volume[at - 1]
            rises += sign * (step > 0)
            falls += sign * (step < 0)
            still += sign * (step == 0)
            volume_still += sign * (volume_step == 0)
            gain += sign * max(step, 0.0)
            moved += sign * abs(step)
            volume_gain += sign * max(volume_step, 0.0)
            volume_moved += sign * abs(volume_step)
            heavy = abs(returns[at]) * volume[at]
            weighted += sign * heavy
            weighted_squares += sign * heavy * heavy
        if row < window:
            continue
        out[CNTP, row] = rises / window
        out[CNTN, row] = falls / window
        out[CNTD, row] = (rises - falls) / window
        up = gain / moved if still < window else 0.0
        any_move = 1.0 if still < window else 0.0
        out[SUMP, row], out[SUMN, row], out[SUMD, row] = up, any_move - up, 2 * up - any_move
        up = volume_gain / volume_moved if volume_still < window else 0.0
        any_move = 1.0 if volume_still < window else 0.0
        out[VSUMP, row], out[VSUMN, row], out[VSUMD, row] = up, any_move - up, 2 * up - any_move
        spread = _spread(weighted, weighted_squares, window)
        out[WVMA, row] = _share(spread, weighted / window) if still < window else 0.0


@njit(error_model="numpy")
def _flows(returns: Array, volume: Array, ratios: Array, window: int, out: Array) -> None:
    """Write mean and deviation of volume, and the correlation of changes."""
    total = squares = steps = step_squares = others = other_squares = products = 0.0
    unknown = 0
    for row in range(len(volume)):
        value = volume[row]
        old = volume[row - window] if row >= window else 0.0
        total += value - old
        squares += value * value - old * old
        if row >= window - 1 and value > 0:
            out[VMA, row] = total / window / value
            out[VSTD, row] = _spread(total, squares, window) / value
        for sign in (1, -1):
            at = row if sign == 1 else row - window
            if at < 1:
                continue
            if np.isnan(ratios[at]):
                unknown += sign
                continue
            steps += sign * returns[at]
            step_squares += sign * returns[at] * returns[at]
            others += sign * ratios[at]
            other_squares += sign * ratios[at] * ratios[at]
            products += sign * returns[at] * ratios[at]
        if row < window or unknown:
            continue
        spread = _spread(steps, step_squares, window)
        other = _spread(others, other_squares, window)
        if spread > TINY and other > TINY:
            shared = (products - steps * others / window) / (window - 1)
            out[CORD, row] = min(max(shared / (spread * other), -1.0), 1.0)


@njit(parallel=True, error_model="numpy", cache=True)
def alpha158_limit(fields: Array, offsets: Array) -> Array:
    """Compute the 158 columns.

    Parameters
    ----------
    fields
        Array (6, rows), float64: open, high, low, close, volume and the mean price paid, all
        known and above zero but for volumes of 0, whole tickers one after the other.
    offsets
        First row of each ticker, and the number of rows at the end.

    Returns
    -------
    numpy.ndarray
        (158, rows), float32, in qlib's order, factor by factor; NaN where there is no value.
    """
    out = np.empty((COLUMNS, fields.shape[1]), np.float32)
    for ticker in prange(len(offsets) - 1):
        rows = slice(offsets[ticker], offsets[ticker + 1])
        start, high, low, close, volume, paid = fields[:, rows]
        logs, returns, ratios = np.log1p(volume), np.empty_like(close), np.empty_like(close)
        returns[0] = ratios[0] = np.nan
        for row in range(1, len(close)):
            returns[row] = close[row] / close[row - 1] - 1
            before = volume[row - 1]
            ratios[row] = np.log1p(volume[row] / before) if before > 0 else np.nan
        _bar(start, high, low, close, paid, out[:BAR_COLUMNS, rows])
        for place, window in enumerate(WINDOWS):
            own = out[BAR_COLUMNS + place :: len(WINDOWS), rows]
            own[:] = np.nan
            _levels(close, logs, window, own)
            _extremes(high, low, close, window, own)
            _order(close, window, own)
            _changes(close, volume, returns, window, own)
            _flows(returns, volume, ratios, window, own)
    return out
