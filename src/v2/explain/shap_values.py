"""Which out-of-sample rows are explained, and by whom.

The values are the model's own: `contributions` of `src.v2.modeling.learners.base.FittedModel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.modeling.learners.base import FittedModel

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, Any]


def sample_rows_by_date(dates: Array | pl.Series, n_rows: int, seed: int) -> Array:
    """Choose rows spread evenly over the dates, at random within a date.

    Every date gives a first row before any gives a second one, and so on. Where the last
    rows do not suffice for all dates, the dates that still give one are evenly spaced.

    Parameters
    ----------
    dates
        Date, or index of the session, of each row, in any order and without nulls.
    n_rows
        Rows wanted; all rows are chosen when there are fewer.
    seed
        Seed of the choice within a date.

    Returns
    -------
    ndarray
        Rising positions in ``dates``.

    Raises
    ------
    ValueError
        ``n_rows`` is below 1.

    Examples
    --------
    >>> sample_rows_by_date(np.array([0, 1, 2, 3, 4, 5]), 3, seed=0).tolist()
    [1, 3, 5]
    """
    if n_rows < 1:
        raise ValueError(f"n_rows must be at least 1; got {n_rows}.")
    values = dates if isinstance(dates, np.ndarray) else dates.to_numpy()
    if len(values) <= n_rows:
        return np.arange(len(values))
    _, session = np.unique(values, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(values))
    order = shuffled[np.argsort(session[shuffled], kind="stable")]
    counts = np.bincount(session)
    turn = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.cumsum(np.bincount(turn))
    last_turn = int(np.searchsorted(taken, n_rows, side="right"))
    chosen = order[turn < last_turn]
    candidates = order[turn == last_turn]
    missing = n_rows - len(chosen)
    spaced = ((np.arange(missing) + 0.5) * len(candidates) / max(missing, 1)).astype(np.int64)
    return np.sort(np.concatenate([chosen, candidates[spaced]]))


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains rows where they lie: it can be sent to another process.

    Parameters
    ----------
    model
        Whose forecasts are explained.
    """

    model: FittedModel

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Split each row's margin into contributions and a bias."""
        return self.model.contributions(features)
