"""Whether the intervals of a model in use hold as many outcomes as they should."""

from __future__ import annotations

import math

import polars as pl

from src.v2.evaluation.significance import ewc_standard_error
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.check_parts import (
    NAN,
    daily_mean,
    error_of_interval,
    interval_numbers,
    outcome_of,
    unable_words,
)
from src.v2.lifecycle.monitor_records import MonitorCheck, Outcome
from src.v2.modeling.model_card import ModelCard
from src.v2.summary_text import between, shown

QUESTION = "Do the intervals hold what they should?"


def check_coverage(rows: pl.DataFrame, card: ModelCard, overlap: int, rate: float) -> MonitorCheck:
    """Hold the share of outcomes within their intervals against the level.

    An alarm where they hold too little; where they hold too much, which multiples made of few
    blocks do by design, a note. Both the multiple and the realised share are estimates. The
    error of the walk-forward's share, which the card tells, stands for both, scaled to the
    number of dates that do not overlap: that of the realised share itself collapses where
    nearly everything is held. Roots of the share missed are compared, since the error of a
    share of rare events grows with the root of it; one-sided, by Student's t with the
    walk-forward's degrees of freedom.

    Parameters
    ----------
    rows
        | date | forward_return | return_low | return_high | coverage | of predictions that
        count; where levels differ, those of the most frequent one are looked at.
    overlap
        Dates that share days with one another.
    rate
        Chance of a false alarm.
    """
    rule = f"share held below the level, one-sided p < {rate:g}"
    told = rows.drop_nulls(["return_low", "return_high"])
    if told.is_empty():
        words = "no prediction with an interval has an outcome yet"
        return MonitorCheck("coverage", QUESTION, "too early", words, rule)
    counts = told.group_by("coverage").agg(pl.col("date").n_unique().alias("dates"))
    level = float(counts.sort("dates", "coverage", descending=True)["coverage"][0])
    inside = pl.col("forward_return").is_between("return_low", "return_high")
    series = daily_mean(told.filter(pl.col("coverage") == level), inside)
    words = unable_words(len(series), overlap, ewc_standard_error(series, overlap)[0])
    found, p = Interval(float(series.mean()), NAN, NAN, 0), NAN
    if not words:
        found, p = _judged(found.mean, level, card, len(series) / overlap)
        words = f"p {shown(p, 'chance')} for holding enough"
        if not math.isfinite(p):
            words = "the card does not tell how sure its intervals are"
    outcome: Outcome = outcome_of(p < rate, math.isfinite(p))
    if 1 - p < rate:
        outcome, words = "note", f"{words}; more than they should: they are wider than needed"
    return MonitorCheck(
        "coverage",
        QUESTION,
        outcome,
        f"{level:.0%} intervals held {between(found, 'share')} on {len(series):,} dates; {words}",
        rule,
        {**interval_numbers("coverage", found), "coverage_level": level, "coverage_p": p},
    )


def _judged(mean: float, level: float, card: ModelCard, windows: float) -> tuple[Interval, float]:
    """Give a realised share its interval, and the chance of one as low; NaN if not known."""
    from scipy import stats

    coverage, error, dates = _promised(card, level)
    freedom = dates // (2 * card.forward_days)
    missed = 1 - coverage
    if not (missed > 0 and error > 0 and freedom > 0):
        return Interval(mean, NAN, NAN, 0), NAN
    own = error * (dates / card.forward_days / windows) ** 0.5
    half = float(stats.t.ppf(0.975, freedom)) * own
    scale = math.hypot(error, own) / (2 * missed**0.5)
    p = float(stats.t.cdf(((1 - level) ** 0.5 - (1 - mean) ** 0.5) / scale, freedom))
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0), 0), p


def _promised(card: ModelCard, level: float) -> tuple[float, float, int]:
    """Give the share that intervals held, its standard error, and the dates behind it."""
    known = None if card.intervals is None else card.intervals.at(level)
    if card.intervals is None or known is None or known.coverage is None:
        return NAN, NAN, 0
    if known.error is not None and known.dates is not None:
        return known.coverage, known.error, known.dates
    if known.low is None or known.high is None:
        return known.coverage, NAN, 0
    # An older card tells the ends alone; one that was cut at 0 or 1 is the nearer one.
    half = max(known.high - known.coverage, known.coverage - known.low)
    dates = card.intervals.measured_dates
    ends = known.coverage - half, known.coverage + half
    error, _ = error_of_interval(*ends, dates, card.forward_days)
    return known.coverage, error, dates
