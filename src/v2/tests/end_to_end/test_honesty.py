"""What the whole pipeline says about noise, and about a planted signal."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.v2 import api
from src.v2.modeling import walk_forward
from src.v2.modeling.panel import Panel
from src.v2.tests.synthetic import random_walk_bars

SETTINGS = {
    "label": {"forward_days": 5},
    "validation": {"test_sessions": 120},
    "model": {"n_estimators": 40, "early_stopping_rounds": 10},
    "explain": {"shap_rows": 50},
}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_walks_show_no_skill(seed: int) -> None:
    metrics = api.train(random_walk_bars(25, 1200, seed), SETTINGS).result.metrics
    assert metrics["cv_r2_pooled"] < 0.01
    assert metrics["cv_r2_zero_pooled"] < 0.01
    assert metrics["final_r2"] < 0.01
    assert abs(metrics["cv_rank_ic_pooled"]) < 0.04
    assert abs(metrics["cv_hit_rate_pooled"] - 0.5) < 0.02


def test_a_planted_signal_is_found_within_its_band() -> None:
    metrics = api.train(random_walk_bars(25, 1200, 3, signal=0.003), SETTINGS).result.metrics
    assert 0.08 < metrics["cv_rank_ic_pooled"] < 0.5
    assert metrics["cv_rank_ic_low"] > 0
    assert metrics["final_rank_ic"] > 0.05
    assert metrics["cv_r2_pooled"] > 0.002


def test_a_purge_that_is_taken_away_shows_on_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = random_walk_bars(25, 1200, 4)
    settings = SETTINGS | {
        "label": {"forward_days": 60},
        "validation": {"test_sessions": 60, "train_stride": 3},
        "model": {"n_estimators": 60, "early_stopping_rounds": 0, "min_child_weight": 1},
    }
    honest = api.train(bars, settings).result.metrics

    def peeking(session, label_end, fold):  # type: ignore[no-untyped-def]
        return (session < fold.test_stop) & (label_end >= 0)

    monkeypatch.setattr(walk_forward, "train_mask", peeking)
    between = Panel.between
    monkeypatch.setattr(
        Panel,
        "between",
        lambda self, start, stop: between(self, start, stop if start else stop + 240),
    )
    leaking = api.train(bars, settings).result.metrics
    assert honest["cv_rank_ic_pooled"] < 0.1
    assert leaking["cv_rank_ic_pooled"] > honest["cv_rank_ic_pooled"] + 0.2


def test_the_same_seed_and_data_give_the_same_numbers_to_the_bit() -> None:
    bars = random_walk_bars(22, 900, 5)
    first, second = (
        api.train(rows, SETTINGS)
        for rows in (bars, bars.sample(fraction=1.0, shuffle=True, seed=9))
    )
    assert first.result.metrics == second.result.metrics or all(
        value == second.result.metrics[key] or value != value
        for key, value in first.result.metrics.items()
    )
    assert first.result.predictions.equals(second.result.predictions)
    assert first.model.booster.save_raw() == second.model.booster.save_raw()


def test_garbage_in_test_and_holdout_rows_leaves_the_folds_models_as_they_are() -> None:
    bars = random_walk_bars(22, 900, 6)
    clean = api.train(bars, SETTINGS).result
    last = clean.folds[-1]
    later = pl.col("date") > last.test_first
    poison = pl.col("close") * (1 + 5 * (pl.col("close") * 1e6 % 1))
    poisoned = api.train(
        bars.with_columns(pl.when(later).then(poison).otherwise("close").alias("close")), SETTINGS
    ).result
    for before, after in zip(clean.folds, poisoned.folds, strict=True):
        assert before.rounds == after.rounds
        assert before.curve == after.curve
        assert before.importance == after.importance
    assert clean.holdout.metrics != poisoned.holdout.metrics


def test_rank_targets_show_returns_and_score_like_their_ranks() -> None:
    settings = SETTINGS | {"label": {"forward_days": 5, "target": "rank"}}
    result = api.train(random_walk_bars(25, 1000, 7, signal=0.003), settings).result
    walked = result.predictions.filter(pl.col("part") == "walk_forward")
    first = walked.filter(pl.col("fold") == 1)
    assert first["prediction"].to_list() == pytest.approx(first["expanding_mean"].to_list())
    later = walked.filter(pl.col("fold") > 1)
    assert (later["prediction"] != later["expanding_mean"]).sum() > 0.9 * later.height
    assert result.metrics["cv_rank_ic_pooled"] > 0.08
    assert np.abs(walked["prediction"].to_numpy()).max() < 0.2
