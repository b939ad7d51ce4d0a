"""A real cluster of processes, and small bars for it."""

from __future__ import annotations

import os
from typing import Any

import polars as pl

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.data.context import Context
from src.v2.features.families import active_features
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.labels import plan_label
from src.v2.modeling.walk_forward import Trainer, make_trainer
from src.v2.scale.engine import BuiltPanel, Engine, PanelInputs
from src.v2.tests.synthetic import random_walk_bars

SMALL: dict[str, Any] = {
    "features": {"families": ["momentum", "volatility", "market", "cross_section"]},
    "label": {"forward_days": 10},
    "validation": {"test_sessions": 100},
    "model": {"n_estimators": 40, "early_stopping_rounds": 0},
    "scale": {"engine": "dask", "rows_at_once": 10_000},
}


def small_config(**sections: dict[str, Any]) -> Config:
    """Small settings; a section given is laid over them."""
    overlay = {name: dict(values) for name, values in SMALL.items()}
    for name, values in sections.items():
        overlay[name] = overlay.get(name, {}) | values
    return load_config((), environ={}, overlay=overlay, files=False)


def small_bars() -> pl.DataFrame:
    """24,000 rows of 40 tickers, of which one is listed late and one ends early."""
    bars = random_walk_bars(40, 600, signal=0.002, ohlcv=True)
    dates = bars["date"].unique().sort()
    late = (pl.col("ticker") == bars["ticker"].min()) & (pl.col("date") < dates[300])
    early = (pl.col("ticker") == bars["ticker"].max()) & (pl.col("date") > dates[450])
    return bars.filter(~late & ~early)


def build(
    engine: Engine, bars: pl.DataFrame, config: Config, context: Context | None = None
) -> BuiltPanel:
    """Build the panel of bars on an engine."""
    plan = plan_label(config.label, 40)
    features = active_features(config.features, context.series if context else ())
    inputs = PanelInputs(bars, None, context or Context(), features, plan, 60)
    return engine.build_panel(inputs, Stages(), no_progress)


def trainer_of(built: BuiltPanel, engine: Engine, config: Config) -> tuple[Trainer, Schedule]:
    """Make the trainer of an engine, and the folds."""
    plan = plan_label(config.label, 40)
    panel = built.panel
    schedule = schedule_folds(list(panel.sessions), config.validation, config.label.span)
    trainer = make_trainer(panel, plan, config.model, config.validation, config.seed)
    return engine.lend(trainer), schedule


def process_ids(client: Any) -> dict[str, int]:
    """Give the process of each worker, by its address."""
    found: dict[str, int] = client.run(os.getpid)
    return found
