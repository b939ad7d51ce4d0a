"""How much each training row counts.

Labels of neighbouring dates share most of their future, and a crowded date is not better
known than a thin one. Weight = 1 / (rows of the date) x label uniqueness x an optional
decay with age, scaled to mean 1; a date with less than half the usual rows counts as having
half, so that no single row outweighs a leaf. Uniqueness is that of Lopez de Prado, Advances in
Financial Machine Learning (2018), section 4.3: the mean of 1 / concurrency over a label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]


def row_weights(
    session: Integers, uniqueness: Floats, half_life_sessions: float | None
) -> npt.NDArray[np.float32]:
    """Weigh the rows of one training window.

    Parameters
    ----------
    session
        Position of each row's date.
    uniqueness
        Of each row's label, in (0, 1].
    half_life_sessions
        Age, counted back from the window's last session, at which a row weighs half.
    """
    per_date = np.bincount(session - session.min())
    usual = np.median(per_date[per_date > 0])
    weight = uniqueness / np.maximum(per_date, usual / 2)[session - session.min()]
    if half_life_sessions is not None:
        weight = weight * 0.5 ** ((session.max() - session) / half_life_sessions)
    return np.asarray(weight / weight.mean(), dtype=np.float32)


def label_uniqueness(ticker: Integers, bar: Integers, entry_lag: int, forward_days: int) -> Floats:
    """Mean share that a label has in each of the returns it is made of.

    Parameters
    ----------
    ticker
        Code of each row's ticker.
    bar
        Position of each row among its ticker's own bars.
    entry_lag, forward_days
        A label is made of the returns of bars bar + entry_lag + 1 to
        bar + entry_lag + forward_days.

    Returns
    -------
    array
        Mean of 1 / (number of the given rows' labels alive) over a label, in (0, 1].
    """
    length = int(bar.max()) + entry_lag + forward_days + 2
    first = ticker.astype(np.int64) * length + bar + entry_lag + 1
    codes = np.zeros((int(ticker.max()) + 1) * length + 1, dtype=np.float64)
    np.add.at(codes, first, 1.0)
    np.add.at(codes, first + forward_days, -1.0)
    alive = np.cumsum(codes)
    share = np.divide(1.0, alive, out=np.zeros_like(alive), where=alive > 0.5)
    cumulated = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray((cumulated[first + forward_days] - cumulated[first]) / forward_days)
