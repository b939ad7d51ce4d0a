"""Simple rules of one ticker's own past closes: what a model has to beat.

Each is known by the close of its date and has no parameter to choose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from src.v2.modeling.shown_return import add_shown_return, fit_rank_map

YEAR = 252
MONTH = 21
QUARTER = 63


def rule_scores(bars: pl.DataFrame, forward_days: int) -> pl.DataFrame:
    """Score every bar by each rule; higher is better.

    Parameters
    ----------
    bars
        | date | ticker | close |, any order, one row a date and ticker.
    forward_days
        Horizon of the label, in bars.

    Returns
    -------
    pl.DataFrame
        | date | ticker | persistence | reversal | momentum | inverse_volatility |, sorted by
        ticker and date. `persistence` is the ticker's return over its last `forward_days`
        bars (fraction) and `reversal` its negative; `momentum` the return from 252 to 21 bars
        ago (Jegadeesh and Titman 1993, Journal of Finance 48(1)); `inverse_volatility` the
        negative standard deviation of the last 63 daily returns. Null before a ticker has
        bars enough.

    Examples
    --------
    >>> closes = [100.0, 110.0, 99.0]
    >>> days = [dt.date(2024, 1, day) for day in (2, 3, 4)]
    >>> bars = pl.DataFrame({"date": days, "ticker": ["A"] * 3, "close": closes})
    >>> [round(value, 6) for value in rule_scores(bars, 1)["reversal"].drop_nulls()]
    [-0.1, 0.1]
    """
    close = pl.col("close").cast(pl.Float64)
    past = close / close.shift(forward_days) - 1
    daily = close / close.shift(1) - 1
    return (
        bars.select("date", "ticker", "close")
        .sort("ticker", "date")
        .select(
            "date",
            "ticker",
            past.over("ticker").alias("persistence"),
            (-past).over("ticker").alias("reversal"),
            (close.shift(MONTH) / close.shift(YEAR) - 1).over("ticker").alias("momentum"),
            (-daily.rolling_std(QUARTER)).over("ticker").alias("inverse_volatility"),
        )
    )


def show_by_rank(
    forecasts: pl.DataFrame, known_by: Mapping[int, dt.date] | None = None, every: int = 1
) -> pl.DataFrame:
    """Add | prediction (fraction) |, what earlier folds' scores turned into.

    Parameters
    ----------
    forecasts
        | date | fold | score | forward_return | expanding_mean | label_end |. Scores must
        mean the same on every date, as ranks do.
    known_by
        Date by which an outcome has to be known to help show a fold's returns; without it the
        fold's first date.
    every
        Read the outcomes of every so many dates only: neighbours tell the same.

    Returns
    -------
    pl.DataFrame
        The rows sorted by fold. The first fold shows the expanding mean alone, and so does a
        fold before which no outcome is known; a row without a score shows none.
    """
    dates = forecasts["date"].unique().sort()
    read = forecasts.filter(pl.col("date").is_in(dates.gather_every(every).implode()))
    read = read.drop_nulls(["score", "forward_return"])
    shown = []
    for fold in forecasts["fold"].unique().sort():
        part = forecasts.filter(pl.col("fold") == fold)
        limit = part["date"].min() if known_by is None else known_by[fold]
        earlier = read.filter((pl.col("fold") < fold) & (pl.col("label_end") <= limit))
        rank_map = fit_rank_map(earlier)
        scored = part.with_columns(pl.col("score").fill_null(0.0))
        table = add_shown_return(scored, "rank", rank_map)
        prediction = pl.when(part["score"].is_not_null()).then(table["prediction"])
        shown.append(part.with_columns(prediction.alias("prediction")))
    return pl.concat(shown)
