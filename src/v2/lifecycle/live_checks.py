"""Whether a model in use does what its training promised.

Each alarm has a stated rule, and a stated chance of being false at one look. Looks of many days
are the business of `src.v2.lifecycle.looks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import (
    POWER,
    ewc_interval,
    ewc_standard_error,
)
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.check_parts import (
    daily_mean,
    error_of_interval,
    interval_numbers,
    outcome_of,
    unable_words,
)
from src.v2.lifecycle.monitor_records import MonitorCheck, Outcome
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.walk_forward import probability_column
from src.v2.summary_text import between, shown

NAN = float("nan")


def check_skill(rows: pl.DataFrame, card: ModelCard, overlap: int, rate: float) -> MonitorCheck:
    """Hold the realised rank IC against that of the walk-forward.

    The difference of the two means is divided by the root of the sum of their squared standard
    errors; one-sided, by Student's t with the degrees of freedom of Welch (1947, Biometrika 34).
    Without an alarm the model is not called sound where a model of no skill at all would be
    found less often than 4 times in 5.

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
    own = ewc_standard_error(series, overlap)
    dates = card.out_of_sample.get("cv_dates", 0.0)
    scale, freed = _joined(
        own, error_of_interval(promise.low, promise.high, dates, card.forward_days)
    )
    p = float(stats.t.cdf((found.mean - promise.mean) / scale, freed)) if scale > 0 else NAN
    fall = float(stats.t.ppf(1 - rate, freed) + stats.t.ppf(POWER, freed)) * scale
    words = unable_words(len(series), overlap, own[0])
    if not words and not math.isfinite(p):
        words = "the card holds no interval of the walk-forward's rank IC to hold it against"
    outcome = outcome_of(p < rate, math.isfinite(p))
    if outcome == "ok" and fall > promise.mean:
        outcome = "cannot tell"
    return MonitorCheck(
        "skill",
        "Does the ranking hold what the walk-forward promised?",
        outcome,
        f"rank IC {between(found, 'ic')} on {len(series):,} dates; promised "
        f"{between(promise, 'ic')}; {words or _power_words(p, fall, promise.mean)}",
        f"realised rank IC below the promised one, one-sided p < {rate:g}",
        {
            **interval_numbers("rank_ic", found),
            "rank_ic_promised": promise.mean,
            "rank_ic_p": p,
            "rank_ic_fall_found": fall,
        },
    )


def _power_words(p: float, fall: float, promise: float) -> str:
    """Say what the test found, and what it would have found."""
    told = (
        f"p {shown(p, 'chance')} for being no worse; a fall of {fall:.4f} would be found 4 times "
        "in 5"
    )
    return told if fall <= promise else f"{told}, which is more than was promised"


def _promise(card: ModelCard) -> Interval:
    """Give the walk-forward's mean rank IC and its interval."""
    names = ("cv_rank_ic_pooled", "cv_rank_ic_low", "cv_rank_ic_high")
    mean, low, high = (card.out_of_sample.get(name, NAN) for name in names)
    return Interval(mean, low, high, 0)


def _joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Join two independent errors; the degrees of freedom are those of Welch and Satterthwaite.

    NaN where one of them is not known.
    """
    (error, freedom), (other_error, other_freedom) = one, other
    total = error**2 + other_error**2
    if not total > 0:
        return NAN, NAN
    return total**0.5, total**2 / (error**4 / freedom + other_error**4 / other_freedom)


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
        series = daily_mean(told, best.list.max() - hit.cast(pl.Float64))
        rule, what = (
            f"the {1 - rate:.3g} interval of the gap leaves 0 out",
            "probability of the likeliest class less the share that came",
        )
    else:
        told = rows.drop_nulls("predicted_return")
        series = daily_mean(told, pl.col("forward_return") - pl.col("predicted_return"))
        rule, what = "", "return that came less the one shown"
    found = ewc_interval(series, overlap, 1 - rate)
    known = math.isfinite(found.low)
    gap = known and found.high > found.low and not found.low <= 0 <= found.high
    words = unable_words(len(series), overlap, found.low)
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
    rows: pl.DataFrame, others: pl.DataFrame, name: str, overlap: int
) -> MonitorCheck:
    """Compare the daily rank IC of another model on the same dates and tickers.

    Parameters
    ----------
    rows, others
        | date | ticker | score | forward_return | of predictions of both that count.
    name
        Of the other model.
    """
    both = rows.join(others.select("date", "ticker", other="score"), on=["date", "ticker"])
    ours = daily_ic(both)
    theirs = daily_ic(both.with_columns(score="other"))
    series = theirs["rank_ic"].to_numpy() - ours["rank_ic"].to_numpy()
    found = ewc_interval(series, overlap)
    known = math.isfinite(found.low)
    words = unable_words(len(series), overlap, found.low)
    if found.low > 0:
        words = "it ranks better"
    elif found.high < 0:
        words = "it ranks worse"
    return MonitorCheck(
        "challenger",
        f"Does {name} rank better on the same dates?",
        "note" if found.low > 0 else outcome_of(False, known),
        f"its rank IC less this model's: {between(found, 'ic')} on {len(series):,} dates"
        + (f"; {words}" if words else ""),
        "",
        interval_numbers("challenger_margin", found),
    )
