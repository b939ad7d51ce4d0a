"""What the model is compared with, and the judgement of its forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.console import Stages
from src.v2.detail_records import SkillDetail
from src.v2.evaluation.baselines import PERMUTED, rule_tables
from src.v2.evaluation.detail import skill_detail
from src.v2.evaluation.evaluate import RecordTrial, Setting, evaluate
from src.v2.evaluation.folds import feature_stability
from src.v2.evaluation.stability import group_features, stability
from src.v2.evaluation_records import Evaluation, Stability
from src.v2.explain.folds import explain_folds, mean_importance_by_fold
from src.v2.modeling.baseline_fits import linear_forecasts, permuted_fits
from src.v2.modeling.folds import Schedule
from src.v2.modeling.rules import rule_scores
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.out_of_sample import Walked, show_walk_forward
from src.v2.records import ShapSample

GROUPING_ROWS = 5000
"""Rows that correlated features are grouped by."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The walk-forward: its fits, what they forecast, and SHAP values of test rows."""

    fits: Sequence[FoldFit]
    walked: Walked
    shap: ShapSample


@dataclass(frozen=True, slots=True)
class Market:
    """What simple rules and a portfolio read.

    Parameters
    ----------
    closes
        | date | ticker | close | of the universe.
    sectors
        Sector by ticker, where known.
    """

    closes: pl.DataFrame
    sectors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the forecasts showed.

    Parameters
    ----------
    null
        SHAP values of fits on permuted labels; None for a single ticker.
    """

    evaluation: Evaluation
    detail: SkillDetail
    null: ShapSample | None


def judge_forecasts(
    forecasts: Forecasts,
    trainer: Trainer,
    schedule: Schedule,
    market: Market,
    config: Config,
    stages: Stages,
    record_trial: RecordTrial,
) -> Judged:
    """Fit what the model is compared with, take every number of its forecasts, and judge.

    Parameters
    ----------
    record_trial
        Called once, before the verdict.
    """
    plan, fits = trainer.plan, forecasts.fits
    table = pl.concat(forecasts.walked.tables)
    with stages.stage("linear baseline"):
        linear = linear_forecasts(trainer, schedule, fits)
    with stages.stage("permuted labels"):
        permuted = permuted_fits(trainer, schedule, fits, None, config.seed)
        rows = config.explain.shap_rows
        null = explain_folds(permuted, plan, rows, config.seed) if permuted else None
        pair = _same_folds(fits, permuted)
        beside = explain_folds(pair, plan, rows, config.seed) if pair else None
    with stages.stage("evaluation"):
        rules = rule_tables(table, rule_scores(market.closes, plan.config.forward_days), plan)
        baselines = {**rules, "logistic" if plan.classes else "ridge": linear}
        if permuted:
            nonsense = show_walk_forward(permuted, trainer.panel, plan)
            baselines[PERMUTED] = pl.concat(nonsense.tables)
        setting = Setting(
            plan,
            config.evaluation,
            config.seed,
            market.closes,
            market.sectors,
            {fit.fold.number: fit.prior for fit in fits},
        )
        agreement = _stability(forecasts, null, beside)
        evaluation = evaluate(table, baselines, agreement, setting, record_trial)
    with stages.stage("skill in detail"):
        detail = skill_detail(table, market.closes, plan)
    return Judged(evaluation, detail, null)


def _same_folds(fits: Sequence[FoldFit], permuted: Sequence[FoldFit]) -> tuple[FoldFit, ...]:
    """Give the real fits of the folds that were fitted on permuted labels too."""
    numbers = {fit.fold.number for fit in permuted}
    return tuple(fit for fit in fits if fit.fold.number in numbers)


def _stability(
    forecasts: Forecasts, null: ShapSample | None, beside: ShapSample | None
) -> Stability:
    """Compare the folds' features by what they do on test rows."""
    fits, names = forecasts.fits, forecasts.shap.feature_names
    first = fits[0].test.feature_rows
    step = max(1, len(first) // GROUPING_ROWS)
    return stability(
        feature_stability([fit.model.importance() for fit in fits], names),
        mean_importance_by_fold(forecasts.shap),
        group_features(np.asarray(first[::step])),
        None if null is None else mean_importance_by_fold(null),
        None if beside is None else mean_importance_by_fold(beside),
    )
