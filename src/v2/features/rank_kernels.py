"""Kernels on both sides of the sort that ranks the tickers of a date."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from src.v2.features.compiled import Bounds, compiled

Keys = NDArray[np.uint64]
Floats = NDArray[np.float32]

SIGN = np.uint32(0x80000000)
UNKNOWN = np.uint32(0xFFFFFFFE)
FILLER = np.uint64(0xFFFFFFFFFFFFFFFF)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


@compiled
def fill_keys(values: Floats, bits: NDArray[np.uint32], offsets: Bounds, keys: Keys) -> None:
    """Pack each value and its row into a whole number that sorts as the value does.

    Every NaN is last and equal, and -0 is 0. What fills a short date comes after all of them.

    Parameters
    ----------
    values
        Of consecutive dates.
    bits
        The same memory as whole numbers.
    offsets
        First row of each date, and the number of rows at the end.
    keys
        Filled: one row a date.
    """
    for date in range(len(offsets) - 1):
        start, stop = offsets[date], offsets[date + 1]
        for row in range(start, stop):
            head = bits[row]
            if values[row] != values[row]:
                head = UNKNOWN
            elif values[row] == 0:
                head = SIGN
            elif head & SIGN:
                head = ~head
            else:
                head = head | SIGN
            keys[date, row - start] = (np.uint64(head) << HALF) | np.uint64(row)
        for place in range(stop - start, keys.shape[1]):
            keys[date, place] = FILLER


@compiled
def ranks_of_keys(keys: Keys, offsets: Bounds, least: int, ranks: Floats) -> None:
    """Fill (rank - 0.5) / n from sorted keys, equal values at their mean rank.

    A value that is NaN has none, nor has a date with fewer known values than ``least``.
    """
    last_known = np.uint64(UNKNOWN)
    for date in range(len(offsets) - 1):
        rows = offsets[date + 1] - offsets[date]
        known = 0
        while known < rows and (keys[date, known] >> HALF) < last_known:
            known += 1
        for place in range(known, rows):
            ranks[np.int64(keys[date, place] & LOW)] = np.nan
        first = 0
        while first < known:
            head = keys[date, first] >> HALF
            after = first + 1
            while after < known and (keys[date, after] >> HALF) == head:
                after += 1
            middle = np.float32((first + after) / 2) / np.float32(known)
            for place in range(first, after):
                row = np.int64(keys[date, place] & LOW)
                ranks[row] = middle if known >= least else np.nan
            first = after
