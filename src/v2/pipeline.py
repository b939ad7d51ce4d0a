"""The main job as one story: bars in, a fitted model and everything known about it out.

No file is read or written here; the commands and `src.v2.api` do that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track, no_progress
from src.v2.data.context import Context
from src.v2.data.universe import MEMBER, decision_sessions, member_rows
from src.v2.errors import ConfigError
from src.v2.evaluation.conformal import interval_metrics, return_intervals
from src.v2.evaluation.folds import mean_curve, mean_importance
from src.v2.evaluation.metric_keys import evaluation_metrics
from src.v2.evaluation.scores import score_holdout, score_walk_forward
from src.v2.evaluation_records import Evaluation
from src.v2.explain.drift_reference import drift_reference
from src.v2.explain.folds import explain_folds
from src.v2.explanation import Explained, explain_model
from src.v2.features.as_of import needed_context
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import usable_features
from src.v2.features.families import active_features, load_own_features
from src.v2.features.registry import Feature
from src.v2.judgement import Forecasts, Market, judge_forecasts
from src.v2.ledgers import Ledgers
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.intervals import ReturnIntervals
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard, make_card
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, make_trainer, train_stride, walk_forward
from src.v2.out_of_sample import (
    Walked,
    fold_result,
    score_holdout_rows,
    show_walk_forward,
)
from src.v2.records import (
    Coverage,
    Drop,
    FeatureReport,
    FoldResult,
    LearningCurve,
    TrainingResult,
)
from src.v2.scale.engine import Engine, LocalEngine, PanelInputs


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
    closes: pl.DataFrame
    """| date | ticker | close | of the universe, and | is a member | where that is marked."""
    context: Context
    """What was known beside the bars; its sectors serve the evaluation too."""
    needed: frozenset[str]
    """What of the context the features in force read: series by name, and sector."""
    engine: Engine
    """Who built the panel, and fits on it."""
    place: str | None
    """Where the features lie, in one line; None for memory."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the record, the shipped model and its card."""

    result: TrainingResult
    model: FittedModel
    card: ModelCard
    drift_reference: pl.DataFrame
    """What the features looked like in training, see `src.v2.explain.drift_reference`."""


def prepare_panel(
    bars: pl.DataFrame,
    market: pl.DataFrame | None,
    coverage: Coverage,
    config: Config,
    stages: Stages,
    context: Context | None = None,
    engine: Engine | None = None,
    track: Track = no_progress,
) -> Prepared:
    """Compute features and labels, and lay the folds.

    Parameters
    ----------
    bars
        Checked bars of the universe: | date | ticker | close | and, where known, more |. With
        | is a member | the rows of members alone are fitted, scored and compared.
    market
        | date | close | of the market, or None.
    coverage
        What the bars are.
    context
        Series that all tickers share, and sectors; None for neither.
    engine
        Who builds the panel and fits on it, from `src.v2.scale.opening.open_engine`; it must
        outlive what is prepared. None for this process and its memory.
    track
        Shows progress over the parts of a panel that is not built at once.

    Raises
    ------
    ConfigError
        When the settings do not fit the universe.
    NotEnoughData
        When the bars are too few for the folds.
    """
    sessions = decision_sessions(bars).to_list()
    schedule = schedule_folds(sessions, config.validation, config.label.span)
    # What is listed later may not decide how earlier rows are labelled.
    start = sessions[schedule.folds[0].test_start]
    plan = plan_label(config.label, _listed(bars, start))
    context = context or Context()
    features = active_features(config.features, context.series)
    own = {feature.name for feature in load_own_features(config.features.modules)}
    own_features = [feature for feature in features if feature.name in own]
    _refuse_look_ahead(bars, own_features, market, context)
    engine = LocalEngine() if engine is None else engine
    history = config.features.min_history
    inputs = PanelInputs(bars, market, context, features, plan, history)
    built = engine.build_panel(inputs, stages, track)
    panel = built.panel
    report = describe_features(features, panel.names, built.left_out, built.infinite)
    universe = tuple(bars["ticker"].unique().sort().to_list())
    coverage = _without_rows(coverage, panel, bars, config.features.min_history)
    return Prepared(
        panel,
        schedule,
        plan,
        report,
        built.stretched,
        coverage,
        market is not None,
        universe,
        bars.select("date", "ticker", "close", *({MEMBER} & set(bars.columns))),
        context,
        needed_context(features, panel.names),
        engine,
        built.place,
    )


def _listed(bars: pl.DataFrame, start: dt.date) -> int:
    """Count the tickers before a date; of a universe that changes, those of a usual date."""
    early = bars.filter(pl.col("date") < start)
    if MEMBER not in bars.columns:
        return early["ticker"].n_unique()
    counts = member_rows(early).group_by("date").len()["len"]
    return int(np.median(counts.to_numpy())) if len(counts) else 0


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
    with stages.stage("walk-forward"):
        steps = walk_forward(trainer, schedule)
        fits = [
            fit
            for fit in track(steps, "walk-forward", len(schedule.folds))
            if isinstance(fit, FoldFit)
        ]
    with stages.stage("SHAP values"):
        sample = explain_folds(fits, plan, config.explain.shap_rows, config.seed)
    walked = show_walk_forward(fits, panel, plan)
    folds = tuple(
        fold_result(fit, table, panel, plan) for fit, table in zip(fits, walked.tables, strict=True)
    )
    forecasts = Forecasts(fits, walked, sample)
    market = Market(prepared.closes, prepared.context.sectors)
    judged = judge_forecasts(
        forecasts, trainer, schedule, market, config, stages, ledgers.record_trial
    )
    evaluation = judged.evaluation
    rounds = int(np.median([fold.rounds for fold in folds]))
    with stages.stage("holdout"):
        holdout, held = score_holdout_rows(trainer, schedule, rounds, walked, ledgers.open_holdout)
    with stages.stage("final fit"):
        window = trainer.newest_window(schedule)
        model = trainer.fit(window, rounds)
    subject = Explained(forecasts, judged, model, prepared.features)
    explanation = explain_model(subject, trainer, market, config, stages)
    curve = mean_curve([fold.curve for fold in folds])
    table = pl.concat(walked.tables)
    metrics = _metrics(prepared, table, folds, evaluation, len(window.session))
    metrics |= score_holdout(holdout.metrics) | final_losses(curve, rounds)
    intervals = _intervals(table, prepared)
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
        shap=sample,
        stages=stages.seconds,
    )
    with stages.stage("drift reference"):
        reference = drift_reference(window, result.importance)
    card = _card(prepared, result, window, config, walked, intervals)
    return Trained(result, model, card, reference)


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


def final_losses(curve: LearningCurve | None, rounds: int) -> dict[str, float]:
    """Give the rounds of the shipped model, and the mean losses of the folds there."""
    found = {"converged_epoch": float(rounds)}
    if curve is not None:
        at = min(rounds, len(curve.train_loss)) - 1
        found |= {"final_train_loss": curve.train_loss[at], "final_val_loss": curve.val_loss[at]}
    return found


def _refuse_look_ahead(
    bars: pl.DataFrame, own: Sequence[Feature], market: pl.DataFrame | None, context: Context
) -> None:
    """Refuse own features that read later bars; those of the families are proven by tests."""
    usable, _ = usable_features(bars, [feature for feature in own if not feature.needs], context)
    guilty = features_that_look_ahead(bars, usable, market, context) if usable else []
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
    while_member = " while a member" if MEMBER in bars.columns else ""
    reason = (
        f"too little history{while_member}: rows start after {min_history} bars "
        "(features.min_history)"
    )
    short = [
        Drop(ticker, reason, rows, whole_ticker=True)
        for ticker, rows in counts.iter_rows()
        if ticker not in there
    ]
    kept = tuple(name for name in coverage.tickers if name in there)
    return dataclasses.replace(coverage, tickers=kept, drops=(*coverage.drops, *short))


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
