"""Features and panels with and without a planted fault."""

from __future__ import annotations

import polars as pl

from src.v2.config import ModelConfig, ValidationConfig
from src.v2.config_sources import load_config
from src.v2.console import Stages
from src.v2.features.registry import Feature
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.preparation import Prepared, prepare_panel
from src.v2.records import Coverage

SETTINGS = {
    "features": {"families": ["momentum", "cross_section"], "min_history": 60},
    "label": {"forward_days": 5},
    "validation": {"test_sessions": 80},
    "model": {"n_estimators": 20, "early_stopping_rounds": 5, "min_rounds": 1, "threads": 1},
    "explain": {"shap_rows": 50},
}
RULES = ValidationConfig(test_sessions=80)
MODEL = ModelConfig(n_estimators=20, early_stopping_rounds=5, min_rounds=1, threads=1)


def feature(
    name: str,
    expression: pl.Expr,
    lookback: int = 0,
    scope: str = "ticker",
    needs: tuple[str, ...] = (),
) -> Feature:
    """Make an own feature of the close."""
    return Feature(name, "own", expression, ("close",), lookback, "doc", "own", scope, needs)  # type: ignore[arg-type]


def coverage_of(bars: pl.DataFrame) -> Coverage:
    """Describe bars that were made."""
    dates = bars["date"].unique().sort()
    names = tuple(bars["ticker"].unique().sort().to_list())
    first, last = dates[0], dates[-1]
    return Coverage("test", "test", names, (), bars.height, len(dates), first, last, "0" * 32)


def prepared_of(bars: pl.DataFrame, **sections: object) -> Prepared:
    """Prepare bars as training does."""
    config = load_config((), environ={}, overlay=SETTINGS | sections, files=False)
    return prepare_panel(bars, None, coverage_of(bars), config, Stages())


def plain_panel(bars: pl.DataFrame, forward_days: int = 5, **label: object) -> Panel:
    """Make a panel with one feature, the close."""
    config = load_config(
        (), environ={}, overlay={"label": {"forward_days": forward_days, **label}}, files=False
    )
    plan = plan_label(config.label, bars["ticker"].n_unique())
    features = bars.sort("date", "ticker").select(
        "date", "ticker", pl.col("close").cast(pl.Float32).alias("x")
    )
    return build_panel(bars, features, plan, 5)[0]
