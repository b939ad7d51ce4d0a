"""Features that hold their label are named, and chance is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig
from src.v2.evaluation.leakage.identity import correlation, probe_label_in_features
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.tests.synthetic import random_walk_bars


def panel_of(bars: pl.DataFrame, plan: LabelPlan) -> Panel:
    features = bars.sort("date", "ticker").select("date", "ticker", x=pl.lit(1.0, pl.Float32))
    return build_panel(bars, features, plan, 5)[0]


def plan_of(**label: Any) -> LabelPlan:
    return plan_label(LabelConfig(forward_days=5, **label), 24)


def featured(columns: dict[str, np.ndarray[Any, Any]], panel: Panel) -> Panel:
    matrix = np.column_stack(list(columns.values())).astype(np.float32)
    return dataclasses.replace(panel, feature_rows=matrix, names=tuple(columns))


def test_features_that_hold_the_label_are_named() -> None:
    plan = plan_of()
    bars = random_walk_bars(24, 500, 2)
    panel = panel_of(bars, plan)
    rng = np.random.default_rng(0)
    label = np.nan_to_num(panel.labels().astype(np.float64))
    future = np.nan_to_num(panel.keys["forward_return"].to_numpy())
    noise = rng.normal(0, label.std(), (4, len(label)))
    clean = featured({"noise": noise[0], "more": noise[1]}, panel)
    end = len(panel.sessions) - 100
    assert probe_label_in_features(clean, plan, end, (), 0).outcome == "pass"
    hinting = featured({"noise": noise[0], "hint": label + 3 * noise[2]}, panel)
    finding = probe_label_in_features(hinting, plan, end, (), 0)
    assert finding.outcome == "warn" and "hint (0.3" in finding.evidence
    leaking = featured({"noise": noise[0], "copy": future, "near": label + noise[2]}, panel)
    finding = probe_label_in_features(leaking, plan, end, ("near",), 0)
    assert finding.outcome == "fail" and finding.numbers["guilty"] == 2
    assert finding.evidence.index("near") < finding.evidence.index("copy")
    assert "noise" not in finding.evidence


def test_labels_of_the_holdout_are_not_looked_at() -> None:
    plan = plan_of()
    panel = panel_of(random_walk_bars(24, 500, 3), plan)
    label = np.nan_to_num(panel.labels().astype(np.float64))
    end = 350
    held = np.where(
        panel.session >= end, label, np.random.default_rng(1).normal(0, 0.1, len(label))
    )
    assert (
        probe_label_in_features(featured({"held": held}, panel), plan, end, (), 0).outcome == "pass"
    )


def test_a_few_windows_do_not_make_a_market_feature_guilty() -> None:
    plan = plan_label(LabelConfig(forward_days=60, target="return"), 24)
    panel = panel_of(random_walk_bars(24, 400, 4), plan)
    means = (
        pl.DataFrame({"s": panel.session, "y": panel.labels()})
        .select(pl.col("y").fill_nan(None).mean().over("s"))["y"]
        .fill_null(0.0)
        .to_numpy()
    )
    level = np.sin(panel.session / 40)
    level += 3 * means / means.std() * 0.2
    finding = probe_label_in_features(featured({"level": level}, panel), plan, 300, (), 0)
    assert finding.outcome == "pass"


def test_too_few_rows_are_skipped() -> None:
    plan = plan_of()
    panel = panel_of(random_walk_bars(24, 40, 5), plan)
    assert probe_label_in_features(panel, plan, 20, (), 0).outcome == "skipped"


def test_the_correlation_is_that_of_numpy() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 1000))
    y[:50] = np.nan
    assert correlation(x, x + y) == pytest.approx(np.corrcoef(x[50:], (x + y)[50:])[0, 1])
    assert correlation(np.ones(1000), y) == 0.0
