"""Numbers with NaN as Polars' columns with nulls, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray


def to_series(name: str, values: NDArray[Any]) -> pl.Series:
    """Wrap 32- or 64-bit numbers as a column without copying them, NaN as null."""
    known = values == values
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    kind = pa.float32() if values.dtype == np.float32 else pa.float64()
    array = pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(values)])
    return pl.Series(name, array)


def finite_values(values: pl.Series) -> tuple[NDArray[np.float32], int]:
    """Return a column as 32-bit floats, NaN where it is missing or not finite.

    Returns
    -------
    tuple[NDArray[np.float32], int]
        The numbers, and how many were infinite or undefined.
    """
    numbers = np.array(values.cast(pl.Float32).fill_null(math.nan).to_numpy())
    finite = np.isfinite(numbers)
    numbers[~finite] = math.nan
    return numbers, len(numbers) - int(np.count_nonzero(finite)) - values.null_count()
