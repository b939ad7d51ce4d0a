"""The main job as one story: a prepared panel in, a fitted model and everything known about it out.

No file is read or written here; the commands and `src.v2.api` do that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track
from src.v2.evaluation.conformal import interval_metrics, return_intervals
from src.v2.evaluation.folds import mean_curve, mean_importance
from src.v2.evaluation.metric_keys import evaluation_metrics
from src.v2.evaluation.scores import score_holdout, score_walk_forward
from src.v2.evaluation_records import Evaluation
from src.v2.explain.drift_reference import drift_reference
from src.v2.explain.folds import explain_folds
from src.v2.explanation import Explained, explain_model
from src.v2.judgement import Forecasts, Market, judge_forecasts
from src.v2.ledgers import Ledgers
from src.v2.modeling.folds import Schedule
from src.v2.modeling.intervals import ReturnIntervals
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.learners.kinds import KINDS, Steps
from src.v2.modeling.model_card import ModelCard, make_card
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, make_trainer, train_stride, walk_forward
from src.v2.out_of_sample import (
    Walked,
    fold_result,
    score_holdout_rows,
    show_walk_forward,
)
from src.v2.preparation import Prepared
from src.v2.records import (
    FoldResult,
    LearningCurve,
    TrainingResult,
)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the record, the shipped model and its card."""

    result: TrainingResult
    model: FittedModel
    card: ModelCard
    drift_reference: pl.DataFrame
    """What the features looked like in training, see `src.v2.explain.drift_reference`."""


def train_model(
    prepared: Prepared,
    config: Config,
    stages: Stages,
    ledgers: Ledgers,
    track: Track,
) -> Trained:
    """Walk forward, explain, judge, and fit the model that is shipped.

    Parameters
    ----------
    ledgers
        Each is asked once: for the trial before the verdict, and before the holdout is scored.
    track
        Shows progress over the folds.
    """
    panel, schedule, plan = prepared.panel, prepared.schedule, prepared.plan
    trainer = make_trainer(panel, plan, config.model, config.validation, config.seed)
    trainer = prepared.engine.lend(trainer)
    forecasts = _walk(trainer, schedule, config, stages, track)
    walked = forecasts.walked
    folds = tuple(
        fold_result(fit, table, panel, plan)
        for fit, table in zip(forecasts.fits, walked.tables, strict=True)
    )
    market = Market(prepared.closes, prepared.context.sectors)
    judged = judge_forecasts(
        forecasts, trainer, schedule, market, config, stages, ledgers.record_trial
    )
    evaluation = judged.evaluation
    rounds = int(np.median([fold.rounds for fold in folds]))
    table = pl.concat(walked.tables)
    intervals = _intervals(table, prepared)
    with stages.stage("holdout"):
        holdout, held = score_holdout_rows(trainer, schedule, rounds, walked, ledgers.open_holdout)
    with stages.stage("final fit"):
        window = trainer.newest_window(schedule)
        model = trainer.fit(window, rounds)
    subject = Explained(forecasts, judged, model, prepared.features)
    explanation = explain_model(subject, trainer, market, config, stages)
    curve = mean_curve([fold.curve for fold in folds])
    metrics = _metrics(prepared, table, folds, evaluation, len(window.session))
    metrics |= score_holdout(holdout.metrics) | final_losses(
        curve, rounds, KINDS[config.model.type].steps
    )
    metrics |= interval_metrics(intervals)
    result = TrainingResult(
        mode=config.label.mode,
        target=plan.target if plan.rule is None else plan.rule,
        classes=plan.classes,
        settings=config.model_dump(mode="json"),
        config_fingerprint=config.fingerprint,
        coverage=prepared.coverage,
        features=prepared.features,
        train_stride=train_stride(config.validation, config.label.forward_days),
        panel_rows=len(panel.session),
        stretched_rows=prepared.stretched,
        training_rows=len(window.session),
        folds=folds,
        predictions=pl.concat([table, held]),
        evaluation=evaluation,
        detail=judged.detail,
        explanation=explanation,
        metrics=metrics,
        holdout=holdout,
        curve=curve,
        rounds=rounds,
        importance=mean_importance([fold.importance for fold in folds], panel.names),
        stability=evaluation.stability.spearman,
        shap=forecasts.shap,
        stages=stages.seconds,
    )
    with stages.stage("drift reference"):
        daily = panel.between(int(window.session[0]), int(window.session[-1]) + 1)
        reference = drift_reference(window, result.importance, daily)
    card = _card(prepared, result, window, config, walked, intervals)
    return Trained(result, model, card, reference)


def _walk(
    trainer: Trainer, schedule: Schedule, config: Config, stages: Stages, track: Track
) -> Forecasts:
    """Fit fold after fold, and forecast and explain the rows after each."""
    with stages.stage("walk-forward"):
        steps = walk_forward(trainer, schedule)
        fits = [
            fit
            for fit in track(steps, "walk-forward", len(schedule.folds))
            if isinstance(fit, FoldFit)
        ]
    with stages.stage("SHAP values"):
        sample = explain_folds(fits, trainer.plan, config.explain.shap_rows, config.seed)
    return Forecasts(fits, show_walk_forward(fits, trainer.panel, trainer.plan), sample)


def _intervals(walked: pl.DataFrame, prepared: Prepared) -> ReturnIntervals | None:
    """Find the intervals of forecast returns; None for classes, which have probabilities."""
    if prepared.plan.classes:
        return None
    return return_intervals(walked, prepared.closes, prepared.plan.config.forward_days)


def _metrics(
    prepared: Prepared,
    walked: pl.DataFrame,
    folds: Sequence[FoldResult],
    evaluation: Evaluation,
    training_rows: int,
) -> dict[str, float]:
    """Name what the walk-forward showed, and what it was made of."""
    coverage = prepared.coverage
    return {
        **score_walk_forward(walked, folds, prepared.plan),
        **evaluation_metrics(evaluation),
        "processed_tickers_count": float(len(coverage.tickers)),
        "skipped_tickers_count": float(len(coverage.skipped)),
        "error_tickers_count": float(len(coverage.errors)),
        "total_samples": float((prepared.panel.label_end >= 0).sum()),
        "training_samples": float(training_rows),
        "feature_count": float(len(prepared.features.names)),
        "feature_stability": evaluation.stability.spearman,
    }


def final_losses(curve: LearningCurve | None, rounds: int, steps: Steps) -> dict[str, float]:
    """Give the rounds or the penalty of the shipped model, and the folds' mean losses there."""
    found = {"converged_epoch" if steps.counted else "penalty": float(steps.value(rounds))}
    if curve is not None:
        at = min(rounds, len(curve.train_loss)) - 1
        found |= {"final_train_loss": curve.train_loss[at], "final_val_loss": curve.val_loss[at]}
    return found


def _card(
    prepared: Prepared,
    result: TrainingResult,
    window: Panel,
    config: Config,
    walked: Walked,
    intervals: ReturnIntervals | None,
) -> ModelCard:
    return make_card(
        result,
        prepared.universe,
        prepared.panel,
        window,
        config,
        prepared.plan,
        walked.rank_map,
        walked.probability_map,
        with_market=prepared.with_market,
        context=prepared.context,
        needed=prepared.needed,
        intervals=intervals,
    )
