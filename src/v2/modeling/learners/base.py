"""What every learner takes and gives.

Only the modules of this folder fit anything, and a learner sees nothing but the rows that
it is given: it cannot reach the rows that it will be scored on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix, Rows, map_rows
from src.v2.records import LearningCurve

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows to fit on.

    Parameters
    ----------
    feature_rows
        Rows (rows, features), NaN where a feature is missing: an array, or rows that lie
        elsewhere.
    label, weight
        One value a row; a label is a class code for classification.
    """

    feature_rows: Rows
    label: Matrix
    weight: Matrix

    @property
    def features(self) -> Matrix:
        """The features as an array in memory."""
        return np.asarray(self.feature_rows)

    def take(self, mask: npt.NDArray[np.bool_], weight: Matrix) -> TrainingRows:
        """Keep some rows, under new weights (one for each kept row)."""
        return TrainingRows(self.feature_rows[mask], self.label[mask], weight)


@dataclass(frozen=True, slots=True)
class StopRows:
    """A fit that stops early: rows fitted on and the purged tail that judges each round."""

    fit: TrainingRows
    tail: TrainingRows

    @property
    def parts(self) -> tuple[TrainingRows, TrainingRows]:
        """Both, in that order."""
        return self.fit, self.tail


class FittedModel(Protocol):
    """A model after its fit."""

    @property
    def rounds(self) -> int:
        """Steps of the fit in use: boosting rounds, epochs, or the step of a path of penalties."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that it was fitted on, in order."""

    @property
    def exact(self) -> bool:
        """Whether contributions are exact; otherwise they are sampled, and cost much more."""

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""

    def margin(self, features: Matrix) -> Array:
        """Forecast rows in units in which contributions add up.

        Returns
        -------
        ndarray
            Array (rows, outputs): the forecast of a regression, the log-odds of the upper of
            two classes, or a score a class whose softmax the probabilities are.

        Raises
        ------
        ModelError
            When the model cannot read these features.
        """

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        """Split each row's margin into a bias and one contribution (SHAP value) a feature.

        Returns
        -------
        values : ndarray
            Array (rows, outputs, features) in units of the margin.
        base : ndarray
            Array (rows, outputs): the bias that the values add up from.

        Raises
        ------
        ModelError
            When the model cannot read these features, or the sums are off.
        """

    def interactions(self, features: Matrix) -> Array | None:
        """Split each row's contributions into main effects and interactions of two features.

        Returns
        -------
        ndarray or None
            Array (rows, outputs, features, features), symmetric: the sum over the last axis is
            the feature's contribution. None where no such values can be had.
        """

    def importance(self) -> dict[str, float]:
        """Share of each feature in what the model is made of, see its class; sums to 1.

        Features that it does not use are left out.
        """

    def content(self) -> bytes:
        """Give what forecasts are made with; equal for equal models."""

    def save(self, folder: Path) -> None:
        """Write the model's files into a folder, in an open format that runs no code when read."""


class Learner(Protocol):
    """How one kind of model is fitted."""

    @property
    def least_rounds(self) -> int:
        """Rounds that a fit has at least, whatever the tail says."""

    @property
    def unstopped_rounds(self) -> int:
        """Rounds of a fit that no tail stops."""

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many rounds the tail's loss is lowest."""

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds."""

    def widen(self, names: Sequence[str], share: float) -> Learner:
        """Give the same learner for other columns and a share of the rows."""


class Forecaster(Protocol):
    """A model that forecasts rows."""

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""


def forecast_rows(model: Forecaster, rows: Rows) -> Matrix:
    """Forecast rows where they lie: (rows,), or (rows, classes) for more than two classes."""
    parts = list(map_rows(rows, model.predict))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
