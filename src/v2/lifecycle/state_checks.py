"""Whether a model in use still gets bars, is still asked, and still sees what it was fitted on."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from src.v2.config import MonitorConfig
from src.v2.explain.drift_reference import (
    WINDOW_SESSIONS,
    benjamini_hochberg,
    measure_drift,
)
from src.v2.lifecycle.monitor_records import FeatureMove, MonitorCheck, Outcome
from src.v2.modeling.learners.kinds import importance_words
from src.v2.modeling.model_card import ModelCard
from src.v2.summary_text import sessions as sessions_words
from src.v2.summary_text import some


def check_age(day: dt.date, today: dt.date, most: int) -> MonitorCheck:
    """Tell whether bars still come in.

    Parameters
    ----------
    day
        Last session of the bars.
    most
        Calendar days that it may lie back.
    """
    age = (today - day).days
    return MonitorCheck(
        "bars",
        "Are the bars of today?",
        "alarm" if age > most else "ok",
        f"the last bars are of {day}, {age} {'day' if age == 1 else 'days'} old",
        f"older than {most} days",
        {"bars_age_days": float(age)},
    )


def check_missing(last: dt.date | None, sessions: pl.Series, most: int) -> MonitorCheck:
    """Tell whether predictions are still made.

    Parameters
    ----------
    last
        Newest date decided on in time; None without one.
    sessions
        Sorted distinct dates of the bars.
    most
        Sessions in a row that may lack a prediction.
    """
    rule = f"more than {sessions_words(most)} in a row without a prediction made in time"
    question = "Are predictions made?"
    if last is None:
        words = "no prediction was made in time among the sessions looked at"
        return MonitorCheck("predictions", question, "alarm", words, rule)
    missing = int((sessions > last).sum())
    return MonitorCheck(
        "predictions",
        question,
        "alarm" if missing > most else "ok",
        f"the last one made in time is of {last}, {sessions_words(missing)} before the last bars",
        rule,
        {"missing_sessions": float(missing)},
    )


def newest_rows(frame: pl.DataFrame, bars: pl.DataFrame, card: ModelCard) -> pl.DataFrame:
    """Take the rows of the newest quarter that training would have taken too.

    Parameters
    ----------
    frame
        | date | ticker | one column a feature |, every date.
    bars
        | date | ticker |, the bars that it was made of.

    Returns
    -------
    pl.DataFrame
        | date | ticker | one column a feature of the model |, sorted by date and ticker: of
        tickers with enough earlier bars of their own.
    """
    days = frame["date"].unique().sort().tail(WINDOW_SESSIONS)
    earlier = (
        bars.select("date", "ticker")
        .sort("ticker", "date")
        .with_columns(pl.int_range(pl.len()).over("ticker").alias("earlier"))
        .filter((pl.col("earlier") >= card.min_history) & (pl.col("date") >= days[0]))
    )
    return (
        frame.filter(pl.col("date") >= days[0])
        .join(earlier.select("date", "ticker"), on=["date", "ticker"], how="semi")
        .select("date", "ticker", *card.features)
        .sort("date", "ticker")
    )


def check_drift(
    reference: pl.DataFrame | None, rows: pl.DataFrame, card: ModelCard, config: MonitorConfig
) -> tuple[MonitorCheck, tuple[FeatureMove, ...]]:
    """Hold the newest quarter of each feature against the training rows.

    Parameters
    ----------
    reference
        As `src.v2.explain.drift_reference.drift_reference` gives it; None where the model was
        saved without.
    rows
        As `newest_rows` gives them.

    Returns
    -------
    tuple
        The check, and every feature by its index of stability, largest first.
    """
    question = "Do features look as they did in training?"
    share = f"at least {config.importance:.1%} of {importance_words(card.learner)}"
    rule = (
        f"index above {config.psi:g} and adjusted p < {config.alarm_rate:g}, of a feature with "
        f"{share}"
    )
    if reference is None or tuple(reference["feature"]) != card.features or rows.is_empty():
        words = "the model's folder holds no reference of its features; train again for one"
        if rows.is_empty():
            words = "no row of the newest quarter has its features"
        return MonitorCheck("drift", question, "too early", words, rule), ()
    moves = _moves(reference, rows, card, config)
    drifted = [move.feature for move in moves if move.drifted]
    mattering = [move for move in moves if move.importance >= config.importance]
    known = any(np.isfinite(move.p) for move in mattering)
    above = sum(move.psi > config.psi for move in mattering)
    words = (
        f"{len(mattering)} of the model's {len(moves)} features have {share} in the walk-forward; "
        f"{above} of these an index above {config.psi:g}, {len(drifted)} beyond what quarters of "
        "the training rows show"
    )
    if drifted:
        words += f": {some(drifted)}"
    if not known:
        words += "; the training rows hold too few quarters to tell what is usual"
    outcome: Outcome = "alarm" if drifted else "ok" if known else "too early"
    numbers = {"drifted_features": float(len(drifted)), "features_above_psi": float(above)}
    return MonitorCheck("drift", question, outcome, words, rule, numbers), moves


def _moves(
    reference: pl.DataFrame, rows: pl.DataFrame, card: ModelCard, config: MonitorConfig
) -> tuple[FeatureMove, ...]:
    """Measure every feature; only those that matter are tested."""
    values = rows.select(card.features).to_numpy(order="c").astype(np.float32)
    found = measure_drift(reference, values, rows["date"].to_physical().to_numpy())
    matters = found["importance"].to_numpy() >= config.importance
    adjusted = benjamini_hochberg(np.where(matters, found["p"].to_numpy(), np.nan))
    moves = [
        FeatureMove(
            feature=row["feature"],
            importance=row["importance"],
            psi=row["psi"],
            distance=row["distance"],
            usual=row["usual"],
            p=float(p),
            drifted=bool(row["psi"] > config.psi and p < config.alarm_rate),
        )
        for row, p in zip(found.iter_rows(named=True), adjusted, strict=True)
    ]
    return tuple(sorted(moves, key=lambda move: -move.psi))
