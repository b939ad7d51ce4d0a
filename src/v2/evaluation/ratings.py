"""Ratings: the fifth of its date that a ticker's score falls into, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import RatingReturn
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE, RATING_CLASSES


def rate(scores: Sequence[float] | pl.Series) -> list[str | None]:
    """Rate the tickers of one date by their scores.

    A ticker at average rank r of n falls into fifth floor(5 (r - 1/2) / n); equal scores get
    equal ratings.

    Parameters
    ----------
    scores
        Finite, one a ticker, higher is better.

    Returns
    -------
    list
        A name of `RATING_CLASSES` for each score. None for all of them where they cannot be
        told apart: fewer than 10, or all the same.

    Examples
    --------
    >>> rate(range(10))[::3]
    ['Strong Sell', 'Sell', 'Buy', 'Strong Buy']
    >>> rate([1.0, 2.0])
    [None, None]
    """
    table = pl.DataFrame({"score": pl.Series(list(scores), dtype=pl.Float64)})
    codes = table.select(fifth().alias("fifth"))["fifth"]
    return [None if code is None else RATING_CLASSES[code] for code in codes]


def rating_returns(predictions: pl.DataFrame, horizon: int) -> tuple[RatingReturn, ...]:
    """Tell what followed each rating.

    Every scored ticker of a date is rated, as a reader saw it then; rows whose return is not
    known are left out of the means.

    Parameters
    ----------
    predictions
        | date | ticker | score | forward_return (fraction) |, any order.
    horizon
        Sessions of a forward return.

    Returns
    -------
    tuple
        One record a rating, lowest first: the mean forward return less the mean of its date,
        taken per date, then over the dates on which the rating was given. A rating never
        given has no rows and a NaN mean. Empty below 20 distinct tickers.
    """
    scored = predictions.filter(pl.col("score").is_finite())
    if scored["ticker"].n_unique() < SMALL_UNIVERSE:
        return ()
    future = pl.col("forward_return")
    daily = (
        scored.select("date", "forward_return", fifth("date").alias("fifth"))
        .drop_nulls()
        .with_columns((future - future.mean().over("date")).alias("excess"))
        .group_by("date", "fifth")
        .agg(pl.col("excess").mean(), pl.len().alias("rows"))
        .sort("date")
    )
    return tuple(
        _rating_return(name, daily.filter(pl.col("fifth") == code), horizon)
        for code, name in enumerate(RATING_CLASSES)
    )


def fifth(date: str | None = None) -> pl.Expr:
    """Express the fifth of `score`, as `rate` tells it, from 0 for the lowest scores.

    Parameters
    ----------
    date
        Column within whose values a score is ranked; None ranks the whole frame.

    Returns
    -------
    pl.Expr
        Int32; null for all of those that cannot be told apart. Scores must be finite.
    """
    score = pl.col("score")
    rank, count = score.rank("average"), score.count()
    told_apart = (count >= MIN_TICKERS_PER_DATE) & (score.min() < score.max())
    if date is not None:
        rank, count, told_apart = (part.over(date) for part in (rank, count, told_apart))
    # Multiplied before it is divided: a score on the border of two fifths is then exact.
    place = ((rank - 0.5) * len(RATING_CLASSES) / count).floor().cast(pl.Int32)
    return pl.when(told_apart).then(place)


def _rating_return(name: str, daily: pl.DataFrame, horizon: int) -> RatingReturn:
    excess = daily["excess"].to_numpy().astype(np.float64)
    return RatingReturn(name, int(daily["rows"].sum()), ewc_interval(excess, horizon))
