"""A look at a model in use: everything that is checked, as one record."""

from __future__ import annotations

import datetime as dt

import polars as pl

from src.v2.config import MonitorConfig
from src.v2.errors import DataError
from src.v2.lifecycle.feed_check import check_feeds
from src.v2.lifecycle.live_checks import compare_models
from src.v2.lifecycle.looks import Outcomes, check_outcomes
from src.v2.lifecycle.monitor_records import MonitorCheck, MonitorResult
from src.v2.lifecycle.prediction_log import model_id
from src.v2.lifecycle.realised import (
    Realised,
    looked_at,
    outcomes,
    overlapping_dates,
    realise,
)
from src.v2.lifecycle.state_checks import check_age, check_drift, check_missing
from src.v2.modeling.model_card import ModelCard

MOST_MODELS = 5
"""Other models of the log that are compared, those asked last first."""


def monitor_model(
    log: pl.DataFrame,
    bars: pl.DataFrame,
    rows: pl.DataFrame,
    reference: pl.DataFrame | None,
    card: ModelCard,
    config: MonitorConfig,
    *,
    shown: str,
    today: dt.date,
) -> MonitorResult:
    """Make every check.

    Parameters
    ----------
    log
        As `src.v2.lifecycle.prediction_log.read_log` gives it; rows of other models are what
        this one is compared with.
    bars
        | date | ticker | close | of the model's source, up to today.
    rows
        Features of the newest quarter, see `src.v2.lifecycle.state_checks.newest_rows`.
    reference
        What the features looked like in training; None where it was not kept.
    shown
        Name of the model for a reader.

    Raises
    ------
    DataError
        When the log holds no prediction of this model.
    ConfigError
        As `src.v2.lifecycle.realised.looked_at`.
    """
    own = log.filter(pl.col("model_id") == model_id(card))
    if own.is_empty():
        raise DataError(
            f"The log holds no prediction of {shown}. Run predict with this model first, or name "
            "another with --model."
        )
    sessions = bars["date"].unique().sort()
    day = sessions[-1]
    came = outcomes(bars, card)
    found = realise(own, came, sessions, looked_at(config.sessions, card))
    drift, moves = check_drift(reference, rows, card, config)
    checks = [
        *check_outcomes(Outcomes(own, came, sessions), found, card, config),
        drift,
        check_feeds(reference, rows, card),
        check_age(day, today, config.max_age),
        check_missing(found.last_live, sessions, config.max_missing),
        *_challengers(log, found, came, sessions, card, config),
    ]
    return MonitorResult(
        model=card.name,
        model_id=model_id(card),
        shown=shown,
        day=day,
        forward_days=card.forward_days,
        logged=found.logged,
        scored=found.rows["date"].n_unique(),
        left_out=found.left_out,
        checks=tuple(checks),
        moves=moves,
    )


def _overlap(rows: pl.DataFrame, sessions: pl.Series, card: ModelCard) -> int:
    return overlapping_dates(rows["date"].unique().sort(), sessions, card.forward_days)


def _challengers(
    log: pl.DataFrame,
    found: Realised,
    came: pl.DataFrame,
    sessions: pl.Series,
    card: ModelCard,
    config: MonitorConfig,
) -> list[MonitorCheck]:
    """Compare the other models of the log that forecast the same, on dates of both."""
    same = (pl.col("forward_days") == card.forward_days) & (pl.col("entry_lag") == card.entry_lag)
    others = log.filter((pl.col("model_id") != model_id(card)) & same)
    newest = others.group_by("model_id").agg(pl.col("date").max()).sort("date", "model_id")
    checks = []
    for other in newest["model_id"].reverse().head(MOST_MODELS):
        theirs = others.filter(pl.col("model_id") == other)
        known = realise(theirs, came, sessions, looked_at(config.sessions, card)).rows
        both = known.join(found.rows, on=["date", "ticker"], how="semi")
        if both.height:
            overlap = _overlap(both, sessions, card)
            checks.append(compare_models(found.rows, both, _named(theirs), overlap))
    return checks


def _named(rows: pl.DataFrame) -> str:
    """Name a model of the log for a reader."""
    last = rows.sort("date", "made_at").row(-1, named=True)
    if last["registered"] is None:
        return str(last["model"])
    alias = f" ({last['alias']})" if last["alias"] else ""
    return f"{last['registered']} version {last['version']}{alias}"
