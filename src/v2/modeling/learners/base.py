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

from src.v2.records import LearningCurve

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows to fit on.

    Parameters
    ----------
    features
        Array (rows, features), NaN where a feature is missing.
    label, weight
        One value a row; a label is a class code for classification.
    """

    features: Matrix
    label: Matrix
    weight: Matrix

    def take(self, mask: npt.NDArray[np.bool_], weight: Matrix) -> TrainingRows:
        """Keep some rows, under new weights (one for each kept row)."""
        return TrainingRows(self.features[mask], self.label[mask], weight)


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
