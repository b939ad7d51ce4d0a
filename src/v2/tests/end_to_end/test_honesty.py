"""What the whole pipeline says about noise, and about a planted signal."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.v2 import api
from src.v2.errors import ModelError
from src.v2.modeling import walk_forward
from src.v2.modeling.panel import Panel
from src.v2.tests.synthetic import random_walk_bars

SETTINGS = {
    "label": {"forward_days": 5},
    "validation": {"test_sessions": 120},
    "model": {"n_estimators": 40, "early_stopping_rounds": 10, "min_rounds": 1},
    "explain": {"shap_rows": 50},
}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
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
    assert first.model.content() == second.model.content()


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


def _until(bars: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    return bars.filter(pl.col("date") <= day)


@pytest.mark.parametrize(
    "fate",
    [
        "delisted",
        pytest.param("listed", marks=pytest.mark.slow),
        pytest.param("halted", marks=pytest.mark.slow),
        pytest.param("halted for good", marks=pytest.mark.slow),
    ],
)
def test_what_becomes_of_a_ticker_after_a_fold_began_changes_nothing_before(fate: str) -> None:
    bars = random_walk_bars(26, 1100, 8)
    days = bars["date"].unique().sort()
    first = api.train(bars, SETTINGS).result.folds[0]
    start = first.test_first
    place = int(days.search_sorted(start))
    mine = pl.col("ticker") == "T003"
    gone = {
        "delisted": pl.col("date") > days[place + 10],
        "halted": pl.col("date").is_between(days[place - 2], days[place + 1]),
        "halted for good": pl.col("date") >= days[place - 4],
        "listed": pl.col("date") < days[place + 30],
    }[fate]
    # The same bars up to the first test session, and different ones after it.
    one = bars.filter(~(mine & gone))
    other = one.filter(~(mine & (pl.col("date") > start)))
    assert _until(one, start).equals(_until(other, start))
    found = [api.train(table, SETTINGS).result.folds[0] for table in (one, other)]
    assert found[0].train_rows == found[1].train_rows
    assert found[0].rounds == found[1].rounds
    assert found[0].curve == found[1].curve
    assert found[0].importance == found[1].importance


def test_a_late_twentieth_ticker_does_not_turn_the_target_of_earlier_folds() -> None:
    bars = random_walk_bars(20, 900, 9)
    days = bars["date"].unique().sort()
    late = bars.filter((pl.col("ticker") != "T000") | (pl.col("date") > days[840]))
    assert api.train(late, SETTINGS).result.target == "return"
    assert api.train(bars, SETTINGS).result.target == "excess"


def test_the_holdout_is_fitted_for_by_the_rules_of_a_fold() -> None:
    settings = SETTINGS | {
        "validation": {
            "test_sessions": 100,
            "scheme": "rolling",
            "max_train_sessions": 200,
            "embargo_sessions": 20,
        }
    }
    result = api.train(random_walk_bars(22, 1000, 10), settings).result
    rows = [fold.train_rows for fold in result.folds]
    assert max(rows) - min(rows) <= 60
    assert abs(result.holdout.train_rows - rows[-1]) <= 60
    assert result.training_rows <= 200 * 22


def test_predict_takes_what_train_takes() -> None:
    bars = random_walk_bars(22, 900, 11)
    trained = api.train(bars, SETTINGS)
    clean = api.predict(bars, trained.model, trained.card)
    assert not clean.in_sample
    stranger = bars.filter(pl.col("ticker") == "T001").with_columns(ticker=pl.lit("ZZZ"))
    messy = pl.concat([bars, stranger, bars.head(3)]).with_columns(pl.col("date").cast(pl.String))
    assert api.predict(messy.to_pandas(), trained.model, trained.card).rows.equals(clean.rows)
    few = bars.filter(pl.col("ticker") < "T008")
    with pytest.raises(ModelError, match=r"hold 8 of the model's 22 tickers"):
        api.predict(few, trained.model, trained.card)
    early = bars.filter(pl.col("date") < bars["date"].unique().sort()[800])
    assert api.predict(early, trained.model, trained.card).in_sample
    # After the last fitted row, labels reach up to the last session: only that one knows nothing.
    sessions = bars["date"].unique().sort()
    assert trained.card.train_last < str(sessions[-2])
    assert trained.card.labels_last == str(sessions[-1])
    for card in (trained.card, dataclasses.replace(trained.card, labels_last=None)):
        reached = bars.filter(pl.col("date") <= sessions[-2])
        assert api.predict(reached, trained.model, card).in_sample
        assert not api.predict(bars, trained.model, card).in_sample
    assert trained.result.holdout.opening is None


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
