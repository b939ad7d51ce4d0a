"""Contributions of any model, by asking it: Shapley values from sampled orders of features.

A row turns into a row of the background feature by feature, and each change of the margin goes
to the feature that was put in place. Each background row is met in one random order and in its
reverse (antithetic pairs: Mitchell, Cooper, Frank and Holmes 2022, Journal of Machine Learning
Research 23(43)). Whatever the orders, the changes of one walk add up to the whole difference, so
sums are exact where single values are estimates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.additivity import check_additivity

Array = np.ndarray[Any, Any]
Orders = npt.NDArray[np.int64]

BACKGROUND_ROWS = 8
"""Rows fitted on that stand for a feature that is not known."""

CELLS_AT_ONCE = 8_000_000


def background_rows(features: Matrix, seed: int) -> Matrix:
    """Choose a few of the rows fitted on, at random."""
    count = min(BACKGROUND_ROWS, len(features))
    chosen = np.random.default_rng([seed, len(features)]).choice(len(features), count, False)
    return np.asarray(features[np.sort(chosen)])


def antithetic_orders(features: int, background: int, seed: int) -> Orders:
    """Draw orders of features, every one beside its reverse.

    Returns
    -------
    ndarray
        Array (background, orders, features); all orders for each row of the background where
        there are no more than 24, else one and its reverse.
    """
    if math.factorial(min(features, 5)) <= 24:
        whole = np.array(list(itertools.permutations(range(features))), dtype=np.int64)
        return np.broadcast_to(whole, (background, *whole.shape))
    rng = np.random.default_rng([seed, features])
    one = np.array([rng.permutation(features) for _ in range(background)])
    return np.stack([one, one[:, ::-1]], axis=1)


def sampled_contributions(
    margin: Callable[[Matrix], Array], features: Matrix, background: Matrix, orders: Orders
) -> tuple[Array, Array]:
    """Split each row's margin into a bias and one contribution a feature.

    Parameters
    ----------
    margin
        From rows (rows, features) to (rows, outputs).
    features
        Rows to explain, NaN where a feature is missing.
    background
        Rows that stand for what is not known: the bias is their mean margin.
    orders
        Array (background, orders, features), as `antithetic_orders` gives it. They are the same
        for every row, so that a row's values do not depend on the rows beside it.

    Returns
    -------
    tuple
        Arrays (rows, outputs, features) and (rows, outputs), in units of the margin.

    Raises
    ------
    ModelError
        When the values do not add up to the margin.
    """
    wanted = margin(features)
    base = margin(background).astype(np.float64).mean(axis=0)
    values = np.zeros((*wanted.shape, features.shape[1]))
    step = max(1, CELLS_AT_ONCE // (features.shape[1] * (features.shape[1] + 1)))
    for start in range(0, len(features), step):
        some = slice(start, start + step)
        for row, walks in zip(background, orders, strict=True):
            for order in walks:
                values[some, :, order] += _walk(margin, features[some], row, order)
    values /= orders.shape[0] * orders.shape[1]
    bias = np.tile(base, (len(features), 1))
    check_additivity(values, bias, wanted, "margin")
    return values, bias


def _walk(margin: Callable[[Matrix], Array], rows: Matrix, origin: Matrix, order: Orders) -> Array:
    """Change of the margin as features come in, one after another: (rows, outputs, order)."""
    width = len(order)
    arrival = np.empty(width, dtype=np.int64)
    arrival[order] = np.arange(width)
    known = arrival < np.arange(width + 1)[:, None]
    steps = np.where(known, rows[:, None, :], origin)
    found = margin(steps.reshape(-1, width)).astype(np.float64)
    path = found.reshape(len(rows), width + 1, -1)
    return np.asarray(np.diff(path, axis=1).transpose(0, 2, 1))
