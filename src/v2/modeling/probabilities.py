"""Probabilities that mean what they say: class probabilities corrected on earlier forecasts.

A learner's probabilities are as a rule too sure of themselves. One slope and one bias a class,
fitted on out-of-sample forecasts whose outcome was known before the block began, set them
right; a model that knows nothing gets a slope near zero and says the shares of the classes.
The rows that are scored never take part.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Shares = npt.NDArray[np.float64]

SMALLEST_SHARE = 1e-6
"""Probabilities below it count as this one, so that their logarithm is finite."""

MIN_ROWS_PER_CLASS = 50
"""The map needs so many rows times the number of classes."""

MAX_ROWS = 100_000
"""Of more rows a fixed random sample is fitted on; it moves the log loss by about 1e-5."""

PRIOR_WEIGHT = 10.0
"""Precision of the normal prior of slope (about 1) and biases (about 0)."""


@dataclass(frozen=True, slots=True)
class ProbabilityMap:
    """A correction of class probabilities: p becomes proportional to exp(slope log p + bias).

    Platt scaling (Platt 1999) with one slope for any number of classes; for two classes, a
    logistic regression on the log-odds.

    Parameters
    ----------
    slope
        0 or more: 1 leaves the odds alone, 0 says the same for every row.
    bias
        One value a class, lowest class first.

    Examples
    --------
    >>> ProbabilityMap(0.5, (0.0, 0.0)).apply(np.array([[0.1, 0.9]])).round(2).tolist()
    [[0.25, 0.75]]
    """

    slope: float
    bias: tuple[float, ...]

    def apply(self, shares: Shares) -> Shares:
        """Correct probabilities (rows, classes); each row of the result sums to 1."""
        return _softmax(self.slope * _logarithms(shares) + np.asarray(self.bias))


def fit_probability_map(
    shares: Shares, labels: npt.NDArray[np.integer], weights: Shares | None = None
) -> ProbabilityMap | None:
    """Fit the map by maximum likelihood.

    A normal prior keeps slope and biases near 1 and 0 where rows are few or forecasts hardly
    differ. The slope is held at 0 or more: a map must never turn the order round.

    Parameters
    ----------
    shares
        Probabilities (rows, classes).
    labels
        Class codes (rows,).
    weights
        Of the rows; all equal by default. They are scaled to mean 1.

    Returns
    -------
    ProbabilityMap or None
        None with fewer than 50 rows a class on average, or where a class never came.
    """
    classes = shares.shape[1]
    came = np.bincount(labels, minlength=classes)
    if len(labels) < MIN_ROWS_PER_CLASS * classes or (came == 0).any():
        return None
    if len(labels) > MAX_ROWS:
        sample = np.sort(np.random.default_rng(0).choice(len(labels), MAX_ROWS, replace=False))
        shares, labels = shares[sample], labels[sample]
        weights = None if weights is None else weights[sample]
    weights = np.ones(len(labels)) if weights is None else weights / weights.mean()
    return _maximise(_logarithms(shares), labels, weights)


def _maximise(
    logarithms: Shares, labels: npt.NDArray[np.integer], weights: Shares
) -> ProbabilityMap:
    """Find slope and biases of the highest penalised likelihood."""
    from scipy.optimize import minimize

    rows, classes = logarithms.shape
    everyone = np.arange(rows)
    start = np.concatenate([[1.0], np.zeros(classes)])

    def loss(point: Shares) -> tuple[float, Shares]:
        shares = _softmax(point[0] * logarithms + point[1:])
        away = point - start
        likelihood = weights @ np.log(np.maximum(shares[everyone, labels], 1e-300))
        shares[everyone, labels] -= 1
        slope = weights @ np.einsum("ij,ij->i", shares, logarithms)
        gradient = np.concatenate([[slope], weights @ shares]) + PRIOR_WEIGHT * away
        return (PRIOR_WEIGHT / 2 * float(away @ away) - likelihood) / rows, gradient / rows

    bounds = [(0.0, None)] + [(None, None)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return ProbabilityMap(float(found.x[0]), tuple(found.x[1:].tolist()))


def calibrate_folds(
    tables: Sequence[pl.DataFrame], columns: Sequence[str], known_by: Sequence[dt.date]
) -> tuple[list[pl.DataFrame], ProbabilityMap | None]:
    """Correct the probabilities of each fold by the outcomes of the folds before it.

    Parameters
    ----------
    tables
        One forecasts table a fold, in time order: | date | ticker | one probability column a
        class | predicted_class | label (class code) | label_end |, any order of rows.
    columns
        The probability columns, lowest class first.
    known_by
        Session by which a label must be known to correct a fold, one a fold.

    Returns
    -------
    tuple
        The tables with new probabilities and the new likeliest class; every other column, the
        score that ranks among them, stays. A fold without a map, as the first, keeps its
        probabilities. Then the map of all rows with a known outcome, for later forecasts.
    """
    corrected: list[pl.DataFrame] = []
    earlier: list[pl.DataFrame] = []
    for table, day in zip(tables, known_by, strict=True):
        corrected.append(apply_to_table(table, columns, _fit(earlier, columns, day)))
        earlier.append(
            table.drop_nulls(["label", "label_end"])
            .sort("date", "ticker")
            .select("label_end", pl.col("label").cast(pl.Int64), *columns)
        )
    return corrected, _fit(earlier, columns, dt.date.max)


def apply_to_table(
    table: pl.DataFrame, columns: Sequence[str], probability_map: ProbabilityMap | None
) -> pl.DataFrame:
    """Replace the probabilities of a forecasts table, and the likeliest class with them.

    Parameters
    ----------
    table
        | one probability column a class | predicted_class |; every other column stays.
    columns
        The probability columns, lowest class first.
    probability_map
        None leaves the table as it is.
    """
    if probability_map is None:
        return table
    shares = probability_map.apply(table.select(columns).to_numpy())
    likeliest = shares.argmax(axis=1).astype(np.int32)
    return table.with_columns(
        *(pl.Series(name, shares[:, code]) for code, name in enumerate(columns)),
        pl.Series("predicted_class", likeliest),
    )


def _fit(
    earlier: Sequence[pl.DataFrame], columns: Sequence[str], known_by: dt.date
) -> ProbabilityMap | None:
    """Fit the map on the rows of earlier folds whose label was known by a date."""
    if not earlier:
        return None
    rows = pl.concat(earlier).filter(pl.col("label_end") <= known_by)
    return fit_probability_map(rows.select(columns).to_numpy(), rows["label"].to_numpy())


def _logarithms(shares: Shares) -> Shares:
    return np.log(np.clip(shares, SMALLEST_SHARE, None))


def _softmax(logits: Shares) -> Shares:
    logits = logits - logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits
