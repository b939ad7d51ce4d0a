"""What was promised, held against what came: errors joined, and words for too few dates."""

from __future__ import annotations

import math

from src.v2.evaluation.significance import MIN_COSINES
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.monitor_records import Outcome

NAN = float("nan")


def error_of(low: float, high: float, dates: float, horizon: int) -> tuple[float, float]:
    """Read the standard error and the degrees of freedom off a 95% interval of training.

    Parameters
    ----------
    low, high
        Its bounds; NaN gives NaN.
    dates
        That it was taken from.
    horizon
        Dates over which neighbouring labels overlap.
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


def outcome_of(alarm: bool, known: bool) -> Outcome:
    """Give the outcome of a check that raises an alarm where enough is known."""
    if not known:
        return "too early"
    return "alarm" if alarm else "ok"


def unable(dates: int, overlap: int, found: float) -> str:
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
    """Name a mean and its bounds."""
    return {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
