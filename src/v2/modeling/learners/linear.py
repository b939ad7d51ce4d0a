"""Linear models on the features of the trees: what a straight line reaches.

Features are standardised by the rows fitted on. A missing value becomes the mean, and
values beyond four standard deviations are pulled in: a tree sees only their order, but one
value at fifty deviations would weigh as 2,500 rows in a squared loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.base import StopRows, TrainingRows
from src.v2.modeling.learners.kinds import PENALTIES
from src.v2.modeling.learners.logistic import LogisticPath, softmax

USUAL_PENALTY = 10.0
"""In force where the rows cannot hold a tail to choose it on."""

MAX_DEVIATIONS = 4.0
ROWS_AT_ONCE = 8192
LEAST_CHANCE = 1e-6

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Split = tuple[Mask, Mask]


@dataclass(frozen=True, slots=True)
class Scaling:
    """How features are brought to one scale.

    Parameters
    ----------
    mean, inverse_deviation
        One value a feature; 0 for the inverse where a feature never changes.
    """

    mean: Matrix
    inverse_deviation: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """Standardise rows, 0 where a value is missing, within four deviations."""
        scaled: Matrix = features - self.mean
        scaled *= self.inverse_deviation
        scaled[np.isnan(scaled)] = 0
        return np.clip(scaled, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=scaled)


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A fitted linear model.

    Parameters
    ----------
    coefficients
        Array (features, outputs) of standardised features; one output for regression, else
        one a class.
    intercept
        Array (outputs,); minus infinity for a class that was never seen.
    penalty
        Penalty in force.
    """

    scaling: Scaling
    coefficients: Floats
    intercept: Floats
    penalty: float

    def predict(self, features: Matrix) -> Matrix:
        """Forecast rows: (rows,) for regression and binary, (rows, classes) otherwise."""
        outputs = len(self.intercept)
        scores = np.empty((len(features), outputs))
        for start in range(0, len(features), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            scores[rows] = self.scaling.apply(features[rows]) @ self.coefficients + self.intercept
        if outputs > 1:
            scores = softmax(scores)
        return np.asarray(scores[:, -1] if outputs <= 2 else scores, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class LinearLearner:
    """Fits ridge regression, or logistic regression with a squared penalty.

    Parameters
    ----------
    classes
        Number of classes; 0 for regression. More than two are fitted as one multinomial.
    """

    classes: int

    def fit(self, rows: TrainingRows, split: Split | None = None) -> LinearModel:
        """Fit the rows.

        Parameters
        ----------
        rows
            Rows to fit on, of any number.
        split
            Which of the rows are fitted on, and which judge, when the penalty is chosen, as
            `src.v2.modeling.folds.stop_split` gives them. The fit itself takes all rows.
        """
        rows = TrainingRows(rows.features, rows.label, rows.weight)
        scaling = learn_scaling(rows.features)
        if self.classes == 0:
            return _fit_ridge(rows, scaling, split)
        return _fit_logistic(rows, scaling, split, self.classes)


def penalty_losses(rows: StopRows, classes: int) -> tuple[list[float], list[float]]:
    """Judge one penalty after another, from strong to weak, by a tail.

    Parameters
    ----------
    rows
        Rows fitted on, which alone set the scale, and the tail that judges.
    classes
        Number of classes; 0 for regression.

    Returns
    -------
    tuple
        Weighted loss of the rows fitted on and of the tail, one a step of `PENALTIES`: the root
        of the mean squared error, or the log loss, which ends with the first step that is worse.
    """
    fit, tail = (TrainingRows(each.features, each.label, each.weight) for each in rows.parts)
    scaling = learn_scaling(fit.features)
    if classes == 0:
        sides = [_moments(each, scaling, None)[0] for each in (fit, tail)]
        lines = [_solve(sides[0], penalty) for penalty in PENALTIES]
        fitted, judged = ([_root_loss(side, *line) for line in lines] for side in sides)
        return fitted, judged
    scaled = [scaling.apply(each.features) for each in (fit, tail)]
    path = LogisticPath(scaled[0], fit.label.astype(np.int64), fit.weight, classes)
    found: tuple[list[float], list[float]] = ([], [])
    for penalty in PENALTIES:
        line = path.fit(penalty)
        for losses, matrix, each in zip(found, scaled, (fit, tail), strict=True):
            losses.append(_log_loss(matrix, each, *line))
        if len(found[1]) > 1 and found[1][-1] >= found[1][-2]:
            break
    return found


def fit_penalty(rows: TrainingRows, penalty: float, classes: int) -> LinearModel:
    """Fit all rows under a penalty of the path.

    Parameters
    ----------
    rows
        Rows to fit on, of any number.
    penalty
        One of `PENALTIES`.
    classes
        Number of classes; 0 for regression.
    """
    rows = TrainingRows(rows.features, rows.label, rows.weight)
    scaling = learn_scaling(rows.features)
    if classes == 0:
        coefficients, intercept = _solve(_moments(rows, scaling, None)[0], penalty)
        return LinearModel(scaling, coefficients[:, None], np.array([intercept]), penalty)
    scaled, label = scaling.apply(rows.features), rows.label.astype(np.int64)
    path = LogisticPath(scaled, label, rows.weight, classes)
    return LinearModel(scaling, *path.fit(penalty), penalty)


def learn_scaling(features: Matrix) -> Scaling:
    """Learn mean and standard deviation of each feature, missing values aside."""
    width = features.shape[1]
    centre = np.zeros(width, dtype=np.float32)
    count, total, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    for start in range(0, len(features), ROWS_AT_ONCE):
        block = features[start : start + ROWS_AT_ONCE]
        if start == 0:
            # Sums of squares about a value nearby keep their digits.
            known = np.maximum((~np.isnan(block)).sum(axis=0), 1)
            centre = np.asarray(np.nansum(block, axis=0, dtype=np.float64) / known, np.float32)
        away = block - centre
        missing = np.isnan(away)
        away[missing] = 0
        count += len(away) - missing.sum(axis=0)
        total += away.sum(axis=0, dtype=np.float64)
        squares += np.einsum("ij,ij->j", away, away, dtype=np.float64)
    shift = total / np.maximum(count, 1)
    variance = squares / np.maximum(count, 1) - shift**2
    changes = variance > 1e-12 * np.maximum(centre.astype(np.float64) ** 2, 1e-300)
    inverse = np.zeros(width)
    inverse[changes] = variance[changes] ** -0.5
    return Scaling(
        np.asarray(centre + shift, dtype=np.float32), np.asarray(inverse, dtype=np.float32)
    )


def _fit_ridge(rows: TrainingRows, scaling: Scaling, split: Split | None) -> LinearModel:
    """Solve the normal equations of all rows, under the penalty that serves the tail best."""
    moments = _moments(rows, scaling, split)
    penalty = USUAL_PENALTY
    if split is not None:
        head, tail = moments[1], moments[2]
        losses = []
        for candidate in PENALTIES:
            coefficients, intercept = _solve(head, candidate)
            residual = np.concatenate([-coefficients, [-intercept, 1.0]])
            losses.append(residual @ tail @ residual)
        penalty = PENALTIES[int(np.argmin(losses))]
    coefficients, intercept = _solve(moments.sum(axis=0), penalty)
    return LinearModel(scaling, coefficients[:, None], np.array([intercept]), penalty)


def _moments(rows: TrainingRows, scaling: Scaling, split: Split | None) -> Floats:
    """Sum weighted products of features, one and label, block after block.

    Returns
    -------
    array
        (3, features + 2, features + 2): of the rows purged, of those that a penalty is fitted
        on, and of those that judge it; together, of all rows.
    """
    width = rows.features.shape[1] + 2
    part = np.zeros(len(rows.label), dtype=np.int8)
    if split is not None:
        part[split[0]], part[split[1]] = 1, 2
    moments = np.zeros((3, width, width))
    for start in range(0, len(rows.label), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        scaled = scaling.apply(rows.features[block])
        joined = np.ones((len(scaled), width))
        joined[:, :-2] = scaled
        joined[:, -1] = rows.label[block]
        root = np.sqrt(rows.weight[block].astype(np.float64))
        joined *= root[:, None]
        for code in np.unique(part[block]):
            there = part[block] == code
            some = joined if there.all() else joined[there]
            moments[code] += some.T @ some
    return moments


def _solve(moments: Floats, penalty: float) -> tuple[Floats, float]:
    """Coefficients and intercept; the intercept bears no penalty."""
    weight = moments[-2, -2]
    means = moments[-2] / weight
    centred = moments / weight - np.outer(means, means)
    system = centred[:-2, :-2] + penalty * np.eye(len(moments) - 2)
    coefficients = np.linalg.solve(system, centred[:-2, -1])
    return coefficients, float(means[-1] - coefficients @ means[:-2])


def _root_loss(moments: Floats, coefficients: Floats, intercept: float) -> float:
    """Root of the weighted mean squared error of a line, from sums of products."""
    residual = np.concatenate([-coefficients, [-intercept, 1.0]])
    return float(np.sqrt(max(residual @ moments @ residual, 0.0) / moments[-2, -2]))


def _log_loss(scaled: Matrix, rows: TrainingRows, coefficients: Floats, intercept: Floats) -> float:
    """Weighted mean log loss of lines."""
    shares = softmax(scaled @ coefficients + intercept)
    came = shares[np.arange(len(shares)), rows.label.astype(np.int64)]
    return -float(np.average(np.log(np.maximum(came, LEAST_CHANCE)), weights=rows.weight))


def _fit_logistic(
    rows: TrainingRows, scaling: Scaling, split: Split | None, classes: int
) -> LinearModel:
    """Fit all rows under the penalty that serves the tail best, from strong to weak."""
    scaled, label = scaling.apply(rows.features), rows.label.astype(np.int64)
    penalty = USUAL_PENALTY
    if split is not None:
        fit, tail = split
        path = LogisticPath(scaled[fit], label[fit], rows.weight[fit], classes)
        judged = TrainingRows(scaled[tail], rows.label[tail], rows.weight[tail])
        least = np.inf
        for candidate in PENALTIES:
            loss = _log_loss(judged.features, judged, *path.fit(candidate))
            if loss >= least:
                break
            least, penalty = loss, candidate
    whole = LogisticPath(scaled, label, rows.weight, classes)
    return LinearModel(scaling, *whole.fit(penalty), penalty)
