"""Finished columns moved to the order of dates, in one walk over the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.v2.features.compiled import Bounds, compiled

Rows = NDArray[np.int64]


@compiled
def place(
    values: NDArray[np.float32],
    bounds: Bounds,
    lookback: int,
    places: Rows,
    column: NDArray[np.float32],
) -> int:
    """Write a feature of some tickers to its places, NaN before the look-back.

    Parameters
    ----------
    values
        In the order of tickers and dates.
    bounds
        First row of each ticker, and the number of rows at the end.
    lookback
        Rows of a ticker that have no value yet.
    places
        Place of each row.
    column
        Written to.

    Returns
    -------
    int
        Values past the look-back that are infinite; NaN is written in their place.
    """
    infinite = 0
    for row in range(len(values)):
        value = values[row]
        wrong = abs(value) == np.inf
        infinite += int(wrong)
        column[places[row]] = np.nan if wrong else value
    for number in range(len(bounds) - 1):
        start = bounds[number]
        for row in range(start, min(start + lookback, bounds[number + 1])):
            infinite -= int(abs(values[row]) == np.inf)
            column[places[row]] = np.nan
    return infinite
