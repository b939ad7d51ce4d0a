"""Several ways of ranking beside one reference, date by date, on the same rows.

The best of many is better than the reference by luck alone. The tests here look at all
differences together: they hold the chance of even one false claim at the level, and since
ways of ranking the same rows move together, they ask less of each than Bonferroni would.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import MIN_COSINES

Matrix = npt.NDArray[np.float64]

DRAWS = 20_000
KEYS = ["date", "ticker"]


def common_rows(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join the rows that every table scores.

    Parameters
    ----------
    tables
        By name: | date | ticker | score | forward_return (fraction) |, any order. Rows without
        a score or a return are left out.

    Returns
    -------
    pl.DataFrame
        | date | ticker | forward_return | one column of scores a name |, sorted by date and
        ticker; the return is that of the first table.
    """
    (first, whole), *others = tables.items()
    known = whole.drop_nulls(["score", "forward_return"])
    rows = known.select(*KEYS, "forward_return", pl.col("score").alias(first))
    for name, table in others:
        other = table.drop_nulls(["score", "forward_return"])
        rows = rows.join(other.select(*KEYS, pl.col("score").alias(name)), on=KEYS, how="inner")
    return rows.sort(KEYS)


def daily_rank_ics(rows: pl.DataFrame) -> pl.DataFrame:
    """Correlate each column of scores with the returns, by rank, on each date.

    Parameters
    ----------
    rows
        As `common_rows` gives them.

    Returns
    -------
    pl.DataFrame
        | date | one column a name |, sorted by date; dates with fewer than 10 tickers are left
        out.
    """
    names = [name for name in rows.columns if name not in (*KEYS, "forward_return")]
    parts = [
        daily_ic(rows.select("date", "forward_return", pl.col(name).alias("score")))
        for name in names
    ]
    columns = [part["rank_ic"].alias(name) for name, part in zip(names, parts, strict=True)]
    return pl.DataFrame([parts[0]["date"], *columns])


def stepdown_p(differences: Matrix, horizon: int, seed: int = 0) -> Matrix:
    """Test which of several mean differences lie above 0, all of them together.

    Each statistic is that of `ewc_test`. Under the null they are jointly Student's t, with
    the correlations of the cosine sums that the standard errors are made of; the largest of
    them is drawn, for all differences, then for those not yet found (Romano and Wolf 2005,
    Econometrica 73(4), algorithm 4.1, with p-values as in Romano and Wolf 2016, Statistics and
    Probability Letters 113).

    Parameters
    ----------
    differences
        Array (dates, ways), in date order, without NaN.
    horizon
        Dates over which neighbouring values overlap.

    Returns
    -------
    array (ways,)
        One-sided p-values, adjusted for the number of ways. NaN throughout below 12 horizons,
        and for a difference that does not vary, which is no part of the family.
    """
    adjusted = np.full(differences.shape[1], np.nan)
    statistic, correlation, freedom = _statistics(differences, horizon)
    there = np.flatnonzero(np.isfinite(statistic))
    if not len(there):
        return adjusted
    inner = correlation[np.ix_(there, there)]
    draws = _student_draws(inner, freedom, np.random.default_rng(seed))
    order = np.argsort(-statistic[there], kind="stable")
    # Largest of the draws over each difference and those ranked below it.
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    reached = (largest >= statistic[there][order]).sum(axis=0)
    adjusted[there[order]] = np.maximum.accumulate((1 + reached) / (1 + len(draws)))
    return adjusted


def _statistics(differences: Matrix, horizon: int) -> tuple[Matrix, Matrix, int]:
    """Give each difference's t, the correlations between them, and the degrees of freedom."""
    from scipy import fft

    dates, ways = differences.shape
    freedom = dates // (2 * horizon)
    if freedom < MIN_COSINES:
        return np.full(ways, np.nan), np.eye(ways), freedom
    means = differences.mean(axis=0)
    sums = fft.dct(differences - means, type=2, norm="ortho", axis=0)[1 : freedom + 1]
    lengths = np.sqrt((sums**2).sum(axis=0))
    errors = lengths / np.sqrt(freedom * dates)
    moves = errors > 1e-12 * np.abs(means)
    units = sums / np.where(moves, lengths, 1.0)
    statistic = np.where(moves, means / np.where(moves, errors, 1.0), np.nan)
    return statistic, units.T @ units, freedom


def _student_draws(correlation: Matrix, freedom: int, generator: np.random.Generator) -> Matrix:
    """Draw from the multivariate t distribution: (draws, ways)."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    normal = generator.standard_normal((DRAWS, len(correlation))) @ root.T
    scale = np.sqrt(generator.chisquare(freedom, DRAWS) / freedom)
    return np.asarray(normal / scale[:, None])
