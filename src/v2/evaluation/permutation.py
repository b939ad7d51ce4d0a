"""Whether scores rank tickers better than chance, by exchanging the tickers' names.

One permutation of ticker identity holds for all dates: it breaks the link of a score with the
return of its own ticker, and keeps how both persist and overlap in time. Permuting within each
date instead makes neighbouring dates independent, which they are not, and rejects a true null
most of the time.

A score that never changes can pass: tickers that rise throughout are exchanged as any others.
That is what the rank IC of demeaned scores in `src.v2.evaluation.ranking` is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.v2.evaluation.grid import Matrix
from src.v2.evaluation_records import NullBin
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE

MIN_EXCHANGEABLE = 10
"""Fewer tickers to exchange give no test."""

MAX_DIFFERENCE = 0.02
"""Largest share of the dates of either of two exchangeable tickers that only one of them has."""

ROUNDING = 1e-12
BLOCK = 512

NULL_BINS = 40
DECIMALS = 12
"""Draws are rounded before they are counted, so that the last bits of a sum move no bar."""

Present = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """A mean daily rank correlation beside those of permuted tickers.

    Parameters
    ----------
    statistic
        Mean over dates of the rank correlation; NaN without dates.
    p
        One-sided: (1 + permutations that reach the statistic) / (1 + permutations), which is
        never 0 (Phipson and Smyth 2010, Statistical Applications in Genetics and Molecular
        Biology 9(1)). NaN where fewer than 10 tickers may be exchanged.
    permutations
        Permutations drawn; 0 without a test.
    exchangeable
        Tickers with another one of about equal coverage.
    null
        Histogram of the permutations' statistics; empty without a test.
    """

    statistic: float
    p: float
    permutations: int
    exchangeable: int
    null: tuple[NullBin, ...] = ()


def permutation_test(
    scores: Matrix,
    returns: Matrix,
    permutations: int,
    seed: int,
    kinds: Sequence[str] | None = None,
) -> PermutationTest:
    """Test the mean daily rank correlation by permutations of ticker identity.

    With ranks S and Y of each date, centred and of length one, a permutation pi has the
    statistic mean over t of sum over i of S[t, pi(i)] Y[t, i], which is the sum over i of
    G[pi(i), i] with G = S'Y / T: one matrix product serves every permutation. Tickers are
    exchanged within the groups of `exchange_groups` only; a cell that one of the two tickers
    lacks counts as 0.

    Parameters
    ----------
    scores, returns
        Arrays (dates, tickers), NaN where missing. Dates with fewer than 10 tickers that have
        both are left out; a date on which every score is the same counts as 0.
    permutations
        How many to draw.
    seed
        Of the draws. The result does not depend on the order of the tickers.
    kinds
        Kind of each ticker, as its sector: only tickers of one kind are exchanged.
    """
    present = np.isfinite(scores) & np.isfinite(returns)
    dates = present.sum(axis=1) >= MIN_TICKERS_PER_DATE
    tickers = present[dates].any(axis=0)
    if not tickers.any():
        return PermutationTest(float("nan"), float("nan"), 0, 0)
    kept = np.ix_(dates, tickers)
    present = present[kept]
    scored = standardised_ranks(scores[kept], present)
    came = standardised_ranks(returns[kept], present)
    own = (scored * came).sum(axis=0) / len(present)
    groups = exchange_groups(present)
    if kinds is not None:
        groups = split_groups(groups, np.asarray(kinds)[tickers])
    exchangeable = sum(len(group) for group in groups)
    statistic = float(np.sort(own).sum())
    if exchangeable < MIN_EXCHANGEABLE:
        return PermutationTest(statistic, float("nan"), 0, exchangeable)
    rng = np.random.default_rng(seed)
    excess = np.zeros(permutations)
    for group in groups:
        # The draws fall to the tickers in an order of their own, whatever the columns' order.
        ordered = group[np.argsort(own[group], kind="stable")]
        weights = scored[:, ordered].T @ came[:, ordered] / len(present)
        excess += _permuted_sums(weights, permutations, rng) - np.trace(weights)
    reached = int((excess >= -ROUNDING).sum())
    p = (1 + reached) / (1 + permutations)
    null = histogram(statistic + excess)
    return PermutationTest(statistic, p, permutations, exchangeable, null)


def histogram(draws: Matrix) -> tuple[NullBin, ...]:
    """Count draws in 40 bins of equal width from the smallest to the largest.

    Parameters
    ----------
    draws
        Array (draws,), finite. Where all are the same, the bins reach half a unit either way.

    Returns
    -------
    tuple
        Bins by rising bounds; each holds its lower bound, the last one its upper bound too.
        Empty without draws.

    Examples
    --------
    >>> bins = histogram(np.array([0.0, 0.1, 0.4]))
    >>> len(bins), bins[0].count, bins[10].count, bins[-1].high
    (40, 1, 1, 0.4)
    """
    if not len(draws):
        return ()
    counts, edges = np.histogram(np.round(draws, DECIMALS), NULL_BINS)
    bounds = edges.tolist()
    return tuple(
        NullBin(low, high, count)
        for low, high, count in zip(bounds[:-1], bounds[1:], counts.tolist(), strict=True)
    )


def standardised_ranks(values: Matrix, present: Present) -> Matrix:
    """Rank the tickers of each date, centred and scaled to length one.

    Parameters
    ----------
    values
        Array (dates, tickers).
    present
        Cells that count, same shape.

    Returns
    -------
    Matrix
        Same shape; ties share their mean rank; 0 for cells that do not count and for dates on
        which every value is the same. The products of two such matrices sum over a date to
        Spearman's correlation.
    """
    from scipy import stats

    # Cells that do not count rank last, and so leave the ranks of the others alone.
    ranks = stats.rankdata(np.where(present, values, np.inf), axis=1)
    centred = np.where(present, ranks - (present.sum(axis=1, keepdims=True) + 1) / 2, 0.0)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(centred / np.where(length > 0, length, 1.0))


def exchange_groups(present: Present) -> list[Positions]:
    """Group tickers that are there on the same dates.

    Any two of a group differ on at most 2% of the dates that either has: complete linkage of
    the Jaccard distance between the sets of dates, which does not depend on the order of the
    tickers.

    Parameters
    ----------
    present
        Array (dates, tickers): where a ticker has a score and a return.

    Returns
    -------
    list
        Positions of the tickers of each group of two or more.
    """
    from scipy.cluster import hierarchy
    from scipy.spatial import distance

    packed = np.packbits(present, axis=0).T
    patterns, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    cluster = np.zeros(len(patterns), dtype=np.intp)
    if len(patterns) > 1:
        there = present[:, first].astype(np.float64)
        shared = there.T @ there
        days = np.diag(shared)
        either = days[:, None] + days - shared
        apart = 1 - shared / np.maximum(either, 1)
        apart = distance.squareform(apart, checks=False)
        tree = hierarchy.linkage(apart, method="complete")
        cluster = hierarchy.fcluster(tree, MAX_DIFFERENCE + ROUNDING, criterion="distance")
    group = cluster[pattern.reshape(-1)]
    groups = [np.flatnonzero(group == code) for code in np.unique(group)]
    return [each for each in groups if len(each) > 1]


def split_groups(groups: Sequence[Positions], kinds: npt.NDArray[np.str_]) -> list[Positions]:
    """Split groups by the kind of their tickers; those left alone are left out.

    Examples
    --------
    >>> groups = split_groups([np.arange(5)], np.array(["a", "b", "a", "b", "c"]))
    >>> [group.tolist() for group in groups]
    [[0, 2], [1, 3]]
    """
    parts = [group[kinds[group] == kind] for group in groups for kind in np.unique(kinds[group])]
    return [part for part in parts if len(part) > 1]


def _permuted_sums(weights: Matrix, permutations: int, rng: np.random.Generator) -> Matrix:
    """Sum weights[pi(i), i] over i for each of the drawn permutations pi."""
    count = len(weights)
    columns = np.arange(count)
    sums = np.empty(permutations)
    for start in range(0, permutations, BLOCK):
        drawn = np.tile(columns, (min(BLOCK, permutations - start), 1))
        rng.permuted(drawn, axis=1, out=drawn)
        sums[start : start + len(drawn)] = weights[drawn, columns].sum(axis=1)
    return sums
