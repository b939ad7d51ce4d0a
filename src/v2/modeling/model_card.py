"""What a saved model says about itself."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.v2.config import Config, file_hashes
from src.v2.data.context import SECTOR, Context
from src.v2.features.code_check import code_hash, feature_numbers
from src.v2.modeling.intervals import ReturnIntervals
from src.v2.modeling.labels import LabelPlan, Target
from src.v2.modeling.panel import Panel
from src.v2.modeling.probabilities import ProbabilityMap
from src.v2.modeling.shown_return import RankMap
from src.v2.records import Mode, TrainingResult

SCHEMA_VERSION = 3
VERSIONED = ("mlflow", "numpy", "polars", "scikit-learn", "shap", "xgboost")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a saved model is, what it was made from and what it may be used for."""

    name: str
    mode: Mode
    learner: str
    features: tuple[str, ...]
    target: Target
    label_rule: str
    """How the label was made, in words."""
    classes: tuple[str, ...]
    forward_days: int
    entry_lag: int
    rounds: int
    trained_at: str
    train_first: str
    train_last: str
    training_rows: int
    tickers: tuple[str, ...]
    expanding_mean: float
    """Mean forward return known at the end of training, added to a forecast of excess."""
    rank_map: RankMap | None
    min_history: int
    with_market: bool
    """Whether the market's own bars were given, rather than the universe's mean."""
    data: dict[str, Any]
    """The data section of the configuration, for forecasts from the same source."""
    feature_settings: dict[str, Any]
    module_hashes: dict[str, str]
    """SHA-256 of each file of own features, by its path."""
    data_fingerprint: str
    config_fingerprint: str
    out_of_sample: dict[str, float]
    """Scores of the walk-forward and the holdout; the shipped model itself, refitted on all
    rows, has none of its own."""
    probability_map: ProbabilityMap | None = None
    """From the raw to the calibrated probabilities of the classes."""
    series: tuple[str, ...] = ()
    """Series of context that the features read."""
    sectors: dict[str, str] = field(default_factory=dict)
    """Sector by ticker as trained; empty where no feature reads it."""
    verdict: str = "no verdict"
    verdict_reasons: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    code_hash: str = ""
    """Of the sources of the features; empty before schema version 3."""
    feature_check: dict[str, float] = field(default_factory=dict)
    """What each feature gave on made-up bars, by `src.v2.features.code_check`."""
    git_commit: str | None = None
    """Commit of the code that trained it, where known."""
    schema_version: int = SCHEMA_VERSION
    intervals: ReturnIntervals | None = None
    """Around forecast returns; None for classes, and for cards that were written without."""
    label_settings: dict[str, Any] = field(default_factory=dict)
    """The label section of the configuration, to label what follows a forecast alike."""
    model_hashes: dict[str, str] = field(default_factory=dict, compare=False)
    """SHA-256 of each file of the model that it was saved with; empty in older cards."""
    labels_last: str | None = None
    """Last date that a label fitted on reaches; None in cards that were written without."""


def make_card(
    result: TrainingResult,
    universe: tuple[str, ...],
    panel: Panel,
    window: Panel,
    config: Config,
    plan: LabelPlan,
    rank_map: RankMap | None,
    probability_map: ProbabilityMap | None,
    *,
    with_market: bool,
    context: Context,
    needed: frozenset[str],
    intervals: ReturnIntervals | None = None,
) -> ModelCard:
    """Write down what the shipped model is; of the context, what its features need."""
    now = dt.datetime.now(dt.UTC)
    scores = {key: value for key, value in result.metrics.items() if key.startswith("cv_")}
    scores |= {f"final_{key}": value for key, value in result.holdout.metrics.items()}
    known = panel.keys["expanding_mean"].drop_nulls()
    series = tuple(name for name in context.series if name in needed)
    return ModelCard(
        name=model_name(result.mode, now.astimezone()),
        mode=result.mode,
        learner=config.model.type,
        features=window.names,
        target=plan.target,
        label_rule=plan.rule or plan.target,
        classes=plan.classes,
        forward_days=config.label.forward_days,
        entry_lag=config.label.entry_lag,
        rounds=result.rounds,
        trained_at=now.isoformat(timespec="microseconds"),
        train_first=window.keys["date"][0].isoformat(),
        train_last=window.keys["date"][-1].isoformat(),
        training_rows=result.training_rows,
        tickers=universe,
        expanding_mean=float(known[-1]) if known.len() else 0.0,
        rank_map=rank_map,
        min_history=config.features.min_history,
        with_market=with_market,
        data=config.data.model_dump(mode="json"),
        feature_settings=config.features.model_dump(mode="json"),
        data_fingerprint=result.coverage.fingerprint,
        config_fingerprint=result.config_fingerprint,
        module_hashes=file_hashes(config.features.modules),
        out_of_sample={key: value for key, value in scores.items() if np.isfinite(value)},
        probability_map=probability_map,
        series=series,
        sectors=_sectors_of(universe, context) if SECTOR in needed else {},
        verdict=result.evaluation.verdict.word,
        verdict_reasons=result.evaluation.verdict.reasons,
        versions=installed_versions(),
        code_hash=code_hash(),
        feature_check=feature_numbers(
            config.features, window.names, with_market=with_market, series=series
        ),
        intervals=intervals,
        label_settings=config.label.model_dump(mode="json"),
        labels_last=window.sessions[int(window.label_end.max())].isoformat(),
    )


def _sectors_of(universe: tuple[str, ...], context: Context) -> dict[str, str]:
    """Give the sector of each ticker of the universe that has one."""
    return {name: context.sectors[name] for name in universe if name in context.sectors}


def model_name(mode: Mode, now: dt.datetime) -> str:
    """Name of a new model folder.

    Examples
    --------
    >>> model_name("regression", dt.datetime(2024, 1, 2, 3, 4, 5))
    'st_predictor_regression_20240102_030405'
    """
    return f"st_predictor_{mode}_{now:%Y%m%d_%H%M%S}"


def installed_versions() -> dict[str, str]:
    """Versions of the libraries that decide a run's numbers, where installed."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
