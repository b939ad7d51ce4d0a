"""Logistic regression of the same rows under one squared penalty after another.

Daily returns say little, so fitted chances stay close to the shares of the classes, where
the curvature of the loss is known beforehand: share x covariance of the features. In the
axes of that covariance each step of Newton's method is a division, and a handful of them
does. Where a signal is strong after all, the steps fall back on the bound of the curvature
that always holds (Boehning 1992, Annals of the Institute of Statistical Mathematics 44(1)).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix

MOST_STEPS = 100
"""Classes that features tell apart nearly for sure would take more; the fit stops short."""

LEAST_GAIN = 1e-8
CURVATURE_BOUND = 0.5

Floats = npt.NDArray[np.float64]


class LogisticPath:
    """Multinomial logistic regression; each fit starts from the last one.

    Minimises the weighted mean log loss plus penalty / (2 classes) x the sum of squared
    coefficients: relative to the curvature of the loss, the shrinkage of a ridge regression
    of that penalty. Intercepts bear none.

    Parameters
    ----------
    scaled
        Array (rows, features) without missing values.
    label
        Class code of each row.
    weight
        Weight of each row.
    classes
        Number of classes. One that no row has gets no chance.
    """

    def __init__(
        self, scaled: Matrix, label: npt.NDArray[np.int64], weight: Matrix, classes: int
    ) -> None:
        weights = weight.astype(np.float64) / weight.sum(dtype=np.float64)
        self._weight = weights.astype(np.float32)
        self._mean = np.asarray(self._weight @ scaled, dtype=np.float32)
        centred = scaled - self._mean
        covariance = centred.T @ (centred * self._weight[:, None])
        spread, self._axes = np.linalg.eigh(covariance.astype(np.float64))
        self._spread = np.maximum(spread, 0.0)
        self._rows = centred @ self._axes.astype(np.float32)
        self._label = label
        self._shares = np.bincount(label, weights, minlength=classes)
        self._seen = self._shares > 0
        self._lines = np.zeros((scaled.shape[1], classes))
        self._intercept = np.full(classes, -np.inf)
        self._intercept[self._seen] = np.log(self._shares[self._seen])

    def fit(self, penalty: float) -> tuple[Floats, Floats]:
        """Fit under a penalty.

        Returns
        -------
        tuple
            Coefficients (features, classes) and intercepts (classes,).
        """
        ridge = penalty / len(self._shares)
        curvature = np.where(self._seen, self._shares, 1.0)
        last = np.inf
        before = self._lines, self._intercept
        for _ in range(MOST_STEPS):
            loss, slope, offset = self._slopes(ridge)
            if loss > last:
                self._lines, self._intercept = before
                if curvature.min() == CURVATURE_BOUND:
                    break
                curvature, last = np.full_like(self._shares, CURVATURE_BOUND), np.inf
                continue
            last, before = loss, (self._lines, self._intercept)
            step = slope / (curvature * self._spread[:, None] + ridge)
            shift = offset / curvature
            if (step * slope).sum() + (shift * offset).sum() < LEAST_GAIN:
                break
            self._lines, self._intercept = self._lines - step, self._intercept - shift
        coefficients = self._axes @ self._lines
        return coefficients, self._intercept - self._mean.astype(np.float64) @ coefficients

    def _slopes(self, ridge: float) -> tuple[float, Floats, Floats]:
        """Loss, and its slopes by the coefficients and by the intercepts."""
        lines = self._lines.astype(np.float32)
        shares = softmax((self._rows @ lines).astype(np.float64) + self._intercept)
        at = np.arange(len(shares)), self._label
        loss = -float(self._weight @ np.log(np.maximum(shares[at], 1e-300)))
        shares[at] -= 1
        residual = (shares * self._weight[:, None]).astype(np.float32)
        slope = (self._rows.T @ residual).astype(np.float64) + ridge * self._lines
        penalised = loss + ridge / 2 * float((self._lines**2).sum())
        return penalised, slope, residual.sum(axis=0, dtype=np.float64)


def softmax(scores: Floats) -> Floats:
    """Turn one score a class, in rows, into shares that sum to 1."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares
