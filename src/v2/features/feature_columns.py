"""Finished columns of features, in one block of memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from src.v2.features.ticker_pass import TickerPart, finite_values


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
        self.values[found.name][:], self.infinite[found.name] = finite_values(found)

    def put_part(self, part: TickerPart, places: NDArray[np.int64]) -> None:
        """Write the features of some tickers to their places."""
        # In the order of the places, so that neighbours are written together.
        order = np.argsort(places)
        ordered = places[order]
        for name, numbers in part.values.items():
            self.values[name][ordered] = numbers[order]
            self.values[name][places[part.early[name]]] = np.nan
        for name, wrong in part.infinite.items():
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


def to_series(name: str, values: NDArray[np.float32]) -> pl.Series:
    """Wrap numbers as a column without copying them, NaN as null."""
    known = ~np.isnan(values)
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    array = pa.Array.from_buffers(pa.float32(), len(values), [validity, pa.py_buffer(values)])
    return pl.Series(name, pl.from_arrow(array))
