"""By how much one model's stored forecasts are better than another's, on the same rows.

Nothing is computed anew, so two versions of the features never meet in one process.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval, ewc_test
from src.v2.evaluation_records import Interval

Measure = Literal["rank IC", "squared error"]


@dataclass(frozen=True, slots=True)
class Margin:
    """Two models beside each other, on the dates and tickers that both forecast.

    Parameters
    ----------
    measure
        What is compared: below 20 common tickers ranks say nothing, and shown returns are.
    ours, theirs
        Means over the common dates.
    gain
        Daily rank IC of ours less theirs, or squared error of theirs less ours: above 0 where
        ours is better. NaN bounds below 12 horizons of dates, NaN throughout without dates.
    p
        One-sided, for a gain above 0; NaN without bounds, and for gains that do not vary.
    first, last
        The common dates; None without any.
    """

    measure: Measure
    ours: float
    theirs: float
    gain: Interval
    p: float
    dates: int
    tickers: int
    first: dt.date | None
    last: dt.date | None


def forecast_margin(ours: pl.DataFrame, theirs: pl.DataFrame, horizon: int) -> Margin:
    """Compare two walk-forwards on what both forecast.

    Parameters
    ----------
    ours, theirs
        Stored forecasts: | date | ticker | part | score | forward_return (fraction) | and, for
        regression, | prediction (fraction) |. Rows of the holdout are left out: it is no place
        for choices. The return that followed is the one that `ours` holds.
    horizon
        Dates over which neighbouring labels overlap, of both.

    Returns
    -------
    Margin
        Paired by date, with the interval of `src.v2.evaluation.significance.ewc_interval` and
        the p-value of `ewc_test`.
    """
    rows = _common_rows(ours, theirs)
    tickers = rows["ticker"].n_unique()
    small = tickers < SMALL_UNIVERSE and "prediction" in ours.columns
    measure: Measure = "squared error" if small and "prediction" in theirs.columns else "rank IC"
    pairs = _errors(rows) if measure == "squared error" else _rank_ics(rows)
    mine, other = (pairs[name].to_numpy().astype(np.float64) for name in ("ours", "theirs"))
    sign = -1.0 if measure == "squared error" else 1.0
    gains = sign * (mine - other)
    dates = pairs["date"]
    return Margin(
        measure,
        float(mine.mean()) if len(mine) else float("nan"),
        float(other.mean()) if len(other) else float("nan"),
        ewc_interval(gains, horizon),
        ewc_test(gains, horizon).p,
        len(dates),
        tickers,
        dates[0] if len(dates) else None,
        dates[-1] if len(dates) else None,
    )


def _common_rows(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Put the forecasts of both on one row; theirs are named other_score, other_prediction."""
    kept = {}
    for name, table in (("ours", ours), ("theirs", theirs)):
        if "prediction" not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=pl.Float64).alias("prediction"))
        kept[name] = table.filter(pl.col("part") == "walk_forward").drop_nulls(["score"])
    other = kept["theirs"].select(
        "date", "ticker", pl.col("score", "prediction").name.prefix("other_")
    )
    rows = kept["ours"].drop_nulls(["forward_return"])
    return rows.select("date", "ticker", "score", "prediction", "forward_return").join(
        other, on=["date", "ticker"], how="inner"
    )


def _rank_ics(rows: pl.DataFrame) -> pl.DataFrame:
    """Give | date | ours | theirs |, the rank ICs of each date."""
    other = rows.with_columns(pl.col("other_score").alias("score"))
    return daily_ic(rows).select(
        "date", pl.col("rank_ic").alias("ours"), daily_ic(other)["rank_ic"].alias("theirs")
    )


def _errors(rows: pl.DataFrame) -> pl.DataFrame:
    """Give | date | ours | theirs |, the mean squared errors of each date."""
    truth = pl.col("forward_return")
    return (
        rows.drop_nulls(["prediction", "other_prediction"])
        .group_by("date")
        .agg(
            ours=((truth - pl.col("prediction")) ** 2).mean(),
            theirs=((truth - pl.col("other_prediction")) ** 2).mean(),
        )
        .sort("date")
    )
