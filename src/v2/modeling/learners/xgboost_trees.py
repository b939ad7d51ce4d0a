"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src.v2.config import ModelConfig
from src.v2.console import signals_deferred
from src.v2.errors import ConfigError, ModelError
from src.v2.modeling.feature_rows import Matrix, StoredRows
from src.v2.modeling.learners.base import Array, FittedModel, Learner, StopRows, TrainingRows
from src.v2.modeling.learners.boosting import RowDraws, boost, find_rounds
from src.v2.modeling.learners.xgboost_shap import explain_rows, interaction_rows, margins
from src.v2.records import LearningCurve

BOOSTER_NAME = "model.ubj"

ROWS_PER_LEAF_SPANS = 10
"""A leaf holds at least this many horizons of one ticker's rows (see `leaf_weight`)."""


@dataclass(frozen=True, slots=True)
class XGBoostLearner:
    """Fits XGBoost's histogram trees.

    Parameters
    ----------
    config
        Parameters of the booster.
    feature_names
        Names of the columns of every matrix given.
    classes
        Number of classes; 0 for regression.
    leaf_weight
        Least sum of hessians in a leaf.
    seed
        Seed of row and column sampling.
    """

    config: ModelConfig
    feature_names: Sequence[str]
    classes: int
    leaf_weight: float
    seed: int

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many rounds the tail's weighted loss is lowest."""
        with _page_folder(rows.fit) as pages:
            fit = self._matrix(rows.fit, pages)
            tail = self._matrix(rows.tail, pages, reference=fit)
            found = find_rounds(
                self._parameters(),
                fit,
                self._draws(rows.fit),
                tail,
                self.config.n_estimators,
                self.config.early_stopping_rounds,
            )
            # Before the folder of their pages.
            del tail, fit
        return found

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds."""
        with _page_folder(rows) as pages:
            matrix = self._matrix(rows, pages)
            booster = boost(self._parameters(), matrix, self._draws(rows), rounds)
            del matrix
        return XGBoostModel(booster, rounds)

    @property
    def least_rounds(self) -> int:
        """A few trees give whole groups of tickers one forecast."""
        return min(self.config.min_rounds, self.config.n_estimators)

    @property
    def unstopped_rounds(self) -> int:
        """All rounds."""
        return self.config.n_estimators

    def widen(self, names: Sequence[str], share: float) -> Learner:
        """Fit other columns; a leaf keeps the share of the rows that it must hold."""
        return replace(self, feature_names=names, leaf_weight=self.leaf_weight * share)

    def _matrix(self, rows: TrainingRows, pages: Path | None, reference: Any = None) -> Any:
        """Bin rows, in memory or into pages on disk."""
        import xgboost as xgb

        settings = {
            "max_bin": self.config.max_bin,
            "nthread": thread_count(self.config),
            "ref": reference,
        }
        names = list(self.feature_names)
        if pages is not None:
            from src.v2.modeling.learners.external_matrix import external_matrix

            return external_matrix(rows, names, pages, **settings)
        with signals_deferred():
            return xgb.QuantileDMatrix(
                rows.features, rows.label, weight=rows.weight, feature_names=names, **settings
            )

    def _draws(self, rows: TrainingRows) -> RowDraws:
        return RowDraws(rows.weight, self.config.subsample, self.seed)

    def _parameters(self) -> dict[str, Any]:
        config = self.config
        parameters: dict[str, Any] = {
            "tree_method": "hist",
            "device": config.device,
            "learning_rate": config.learning_rate,
            "max_depth": config.max_depth,
            "colsample_bytree": config.colsample_bytree,
            "min_child_weight": self.leaf_weight,
            "lambda": config.reg_lambda,
            "alpha": config.reg_alpha,
            "gamma": config.gamma,
            "max_bin": config.max_bin,
            "seed": self.seed,
            "nthread": thread_count(config),
            "verbosity": 0,
        }
        if config.rate_drop > 0:
            parameters["rate_drop"] = config.rate_drop
        return parameters | _objective(self.classes)


@dataclass(frozen=True, slots=True)
class XGBoostModel:
    """A fitted booster, used up to its last round."""

    booster: Any
    rounds: int

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""
        forecast = self.booster.inplace_predict(features, validate_features=False)
        return np.asarray(forecast, dtype=np.float32)

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature; features never used are left out."""
        gain: Mapping[str, float] = self.booster.get_score(importance_type="total_gain")
        total = sum(gain.values())
        return {name: float(value / total) for name, value in gain.items()} if total > 0 else {}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that it was fitted on, in order."""
        return tuple(self.booster.feature_names or ())

    @property
    def exact(self) -> bool:
        """Whether contributions are exact: TreeSHAP is."""
        return True

    def margin(self, features: Matrix) -> Array:
        """Forecast rows in units in which contributions add up: (rows, outputs)."""
        return margins(self.booster, features, self.feature_names, self.rounds)

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        """Split each row's margin by exact TreeSHAP."""
        return explain_rows(self.booster, features, self.feature_names, self.rounds)

    def interactions(self, features: Matrix) -> Array | None:
        """Split each row's contributions into main effects and interactions."""
        return interaction_rows(self.booster, features, self.feature_names, self.rounds)

    def content(self) -> bytes:
        """Give the booster as UBJSON."""
        return bytes(self.booster.save_raw())

    def save(self, folder: Path) -> None:
        """Write the booster as UBJSON."""
        self.booster.save_model(folder / BOOSTER_NAME)


def load_xgboost(path: Path, threads: int | None = None) -> XGBoostModel:
    """Read a booster written by `XGBoostModel.save`.

    Raises
    ------
    ModelError
        When the file is no booster.
    """
    import xgboost as xgb

    booster = xgb.Booster()
    try:
        booster.load_model(path)
    except xgb.core.XGBoostError as error:
        raise ModelError(f"{path} is no XGBoost model, or is damaged. Train again.") from error
    if threads is not None:
        booster.set_param({"nthread": threads})
    return XGBoostModel(booster, booster.num_boosted_rounds())


def leaf_weight(config: ModelConfig, forward_days: int, train_stride: int, classes: int) -> float:
    """Least sum of hessians in a leaf.

    Labels of neighbouring rows overlap, so a leaf of a few rows is a leaf of one event. By
    default a leaf holds ten horizons of one ticker's training rows; a row of weight 1 brings
    a hessian of 1 to squared error, about 1/4 to two balanced classes and 8/25 to five.
    """
    if config.min_child_weight is not None:
        return config.min_child_weight
    rows = ROWS_PER_LEAF_SPANS * max(1.0, forward_days / train_stride)
    return rows * row_hessian(classes)


def row_hessian(classes: int) -> float:
    """Hessian that a row of weight 1 brings; 0 classes are a regression."""
    share = 1 / classes if classes else 0.0
    return {0: 1.0, 2: 0.25}.get(classes, 2 * share * (1 - share))


def check_device(config: ModelConfig) -> None:
    """Refuse a GPU that is not there, before any work.

    Raises
    ------
    ConfigError
        When ``model.device`` is cuda and XGBoost sees none.
    """
    if config.device != "cuda":
        return
    import xgboost as xgb

    matrix = xgb.QuantileDMatrix(np.zeros((2, 1), dtype=np.float32), np.zeros(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster = xgb.train({"device": "cuda", "verbosity": 0}, matrix, 1)
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if not used.startswith("cuda"):
        raise ConfigError(
            f"model.device cuda needs an NVIDIA GPU that XGBoost can use; it found only {used}. "
            "Check the driver, or use --model.device cpu."
        )


def thread_count(config: ModelConfig) -> int:
    """Threads in use: as configured, or every core this process may run on."""
    if config.threads is not None:
        return config.threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _page_folder(rows: TrainingRows) -> Iterator[Path | None]:
    """Give a folder for XGBoost's pages where rows lie in a store, else None."""
    if not isinstance(rows.feature_rows, StoredRows):
        yield None
        return
    from src.v2.modeling.learners.external_matrix import cache_folder

    with cache_folder(rows) as folder:
        yield folder


def _objective(classes: int) -> dict[str, Any]:
    """Loss by the number of classes."""
    if classes == 0:
        return {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if classes == 2:
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    return {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": classes}
