"""A feature that knows one later return is named, however long the label is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig
from src.v2.evaluation.leakage.identity import probe_label_in_features
from src.v2.evaluation.leakage.leads import probe_leads
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.tests.synthetic import ragged, random_walk_bars

DAYS = 60
PLAN = plan_label(LabelConfig(forward_days=DAYS), 24)
BARS = ragged(random_walk_bars(24, 700, 2))
END = 550


def _panel(lead: int, noise: float = 0.0) -> Panel:
    """Make a panel with noise, a past return and the return of one later session."""
    daily = pl.col("close") / pl.col("close").shift(1) - 1
    rng = np.random.default_rng(1)
    features = (
        BARS.sort("ticker", "date")
        .with_columns(
            past=daily.over("ticker"),
            told=daily.shift(-lead).over("ticker"),
            noise=pl.Series(rng.normal(0, 1, BARS.height)),
        )
        .with_columns(pl.col("told") + pl.Series(rng.normal(0, max(noise, 1e-12), BARS.height)))
        .sort("date", "ticker")
        .select("date", "ticker", pl.col("past", "told", "noise").cast(pl.Float32))
    )
    return build_panel(BARS, features, PLAN, 5)[0]


def _without(panel: Panel, name: str) -> Panel:
    kept = [place for place, known in enumerate(panel.names) if known != name]
    names = tuple(panel.names[place] for place in kept)
    return dataclasses.replace(panel, feature_rows=panel.features[:, kept], names=names)


@pytest.mark.parametrize(("lead", "noise"), [(1, 0.0), (1, 0.02), (2, 0.03), (40, 0.0), (61, 0.0)])
def test_a_column_of_one_later_return_fails_by_name_where_the_label_hardly_shows_it(
    lead: int, noise: float
) -> None:
    panel = _panel(lead, noise)
    finding = probe_leads(BARS, panel, PLAN.config.span, END, ("told",), 0)
    assert finding.outcome == "fail" and finding.numbers["guilty"] == 1
    assert f"told ({finding.numbers['largest_correlation']:.2f}, {lead} session" in finding.evidence
    assert probe_label_in_features(panel, PLAN, END, ("told",), 0).outcome == "pass"


def test_past_returns_and_noise_pass() -> None:
    finding = probe_leads(BARS, _without(_panel(1), "told"), PLAN.config.span, END, (), 0)
    assert finding.outcome == "pass"
    assert finding.numbers["largest_correlation"] < 0.15


def test_the_return_of_the_decision_itself_is_no_later_one() -> None:
    panel = _panel(0)
    assert probe_leads(BARS, panel, PLAN.config.span, END, (), 0).outcome == "pass"


def test_the_holdout_stays_closed() -> None:
    panel = _panel(1)
    told: np.ndarray[Any, Any] = panel.features.copy()
    told[panel.session < END, 1] = np.random.default_rng(2).normal(
        0, 0.01, int((panel.session < END).sum())
    )
    panel = dataclasses.replace(panel, feature_rows=told)
    assert probe_leads(BARS, panel, PLAN.config.span, END, (), 0).outcome == "pass"


def test_too_few_rows_are_skipped() -> None:
    assert probe_leads(BARS, _panel(1), PLAN.config.span, 20, (), 0).outcome == "skipped"
