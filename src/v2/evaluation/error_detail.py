"""Where the forecasts are wrong: by size, by the state of the market, and one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.detail_records import ForecastBin, RegimeSkill, WorstRow
from src.v2.evaluation.regimes import REGIMES
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import Interval

BINS = 10
WORST = 20
WORST_A_MONTH = 2
"""Rows of one ticker and month among the worst, so that one crash does not fill the list."""

ERROR = pl.col("prediction") - pl.col("forward_return")


def forecast_bins(predictions: pl.DataFrame, horizon: int) -> tuple[ForecastBin, ...]:
    """Compare shown returns with those that came, in ten bins of rising forecast.

    A bin's mean is over its rows, so it is a ratio of two sums over dates: the return and the
    number of rows. Its interval is that of the dates' influences on the ratio, for only the
    dates with rows of the bin; those stand at least as far apart as in the series, so a horizon
    of them overlaps no more.

    Parameters
    ----------
    predictions
        | date | ticker | prediction (fraction) | forward_return (fraction) |, any order; rows
        without either are left out.
    horizon
        Sessions of a forward return.

    Returns
    -------
    tuple
        At most ten, by rising forecast: equal forecasts share a bin, which may leave others
        without rows. Bounds are NaN where a bin's dates are fewer than 12 horizons.
    """
    shown = pl.col("prediction")
    place = (shown.rank("average") - 0.5) * BINS / pl.len()
    rows = (
        predictions.filter(pl.col("prediction").is_finite() & pl.col("forward_return").is_finite())
        .sort("date", "ticker")
        .with_columns(place.floor().cast(pl.Int32).alias("bin"))
    )
    daily = (
        rows.group_by("bin", "date", maintain_order=True)
        .agg(pl.len().alias("rows"), shown.sum(), pl.col("forward_return").sum())
        .sort("bin", "date")
    )
    return tuple(_forecast_bin(part, horizon) for part in daily.partition_by("bin"))


def _forecast_bin(daily: pl.DataFrame, horizon: int) -> ForecastBin:
    """Sum one bin up from its dates."""
    rows = daily["rows"].to_numpy().astype(np.float64)
    realised = ratio_interval(daily["forward_return"].to_numpy(), rows, horizon)
    total = int(rows.sum())
    return ForecastBin(float(daily["prediction"].sum()) / total, realised, total)


def ratio_interval(
    sums: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], horizon: int
) -> Interval:
    """Confidence interval of a mean over rows, whose dates hold unequal numbers of them.

    The ratio of the totals is linearised about its value, and the mean of the dates' influences
    gets the interval of `ewc_interval`.

    Parameters
    ----------
    sums, rows
        Sum of the values and number of rows of each date with rows, in date order.
    horizon
        Dates over which neighbouring values overlap.

    Examples
    --------
    >>> ratio_interval(np.array([1.0, 4.0]), np.array([1.0, 3.0]), 1).mean
    1.25
    """
    if not len(rows):
        return ewc_interval(rows, horizon)
    ratio = float(sums.sum() / rows.sum())
    return ewc_interval(ratio + (sums - ratio * rows) / rows.mean(), horizon)


def regime_skill(
    predictions: pl.DataFrame, daily: pl.DataFrame, horizon: int
) -> tuple[RegimeSkill, ...]:
    """Tell skill and errors apart by the state of the market.

    Parameters
    ----------
    predictions
        | date | forward_return (fraction) | and, for regression, | prediction (fraction) |.
    daily
        | date | rank_ic | volatility | regime |, one row a date, sorted; null where unknown.
    horizon
        Sessions of a forward return.

    Returns
    -------
    tuple
        From calm to stormy, those with dates. The rank IC is over the regime's dates in their
        order, whose neighbours overlap no more than in the whole series. `bias` is the mean of
        forecast less return over rows, with the bounds of `ratio_interval`: above 0 the
        forecasts were too high. NaN for classes.
    """
    error = ERROR if "prediction" in predictions.columns else pl.lit(None, dtype=pl.Float64)
    errors = predictions.group_by("date", maintain_order=True).agg(
        error.count().alias("rows"), error.sum().alias("error"), (error**2).sum().alias("square")
    )
    table = daily.drop_nulls("regime").join(errors, on="date", how="left").sort("date")
    parts = (table.filter(pl.col("regime") == name) for name in REGIMES)
    return tuple(_regime(part, horizon) for part in parts if part.height)


def _regime(table: pl.DataFrame, horizon: int) -> RegimeSkill:
    """Sum one regime up from its dates."""
    rows = int(table["rows"].sum())
    square = float(table["square"].sum()) / rows if rows else float("nan")
    judged = table.filter(pl.col("rows") > 0)
    counts = judged["rows"].to_numpy().astype(np.float64)
    bias = ratio_interval(judged["error"].to_numpy(), counts, horizon)
    bounds = table["volatility"].to_numpy()
    return RegimeSkill(
        name=str(table["regime"][0]),
        dates=table.height,
        low=float(bounds.min()),
        high=float(bounds.max()),
        rank_ic=ewc_interval(table["rank_ic"].drop_nulls().to_numpy(), horizon),
        rmse=square**0.5,
        bias=bias.mean,
        bias_low=bias.low,
        bias_high=bias.high,
    )


def worst_rows(predictions: pl.DataFrame, columns: Sequence[str] = ()) -> tuple[WorstRow, ...]:
    """List the forecasts that went most wrong.

    Parameters
    ----------
    predictions
        | date | ticker | fold | forward_return (fraction) | and, for regression, | prediction
        (fraction) |, or | label (class code) | and the probability columns |, any order.
    columns
        The probability columns, lowest class first; empty for regression.

    Returns
    -------
    tuple
        Up to 20, worst first, at most 2 of a ticker and month: the largest absolute errors, or
        the smallest probabilities of the class that came. Of equal ones the earlier first.
    """
    if columns:
        shown = _chance_of_label(columns)
        size = -shown
    else:
        shown, size = pl.col("prediction"), ERROR.abs()
    month = [pl.col("ticker"), pl.col("date").dt.truncate("1mo")]
    rows = (
        predictions.drop_nulls("forward_return")
        .select("date", "ticker", "fold", shown.alias("shown"), "forward_return", size=size)
        .filter(pl.col("size").is_finite())
        .sort("size", "date", "ticker", descending=[True, False, False])
        .filter(pl.int_range(pl.len()).over(month) < WORST_A_MONTH)
        .head(WORST)
        .drop("size")
    )
    return tuple(WorstRow(*row) for row in rows.iter_rows())


def _chance_of_label(columns: Sequence[str]) -> pl.Expr:
    """Express the probability of the class that came; null without a label."""
    chance = pl.lit(None, dtype=pl.Float64)
    for code, name in enumerate(columns):
        chance = pl.when(pl.col("label") == code).then(pl.col(name)).otherwise(chance)
    return chance
