"""Rolling functions in numpy that Polars lacks.

Each takes finite numbers in time order, at least as many as the window, and returns one
number for each full window. What can be joined from two neighbouring pieces is built from
pieces of doubling length, so the work grows with the logarithm of the window.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pieces = tuple[Array, ...]
"""One or more numbers about each piece, in the order of the pieces' first values."""


def _join_windows(singles: Pieces, window: int, join: Callable[[Pieces, Pieces], Pieces]) -> Pieces:
    """Describe every window, given what describes single values.

    Parameters
    ----------
    singles
        Description of each value alone.
    window
        Values in a window.
    join
        Describes a piece from its earlier and its later part.
    """
    power, length = singles, 1
    done: Pieces | None = None
    done_length = 0
    while True:
        if window & length:
            done = power if done is None else _join_at(done, power, done_length, join)
            done_length += length
        if done is not None and done_length == window:
            return done
        power = _join_at(power, power, length, join)
        length *= 2


def _join_at(
    early: Pieces, late: Pieces, gap: int, join: Callable[[Pieces, Pieces], Pieces]
) -> Pieces:
    """Join each early piece with the late piece that starts ``gap`` values after it."""
    count = len(late[0]) - gap
    return join(tuple(part[:count] for part in early), tuple(part[gap:] for part in late))


def largest_fall(values: Array, window: int) -> Array:
    """Return the lowest difference between a value and an earlier one, at most 0."""

    def join(early: Pieces, late: Pieces) -> Pieces:
        across = late[1] - early[0]
        fall = np.minimum(np.minimum(early[2], late[2]), across)
        return np.maximum(early[0], late[0]), np.minimum(early[1], late[1]), fall

    return _join_windows((values, values, np.zeros(len(values))), window, join)[2]


def sessions_since_high(values: Array, window: int) -> Array:
    """Return how many values ago the highest one stood, the latest one of equals."""

    def join(early: Pieces, late: Pieces) -> Pieces:
        later = late[0] >= early[0]
        return np.maximum(early[0], late[0]), np.where(later, late[1], early[1])

    rows = np.arange(len(values), dtype=np.float64)
    return rows[window - 1 :] - _join_windows((values, rows), window, join)[1]


def rank_of_last(values: Array, window: int) -> Array:
    """Return the rank of the window's last value as a share, ties at their mean; 1 the highest."""
    count = len(values) - window + 1
    last = values[window - 1 :]
    # Twice the rank: two for each value below, one for each equal, and two for itself.
    # One byte a row while that is enough: most of the time goes into moving the counts.
    doubled = np.full(count, 2, dtype=np.min_scalar_type(2 * window))
    for lag in range(window - 1):
        other = values[lag : lag + count]
        doubled += other < last
        doubled += other <= last
    return doubled / (2 * window)


def mean_absolute_deviation(values: Array, window: int) -> Array:
    """Return the mean distance of the window's values from their mean."""
    count = len(values) - window + 1
    lags = [values[lag : lag + count] for lag in range(window)]
    mean = sum(lags, np.zeros(count)) / window
    total = np.zeros(count)
    for lagged in lags:
        total += np.abs(lagged - mean)
    return total / window
