"""States of the market, by how much it moved: a description after the fact.

A date's volatility reads no later close. Its regime does: thirds are taken over all the dates
given, so it tells in what weather a forecast was made and can be no rule to trade by.
"""

from __future__ import annotations

import polars as pl

from src.v2.data.universe import MEMBER
from src.v2.evaluation.portfolio import SESSIONS_A_YEAR

REGIMES = ("calm", "middle", "stormy")

WINDOW = 63
"""Sessions of the volatility: a quarter of a year."""


def market_regimes(closes: pl.DataFrame, dates: pl.Series) -> pl.DataFrame:
    """Tell how much the market moved before each date, and which third that is.

    Parameters
    ----------
    closes
        | date | ticker | close |, any order, one row a date and ticker. With | is a member |
        a date's mean is that of its members.
    dates
        Dates to describe, any order, repeats allowed.

    Returns
    -------
    pl.DataFrame
        | date | volatility | regime |, one row a distinct date, sorted. `volatility` is the
        standard deviation of the mean return over tickers, each since its own bar before, on
        the 63 sessions that end with the date, times the root of 252; null where there are
        fewer, and on dates without closes.
        `regime` is the third of the dates given: "calm", "middle" or "stormy", null with it.
        Equal volatilities share a regime.
    """
    days = pl.DataFrame({"date": dates.unique().sort()})
    volatility = pl.col("volatility")
    third = ((volatility.rank("average") - 0.5) * len(REGIMES) / volatility.count()).floor()
    return days.join(_market_volatility(closes), on="date", how="left").with_columns(
        third.cast(pl.Int32)
        .replace_strict(dict(enumerate(REGIMES)), return_dtype=pl.String)
        .alias("regime")
    )


def _market_volatility(closes: pl.DataFrame) -> pl.DataFrame:
    """Give | date | volatility | of the sessions with at least one return, sorted."""
    own = pl.col("ticker") == pl.col("ticker").shift()
    if MEMBER in closes.columns:
        own = own & pl.col(MEMBER)
    change = pl.col("close").cast(pl.Float64) / pl.col("close").cast(pl.Float64).shift() - 1
    return (
        closes.sort("ticker", "date")
        .select("date", pl.when(own).then(change).alias("change"))
        .drop_nulls()
        # One order of the tickers, so that the sums round in one way.
        .group_by("date", maintain_order=True)
        .agg(pl.col("change").mean())
        .sort("date")
        .select(
            "date",
            (pl.col("change").rolling_std(WINDOW) * SESSIONS_A_YEAR**0.5).alias("volatility"),
        )
    )
