"""The forecasts that no fit has seen, as tables: those of the folds, and the holdout's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from src.v2.evaluation.ledger import Openings
from src.v2.evaluation.scores import score_block
from src.v2.modeling.folds import Schedule
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import forecast_rows
from src.v2.modeling.panel import Panel
from src.v2.modeling.probabilities import ProbabilityMap, apply_to_table, calibrate_folds
from src.v2.modeling.shown_return import RankMap, add_shown_return, fit_rank_map
from src.v2.modeling.walk_forward import (
    FoldFit,
    Trainer,
    class_shares,
    forecast_table,
    probability_column,
)
from src.v2.records import FoldResult, HoldoutResult

OpenHoldout = Callable[[dt.date, dt.date], Openings | None]
"""Writes the opening of a holdout (first and last date) down and gives the counts so far;
None where nobody counts."""


@dataclass(frozen=True, slots=True)
class Walked:
    """The walk-forward's forecasts as they are shown.

    Parameters
    ----------
    tables
        One forecasts table a fold; rows of tickers that stopped trading have no label.
    rank_map, probability_map
        From score to return, and from raw to calibrated probabilities, as all folds together
        teach them; for forecasts of what comes after.
    """

    tables: tuple[pl.DataFrame, ...]
    rank_map: RankMap | None
    probability_map: ProbabilityMap | None


def show_walk_forward(fits: Sequence[FoldFit], panel: Panel, plan: LabelPlan) -> Walked:
    """Make each fold's forecasts table.

    What turns scores into returns and raw into calibrated probabilities is learned from
    earlier folds, on outcomes that were known at the fold's first test session.
    """
    raw = [
        forecast_table(fit.test, fit.forecast, plan, fold=fit.fold.number, part="walk_forward")
        for fit in fits
    ]
    starts = [panel.sessions[fit.fold.known_by] for fit in fits]
    if plan.classes:
        columns = [probability_column(name) for name in plan.classes]
        tables, probability_map = calibrate_folds(raw, columns, starts)
        return Walked(tuple(tables), None, probability_map)
    shown: list[pl.DataFrame] = []
    for table, start in zip(raw, starts, strict=True):
        shown.append(add_shown_return(table, plan.target, _map_of(shown, plan, start)))
    return Walked(tuple(shown), _map_of(shown, plan, panel.sessions[-1]), None)


def _map_of(tables: Sequence[pl.DataFrame], plan: LabelPlan, known_by: dt.date) -> RankMap | None:
    if plan.target != "rank" or not tables:
        return None
    return fit_rank_map(pl.concat(tables).filter(pl.col("label_end") <= known_by))


def fold_result(fit: FoldFit, table: pl.DataFrame, panel: Panel, plan: LabelPlan) -> FoldResult:
    """Record what one fold was fitted on and what it scored."""
    fold = fit.fold
    return FoldResult(
        number=fold.number,
        train_first=panel.sessions[fit.train[0]],
        train_last=panel.sessions[fit.train[1]],
        test_first=panel.sessions[fold.test_start],
        test_last=panel.sessions[fold.test_stop - 1],
        train_rows=fit.train_rows,
        purged_rows=fit.purged_rows,
        test_rows=int(table["label"].is_not_null().sum()),
        rounds=fit.model.rounds,
        metrics=score_block(table, plan, fit.prior),
        curve=fit.curve,
        importance=fit.model.importance(),
    )


def score_holdout_rows(
    trainer: Trainer,
    schedule: Schedule,
    rounds: int,
    walked: Walked,
    open_holdout: OpenHoldout,
) -> tuple[HoldoutResult, pl.DataFrame]:
    """Fit on development rows only, and score the holdout."""
    plan, panel = trainer.plan, trainer.panel
    window = trainer.window(schedule.holdout)
    model = trainer.fit(window, rounds)
    held = panel.between(schedule.holdout_start, schedule.sessions)
    held = held.take(held.label_end >= 0)
    first, last = panel.sessions[schedule.holdout_start], panel.sessions[-1]
    opened = open_holdout(first, last)
    forecast = forecast_rows(model, held.feature_rows)
    table = forecast_table(held, forecast, plan, fold=0, part="holdout")
    if plan.classes:
        columns = [probability_column(name) for name in plan.classes]
        table = apply_to_table(table, columns, walked.probability_map)
    else:
        table = add_shown_return(table, plan.target, walked.rank_map)
    scores = score_block(table, plan, class_shares(window, plan))
    counts = (None, None) if opened is None else (opened.count, opened.seen)
    result = HoldoutResult(first, last, table.height, len(window.session), scores, *counts)
    return result, table
