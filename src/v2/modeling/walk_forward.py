"""Walk-forward fits: each test block is forecast by a model that saw only its past."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.v2.config import ModelConfig, ValidationConfig
from src.v2.errors import NotEnoughData
from src.v2.modeling.folds import Fold, Mask, Schedule, known_mask, stop_split, train_mask
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import (
    FittedModel,
    Learner,
    StopRows,
    TrainingRows,
    forecast_rows,
)
from src.v2.modeling.learners.making import make_learner
from src.v2.modeling.learners.xgboost_trees import leaf_weight
from src.v2.modeling.panel import Panel
from src.v2.modeling.weights import label_uniqueness, row_weights
from src.v2.records import LearningCurve

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoldFit:
    """One fold after its fit.

    Parameters
    ----------
    train
        First and last session fitted on.
    purged_rows
        Rows before the test block that could not be fitted on, their labels being open.
    prior
        Share of each class in the rows fitted on; empty for regression.
    test
        Rows of the test block on dates whose labels are known by the start of the holdout. Rows
        of tickers that stopped trading have no label: they are forecast, not scored.
    forecast
        One row for each test row: (rows,), or (rows, classes) for five classes.
    """

    fold: Fold
    model: FittedModel
    curve: LearningCurve | None
    train: tuple[int, int]
    train_rows: int
    purged_rows: int
    prior: tuple[float, ...]
    test: Panel
    forecast: np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Trainer:
    """Fits windows of one panel under fixed rules.

    Parameters
    ----------
    panel
        Every row; the methods choose which of them are scored.
    strided
        The rows of every k-th session, which alone are fitted on.
    """

    panel: Panel
    strided: Panel
    learner: Learner
    config: ModelConfig
    rules: ValidationConfig
    plan: LabelPlan

    def fold(self, fold: Fold, development_end: int) -> FoldFit:
        """Fit one fold and forecast its test block.

        Parameters
        ----------
        development_end
            First session of the holdout: test rows need a label known by then.
        """
        before, may = self._before(fold)
        window = _window(before, may)
        rounds, curve = self.choose_rounds(window)
        model = self.fit(window, rounds)
        test = self.panel.between(fold.test_start, fold.test_stop)
        test = _forecast_rows(test, development_end)
        log.info("fold %d: %d rows fitted, %d rounds", fold.number, len(window.session), rounds)
        return FoldFit(
            fold,
            model,
            curve,
            (int(window.session[0]), int(window.session[-1])),
            len(window.session),
            int((~may).sum()),
            class_shares(window, self.plan),
            test,
            forecast_rows(model, test.feature_rows),
        )

    def window(self, fold: Fold) -> Panel:
        """Rows that a fold, or the holdout, may be fitted on."""
        return _window(*self._before(fold))

    def newest_window(self, schedule: Schedule) -> Panel:
        """Rows that the shipped model is fitted on: all labelled ones, or a last window."""
        start = 0 if schedule.window is None else schedule.sessions - schedule.window
        newest = self.strided.between(start, schedule.sessions)
        return _window(newest, newest.label_end >= 0)

    def _before(self, fold: Fold) -> tuple[Panel, Mask]:
        """Rows before a test block, and which of them may be fitted on."""
        before = self.strided.between(fold.train_start, fold.test_start)
        return before, train_mask(before.session, before.label_end, fold)

    def fit(self, window: Panel, rounds: int) -> FittedModel:
        """Fit a window for so many rounds."""
        return self.learner.fit(self.rows(window), rounds)

    def choose_rounds(self, window: Panel) -> tuple[int, LearningCurve | None]:
        """Choose the rounds on the purged tail of a training window.

        There are as many as the learner needs, at least.

        Where the window is too short for a tail, or early stopping is off, all rounds run.
        """
        everything = self.learner.unstopped_rounds, None
        if self.config.early_stopping_rounds == 0:
            return everything
        split = stop_split(
            window.session, window.label_end, self.config.stop_share, self.plan.config.span
        )
        if split is None:
            log.warning("the training window is too short to stop early: all rounds run")
            return everything
        fit, tail = (self.rows(window.take(mask)) for mask in split)
        rounds, curve = self.learner.choose_rounds(StopRows(fit, tail))
        return max(rounds, self.learner.least_rounds), curve

    def rows(self, window: Panel) -> TrainingRows:
        """Weigh the rows of a window, for a learner."""
        label = self.plan.config
        uniqueness = label_uniqueness(
            window.ticker, window.bar, label.entry_lag, label.forward_days
        )
        weight = row_weights(window.session, uniqueness, self.rules.half_life_sessions)
        return TrainingRows(window.feature_rows, window.labels(), weight)


def class_shares(window: Panel, plan: LabelPlan) -> tuple[float, ...]:
    """Share of each class among the labels of a window; empty for regression."""
    if not plan.classes:
        return ()
    counts = np.bincount(window.labels().astype(np.int64), minlength=len(plan.classes))
    return tuple((counts / counts.sum()).tolist())


def _forecast_rows(test: Panel, development_end: int) -> Panel:
    """Keep the dates with a known label, without rows whose own label is known too late."""
    known = known_mask(test.label_end, development_end)
    last = int(test.session[known].max(initial=-1))
    ended = (test.label_end < 0) & (test.session <= last)
    return test.take(known | ended)


def _window(panel: Panel, may: Mask) -> Panel:
    """Keep the rows that may be fitted on."""
    if not may.any():
        raise NotEnoughData(
            "A training window holds no row with a known label. Give a longer history, a "
            "shorter --forward-days, or a longer --validation.min-train-sessions."
        )
    return panel.take(may)


def train_stride(rules: ValidationConfig, forward_days: int) -> int:
    """Sessions between two that are fitted on.

    By default about a sixth of the horizon, and no multiple of five: it would fit on the same
    weekday for months, and score on all of them.
    """
    if rules.train_stride is not None:
        return rules.train_stride
    stride = max(1, round(forward_days / 6))
    return stride + 1 if stride % 5 == 0 else stride


def make_trainer(
    panel: Panel, plan: LabelPlan, model: ModelConfig, rules: ValidationConfig, seed: int
) -> Trainer:
    """Bring the panel, the rules and the learner together."""
    stride = train_stride(rules, plan.config.forward_days)
    classes = len(plan.classes)
    weight = leaf_weight(model, plan.config.forward_days, stride, classes)
    learner = make_learner(model, panel.names, classes, weight, seed)
    strided = panel.take(panel.session % stride == 0)
    return Trainer(panel, strided, learner, model, rules, plan)


def walk_forward(trainer: Trainer, schedule: Schedule) -> Iterator[FoldFit]:
    """Fit fold after fold; each one is given as soon as it is done."""
    for fold in schedule.folds:
        try:
            yield trainer.fold(fold, schedule.holdout_start)
        except Exception as error:
            error.add_note(f"while fitting fold {fold.number} of {len(schedule.folds)}")
            raise


def forecast_table(
    test: Panel,
    forecast: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    plan: LabelPlan,
    *,
    fold: int,
    part: str,
) -> pl.DataFrame:
    """Put the forecasts of rows beside what became of them.

    Returns
    -------
    pl.DataFrame
        | date | ticker | fold | part | score |, for classes | p_<class> ... | predicted_class |,
        then | label | forward_return | expanding_mean | label_end |. Rows are ranked by the
        score: the forecast of regression, P(up) of two classes, the expected class of five.
    """
    columns: list[pl.Series] = []
    if plan.classes:
        shares = class_probabilities(forecast)
        columns = [
            pl.Series(probability_column(name), shares[:, code].astype(np.float64))
            for code, name in enumerate(plan.classes)
        ]
        best = shares.argmax(axis=1).astype(np.int32)
        columns.append(pl.Series("predicted_class", best))
    known = test.keys.select("label", "forward_return", "expanding_mean", "label_end")
    return test.keys.select(
        "date",
        "ticker",
        pl.lit(fold, dtype=pl.Int32).alias("fold"),
        pl.lit(part).alias("part"),
        pl.Series("score", ranking_score(forecast, len(plan.classes))),
        *columns,
    ).hstack(known)


Forecast = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def class_probabilities(forecast: Forecast) -> Forecast:
    """Give one column a class, also for two classes, where a model gives P(up) alone."""
    return np.column_stack([1 - forecast, forecast]) if forecast.ndim == 1 else forecast


def ranking_score(forecast: Forecast, classes: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give what rows are ranked by: the forecast itself, or the expected class.

    Parameters
    ----------
    forecast
        As a fitted model gives it.
    classes
        Number of classes; 0 for regression.
    """
    if not classes:
        return forecast.astype(np.float64)
    shares = class_probabilities(forecast).astype(np.float64)
    return np.asarray(shares @ np.arange(classes, dtype=np.float64))


def probability_column(name: str) -> str:
    """Column that holds the probability of a class.

    Examples
    --------
    >>> probability_column("Strong Buy")
    'p_strong_buy'
    """
    return "p_" + name.lower().replace(" ", "_")
