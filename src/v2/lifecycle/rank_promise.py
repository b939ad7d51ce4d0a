"""A realised rank IC held against a promised one, of one model or of an alias over its versions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import POWER, ewc_interval, ewc_standard_error
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.check_parts import (
    NAN,
    interval_numbers,
    joined,
    outcome_of,
    unable_words,
)
from src.v2.lifecycle.monitor_records import Outcome
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE
from src.v2.summary_text import shown


@dataclass(frozen=True, slots=True)
class RankTest:
    """What holding ranks against a promise found.

    Parameters
    ----------
    found
        Realised mean rank IC with its 95% interval.
    dates
        Dates with a rank IC.
    promised
        Mean rank IC of the promise.
    p
        One-sided, for being no worse; NaN where that cannot be told.
    fall
        Below the promise, that would be found with a power of 80%.
    unable
        Why there is no p-value; empty where there is one.
    outcome
        ``cannot tell`` where a model of no skill at all could pass.
    """

    found: Interval
    dates: int
    promised: float
    p: float
    fall: float
    unable: str
    outcome: Outcome

    def words(self) -> str:
        """Say what the test found, and what it would have found."""
        if self.unable:
            return self.unable
        told = (
            f"p {shown(self.p, 'chance')} for being no worse; a fall of {self.fall:.4f} would be "
            "found 4 times in 5"
        )
        return told if self.fall <= self.promised else f"{told}, which is more than was promised"

    def numbers(self, key: str) -> dict[str, float]:
        """Give what was found under names that begin with a key."""
        return {
            **interval_numbers(key, self.found),
            f"{key}_promised": self.promised,
            f"{key}_p": self.p,
            f"{key}_fall_found": self.fall,
        }


def hold_ranks(
    rows: pl.DataFrame,
    promised: float,
    doubt: tuple[float, float],
    overlap: int,
    rate: float,
    silent: str,
) -> RankTest:
    """Hold the mean daily rank IC against a promise that is an estimate itself.

    The difference of the two means is divided by the root of the sum of their squared standard
    errors; one-sided, by Student's t with the degrees of freedom of Welch (1947, Biometrika 34).

    Parameters
    ----------
    rows
        | date | ticker | score | forward_return | of predictions that count.
    promised
        Mean rank IC; NaN where it is not known.
    doubt
        Standard error of the promise and its degrees of freedom.
    overlap
        Dates that share days with one another.
    rate
        Chance of a false alarm.
    silent
        Said where enough dates are there and the promise is not known.
    """
    from scipy import stats

    series = daily_ic(rows)["rank_ic"].to_numpy()
    found, own = ewc_interval(series, overlap), ewc_standard_error(series, overlap)
    scale, freed = joined(own, doubt)
    p = float(stats.t.cdf((found.mean - promised) / scale, freed)) if scale > 0 else NAN
    fall = float(stats.t.ppf(1 - rate, freed) + stats.t.ppf(POWER, freed)) * scale
    unable = unable_words(len(series), overlap, own[0])
    if rows.height and not len(series):
        unable = f"no date with {MIN_TICKERS_PER_DATE} tickers, and ranks of fewer say nothing"
    if not unable and not math.isfinite(p):
        unable = silent
    outcome = outcome_of(p < rate, math.isfinite(p))
    if outcome == "ok" and fall > promised:
        outcome = "cannot tell"
    return RankTest(found, len(series), promised, p, fall, unable, outcome)
