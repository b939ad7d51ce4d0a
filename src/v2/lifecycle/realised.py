"""Logged predictions beside what came, as far as it is known and was not when they were made."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import LabelConfig
from src.v2.errors import ConfigError
from src.v2.evaluation.significance import MIN_COSINES
from src.v2.lifecycle.prediction_log import first_rankings
from src.v2.modeling.labels import LabelPlan, add_labels
from src.v2.modeling.model_card import ModelCard

USUAL_SESSIONS = 504
"""Sessions that are looked at where nothing else is said: two years."""


@dataclass(frozen=True, slots=True)
class Realised:
    """The predictions of one model that count, and why others do not.

    Parameters
    ----------
    rows
        The log's columns with | forward_return (fraction) | label | label_end |, sorted by
        date and ticker: predictions made in time whose outcome is known.
    last_live
        Newest date decided on in time; None without one.
    logged
        Dates in the log.
    left_out
        Dates that do not count, by reason.
    """

    rows: pl.DataFrame
    last_live: dt.date | None
    logged: int
    left_out: Mapping[str, int]


def outcomes(bars: pl.DataFrame, card: ModelCard) -> pl.DataFrame:
    """Label bars as the model's training did.

    Returns
    -------
    pl.DataFrame
        | date | ticker | forward_return (fraction) | label | label_end | of labels that are
        known.
    """
    settings = dict(card.label_settings) | {
        "forward_days": card.forward_days,
        "entry_lag": card.entry_lag,
    }
    rule = card.label_rule if card.classes else None
    plan = LabelPlan(LabelConfig(**settings), card.target, rule, card.classes)  # type: ignore[arg-type]
    universe = bars.filter(pl.col("ticker").is_in(list(card.tickers)))
    return add_labels(universe, plan).drop("stretched").drop_nulls("label_end")


def looked_at(setting: int | None, card: ModelCard) -> int:
    """Give the sessions whose predictions are scored.

    Parameters
    ----------
    setting
        ``monitor.sessions``; None: 504, or more where the horizon needs them.

    Raises
    ------
    ConfigError
        Where so few sessions could never hold the 12 horizons of outcomes that a test needs:
        the newest horizon has no outcome yet.
    """
    least = (2 * MIN_COSINES + 1) * card.forward_days + card.entry_lag
    if setting is None:
        return max(USUAL_SESSIONS, least + card.forward_days)
    if setting < least:
        raise ConfigError(
            f"monitor.sessions must be at least {least:,} for this model: 12 horizons of "
            f"{card.forward_days} sessions with their outcomes, the horizon still open, and the "
            f"sessions until the trade; got {setting:,}. Take more, or leave it empty."
        )
    return setting


def realise(
    log: pl.DataFrame,
    outcome: pl.DataFrame,
    sessions: pl.Series,
    newest: int,
    keys: Sequence[str] = ("model_id", "date"),
) -> Realised:
    """Join the predictions of one model, or of one alias, with what came.

    A prediction counts when it was made in time: not on dates that the model was fitted on, not
    with later bars at hand, and by the end of the session of the trade, or of the session
    after the decision where the trade has no lag. While the bars do not reach that session, it
    has passed once more days went by than so many sessions ever took in them, whatever the
    exchange. Of several on one date the first counts.

    Parameters
    ----------
    log
        Rows of one horizon and one lag.
    outcome
        As `outcomes` gives it.
    sessions
        Sorted distinct dates of the bars.
    newest
        Sessions that are looked at, the newest ones.
    keys
        Of several rankings that share these columns the first counts: ``("date",)`` leaves one
        model a date.
    """
    start = sessions[max(len(sessions) - newest, 0)]
    looked = log.filter(pl.col("date") >= start)
    told = {"before the sessions looked at": _dates(log) - _dates(looked)}
    marked = _with_deadline(looked, sessions)
    late = pl.col("made_at").dt.date() > pl.col("deadline")
    reasons = (("in-sample", pl.col("in_sample")), ("later bars at hand", pl.col("hindsight")))
    live = marked
    for reason, found in (*reasons, ("made after the trade", late.fill_null(False))):
        kept = live.filter(~found)
        told[reason] = _dates(live) - _dates(kept)
        live = kept
    live = first_rankings(live.drop("deadline"), keys)
    known = live.join(outcome, on=["date", "ticker"], how="inner").sort("date", "ticker")
    told["outcome not known yet"] = _dates(live) - _dates(known)
    last = live["date"].max()
    assert last is None or isinstance(last, dt.date)
    return Realised(known, last, _dates(log), {key: value for key, value in told.items() if value})


def _with_deadline(log: pl.DataFrame, sessions: pl.Series) -> pl.DataFrame:
    """Add the last date on which a prediction is made in time; null where the bars cannot tell."""
    lag = max(1, int(log["entry_lag"][0])) if log.height else 1
    deadlines = pl.DataFrame({"date": sessions, "deadline": sessions.shift(-lag)})
    longest = pl.lit((sessions - sessions.shift(lag)).max(), pl.Duration("us"))
    return log.join(deadlines, on="date", how="left", maintain_order="left").with_columns(
        pl.col("deadline").fill_null(pl.col("date") + longest)
    )


def _dates(log: pl.DataFrame) -> int:
    return log["date"].n_unique()


def overlapping_dates(dates: pl.Series, sessions: pl.Series, horizon: int) -> int:
    """Count the dates that share days with one another, at most.

    Parameters
    ----------
    dates
        Sorted distinct dates; some sessions may be missing.
    horizon
        Sessions of a label.

    Returns
    -------
    int
        Most dates within one horizon, and at least as many as fit it at their usual distance:
        the horizon itself where every session is there, fewer where predictions were made now
        and then. The horizon without two dates.
    """
    places = sessions.search_sorted(dates).to_numpy()
    if len(places) < 2:
        return horizon
    inside = np.searchsorted(places, places + horizon) - np.arange(len(places))
    usual = math.ceil(horizon / float(np.median(np.diff(places))))
    return max(int(inside.max()), usual)
