"""Whether a model in use does what its training promised.

Each alarm has a stated rule, and a stated chance of being false at one look. Whoever looks every
day sees a false alarm more often than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval, ewc_standard_error
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.monitor_records import MonitorCheck, Outcome
from src.v2.lifecycle.promises import (
    error_of,
    interval_numbers,
    joined,
    outcome_of,
    unable,
)
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.walk_forward import probability_column
from src.v2.summary_text import between, shown

Series = npt.NDArray[np.float64]
NAN = float("nan")


def check_skill(rows: pl.DataFrame, card: ModelCard, overlap: int, rate: float) -> MonitorCheck:
    """Hold the realised rank IC against that of the walk-forward.

    The difference of the two means is divided by the root of the sum of their squared standard
    errors; one-sided, by Student's t with the degrees of freedom of Welch (1947, Biometrika 34).

    Parameters
    ----------
    rows
        | date | ticker | score | forward_return | of predictions that count.
    overlap
        Dates that share days with one another.
    rate
        Chance of a false alarm.
    """
    from scipy import stats

    series = daily_ic(rows)["rank_ic"].to_numpy()
    found, promise = ewc_interval(series, overlap), _promise(card)
    error, freedom = ewc_standard_error(series, overlap)
    dates = card.out_of_sample.get("cv_dates", 0.0)
    scale, freed = joined(
        (error, freedom), error_of(promise.low, promise.high, dates, card.forward_days)
    )
    p = float(stats.t.cdf((found.mean - promise.mean) / scale, freed)) if scale > 0 else NAN
    words = unable(len(series), overlap, error)
    if rows.height and not len(series):
        words = f"no date with {MIN_TICKERS_PER_DATE} tickers, and ranks of fewer say nothing"
    if not words and not math.isfinite(p):
        words = "the card holds no interval of the walk-forward's rank IC to hold it against"
    words = f"; {words}" if words else f"; p {shown(p, 'chance')} for being no worse"
    return MonitorCheck(
        "skill",
        "Does the ranking hold what the walk-forward promised?",
        outcome_of(p < rate, math.isfinite(p)),
        f"rank IC {between(found, 'ic')} on {len(series):,} dates; promised "
        f"{between(promise, 'ic')}{words}",
        f"realised rank IC below the promised one, one-sided p < {rate:g}",
        {**interval_numbers("rank_ic", found), "rank_ic_promised": promise.mean, "rank_ic_p": p},
    )


def _promise(card: ModelCard) -> Interval:
    """Give the walk-forward's mean rank IC and its interval."""
    names = ("cv_rank_ic_pooled", "cv_rank_ic_low", "cv_rank_ic_high")
    mean, low, high = (card.out_of_sample.get(name, NAN) for name in names)
    return Interval(mean, low, high, 0)


def check_coverage(rows: pl.DataFrame, card: ModelCard, overlap: int, rate: float) -> MonitorCheck:
    """Hold the share of outcomes within their intervals against the level.

    The multiple of volatility is itself an estimate. The error of the share that it held in the
    walk-forward, which the card tells, is therefore added to that of the realised share; two-sided,
    by Student's t as for the skill.

    Parameters
    ----------
    rows
        | date | forward_return | return_low | return_high | coverage | of predictions that
        count; where levels differ, those of the most frequent one are looked at.
    """
    from scipy import stats

    question = "Do the intervals hold what they should?"
    rule = f"share held further from the level than chance allows, two-sided p < {rate:g}"
    told = rows.drop_nulls(["return_low", "return_high"])
    if told.is_empty():
        words = "no prediction with an interval has an outcome yet"
        return MonitorCheck("coverage", question, "too early", words, rule)
    counts = told.group_by("coverage").agg(pl.col("date").n_unique().alias("dates"))
    level = float(counts.sort("dates", "coverage", descending=True)["coverage"][0])
    inside = pl.col("forward_return").is_between("return_low", "return_high")
    series = _daily(told.filter(pl.col("coverage") == level), inside)
    found = ewc_interval(series, overlap)
    error, freedom = ewc_standard_error(series, overlap)
    scale, freed = joined((error, freedom), _promised_coverage(card, level))
    p = 2 * float(stats.t.sf(abs(found.mean - level) / scale, freed)) if scale > 0 else NAN
    words = unable(len(series), overlap, error)
    if not words and not math.isfinite(p):
        words = "the card does not tell how sure its intervals are"
    words = f"; {words}" if words else f"; p {shown(p, 'chance')} for no gap"
    return MonitorCheck(
        "coverage",
        question,
        outcome_of(p < rate, math.isfinite(p)),
        f"{level:.0%} intervals held {between(found, 'share')} on {len(series):,} dates{words}",
        rule,
        {**interval_numbers("coverage", found), "coverage_level": level, "coverage_p": p},
    )


def _promised_coverage(card: ModelCard, level: float) -> tuple[float, float]:
    """Give the standard error of the share that intervals held, and the degrees of freedom."""
    known = None if card.intervals is None else card.intervals.at(level)
    if card.intervals is None or known is None or known.low is None or known.high is None:
        return NAN, NAN
    return error_of(known.low, known.high, card.intervals.measured_dates, card.forward_days)


def check_calibration(
    rows: pl.DataFrame, classes: Sequence[str], overlap: int, rate: float
) -> MonitorCheck:
    """Hold forecasts against the mean of what came.

    Of classes: the probability of the likeliest class less the share of dates on which it came;
    an alarm where its interval leaves 0 out. Of returns: what came less what was shown, which
    the market decides more than the model does, so it is never more than a note.
    """
    question = "Do forecasts agree with what came, on average?"
    if classes:
        shares = [probability_column(name) for name in classes]
        told = rows.drop_nulls(["label", *shares])
        best = pl.concat_list(shares)
        hit = best.list.arg_max().cast(pl.Float64) == pl.col("label").cast(pl.Float64)
        series = _daily(told, best.list.max() - hit.cast(pl.Float64))
        rule, what = (
            f"the {1 - rate:.3g} interval of the gap leaves 0 out",
            "probability of the likeliest class less the share that came",
        )
    else:
        told = rows.drop_nulls("predicted_return")
        series = _daily(told, pl.col("forward_return") - pl.col("predicted_return"))
        rule, what = "", "return that came less the one shown"
    found = ewc_interval(series, overlap, 1 - rate)
    known = math.isfinite(found.low)
    gap = known and found.high > found.low and not found.low <= 0 <= found.high
    words = unable(len(series), overlap, found.low)
    outcome: Outcome = "note" if gap and not classes else outcome_of(gap, known)
    return MonitorCheck(
        "calibration",
        question,
        outcome,
        f"{what}: {between(found, 'signed')} on {len(series):,} dates"
        + (f"; {words}" if words else ""),
        rule,
        interval_numbers("calibration", found),
    )


def compare_models(
    rows: pl.DataFrame, others: pl.DataFrame, name: str, overlap: int, base: str = "this model"
) -> MonitorCheck:
    """Compare the daily rank IC of another model on the same dates and tickers.

    Parameters
    ----------
    rows, others
        | date | ticker | score | forward_return | of predictions of both that count.
    name, base
        Of the other model, and of what `rows` are of.
    """
    found, dates = paired_margin(rows, others, overlap)
    words = unable(dates, overlap, found.low)
    if found.low > 0:
        words = "it ranks better"
    elif found.high < 0:
        words = "it ranks worse"
    return MonitorCheck(
        "challenger",
        f"Does {name} rank better on the same dates?",
        "note" if found.low > 0 else outcome_of(False, math.isfinite(found.low)),
        f"its rank IC less {base}'s: {between(found, 'ic')} on {dates:,} dates"
        + (f"; {words}" if words else ""),
        "",
        interval_numbers("challenger_margin", found),
    )


def paired_margin(rows: pl.DataFrame, others: pl.DataFrame, overlap: int) -> tuple[Interval, int]:
    """Give the mean daily rank IC of `others` less that of `rows`, and the dates of both.

    Parameters
    ----------
    rows, others
        As for `compare_models`; dates and tickers that only one has are left out.
    """
    theirs_too = others.select("date", "ticker", other="score").drop_nulls()
    both = rows.drop_nulls("score").join(theirs_too, on=["date", "ticker"])
    ours = daily_ic(both)["rank_ic"].to_numpy()
    theirs = daily_ic(both.with_columns(score="other"))["rank_ic"].to_numpy()
    return ewc_interval(theirs - ours, overlap), len(ours)


def _daily(rows: pl.DataFrame, value: pl.Expr) -> Series:
    """Average a value over the tickers of each date, in date order."""
    daily = rows.group_by("date").agg(value.cast(pl.Float64).mean().alias("value")).sort("date")
    return daily["value"].to_numpy()


def _silent(name: str, question: str, words: str, rule: str) -> MonitorCheck:
    return MonitorCheck(name, question, "too early", words, rule)
