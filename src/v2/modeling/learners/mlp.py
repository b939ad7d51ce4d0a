"""A small neural network: scikit-learn's multilayer perceptron, fitted epoch by epoch.

Features are standardised as for the linear models: missing values become the mean, and values
beyond four deviations are pulled in. Rows are weighed in the loss. The label of a regression is
standardised too, and brought back in the last layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src.v2.config import ModelConfig
from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.array_files import (
    joined_bytes,
    read_arrays,
    take_array,
    take_names,
    whole_files,
    write_arrays,
)
from src.v2.modeling.learners.base import Array, FittedModel, Learner, StopRows, TrainingRows
from src.v2.modeling.learners.linear import LEAST_CHANCE, Scaling, learn_scaling
from src.v2.modeling.learners.network import Layers, forward, read_layers, shares, slopes
from src.v2.modeling.learners.sampled_shapley import (
    antithetic_orders,
    background_rows,
    sampled_contributions,
)
from src.v2.modeling.learners.xgboost_trees import thread_count
from src.v2.records import LearningCurve

SHARED_PRODUCT = 100_000_000
"""Multiplications of one product of matrices from which it is shared between threads. Below, they
wait for each other longer than they work: with 512 rows, 140 features and 32 units, two threads
took 4 to 6 times the CPU of one."""


@dataclass(frozen=True, slots=True)
class MlpModel:
    """A fitted network with its own forward pass, explained by sampled Shapley values.

    Importance is the share of the mean absolute slope by each standardised feature, at the rows
    of the background.

    Parameters
    ----------
    layers
        Rectified between one another.
    classes
        Number of classes; 0 for regression.
    feature_names
        Names of the columns that it was fitted on, in order.
    rounds
        Epochs.
    background
        Rows fitted on that explanations start from.
    seed
        Of the orders of features in explanations.
    """

    scaling: Scaling
    layers: Layers
    classes: int
    feature_names: tuple[str, ...]
    rounds: int
    background: Matrix
    seed: int

    @property
    def exact(self) -> bool:
        """Whether contributions are exact: they are sampled."""
        return False

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""
        margin = self.margin(features)
        shown = shares(margin) if self.classes else margin
        return np.asarray(shown if self.classes > 2 else shown[:, -1], dtype=np.float32)

    def margin(self, features: Matrix) -> Array:
        """Forecast rows in units in which contributions add up: (rows, outputs)."""
        return forward(self.layers, self.scaling.apply(features))

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        """Split each row's margin by sampled orders of features."""
        orders = antithetic_orders(len(self.feature_names), len(self.background), self.seed)
        return sampled_contributions(self.margin, features, self.background, orders)

    def interactions(self, features: Matrix) -> Array | None:
        """Give none: to sample every pair would take too long."""
        return None

    def importance(self) -> dict[str, float]:
        """Share of each feature in the mean |slope| of the margin; unused ones are left out."""
        scaled = self.scaling.apply(self.background)
        size = np.mean([np.abs(slopes(self.layers, row)).sum(axis=1) for row in scaled], axis=0)
        size[self.scaling.inverse_deviation == 0] = 0.0
        pairs = zip(self.feature_names, size.tolist(), strict=True)
        return {name: value / size.sum() for name, value in pairs if value > 0}

    def content(self) -> bytes:
        """Give the bytes of all numbers."""
        return joined_bytes(self._arrays())

    def save(self, folder: Path) -> None:
        """Write the weights as arrays, and all else as JSON."""
        header = {
            "type": "mlp",
            "features": list(self.feature_names),
            "classes": self.classes,
            "rounds": self.rounds,
            "layers": len(self.layers),
            "seed": self.seed,
        }
        write_arrays(folder, header, self._arrays())

    def _arrays(self) -> dict[str, Array]:
        values = [self.scaling.mean, self.scaling.inverse_deviation, self.background]
        values += [array for layer in self.layers for array in layer]
        return dict(zip(array_names(len(self.layers)), values, strict=True))


@dataclass(frozen=True, slots=True)
class MlpLearner:
    """Fits a multilayer perceptron by Adam.

    Parameters
    ----------
    config
        Of `model`: hidden layers and units, `mlp_learning_rate`, `mlp_penalty`, batch size, most
        epochs (`n_estimators`) and patience (`early_stopping_rounds`).
    feature_names
        Names of the columns of every matrix given.
    classes
        Number of classes; 0 for regression.
    seed
        Seed of the first weights, of the order of rows and of explanations.
    """

    config: ModelConfig
    feature_names: Sequence[str]
    classes: int
    seed: int

    @property
    def least_rounds(self) -> int:
        """One epoch may be enough."""
        return 1

    @property
    def unstopped_rounds(self) -> int:
        """All epochs."""
        return self.config.n_estimators

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many epochs the tail's weighted loss is lowest."""
        scaling = learn_scaling(rows.fit.features)
        sides = [(scaling.apply(each.features), each) for each in rows.parts]
        fitted: list[float] = []
        judged: list[float] = []
        for layers in self._epochs(sides[0][0], rows.fit, self.config.n_estimators):
            for losses, side in zip((fitted, judged), sides, strict=True):
                losses.append(_loss(forward(layers, side[0]), side[1], self.classes))
            if len(judged) - 1 - int(np.argmin(judged)) >= self.config.early_stopping_rounds:
                break
        return int(np.argmin(judged)) + 1, LearningCurve(tuple(fitted), tuple(judged))

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of epochs."""
        scaling = learn_scaling(rows.features)
        *_, layers = self._epochs(scaling.apply(rows.features), rows, rounds)
        return MlpModel(
            scaling,
            layers,
            self.classes,
            tuple(self.feature_names),
            rounds,
            background_rows(rows.features, self.seed),
            self.seed,
        )

    def widen(self, names: Sequence[str], share: float) -> Learner:
        """Fit other columns."""
        return replace(self, feature_names=names)

    def _epochs(self, scaled: Matrix, rows: TrainingRows, epochs: int) -> Iterator[Layers]:
        """Fit epoch after epoch, and give the layers after each."""
        from threadpoolctl import threadpool_limits

        estimator, label = self._estimator(), rows.label
        mean, deviation = 0.0, 1.0
        known = {"classes": np.arange(self.classes)} if self.classes else {}
        if not self.classes:
            mean = float(np.average(label, weights=rows.weight))
            spread = float(np.sqrt(np.average((label - mean) ** 2, weights=rows.weight)))
            deviation = spread or 1.0
            label = np.asarray((label - mean) / deviation, dtype=np.float32)
        threads = self._threads(scaled.shape[1])
        for _ in range(epochs):
            with threadpool_limits(threads):
                estimator.partial_fit(scaled, label, sample_weight=rows.weight, **known)
            yield _layers(estimator, mean, deviation)

    def _threads(self, features: int) -> int:
        """Threads of a step: one where its products are small, as usual."""
        config = self.config
        largest = config.batch_size * config.hidden_units * max(features, config.hidden_units)
        return thread_count(config) if largest >= SHARED_PRODUCT else 1

    def _estimator(self) -> Any:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        config = self.config
        kind = MLPClassifier if self.classes else MLPRegressor
        return kind(
            hidden_layer_sizes=(config.hidden_units,) * config.hidden_layers,
            activation="relu",
            solver="adam",
            alpha=config.mlp_penalty,
            batch_size=config.batch_size,
            learning_rate_init=config.mlp_learning_rate,
            # One generator for all epochs: a number would shuffle the rows alike in each.
            random_state=np.random.RandomState(self.seed),
        )


def load_mlp(folder: Path) -> MlpModel:
    """Read a model written by `MlpModel.save`.

    Raises
    ------
    ModelError
        When the files are no such model.
    """
    with whole_files(folder, "mlp"):
        header, arrays = read_arrays(folder, "mlp")
        names, classes = take_names(header), int(header["classes"])
        width = len(names)
        scale = (
            take_array(arrays, name, (width,), np.float32) for name in ("mean", "inverse_deviation")
        )
        return MlpModel(
            Scaling(*scale),
            read_layers(arrays, int(header["layers"]), width, classes if classes > 2 else 1),
            classes,
            names,
            int(header["rounds"]),
            _read_background(arrays, width),
            int(header["seed"]),
        )


def _read_background(arrays: dict[str, Array], width: int) -> Matrix:
    """Take the rows that explanations start from; their values may be missing."""
    background = arrays["background"]
    if background.dtype != np.float32 or background.ndim != 2 or background.shape[1] != width:
        raise ValueError(f"background has {background.dtype} {background.shape}")
    return background


def array_names(layers: int) -> tuple[str, ...]:
    """Name the arrays of a saved network."""
    each = (f"{kind}_{layer}" for layer in range(layers) for kind in ("weights", "biases"))
    return "mean", "inverse_deviation", "background", *each


def _layers(estimator: Any, mean: float, deviation: float) -> Layers:
    """Copy the weights; the last layer brings the label back to its own units."""
    pairs = [
        (np.array(weights, dtype=np.float32), np.array(biases, dtype=np.float32))
        for weights, biases in zip(estimator.coefs_, estimator.intercepts_, strict=True)
    ]
    weights, biases = pairs[-1]
    scaled = np.float32(deviation)
    pairs[-1] = weights * scaled, biases * scaled + np.float32(mean)
    return tuple(pairs)


def _loss(margin: Array, rows: TrainingRows, classes: int) -> float:
    """Weighted loss: root of the mean squared error, or log loss."""
    if not classes:
        error = (margin[:, 0].astype(np.float64) - rows.label) ** 2
        return float(np.sqrt(np.average(error, weights=rows.weight)))
    came = shares(margin)[np.arange(len(margin)), rows.label.astype(np.int64)]
    return -float(np.average(np.log(np.maximum(came, LEAST_CHANCE)), weights=rows.weight))
