"""What became of each fifth of the ranking, and how long a ranking lasts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.detail_records import Memory, QuantileReturn
from src.v2.evaluation.grid import Matrix, make_grid
from src.v2.evaluation.permutation import standardised_ranks
from src.v2.evaluation.ratings import fifth
from src.v2.evaluation.significance import ewc_interval
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE

QUANTILES = 5
"""The ratings are the same fifths."""

LAGS = (1, 5, 21, 63)
"""Sessions between two rankings."""


def daily_quantiles(predictions: pl.DataFrame) -> pl.DataFrame:
    """Tell what followed each fifth of the ranking, date by date.

    Every scored ticker of a date is ranked, as a reader saw it then; rows whose return is not
    known are left out of the means. Equal scores share a fifth, so on a date of ties fifths
    differ in size, or are empty.

    Parameters
    ----------
    predictions
        | date | ticker | score | forward_return (fraction) |, any order.

    Returns
    -------
    pl.DataFrame
        | date | quantile (1 holds the lowest scores) | excess | rows |, sorted: the mean forward
        return less that of the date. Dates whose tickers cannot be told apart are left out.
    """
    future = pl.col("forward_return")
    return (
        predictions.filter(pl.col("score").is_finite())
        .sort("date", "ticker")
        .select("date", "forward_return", (fifth("date") + 1).alias("quantile"))
        .drop_nulls()
        .with_columns((future - future.mean().over("date")).alias("excess"))
        .group_by("date", "quantile", maintain_order=True)
        .agg(pl.col("excess").mean(), pl.len().alias("rows"))
        .sort("date", "quantile")
    )


def quantile_returns(daily: pl.DataFrame, horizon: int) -> tuple[QuantileReturn, ...]:
    """Average what followed each fifth over dates.

    Parameters
    ----------
    daily
        As `daily_quantiles` gives it.
    horizon
        Sessions of a forward return.

    Returns
    -------
    tuple
        Five, lowest scores first; NaN for one that no date has.
    """
    found = []
    for quantile in range(1, QUANTILES + 1):
        part = daily.filter(pl.col("quantile") == quantile)
        interval = ewc_interval(part["excess"].to_numpy().astype(np.float64), horizon)
        found.append(QuantileReturn(quantile, int(part["rows"].sum()), interval))
    return tuple(found)


def quantile_paths(daily: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Sum what followed each fifth up over dates, each date by its share of the horizon.

    Parameters
    ----------
    daily
        As `daily_quantiles` gives it.
    horizon
        Sessions of a forward return.

    Returns
    -------
    pl.DataFrame
        | date | q1 ... q5 | (fractions), sorted. A fifth that a date lacks stays where it was.
    """
    columns = [
        pl.col("excess").filter(pl.col("quantile") == place).sum().alias(f"q{place}")
        for place in range(1, QUANTILES + 1)
    ]
    return (
        daily.group_by("date", maintain_order=True)
        .agg(columns)
        .sort("date")
        .with_columns(pl.exclude("date").cum_sum() / horizon)
    )


def ranking_memory(predictions: pl.DataFrame) -> tuple[Memory, ...]:
    """Compare rankings some sessions apart.

    Only dates of the same fold are compared: the next fold's model is another one.

    Parameters
    ----------
    predictions
        | date | ticker | fold | score |, any order, one row a date and ticker; each date belongs
        to one fold.

    Returns
    -------
    tuple
        One record for each of 1, 5, 21 and 63 sessions, both numbers being means over pairs of
        dates. `autocorrelation` is over the tickers scored on both dates; pairs with fewer than
        10 are left out, and a date of equal scores has none: 0. A ticker of the top fifth that
        is not scored later has left. NaN without a pair.
    """
    scored = predictions.filter(pl.col("score").is_finite())
    scored = scored.with_columns((fifth("date") + 1).alias("quantile"))
    grid = make_grid(scored, ["score", "quantile", "fold"])
    if not grid.dates:
        return tuple(Memory(lag, float("nan"), float("nan")) for lag in LAGS)
    fold = np.nanmax(grid.values["fold"], axis=1)
    scores, quantile = grid.values["score"], grid.values["quantile"]
    return tuple(_memory(scores, quantile, fold, lag) for lag in LAGS)


def _memory(scores: Matrix, quantile: Matrix, fold: npt.NDArray[np.float64], lag: int) -> Memory:
    """Compare all pairs of dates of a fold that are `lag` sessions apart."""
    first = np.flatnonzero(fold[:-lag] == fold[lag:])
    before, after = scores[first], scores[first + lag]
    both = np.isfinite(before) & np.isfinite(after)
    enough = both.sum(axis=1) >= MIN_TICKERS_PER_DATE
    before, after, both = before[enough], after[enough], both[enough]
    product = standardised_ranks(before, both) * standardised_ranks(after, both)
    top, later = quantile[first] == QUANTILES, quantile[first + lag]
    told = top.any(axis=1) & np.isfinite(later).any(axis=1)
    left = (top & (later != QUANTILES))[told].sum(axis=1) / top[told].sum(axis=1)
    return Memory(lag, _mean(product.sum(axis=1)), _mean(left))


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
