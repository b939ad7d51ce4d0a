"""Finished columns moved to the order of dates, and columns to arrays that kernels read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.v2.features.compiled import Array, Bounds, compiled

Rows = NDArray[np.int64]
Bits = NDArray[np.uint8]


@compiled
def place(
    values: NDArray[np.float32],
    known: Bits,
    first: int,
    bounds: Bounds,
    lookback: int,
    places: Rows,
    column: NDArray[np.float32],
) -> int:
    """Write a feature of some tickers to its places, NaN before the look-back.

    Parameters
    ----------
    values, known, first
        A `src.v2.features.nulls.Numbers`, in the order of tickers and dates.
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
        Values past the look-back that are there but infinite or undefined; NaN is written in
        their place.
    """
    wrong = 0
    bits = len(known) > 0
    for number in range(len(bounds) - 1):
        start, stop = bounds[number], bounds[number + 1]
        early = min(start + lookback, stop)
        for row in range(start, early):
            column[places[row]] = np.nan
        for row in range(early, stop):
            value, bit = values[row], first + row
            there = (known[bit >> 3] >> (bit & 7)) & 1 == 1 if bits else value == value
            finite = abs(value) < np.inf
            wrong += int(there and not finite)
            column[places[row]] = value if there and finite else np.float32(np.nan)
    return wrong


@compiled
def fill(values: Array, known: Bits, first: int, out: Array) -> None:
    """Copy a `src.v2.features.nulls.Numbers` of a column, NaN where null."""
    for row in range(len(values)):
        bit = first + row
        there = (known[bit >> 3] >> (bit & 7)) & 1 == 1
        out[row] = values[row] if there else np.nan
