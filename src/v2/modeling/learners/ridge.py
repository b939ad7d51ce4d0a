"""Ridge and logistic regression as a learner: the straight line beside the trees.

The rounds of this learner are steps of a path of penalties, from strong to weak: what rounds of
boosting are to trees, a weaker penalty is to a line. So the tail chooses the penalty as it
chooses the rounds of trees, and every later fit is told it the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.additivity import check_additivity
from src.v2.modeling.learners.array_files import (
    joined_bytes,
    read_arrays,
    take_array,
    take_names,
    whole_files,
    write_arrays,
)
from src.v2.modeling.learners.base import Array, FittedModel, Learner, StopRows, TrainingRows
from src.v2.modeling.learners.kinds import PENALTIES
from src.v2.modeling.learners.linear import (
    USUAL_PENALTY,
    LinearModel,
    Scaling,
    fit_penalty,
    penalty_losses,
)
from src.v2.records import LearningCurve

LEAST_MARGIN = -30.0
"""Score of a class that was never seen, whose own is minus infinity."""

ARRAYS = ("mean", "inverse_deviation", "coefficients", "intercept")


@dataclass(frozen=True, slots=True)
class RidgeModel:
    """A fitted line, explained exactly.

    A contribution is the coefficient times the standardised value, which is 0 at the mean of the
    rows fitted on and where a value is missing; the bias is the forecast at that mean. Importance
    is the share of the absolute coefficients of standardised features.

    Parameters
    ----------
    linear
        The coefficients: one column for regression, else one a class.
    feature_names
        Names of the columns that it was fitted on, in order.
    rounds
        Step of the path of penalties.
    """

    linear: LinearModel
    feature_names: tuple[str, ...]
    rounds: int

    @property
    def exact(self) -> bool:
        """Whether contributions are exact: those of a line are."""
        return True

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""
        return self.linear.predict(features)

    def margin(self, features: Matrix) -> Array:
        """Forecast rows in units in which contributions add up: (rows, outputs)."""
        lines, intercept = self._outputs()
        return np.asarray(self.linear.scaling.apply(features) @ lines + intercept)

    def contributions(self, features: Matrix) -> tuple[Array, Array]:
        """Split each row's margin: coefficient times standardised value."""
        lines, intercept = self._outputs()
        values = self.linear.scaling.apply(features)[:, None, :] * lines.T
        base = np.tile(intercept, (len(features), 1))
        check_additivity(values, base, self.margin(features), "margin")
        return values, base

    def interactions(self, features: Matrix) -> Array | None:
        """Give the contributions on the diagonal: features of a line never act together."""
        values, _ = self.contributions(features)
        pairs = np.zeros((*values.shape, values.shape[2]))
        place = np.arange(values.shape[2])
        pairs[:, :, place, place] = values
        return pairs

    def importance(self) -> dict[str, float]:
        """Share of each feature in the absolute coefficients; unused ones are left out."""
        size = np.abs(self._outputs()[0]).sum(axis=1)
        total = size.sum()
        pairs = zip(self.feature_names, size.tolist(), strict=True)
        return {name: value / total for name, value in pairs if value > 0}

    def content(self) -> bytes:
        """Give the bytes of all numbers."""
        return joined_bytes(self._arrays())

    def save(self, folder: Path) -> None:
        """Write the coefficients as arrays, and all else as JSON."""
        header = {
            "type": "ridge",
            "features": list(self.feature_names),
            "rounds": self.rounds,
            "penalty": self.linear.penalty,
        }
        write_arrays(folder, header, self._arrays())

    def _outputs(self) -> tuple[Array, Array]:
        """Coefficients (features, outputs) and intercepts of what is explained."""
        lines, intercept = self.linear.coefficients, self.linear.intercept
        intercept = np.maximum(intercept, LEAST_MARGIN)
        if len(intercept) == 2:
            return lines[:, 1:] - lines[:, :1], intercept[1:] - intercept[:1]
        return lines, intercept

    def _arrays(self) -> dict[str, Array]:
        scaling = self.linear.scaling
        found = (scaling.mean, scaling.inverse_deviation)
        return dict(
            zip(ARRAYS, (*found, self.linear.coefficients, self.linear.intercept), strict=True)
        )


@dataclass(frozen=True, slots=True)
class RidgeLearner:
    """Fits ridge regression, or logistic regression with a squared penalty.

    Parameters
    ----------
    feature_names
        Names of the columns of every matrix given.
    classes
        Number of classes; 0 for regression.
    """

    feature_names: Sequence[str]
    classes: int

    @property
    def least_rounds(self) -> int:
        """The strongest penalty may be the best."""
        return 1

    @property
    def unstopped_rounds(self) -> int:
        """Step of the penalty that is usual."""
        return PENALTIES.index(USUAL_PENALTY) + 1

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find the penalty under which the tail's weighted loss is lowest."""
        fitted, judged = penalty_losses(rows, self.classes)
        return int(np.argmin(judged)) + 1, LearningCurve(tuple(fitted), tuple(judged))

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit under the penalty of a step of the path."""
        linear = fit_penalty(rows, PENALTIES[min(rounds, len(PENALTIES)) - 1], self.classes)
        return RidgeModel(linear, tuple(self.feature_names), rounds)

    def widen(self, names: Sequence[str], share: float) -> Learner:
        """Fit other columns."""
        return replace(self, feature_names=names)


def load_ridge(folder: Path) -> RidgeModel:
    """Read a model written by `RidgeModel.save`.

    Raises
    ------
    ModelError
        When the files are no such model.
    """
    with whole_files(folder, "ridge"):
        header, arrays = read_arrays(folder, "ridge")
        names = take_names(header)
        width = len(names)
        mean, inverse = (take_array(arrays, name, (width,), np.float32) for name in ARRAYS[:2])
        lines = take_array(arrays, "coefficients", (width, None), np.float64)
        intercept = take_array(arrays, "intercept", (lines.shape[1],), np.float64)
        linear = LinearModel(Scaling(mean, inverse), lines, intercept, float(header["penalty"]))
        return RidgeModel(linear, names, int(header["rounds"]))
