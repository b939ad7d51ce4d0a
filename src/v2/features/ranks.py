"""Ranks of every ticker among the others of its date.

Polars ranks a column of floats by date several times slower than one sort of packed integers:
the value's bits above, the row below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DATES_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class DateBlock:
    """Rows of consecutive dates, the first row of each counted from there, and the most of one."""

    rows: slice
    offsets: NDArray[np.int64]
    width: int


def date_blocks(offsets: NDArray[np.int64]) -> list[DateBlock]:
    """Cut rows that are sorted by date into blocks of consecutive dates.

    Parameters
    ----------
    offsets
        First row of each date, and the number of rows at the end; no date is empty.
    """
    blocks = []
    for first in range(0, len(offsets) - 1, DATES_AT_ONCE):
        edges = offsets[first : first + DATES_AT_ONCE + 1]
        rows = slice(int(edges[0]), int(edges[-1]))
        blocks.append(DateBlock(rows, edges - edges[0], int(np.diff(edges).max())))
    return blocks


def centred_ranks(
    values: NDArray[np.float32], blocks: list[DateBlock], least: int, ranks: NDArray[np.float32]
) -> None:
    """Fill (rank - 0.5) / n of each value among the known ones of its date.

    Parameters
    ----------
    values
        Sorted by date; NaN where unknown.
    blocks
        From `date_blocks`.
    least
        A date with fewer known values has no ranks.
    ranks
        Filled: between 0 and 1, equal values sharing their mean rank; NaN where unknown.
    """
    from src.v2.features.rank_kernels import fill_keys, ranks_of_keys

    for block in blocks:
        own = values[block.rows]
        keys = np.empty((len(block.offsets) - 1, block.width), dtype=np.uint64)
        fill_keys(own, own.view(np.uint32), block.offsets, keys)
        keys.sort(axis=1)
        ranks_of_keys(keys, block.offsets, least, ranks[block.rows])
