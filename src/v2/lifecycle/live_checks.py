"""Whether a model in use does what its training promised.

Each alarm has a stated rule, and a stated chance of being false at one look. Looks of many days
are the business of `src.v2.lifecycle.looks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
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
from src.v2.lifecycle.rank_promise import hold_ranks
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.walk_forward import probability_column
from src.v2.summary_text import between


def check_skill(rows: pl.DataFrame, card: ModelCard, overlap: int, rate: float) -> MonitorCheck:
    """Hold the realised rank IC against that of the walk-forward.

    By `src.v2.lifecycle.rank_promise.hold_ranks`. Without an alarm the model is not called sound
    where a model of no skill at all would be found less often than 4 times in 5.

    Parameters
    ----------
    rows
        | date | ticker | score | forward_return | of predictions that count.
    overlap
        Dates that share days with one another.
    rate
        Chance of a false alarm.
    """
    promise, dates = _promise(card), card.out_of_sample.get("cv_dates", 0.0)
    doubt = error_of_interval(promise.low, promise.high, dates, card.forward_days)
    silent = "the card holds no interval of the walk-forward's rank IC to hold it against"
    test = hold_ranks(rows, promise.mean, doubt, overlap, rate, silent)
    return MonitorCheck(
        "skill",
        "Does the ranking hold what the walk-forward promised?",
        test.outcome,
        f"rank IC {between(test.found, 'ic')} on {test.dates:,} dates; promised "
        f"{between(promise, 'ic')}; {test.words()}",
        f"realised rank IC below the promised one, one-sided p < {rate:g}",
        test.numbers("rank_ic"),
    )


def _promise(card: ModelCard) -> Interval:
    """Give the walk-forward's mean rank IC and its interval."""
    names = ("cv_rank_ic_pooled", "cv_rank_ic_low", "cv_rank_ic_high")
    mean, low, high = (card.out_of_sample.get(name, NAN) for name in names)
    return Interval(mean, low, high, 0)


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
    words = unable_words(dates, overlap, found.low)
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
