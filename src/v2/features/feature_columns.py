"""Finished columns of features, in one block of memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.features.nulls import finite_values, to_series


class FeatureColumns:
    """Columns of features by name, NaN where null, all in the order of the same rows.

    One block of memory holds them all: the system hands out a large block in large pages,
    which is several times faster than a block for each column.

    Parameters
    ----------
    names
        Of the features.
    rows
        Number of rows.
    """

    def __init__(self, names: Sequence[str], rows: int) -> None:
        block = np.empty((len(names), rows), dtype=np.float32)
        self.values = dict(zip(names, block, strict=True))
        self.infinite: dict[str, int] = {}

    def put(self, found: pl.Series) -> None:
        """Keep a whole column and count what is not finite."""
        self.values[found.name][:], wrong = finite_values(found)
        self.infinite[found.name] = int(np.count_nonzero(wrong))

    def put_shared(
        self, found: pl.Series, counts: NDArray[np.int64], each: NDArray[np.int64]
    ) -> None:
        """Keep one value for all rows of a date, and count the rows where it is not finite.

        Parameters
        ----------
        found
            A value for each date.
        counts
            Rows of each date.
        each
            For each row the number of its date.
        """
        numbers, wrong = finite_values(found)
        # Checked places would be gathered in other memory first.
        np.take(numbers, each, out=self.values[found.name], mode="clip")
        self.infinite[found.name] = int(counts[wrong].sum())

    def count_infinite(self, name: str, wrong: int) -> None:
        """Add to the values that came out infinite or undefined."""
        if wrong:
            self.infinite[name] = self.infinite.get(name, 0) + wrong

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Keep some rows only, inside the same memory."""
        count = int(rows.sum())
        for name, values in self.values.items():
            values[:count] = values[rows]
            self.values[name] = values[:count]

    def series(self, name: str) -> pl.Series:
        """Wrap a column without copying it, NaN as null."""
        return to_series(name, self.values[name])
