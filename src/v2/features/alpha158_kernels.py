"""The rolling factors of Alpha158, from sums, extremes and ranks of windows, in 32 bits.

Each kernel fills one row of ``out`` a factor, in the order of
`src.v2.features.alpha158_columns`, from columns of the window's own; NaN where one is missing.
"""

from __future__ import annotations

import numpy as np

from src.v2.features.compiled import Array, Out, compiled

TINY = 1e-6
"""As in `src.v2.features.formulas`."""


@compiled
def _share(numerator: float, denominator: float) -> float:
    """Divide by what is zero only where the numerator is zero too; 0 there."""
    if denominator == 0:
        return 0.0 * numerator
    return numerator / denominator if denominator > 0 else np.nan


@compiled
def levels(
    close: Array,
    earlier: Array,
    mean: Array,
    spread: Array,
    slope: Array,
    window: int,
    out: Out,
) -> None:
    """Fill roc, ma, std, beta, rsqr and resi."""
    explained = window * (window + 1.0) / 12
    ahead = (window - 1) / 2
    for row in range(len(close)):
        over = 1 / close[row]
        part = slope[row] / spread[row]
        fit = part * part * explained
        out[0, row] = earlier[row] * over
        out[1, row] = mean[row] * over
        out[2, row] = spread[row] * over
        out[3, row] = slope[row] * over
        out[4, row] = min(fit, 1.0) if spread[row] > TINY * mean[row] else np.nan
        out[5, row] = 1 - (mean[row] + ahead * slope[row]) * over


@compiled
def extremes(extreme: Array, since: Array, close: Array, window: int, out: Out) -> None:
    """Fill max and imax from the highest high, or min and imin from the lowest low."""
    for row in range(len(close)):
        out[0, row] = extreme[row] / close[row]
        out[1, row] = 1 - since[row] / window


@compiled
def ranges(
    high: Array,
    since_high: Array,
    low: Array,
    since_low: Array,
    close: Array,
    window: int,
    out: Out,
) -> None:
    """Fill rsv and imxd from the highest high and the lowest low."""
    for row in range(len(close)):
        out[0, row] = _share(close[row] - low[row], high[row] - low[row])
        out[1, row] = (since_low[row] - since_high[row]) / window


@compiled
def orders(low: Array, high: Array, rank: Array, close: Array, window: int, out: Out) -> None:
    """Fill qtlu, qtld and rank."""
    for row in range(len(close)):
        over = 1 / close[row]
        out[0, row] = high[row] * over
        out[1, row] = low[row] * over
        out[2, row] = rank[row] / window


@compiled
def counts(rises: Array, falls: Array, out: Out) -> None:
    """Fill cntp, cntn and cntd from the shares of rises and of falls."""
    for row in range(len(rises)):
        out[0, row] = rises[row]
        out[1, row] = falls[row]
        out[2, row] = rises[row] - falls[row]


@compiled
def movements(gain: Array, move: Array, out: Out) -> None:
    """Fill the share of rises in all movement, that of falls, and the difference."""
    for row in range(len(gain)):
        rises = _share(gain[row], move[row])
        moved = 1.0 if move[row] > 0 else 0.0
        out[0, row] = rises
        out[1, row] = moved - rises
        out[2, row] = 2 * rises - moved


@compiled
def correlations(
    mean: Array, left: Array, right: Array, product: Array, relative: bool, out: Out
) -> None:
    """Fill Pearson's correlation; NaN where a side deviates by less than a millionth.

    With ``relative`` that is a millionth of the left side's mean.
    """
    for row in range(len(left)):
        least = TINY * mean[row] if relative else TINY
        moved = left[row] > least and right[row] > TINY
        found = max(-1.0, min(1.0, product[row] / (left[row] * right[row])))
        out[0, row] = found if moved else np.nan


@compiled
def amounts(
    volume: Array, mean: Array, spread: Array, moved: Array, move_spread: Array, out: Out
) -> None:
    """Fill vma, vstd and wvma."""
    for row in range(len(volume)):
        over = 1 / volume[row] if volume[row] > 0 else np.nan
        out[0, row] = mean[row] * over
        out[1, row] = spread[row] * over
        out[2, row] = _share(move_spread[row], moved[row])
