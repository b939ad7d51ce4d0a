"""Parts that the checks of realised predictions share."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.significance import MIN_COSINES
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.monitor_records import Outcome

Series = npt.NDArray[np.float64]
NAN = float("nan")


def error_of_interval(low: float, high: float, dates: float, horizon: int) -> tuple[float, float]:
    """Read the standard error and the degrees of freedom off a 95% interval of training.

    Parameters
    ----------
    low, high
        Its bounds; NaN gives NaN.
    dates
        Dates that the interval was measured on.
    horizon
        Dates over which neighbouring labels overlap.

    Returns
    -------
    tuple
        NaN where no degree of freedom is left.
    """
    from scipy import stats

    freedom = dates // (2 * horizon)
    if freedom < 1:
        return NAN, NAN
    return (high - low) / 2 / float(stats.t.ppf(0.975, freedom)), freedom


def joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Join two independent errors, each with its degrees of freedom, as Welch (1947) does.

    NaN where one of them is not known.
    """
    (error, freedom), (other_error, other_freedom) = one, other
    total = error**2 + other_error**2
    if not total > 0:
        return NAN, NAN
    return total**0.5, total**2 / (error**4 / freedom + other_error**4 / other_freedom)


def daily_mean(rows: pl.DataFrame, value: pl.Expr) -> Series:
    """Average a value over the tickers of each date, in date order."""
    daily = rows.group_by("date").agg(value.cast(pl.Float64).mean().alias("value")).sort("date")
    return daily["value"].to_numpy()


def outcome_of(alarm: bool, known: bool) -> Outcome:
    """Name what a check found; too early where nothing is known."""
    if not known:
        return "too early"
    return "alarm" if alarm else "ok"


def unable_words(dates: int, overlap: int, found: float) -> str:
    """Say why there is no interval; empty where there is one."""
    if math.isfinite(found):
        return ""
    if not dates:
        return "no outcome counts yet"
    needed = 2 * MIN_COSINES * overlap
    if dates >= needed:
        return "too little variation to tell"
    return f"too few dates to tell: {needed:,} are needed, 12 times {overlap} that overlap"


def interval_numbers(key: str, found: Interval) -> dict[str, float]:
    """Give a mean and its bounds under names of their own."""
    return {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
