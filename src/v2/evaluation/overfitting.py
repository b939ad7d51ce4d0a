"""How often the best of several ways on some dates is a poor one on the others.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu 2017,
Journal of Computational Finance 20(4)).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

MIN_WAYS = 4
MIN_BLOCKS = 6
MOST_BLOCKS = 16
BLOCK_HORIZONS = 4
"""Dates of a block, in horizons: shorter ones share much of their future with the next."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What the splits showed.

    Parameters
    ----------
    probability
        Share of the splits in which the best on one half is in the lower half on the other.
    splits, blocks
        Number of splits into halves, and of the blocks of dates that are split.
    """

    probability: float
    splits: int
    blocks: int


def overfitting(scores: Matrix, horizon: int) -> Overfitting | None:
    """Estimate the probability of backtest overfitting.

    The dates are cut into equal blocks; for every choice of half of the blocks, the way with
    the highest mean score there is ranked by its mean score on the other half. Its relative
    rank is rank / (ways + 1), and at one half or below the choice was of no use.

    Parameters
    ----------
    scores
        Array (dates, ways), higher is better, in date order, without NaN.
    horizon
        Dates over which neighbouring values overlap.

    Returns
    -------
    Overfitting or None
        None below 4 ways, or where the dates hold fewer than 6 blocks of 4 horizons. Of ways
        that are equally good the first is chosen; on the other half they share their rank.
    """
    from scipy import stats

    dates, ways = scores.shape
    blocks = min(MOST_BLOCKS, dates // (BLOCK_HORIZONS * horizon)) // 2 * 2
    if ways < MIN_WAYS or blocks < MIN_BLOCKS:
        return None
    length = dates // blocks
    # The oldest dates are left out where the blocks do not fill them all.
    means = scores[dates - blocks * length :].reshape(blocks, length, ways).mean(axis=1)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = means[chosen].mean(axis=1)
    outside = (means.sum(axis=0) - inside * (blocks // 2)) / (blocks // 2)
    best = inside.argmax(axis=1)
    ranks = stats.rankdata(outside, axis=1)[np.arange(len(best)), best]
    return Overfitting(float((ranks / (ways + 1) <= 0.5).mean()), len(chosen), blocks)
