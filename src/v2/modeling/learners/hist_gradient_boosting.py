"""scikit-learn's histogram gradient boosting.

The same kind of trees as XGBoost's by other hands: it draws columns for each split instead of
for each tree, draws no rows, and has no `reg_alpha`, `gamma` or `rate_drop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src.v2.config import ModelConfig
from src.v2.errors import ModelError
from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.base import Array, FittedModel, Learner, StopRows, TrainingRows
from src.v2.modeling.learners.quantile_bins import bin_rows, find_edges, unbin_tree
from src.v2.modeling.learners.sampled_shapley import (
    antithetic_orders,
    background_rows,
    sampled_contributions,
)
from src.v2.modeling.learners.xgboost_trees import row_hessian, thread_count
from src.v2.records import LearningCurve

FILE_NAME = "model.skops"
MOST_BINS = 255
"""As many as scikit-learn has."""

UNSEEN_WEIGHT = 1e-9
"""Weight of the row that stands for a class that no row has, so that each has an output."""

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
)
"""Types that a saved model may hold beside those that skops trusts itself: no others are made."""


@dataclass(frozen=True, slots=True)
class HistModel:
    """Fitted trees of scikit-learn, explained by sampled Shapley values.

    Importance is the share of the total gain.

    Parameters
    ----------
    estimator
        The fitted estimator.
    feature_names
        Names of the columns that it was fitted on, in order.
    background
        Rows fitted on that explanations start from.
    seed
        Of the orders of features in explanations.
    """

    estimator: Any
    feature_names: tuple[str, ...]
    background: Matrix
    seed: int

    @property
    def rounds(self) -> int:
        """Boosting rounds in use."""
        return int(self.estimator.n_iter_)

    @property
    def exact(self) -> bool:
        """Whether contributions are exact: they are sampled."""
        return False

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""
        if not hasattr(self.estimator, "classes_"):
            return np.asarray(self.estimator.predict(features), dtype=np.float32)
        shares = self.estimator.predict_proba(features)
        return np.asarray(shares if shares.shape[1] > 2 else shares[:, 1], dtype=np.float32)

    def margin(self, features: Matrix) -> Array:
        """Forecast rows in units in which contributions add up: (rows, outputs)."""
        classifies = hasattr(self.estimator, "classes_")
        ask = self.estimator.decision_function if classifies else self.estimator.predict
        return np.asarray(ask(features)).reshape(len(features), -1)

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        """Split each row's margin by sampled orders of features."""
        orders = antithetic_orders(len(self.feature_names), len(self.background), self.seed)
        return sampled_contributions(self.margin, features, self.background, orders)

    def interactions(self, features: Matrix) -> Array | None:
        """Give none: to sample every pair would take too long."""
        return None

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature; features never used are left out."""
        gain = np.zeros(len(self.feature_names))
        for tree in _trees(self.estimator):
            inner = tree.nodes[tree.nodes["is_leaf"] == 0]
            np.add.at(gain, inner["feature_idx"], inner["gain"])
        pairs = zip(self.feature_names, gain.tolist(), strict=True)
        return {name: value / gain.sum() for name, value in pairs if value > 0}

    def content(self) -> bytes:
        """Give the bytes of all trees and of what they start from."""
        trees = b"".join(tree.nodes.tobytes() for tree in _trees(self.estimator))
        start = np.asarray(self.estimator._baseline_prediction).tobytes()
        return start + self.background.tobytes() + trees

    def save(self, folder: Path) -> None:
        """Write the estimator by skops, which names every type that reading makes."""
        import skops.io

        held = {
            "estimator": self.estimator,
            "features": list(self.feature_names),
            "background": self.background,
            "seed": self.seed,
        }
        skops.io.dump(held, folder / FILE_NAME)


@dataclass(frozen=True, slots=True)
class HistLearner:
    """Fits scikit-learn's histogram trees.

    Parameters
    ----------
    config
        Of `model`: rounds, depth, learning rate, share of columns, bins, `reg_lambda`.
    feature_names
        Names of the columns of every matrix given.
    classes
        Number of classes; 0 for regression.
    leaf_weight
        Least sum of hessians in a leaf, as XGBoost counts them.
    seed
        Seed of the columns drawn and of explanations.
    """

    config: ModelConfig
    feature_names: Sequence[str]
    classes: int
    leaf_weight: float
    seed: int

    @property
    def least_rounds(self) -> int:
        """A few trees give whole groups of tickers one forecast."""
        return min(self.config.min_rounds, self.config.n_estimators)

    @property
    def unstopped_rounds(self) -> int:
        """All rounds."""
        return self.config.n_estimators

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many rounds the tail's weighted loss is lowest."""
        tail = rows.tail
        estimator = self._fitted(
            rows.fit,
            self.config.n_estimators,
            early_stopping=True,
            n_iter_no_change=self.config.early_stopping_rounds,
            tail=tail,
        )
        # The first score is that of no tree at all.
        losses = [-np.asarray(side)[1:] for side in _scores(estimator)]
        if self.classes == 0:
            losses = [np.sqrt(2 * side) for side in losses]
        curve = LearningCurve(*(tuple(side.tolist()) for side in losses))
        return int(np.argmin(curve.val_loss)) + 1, curve

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds."""
        estimator = self._fitted(rows, rounds, early_stopping=False)
        background = background_rows(rows.features, self.seed)
        return HistModel(estimator, tuple(self.feature_names), background, self.seed)

    def widen(self, names: Sequence[str], share: float) -> Learner:
        """Fit other columns; a leaf keeps the share of the rows that it must hold."""
        return replace(self, feature_names=names, leaf_weight=self.leaf_weight * share)

    def _fitted(
        self, rows: TrainingRows, rounds: int, tail: TrainingRows | None = None, **how: Any
    ) -> Any:
        """Grow trees on the numbers of bins, and put their splits into units of the features."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        config, bins = self.config, min(self.config.max_bin, MOST_BINS)
        kind = HistGradientBoostingClassifier if self.classes else HistGradientBoostingRegressor
        estimator: Any = kind(
            learning_rate=config.learning_rate,
            max_iter=rounds,
            max_depth=config.max_depth,
            max_leaf_nodes=None,
            min_samples_leaf=max(1, round(self.leaf_weight / row_hessian(self.classes))),
            l2_regularization=config.reg_lambda,
            max_features=config.colsample_bytree,
            max_bins=bins,
            scoring="loss",
            tol=0.0,
            random_state=self.seed,
            **how,
        )
        features, label, weight = _every_class(rows, self.classes)
        features = _no_empty_column(features)
        edges = find_edges(features, weight, bins)
        judged: dict[str, Any] = {}
        if tail is not None:
            judged = {"X_val": bin_rows(tail.features, edges), "y_val": tail.label}
            judged |= {"sample_weight_val": tail.weight}
        with threadpool_limits(thread_count(config)):
            estimator.fit(bin_rows(features, edges), label, weight, **judged)
        for tree in _trees(estimator):
            unbin_tree(tree.nodes, edges)
        return estimator


def _trees(estimator: Any) -> list[Any]:
    return [tree for trees in estimator._predictors for tree in trees]


def _scores(estimator: Any) -> tuple[Any, Any]:
    """Give minus the loss of each round, of the rows fitted on and of the tail."""
    return estimator.train_score_, estimator.validation_score_


def _every_class(rows: TrainingRows, classes: int) -> tuple[Matrix, Matrix, Matrix]:
    """Add a row of next to no weight for each class that no row has."""
    label, weight = rows.label, rows.weight
    absent = np.setdiff1d(np.arange(classes), label).astype(label.dtype)
    if not len(absent):
        return rows.features, label, weight
    empty = np.full((len(absent), rows.features.shape[1]), np.nan, dtype=np.float32)
    slight = np.full(len(absent), UNSEEN_WEIGHT, dtype=weight.dtype)
    parts = ((rows.features, empty), (label, absent), (weight, slight))
    features, label, weight = (np.concatenate(part) for part in parts)
    return features, label, weight


def _no_empty_column(features: Matrix) -> Matrix:
    """Fill columns without any value, which cannot be binned; no tree splits on a constant."""
    empty = np.isnan(features).all(axis=0)
    return np.where(empty, np.float32(0), features) if empty.any() else features


def load_hist(folder: Path) -> HistModel:
    """Read a model written by `HistModel.save`.

    Raises
    ------
    ModelError
        When the file is no such model, or holds a type that is not trusted.
    """
    import skops.io

    file = folder / FILE_NAME
    try:
        held = skops.io.load(file, trusted=list(TRUSTED))
        names, background = tuple(held["features"]), np.asarray(held["background"], np.float32)
        _check_trees(held["estimator"], len(names))
        if background.ndim != 2 or background.shape[1] != len(names):
            raise ValueError(f"background of shape {background.shape}")
        return HistModel(held["estimator"], names, background, int(held["seed"]))
    except Exception as error:
        raise ModelError(
            f"{file} is no model of scikit-learn's trees, is damaged, or holds types that are not "
            "trusted. Train again."
        ) from error


def _check_trees(estimator: Any, features: int) -> None:
    """Refuse trees that would be walked out of their own memory: compiled code does not look."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        raise TypeError(f"a {type(estimator).__name__}")
    if estimator.n_features_in_ != features:
        raise ValueError("trees of other features")
    for tree in _trees(estimator):
        nodes = tree.nodes
        inner = nodes[nodes["is_leaf"] == 0]
        place = np.flatnonzero(nodes["is_leaf"] == 0)
        inside = (inner["feature_idx"] >= 0) & (inner["feature_idx"] < features)
        for side in ("left", "right"):
            # Children lie behind their parent, so a walk ends.
            inside &= (inner[side] > place) & (inner[side] < len(nodes))
        if not len(nodes) or not inside.all() or nodes["is_categorical"].any():
            raise ValueError("a tree that leads nowhere")
