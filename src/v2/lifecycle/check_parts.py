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


def error_of_interval(low: float, high: float, dates: float, horizon: int) -> tuple[float, float]:
    """Read the standard error and the degrees of freedom off a 95% interval of training.

    Parameters
    ----------
    dates
        Dates that the interval was measured on.

    Returns
    -------
    tuple
        NaN where no degree of freedom is left.
    """
    from scipy import stats

    freedom = dates // (2 * horizon)
    if freedom < 1:
        return float("nan"), float("nan")
    return (high - low) / 2 / float(stats.t.ppf(0.975, freedom)), freedom


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
