"""The fits that an audit makes again: fewer rounds, later starts, blocks without common rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import polars as pl

from src.v2.config import ModelConfig
from src.v2.console import Track
from src.v2.evaluation.stability import MIN_DISJOINT_FOLDS
from src.v2.modeling.folds import MIN_TRAIN_SPANS, Fold, Schedule
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import FoldFit, Trainer, forecast_table, walk_forward

ROUNDS = 60
"""Most rounds of such a fit; without early stopping."""

MOST_BLOCKS = 8


def quick_model(config: ModelConfig) -> ModelConfig:
    """Give the same model with few rounds and without early stopping."""
    rounds = min(config.n_estimators, ROUNDS)
    return config.model_copy(update={"n_estimators": rounds, "early_stopping_rounds": 0})


def fit_folds(trainer: Trainer, schedule: Schedule, track: Track, name: str) -> tuple[FoldFit, ...]:
    """Fit fold after fold, as training does.

    Parameters
    ----------
    track, name
        Shows progress over the folds, under a name.
    """
    steps = track(walk_forward(trainer, schedule), name, len(schedule.folds))
    return tuple(fit for fit in steps if isinstance(fit, FoldFit))


def with_gap(schedule: Schedule, gap: int, last: int) -> Schedule:
    """Let the training windows of the last folds end so many sessions earlier."""
    folds = tuple(
        dataclasses.replace(fold, known_by=fold.known_by - gap) for fold in schedule.folds[-last:]
    )
    return dataclasses.replace(schedule, folds=folds)


def join_forecasts(fits: Sequence[FoldFit], plan: LabelPlan) -> pl.DataFrame:
    """Put the forecasts of folds into one table; see `forecast_table`."""
    return pl.concat(
        forecast_table(fit.test, fit.forecast, plan, fold=fit.fold.number, part="walk_forward")
        for fit in fits
    )


def disjoint_schedule(schedule: Schedule, first: int, span: int) -> Schedule | None:
    """Lay blocks over the development sessions that share no training rows.

    Parameters
    ----------
    schedule
        That of the run.
    first
        First session with rows.
    span
        Sessions from a decision until its label is known; a block holds three at least.

    Returns
    -------
    Schedule or None
        Each block is tested on the next one; None where fewer than five fit.
    """
    length = schedule.holdout_start - first
    blocks = min(MOST_BLOCKS, length // (MIN_TRAIN_SPANS * span) - 1)
    if blocks < MIN_DISJOINT_FOLDS:
        return None
    size = length // (blocks + 1)
    starts = [first + size * number for number in range(blocks)]
    folds = tuple(
        Fold(number, start, start + size, start + 2 * size, start + size)
        for number, start in enumerate(starts, 1)
    )
    return Schedule(folds, schedule.holdout, size, schedule.sessions)
