"""Planted faults of labels, and features that hold them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig
from src.v2.evaluation.leakage import label_probes
from src.v2.evaluation.leakage.label_probes import probe_labels, slow_label
from src.v2.modeling.labels import LabelPlan, add_labels, plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = ragged(random_walk_bars(24, 300, 1), 1)
LABELS: list[dict[str, Any]] = [
    {},
    {"target": "rank"},
    {"target": "return", "entry_lag": 0},
    {"mode": "classification"},
    {"mode": "classification", "binary_rule": "sign"},
    {"mode": "classification", "classes": "rating"},
    {"mode": "classification", "classes": "rating", "rating_rule": "fixed"},
]


def panel_of(bars: pl.DataFrame, plan: LabelPlan) -> Panel:
    features = bars.sort("date", "ticker").select("date", "ticker", x=pl.lit(1.0, pl.Float32))
    return build_panel(bars, features, plan, 5)[0]


def plan_of(**label: Any) -> LabelPlan:
    return plan_label(LabelConfig(forward_days=5, **label), 24)


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_true_labels_pass(label: dict[str, Any]) -> None:
    plan = plan_of(**label)
    finding = probe_labels(BARS, panel_of(BARS, plan), plan, 0)
    assert (finding.outcome, finding.numbers["faults"]) == ("pass", 0)


def test_labels_past_the_end_of_a_ticker_fail() -> None:
    plan = plan_of(target="return")
    panel = panel_of(BARS, plan)
    filled = panel.keys.sort("ticker", "date").with_columns(
        pl.col("label", "forward_return").forward_fill()
    )
    panel = dataclasses.replace(panel, keys=filled.sort("date", "ticker"))
    finding = probe_labels(BARS, panel, plan, 0)
    assert finding.outcome == "fail"
    assert "though fewer than 6 bars of their ticker follow" in finding.evidence


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda table: pl.col("forward_return") + 0.01 * table["forward_return"].mean(), "neither"),
        (lambda table: pl.col("forward_return").shift(1).over("ticker"), "neither"),
        (lambda table: pl.col("forward_return").mean().over("date"), "neither"),
    ],
    ids=["the mean of all", "another entry", "other tickers"],
)
def test_labels_that_read_other_bars_fail(
    monkeypatch: pytest.MonkeyPatch, fault: Any, words: str
) -> None:
    def wrong(bars: pl.DataFrame, plan: LabelPlan) -> pl.DataFrame:
        table = add_labels(bars, plan)
        return table.with_columns(forward_return=fault(table))

    plan = plan_of(target="return")
    panel = panel_of(BARS, plan)
    monkeypatch.setattr(label_probes, "add_labels", wrong)
    finding = probe_labels(BARS, panel, plan, 0)
    assert finding.outcome == "fail" and words in finding.evidence


def test_labels_that_know_of_a_delisting_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(bars: pl.DataFrame, plan: LabelPlan) -> pl.DataFrame:
        alive = pl.col("date").max().over("ticker") == bars["date"].max()
        return add_labels(bars.filter(alive), plan)

    plan = plan_of()
    panel = panel_of(BARS, plan)
    monkeypatch.setattr(label_probes, "add_labels", wrong)
    assert "change when" in probe_labels(BARS, panel, plan, 0).evidence


def _shift(panel: Panel, column: str, change: pl.Expr) -> Panel:
    return dataclasses.replace(panel, keys=panel.keys.with_columns(change.alias(column)))


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_a_label_unlike_its_bars_fails(label: dict[str, Any]) -> None:
    plan = plan_of(**label)
    panel = panel_of(BARS, plan)
    moved = _shift(panel, "label", pl.col("label").shift(3).over("ticker"))
    finding = probe_labels(BARS, moved, plan, 0)
    assert finding.outcome == "fail" and "should be labelled" in finding.evidence


@pytest.mark.parametrize("label", [{}, {"target": "return"}], ids=str)
def test_a_label_that_is_known_too_early_fails(label: dict[str, Any]) -> None:
    plan = plan_of(**label)
    panel = panel_of(BARS, plan)
    early = _shift(panel, "label_end", pl.col("label_end").dt.offset_by("-1d"))
    finding = probe_labels(BARS, early, plan, 0)
    assert finding.outcome == "fail" and "is not known on" in finding.evidence


def test_slow_labels_say_what_their_names_say() -> None:
    others = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    assert slow_label(0.1, others, plan_of(target="return")) == 0.1
    assert slow_label(0.1, others, plan_of()) == pytest.approx(0.1)
    assert slow_label(0.2, others, plan_of(target="rank")) == pytest.approx(0.4)
    assert slow_label(0.0, others, plan_of(mode="classification")) == 0.0
    ratings = plan_of(mode="classification", classes="rating")
    assert [slow_label(value, others, ratings) for value in others] == [0, 1, 2, 3, 4]
