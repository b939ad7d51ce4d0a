"""The main job as one story: bars in, a fitted model and everything known about it out.

No file is read or written here; the commands and `src.v2.api` do that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track
from src.v2.errors import ConfigError
from src.v2.evaluation.folds import feature_stability, mean_curve, mean_importance
from src.v2.evaluation.scores import score_block, score_holdout, score_walk_forward
from src.v2.explain.folds import explain_folds
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import compute_features, usable_features
from src.v2.features.families import active_features, load_own_features
from src.v2.features.registry import Feature
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard, make_card
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.shown_return import RankMap, add_shown_return, fit_rank_map
from src.v2.modeling.walk_forward import (
    FoldFit,
    Trainer,
    class_shares,
    forecast_table,
    make_trainer,
    train_stride,
    walk_forward,
)
from src.v2.records import (
    Coverage,
    Drop,
    FeatureReport,
    FoldResult,
    HoldoutResult,
    TrainingResult,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A panel that is ready to be fitted on."""

    panel: Panel
    schedule: Schedule
    plan: LabelPlan
    features: FeatureReport
    stretched: int
    """Rows without a label because a halt stretched it too far."""
    coverage: Coverage
    """As loaded, but for tickers without a row of their own."""
    with_market: bool
    """Whether market features read the market's own bars."""
    universe: tuple[str, ...]
    """Every ticker of the bars: those without a row still make the market's mean and ranks."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the record, the shipped model and its card."""

    result: TrainingResult
    model: FittedModel
    card: ModelCard


OpenHoldout = Callable[[dt.date, dt.date], int | None]
"""Writes the opening of a holdout (first and last date) down and gives the count so far;
None where nobody counts."""


def prepare_panel(
    bars: pl.DataFrame,
    market: pl.DataFrame | None,
    coverage: Coverage,
    config: Config,
    stages: Stages,
) -> Prepared:
    """Compute features and labels, and lay the folds.

    Parameters
    ----------
    bars
        Checked bars of the universe: | date | ticker | close | and, where known, more |.
    market
        | date | close | of the market, or None.
    coverage
        What the bars are.

    Raises
    ------
    ConfigError
        When the settings do not fit the universe.
    NotEnoughData
        When the bars are too few for the folds.
    """
    sessions = bars["date"].unique().sort().to_list()
    schedule = schedule_folds(sessions, config.validation, config.label.span)
    # What is listed later may not decide how earlier rows are labelled.
    start = sessions[schedule.folds[0].test_start]
    listed = bars.filter(pl.col("date") < start)["ticker"].n_unique()
    plan = plan_label(config.label, listed)
    features = active_features(config.features)
    _refuse_look_ahead(bars, load_own_features(config.features.modules), market)
    with stages.stage("features"):
        table = compute_features(bars, features, market)
    report = describe_features(features, table.frame.columns, table.left_out, table.infinite)
    with stages.stage("panel"):
        panel, stretched = build_panel(bars, table.frame, plan, config.features.min_history)
    universe = tuple(bars["ticker"].unique().sort().to_list())
    coverage = _without_rows(coverage, panel, bars, config.features.min_history)
    return Prepared(
        panel, schedule, plan, report, stretched, coverage, market is not None, universe
    )


def train_model(
    prepared: Prepared,
    config: Config,
    stages: Stages,
    open_holdout: OpenHoldout,
    track: Track,
) -> Trained:
    """Walk forward, score, explain, and fit the model that is shipped.

    Parameters
    ----------
    open_holdout
        Called once, before the holdout is scored.
    track
        Shows progress over the folds.
    """
    panel, schedule, plan = prepared.panel, prepared.schedule, prepared.plan
    coverage = prepared.coverage
    trainer = make_trainer(panel, plan, config.model, config.validation, config.seed)
    with stages.stage("walk-forward"):
        steps = walk_forward(trainer, schedule)
        fits = [
            fit
            for fit in track(steps, "walk-forward", len(schedule.folds))
            if isinstance(fit, FoldFit)
        ]
    with stages.stage("evaluation"):
        tables, rank_map = shown_tables(fits, panel, plan)
        folds = tuple(
            _fold_result(fit, table, panel, plan) for fit, table in zip(fits, tables, strict=True)
        )
        walked = pl.concat(tables)
        metrics = score_walk_forward(walked, folds, plan)
    rounds = int(np.median([fold.rounds for fold in folds]))
    with stages.stage("holdout"):
        holdout, held = _score_holdout(trainer, schedule, rounds, rank_map, open_holdout)
    with stages.stage("final fit"):
        window = trainer.newest_window(schedule)
        model = trainer.fit(window, rounds)
    with stages.stage("SHAP values"):
        sample = explain_folds(fits, plan, config.explain.shap_rows, config.seed)
    importance = mean_importance([fold.importance for fold in folds], panel.names)
    stability = feature_stability([fold.importance for fold in folds], panel.names)
    curve = mean_curve([fold.curve for fold in folds])
    known = panel.label_end >= 0
    metrics |= score_holdout(holdout.metrics)
    metrics |= _counts(coverage, prepared, int(known.sum()), len(window.session))
    metrics |= {"feature_stability": stability, "converged_epoch": float(rounds)}
    if curve is not None:
        at = min(rounds, len(curve.train_loss)) - 1
        metrics |= {"final_train_loss": curve.train_loss[at], "final_val_loss": curve.val_loss[at]}
    result = TrainingResult(
        mode=config.label.mode,
        target=plan.target if plan.rule is None else plan.rule,
        classes=plan.classes,
        settings=config.model_dump(mode="json"),
        config_fingerprint=config.fingerprint,
        coverage=coverage,
        features=prepared.features,
        train_stride=train_stride(config.validation, config.label.forward_days),
        panel_rows=len(panel.session),
        stretched_rows=prepared.stretched,
        training_rows=len(window.session),
        folds=folds,
        predictions=pl.concat([walked, held]),
        metrics=metrics,
        holdout=holdout,
        curve=curve,
        rounds=rounds,
        importance=importance,
        stability=stability,
        shap=sample,
        stages=stages.seconds,
    )
    return Trained(result, model, _card(prepared, result, window, config, rank_map))


def _refuse_look_ahead(
    bars: pl.DataFrame, own: Sequence[Feature], market: pl.DataFrame | None
) -> None:
    """Refuse own features that read later bars; those of the families are proven by tests."""
    usable, _ = usable_features(bars, [feature for feature in own if not feature.needs])
    guilty = features_that_look_ahead(bars, usable, market) if usable else []
    if guilty:
        raise ConfigError(
            f"The own feature {guilty[0]!r} looks ahead: its past values change when later bars "
            "are cut away. Use only the rows up to the decision, as with shift(1), never shift(-1)."
        )


def _without_rows(
    coverage: Coverage, panel: Panel, bars: pl.DataFrame, min_history: int
) -> Coverage:
    """Count the tickers whose bars are too few for a row of their own as skipped.

    They stay in the market's mean and the ranks, where they stood on their dates: leaving
    them out because they ended early would tell the past about the future.
    """
    there = set(panel.keys["ticker"].unique())
    counts = bars.group_by("ticker").len().sort("ticker")
    reason = f"too little history: rows start after {min_history} bars (features.min_history)"
    short = [
        Drop(ticker, reason, rows, whole_ticker=True)
        for ticker, rows in counts.iter_rows()
        if ticker not in there
    ]
    kept = tuple(name for name in coverage.tickers if name in there)
    return dataclasses.replace(coverage, tickers=kept, drops=(*coverage.drops, *short))


def shown_tables(
    fits: Sequence[FoldFit], panel: Panel, plan: LabelPlan
) -> tuple[list[pl.DataFrame], RankMap | None]:
    """Make each fold's forecasts table, and the map from rank to return for what comes after.

    Each fold's shown returns use only outcomes that were known at its first test session.
    """
    tables: list[pl.DataFrame] = []
    for fit in fits:
        table = forecast_table(
            fit.test, fit.forecast, plan, fold=fit.fold.number, part="walk_forward"
        )
        if not plan.classes:
            start = panel.sessions[fit.fold.known_by]
            table = add_shown_return(table, plan.target, _map_of(tables, plan, start))
        tables.append(table)
    return tables, _map_of(tables, plan, panel.sessions[-1])


def _map_of(tables: Sequence[pl.DataFrame], plan: LabelPlan, known_by: dt.date) -> RankMap | None:
    if plan.classes or plan.target != "rank" or not tables:
        return None
    return fit_rank_map(pl.concat(tables).filter(pl.col("label_end") <= known_by))


def _fold_result(fit: FoldFit, table: pl.DataFrame, panel: Panel, plan: LabelPlan) -> FoldResult:
    fold = fit.fold
    return FoldResult(
        number=fold.number,
        train_first=panel.sessions[fit.train[0]],
        train_last=panel.sessions[fit.train[1]],
        test_first=panel.sessions[fold.test_start],
        test_last=panel.sessions[fold.test_stop - 1],
        train_rows=fit.train_rows,
        purged_rows=fit.purged_rows,
        test_rows=table.height,
        rounds=fit.model.rounds,
        metrics=score_block(table, plan, fit.prior),
        curve=fit.curve,
        importance=fit.model.importance(),
    )


def _score_holdout(
    trainer: Trainer,
    schedule: Schedule,
    rounds: int,
    rank_map: RankMap | None,
    open_holdout: OpenHoldout,
) -> tuple[HoldoutResult, pl.DataFrame]:
    """Fit on development rows only, and score the holdout."""
    plan, panel = trainer.plan, trainer.panel
    window = trainer.window(schedule.holdout)
    model = trainer.fit(window, rounds)
    held = panel.between(schedule.holdout_start, schedule.sessions)
    held = held.take(held.label_end >= 0)
    first, last = panel.sessions[schedule.holdout_start], panel.sessions[-1]
    opening = open_holdout(first, last)
    table = forecast_table(held, model.predict(held.features), plan, fold=0, part="holdout")
    if not plan.classes:
        table = add_shown_return(table, plan.target, rank_map)
    scores = score_block(table, plan, class_shares(window, plan))
    result = HoldoutResult(first, last, table.height, len(window.session), scores, opening)
    return result, table


def describe_features(
    features: Sequence[Feature],
    columns: Sequence[str],
    left_out: dict[str, str],
    infinite: dict[str, int],
) -> FeatureReport:
    """Record which features are in force and which are not."""
    there = set(columns)
    used = [feature for feature in features if feature.name in there]
    return FeatureReport(
        tuple(feature.name for feature in used),
        {feature.name: feature.family for feature in used},
        {feature.name: feature.doc for feature in used},
        dict(left_out),
        dict(infinite),
    )


def _counts(
    coverage: Coverage, prepared: Prepared, samples: int, training_samples: int
) -> dict[str, float]:
    return {
        "processed_tickers_count": float(len(coverage.tickers)),
        "skipped_tickers_count": float(len(coverage.skipped)),
        "error_tickers_count": float(len(coverage.errors)),
        "total_samples": float(samples),
        "training_samples": float(training_samples),
        "feature_count": float(len(prepared.features.names)),
    }


def _card(
    prepared: Prepared,
    result: TrainingResult,
    window: Panel,
    config: Config,
    rank_map: RankMap | None,
) -> ModelCard:
    return make_card(
        result,
        prepared.universe,
        prepared.panel,
        window,
        config,
        prepared.plan,
        rank_map,
        with_market=prepared.with_market,
    )
