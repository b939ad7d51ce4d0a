"""A learner of sequences comes in by the same door, and never sees a later row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig, ModelConfig, ValidationConfig
from src.v2.explain.folds import explain_folds
from src.v2.explain.permuted_importance import permutation_drops
from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.labels import plan_label
from src.v2.modeling.learners.base import StopRows, TrainingRows
from src.v2.modeling.learners.sampled_shapley import antithetic_orders, sampled_contributions
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.past_rows import past_places, with_past
from src.v2.modeling.walk_forward import Trainer, walk_forward
from src.v2.records import LearningCurve
from src.v2.tests.synthetic import ragged, random_walk_bars

Array = np.ndarray[Any, Any]

LENGTH = 4
RULES = ValidationConfig(test_sessions=60, min_train_sessions=150)
PLAN = plan_label(LabelConfig(forward_days=5, target="return"), 12)
BATCH = 97


@dataclasses.dataclass
class Sequences:
    """A throw-away model: least squares on the means of the older and the newer half."""

    feature_names: tuple[str, ...]
    lines: Array
    rounds: int = 1
    exact: bool = False

    def predict(self, features: Matrix) -> Matrix:
        return np.asarray(self.margin(features)[:, 0], dtype=np.float32)

    def margin(self, features: Matrix) -> Array:
        return np.asarray(halves(features) @ self.lines)[:, None]

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        background = np.zeros((1, features.shape[1]), dtype=np.float32)
        orders = antithetic_orders(features.shape[1], 1, 0)
        return sampled_contributions(self.margin, features, background, orders)

    def interactions(self, features: Matrix) -> None:
        return None

    def importance(self) -> dict[str, float]:
        return {self.feature_names[0]: 1.0}

    def content(self) -> bytes:
        return self.lines.tobytes()

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@dataclasses.dataclass
class SequenceLearner:
    """Reads its windows batch by batch, and notes every one that it was given."""

    names: Sequence[str]
    seen: list[Array] = dataclasses.field(default_factory=list)
    least_rounds: int = 1
    unstopped_rounds: int = 1

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        self._note(rows.fit)
        self._note(rows.tail)
        return 1, LearningCurve((1.0,), (1.0,))

    def fit(self, rows: TrainingRows, rounds: int) -> Sequences:
        windows = self._note(rows)
        lines, *_ = np.linalg.lstsq(halves(windows), rows.label.astype(np.float64), rcond=None)
        return Sequences(tuple(self.names), lines)

    def widen(self, names: Sequence[str], share: float) -> SequenceLearner:
        return dataclasses.replace(self, names=names)

    def _note(self, rows: TrainingRows) -> Array:
        count = len(rows.label)
        parts = [
            np.asarray(rows.feature_rows[start : start + BATCH]) for start in range(0, count, BATCH)
        ]
        self.seen.append(np.concatenate(parts))
        return self.seen[-1]


def halves(windows: Array) -> Array:
    """Mean of each feature over the newer and the older half of a window, 0 where unknown."""
    shaped = np.nan_to_num(windows.reshape(len(windows), LENGTH, -1)).astype(np.float64)
    return np.concatenate(
        [shaped[:, : LENGTH // 2].mean(axis=1), shaped[:, LENGTH // 2 :].mean(axis=1)], axis=1
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    bars = ragged(random_walk_bars(12, 420, signal=0.003)).sort("date", "ticker")
    shift = pl.col("close") / pl.col("close").shift(1).over("ticker") - 1
    table = bars.select(
        "date",
        "ticker",
        shift.cast(pl.Float32).alias("return"),
        pl.col("close").log().cast(pl.Float32).alias("level"),
    )
    built, _ = build_panel(bars, table, PLAN, min_history=10)
    return built


def trainer_of(panel: Panel) -> tuple[Trainer, SequenceLearner, Schedule]:
    learner = SequenceLearner(panel.names)
    strided = panel.take(panel.session % 2 == 0)
    config = ModelConfig(early_stopping_rounds=5)
    schedule = schedule_folds(panel.sessions, RULES, PLAN.config.span)
    return Trainer(panel, strided, learner, config, RULES, PLAN), learner, schedule


def marked(panel: Panel) -> Panel:
    """Put each row's session, ticker and end of label in the place of its features."""
    marks = np.column_stack([panel.session, panel.ticker, panel.label_end]).astype(np.float32)
    return dataclasses.replace(panel, feature_rows=marks, names=("session", "ticker", "end"))


def test_a_window_is_the_tickers_last_bars_newest_first(panel: Panel) -> None:
    found = with_past(panel, LENGTH)
    # The slow way: look each earlier bar up by name.
    features = panel.features
    known = {
        (int(ticker), int(bar)): place
        for place, (ticker, bar) in enumerate(zip(panel.ticker, panel.bar, strict=True))
    }
    wanted = np.full((len(features), LENGTH, 2), np.nan, dtype=np.float32)
    for (ticker, bar), place in known.items():
        for lag in range(LENGTH):
            if (ticker, bar - lag) in known:
                wanted[place, lag] = features[known[ticker, bar - lag]]
    assert np.array_equal(found.features.reshape(-1, LENGTH, 2), wanted, equal_nan=True)
    assert found.names[:3] == ("return", "level", "return@1") and found.names[-1] == "level@3"
    assert (past_places(panel, LENGTH)[:, -1] < 0).sum() == 3 * len(np.unique(panel.ticker))
    some = panel.session % 3 == 0
    assert np.array_equal(
        found.take(some).features.reshape(-1, LENGTH, 2), wanted[some], equal_nan=True
    )


def test_a_sequence_learner_is_fitted_inside_the_purged_folds(panel: Panel) -> None:
    trainer, learner, schedule = trainer_of(with_past(marked(panel), LENGTH))
    for fold in schedule.folds:
        learner.seen.clear()
        trainer.fold(fold, schedule.holdout_start)
        assert len(learner.seen) == 3
        for windows in learner.seen:
            session, ticker, end = windows.reshape(-1, LENGTH, 3).transpose(2, 0, 1)
            assert len(windows) and (end[:, 0] >= 0).all()
            # The row's own label is known at the first decision of the test block.
            assert (end[:, 0] <= fold.known_by).all() and fold.known_by <= fold.test_start
            assert (session[:, 0] < fold.test_start).all()
            later = np.diff(session, axis=1)
            assert (later[~np.isnan(later)] < 0).all()
            assert ((ticker == ticker[:, :1]) | np.isnan(ticker)).all()
            assert not np.isnan(windows[:, 0]).any()


def test_later_rows_change_no_forecast_and_no_fit(panel: Panel) -> None:
    trainer, _, schedule = trainer_of(with_past(panel, LENGTH))
    fold = schedule.folds[1]
    cut = (fold.test_start + fold.test_stop) // 2
    spoilt = panel.features.copy()
    spoilt[panel.session >= cut] = 1e6
    other = dataclasses.replace(panel, feature_rows=spoilt)
    changed, _, _ = trainer_of(with_past(other, LENGTH))
    one, two = (each.fold(fold, schedule.holdout_start) for each in (trainer, changed))
    assert one.model.content() == two.model.content()
    before = one.test.session < cut
    assert np.array_equal(one.forecast[before], two.forecast[before])
    assert before.any() and not np.array_equal(one.forecast[~before], two.forecast[~before])


def test_past_rows_carry_what_the_row_alone_does_not(panel: Panel) -> None:
    trainer, _, schedule = trainer_of(with_past(panel, LENGTH))
    fits = list(walk_forward(trainer, schedule))
    forgets = panel.features.copy()
    forgets[panel.session % 2 == 1] = 0
    lost, _, _ = trainer_of(with_past(dataclasses.replace(panel, feature_rows=forgets), LENGTH))
    even = fits[0].test.session % 2 == 0
    other = lost.fold(schedule.folds[0], schedule.holdout_start)
    assert not np.array_equal(fits[0].forecast[even], other.forecast[even])


def test_forecasts_of_windows_are_explained_and_permuted(panel: Panel) -> None:
    trainer, _, schedule = trainer_of(with_past(panel, LENGTH))
    fits = list(walk_forward(trainer, schedule))
    sample = explain_folds(fits, PLAN, 20, 0)
    assert (
        sample.values.shape == (20, 1, 2 * LENGTH) and sample.feature_names == trainer.panel.names
    )
    drops = permutation_drops(fits, PLAN, [[0, 2, 4, 6], [1]], 500, 0)
    assert drops.values.shape[1] == 2


def test_windows_are_made_of_features_in_memory(panel: Panel) -> None:
    with pytest.raises(TypeError, match="in memory"):
        with_past(with_past(panel, 2), 2)
