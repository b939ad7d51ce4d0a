"""The columns of some whole tickers while features are made of them.

Kernels read arrays with NaN, Polars reads series with nulls: a column is turned from one into
the other where it is asked for, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.errors import ConfigError
from src.v2.features.kernel_columns import KernelColumn
from src.v2.features.nulls import to_series

if TYPE_CHECKING:
    from src.v2.features.compiled import Array, Bounds

SHARES = 8
"""Tasks into which the kernels of a stage are cut."""


class TickerColumns:
    """Columns by name, all in the order of ticker and date.

    Parameters
    ----------
    frame
        The first columns, with the ticker.
    bounds
        First row of each ticker, and the number of rows at the end.
    """

    def __init__(self, frame: pl.DataFrame, bounds: Bounds) -> None:
        self.frame = frame
        self.bounds = bounds
        self.arrays: dict[str, NDArray[Any]] = {}

    def add_expressions(self, wanted: Mapping[str, pl.Expr]) -> None:
        """Work out columns that Polars makes."""
        if wanted:
            self.frame = self.frame.hstack(self.select(wanted))

    def add_kernels(self, wanted: Mapping[str, KernelColumn], pool: Executor) -> None:
        """Work out columns that kernels make, one call a task."""
        # numba takes a second to import, which nobody should wait for who needs no kernel.
        from src.v2.features.kernel_table import run_kernels

        calls = list(dict.fromkeys(column.call for column in wanted.values()))
        sources = {name: self.array(name) for call in calls for name in call.sources}
        shares = [calls[first::SHARES] for first in range(min(SHARES, len(calls)))]
        running = [pool.submit(run_kernels, share, sources, self.bounds) for share in shares]
        found = {call: out for share in running for call, out in share.result().items()}
        for name, column in wanted.items():
            self.arrays[name] = found[column.call][column.output]

    def array(self, name: str) -> Array:
        """Return a column as numbers that can be written to, NaN where null."""
        if name not in self.arrays:
            numbers = self.frame[name].cast(pl.Float64).fill_null(math.nan)
            self.arrays[name] = np.array(numbers.to_numpy())
        return self.arrays[name]

    def select(self, wanted: Mapping[str, pl.Expr]) -> pl.DataFrame:
        """Evaluate expressions so that none sees more than one ticker."""
        self._need(name for item in wanted.values() for name in item.meta.root_names())
        return inside_tickers(self.frame, wanted)

    def _need(self, names: Iterable[str]) -> None:
        """Turn arrays that Polars is to read into columns."""
        missing = [name for name in dict.fromkeys(names) if name not in self.frame.columns]
        self.frame = self.frame.hstack([to_series(name, self.arrays[name]) for name in missing])


def inside_tickers(table: pl.DataFrame, wanted: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Evaluate expressions over each ticker of a table."""
    # What reads one row alone needs no groups.
    plain = {name: item for name, item in wanted.items() if reads_one_row(item)}
    windowed = {name: item for name, item in wanted.items() if name not in plain}
    found = table.select("ticker", *[item.alias(name) for name, item in plain.items()])
    if windowed:
        grouped = table.group_by("ticker", maintain_order=True).agg(
            [item.alias(name) for name, item in windowed.items()]
        )
        names = list(windowed)
        for name in names:
            _check_length(grouped[name], len(table))
        found = found.hstack(grouped.select(names).explode(names))
    return found.select(list(wanted))


def _check_length(lists: pl.Series, rows: int) -> None:
    """Refuse an expression that gives another number of values than there are rows."""
    if lists.dtype != pl.List or lists.list.len().sum() != rows:
        raise ConfigError(
            f"The feature {lists.name} must give one value for each row of a ticker, in order; "
            "it gives another number of values."
        )


def reads_one_row(expression: pl.Expr) -> bool:
    """Say whether every step of an expression works on each row alone."""
    try:
        alone = expression.meta.is_row_separable()
    except pl.exceptions.PolarsError:
        return False
    return alone and all(map(reads_one_row, expression.meta.pop()))
