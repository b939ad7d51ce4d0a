"""What every learner takes and gives.

Only the modules of this folder fit anything, and a learner sees nothing but the rows that
it is given: it cannot reach the rows that it will be scored on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix, Rows, map_rows
from src.v2.records import LearningCurve


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


class FittedModel(Protocol):
    """A model after its fit."""

    @property
    def rounds(self) -> int:
        """Boosting rounds in use."""

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""

    def importance(self) -> dict[str, float]:
        """Share of the total gain by feature; features never used are left out."""

    def save(self, path: Path) -> None:
        """Write the model in its library's own open format."""

    @property
    def booster(self) -> Any:
        """The library's own object, for SHAP values and tracking."""


class Learner(Protocol):
    """How one kind of model is fitted."""

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many rounds the tail's loss is lowest."""

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds."""


class Forecaster(Protocol):
    """A model that forecasts rows."""

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""


def forecast_rows(model: Forecaster, rows: Rows) -> Matrix:
    """Forecast rows where they lie: (rows,), or (rows, classes) for more than two classes."""
    parts = list(map_rows(rows, model.predict))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
