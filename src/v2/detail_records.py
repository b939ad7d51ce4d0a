"""How skill is spread over time, horizons, quantiles and errors: frozen records without logic.

All on the walk-forward's rows, which no fit has seen. Returns are fractions, horizons and
lags are in sessions; NaN stands for what cannot be told.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.v2.evaluation_records import Interval

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class MonthSkill:
    """Mean daily rank IC of one month."""

    year: int
    month: int
    dates: int
    rank_ic: float


@dataclass(frozen=True, slots=True)
class Decay:
    """Mean daily rank IC of the scores with the return over another horizon."""

    horizon: int
    rank_ic: Interval


@dataclass(frozen=True, slots=True)
class QuantileReturn:
    """What became of one quantile of the ranking: mean forward return over the date's mean."""

    quantile: int
    """1 is the lowest scores."""
    rows: int
    excess: Interval


@dataclass(frozen=True, slots=True)
class Memory:
    """How long a ranking lasts.

    Parameters
    ----------
    sessions
        Between two rankings.
    autocorrelation
        Mean rank correlation of the two, over pairs of dates of the same fold.
    leavers
        Share of the top quantile that is no longer in it.
    """

    sessions: int
    autocorrelation: float
    leavers: float


@dataclass(frozen=True, slots=True)
class ForecastBin:
    """Rows of about equal forecast, and the return that came."""

    forecast: float
    realised: Interval
    rows: int


@dataclass(frozen=True, slots=True)
class RegimeSkill:
    """Skill and errors in one state of the market.

    Parameters
    ----------
    name
        "calm", "middle" or "stormy": thirds of the dates by the market's volatility over the
        63 sessions before, a description after the fact.
    low, high
        Bounds of that annual volatility.
    rmse, bias
        Root mean squared and mean error of the shown return; NaN for classes.
    bias_low, bias_high
        95% bounds of `bias`.
    """

    name: str
    dates: int
    low: float
    high: float
    rank_ic: Interval
    rmse: float
    bias: float
    bias_low: float
    bias_high: float


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A forecast that went wrong.

    Parameters
    ----------
    forecast, realised
        Shown and realised forward return; for classes the probability of the class that came,
        and the forward return.
    """

    date: dt.date
    ticker: str
    fold: int
    forecast: float
    realised: float


@dataclass(frozen=True, slots=True)
class SkillDetail:
    """Everything that the report shows of skill beyond the evaluation.

    Parameters
    ----------
    daily
        | date | rank_ic | volatility | regime |, one row a scored date: the market's annual
        volatility of 63 sessions, null before, and its regime, null before.
    decay
        At rising horizons, the run's own among them.
    quantiles, quantile_paths
        Of five quantiles; the paths | date | q1 ... q5 | are the mean excess forward return of
        each quantile on each date, divided by the horizon, summed up over dates.
    bins
        Ten, by rising shown return; empty for classes, whose calibration curve says it.
    worst
        The largest errors, worst first.
    """

    daily: pl.DataFrame
    months: tuple[MonthSkill, ...]
    decay: tuple[Decay, ...]
    quantiles: tuple[QuantileReturn, ...]
    quantile_paths: pl.DataFrame
    memory: tuple[Memory, ...]
    bins: tuple[ForecastBin, ...]
    regimes: tuple[RegimeSkill, ...]
    worst: tuple[WorstRow, ...]
