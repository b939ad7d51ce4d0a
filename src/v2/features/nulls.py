"""Numbers with NaN as Polars' columns with nulls, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers that cannot be written to, and which of them are there.

    Parameters
    ----------
    values
        In 32 or 64 bits; whatever stands where one is missing.
    known
        A bit for each, the lowest of a byte first; empty where NaN says that one is missing.
    first
        Bit of the first number.
    """

    values: NDArray[Any]
    known: NDArray[np.uint8]
    first: int


def from_array(values: NDArray[Any]) -> Numbers:
    """Describe numbers with NaN for what is missing, without copying them."""
    return Numbers(_read_only(values), _read_only(np.empty(0, dtype=np.uint8)), 0)


def from_series(values: pl.Series) -> Numbers:
    """Describe a column of floats without copying it; a NaN in it is no null."""
    array = values.to_arrow()
    validity, numbers = array.buffers()
    first, count = array.offset, len(array)
    kind = np.dtype(np.float32 if values.dtype == pl.Float32 else np.float64)
    held = np.frombuffer(numbers, dtype=kind, count=count, offset=kind.itemsize * first)
    if validity is None:
        return Numbers(held, _read_only(np.full(count // 8 + 1, 255, dtype=np.uint8)), 0)
    return Numbers(held, np.frombuffer(validity, dtype=np.uint8), first)


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Return the same memory, closed to writing: kernels are compiled for one kind of arrays."""
    view = values.view()
    view.flags.writeable = False
    return view


def finite_values(values: pl.Series) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a column as 32-bit floats, NaN where it is missing or not finite.

    Returns
    -------
    tuple
        The numbers, and where one was infinite or undefined.
    """
    numbers = np.array(values.cast(pl.Float32).fill_null(math.nan).to_numpy())
    wrong = ~np.isfinite(numbers)
    numbers[wrong] = math.nan
    if values.null_count():
        wrong &= values.is_not_null().to_numpy()
    return numbers, wrong
