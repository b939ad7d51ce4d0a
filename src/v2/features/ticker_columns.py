"""The columns of some whole tickers while features are made of them.

Kernels read arrays with NaN, Polars reads series with nulls: a column is turned from one into
the other where it is asked for, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from numpy.typing import NDArray

from src.v2.errors import ConfigError
from src.v2.features.kernel_columns import KernelColumn
from src.v2.features.nulls import from_series, to_series
from src.v2.features.scratch import Scratch

if TYPE_CHECKING:
    from src.v2.features.compiled import Array, Bounds

SHARES = 8
"""Tasks into which the kernels of a stage are cut."""


@dataclass(frozen=True, slots=True)
class Expressions:
    """Expressions parted by what they see: one row each, or the rows of a ticker.

    Parameters
    ----------
    names
        Of the columns they make, in order.
    read
        Columns that they read.
    rowwise, windowed
        The expressions, with their names.
    """

    names: list[str]
    read: list[str]
    rowwise: list[pl.Expr]
    windowed: list[pl.Expr]


def part_expressions(wanted: Mapping[str, pl.Expr]) -> Expressions:
    """Part expressions by what they see: what reads one row alone needs no groups."""
    parted: tuple[list[pl.Expr], list[pl.Expr]] = ([], [])
    for name, item in wanted.items():
        parted[0 if reads_one_row(item) else 1].append(item.alias(name))
    roots = (root for item in wanted.values() for root in item.meta.root_names())
    return Expressions(list(wanted), list(dict.fromkeys(roots)), *parted)


class TickerColumns:
    """Columns by name, all in the order of ticker and date.

    Parameters
    ----------
    frame
        The first columns, with the ticker.
    bounds
        First row of each ticker, and the number of rows at the end.
    working, finished
        Memory of what kernels read and make: columns in 64 bits, and finished features.
    """

    def __init__(
        self, frame: pl.DataFrame, bounds: Bounds, working: Scratch, finished: Scratch
    ) -> None:
        self.frame = frame
        self.bounds = bounds
        self.working = working
        self.finished = finished
        self.arrays: dict[str, NDArray[Any]] = {}

    def add_expressions(self, wanted: Expressions) -> None:
        """Work out columns that Polars makes."""
        if wanted.names:
            self.frame = self.frame.hstack(self.select(wanted))

    def add_kernels(self, wanted: Mapping[str, KernelColumn], pool: Executor) -> None:
        """Work out columns that kernels make, one call a task."""
        # numba takes a second to import, which nobody should wait for who needs no kernel.
        from src.v2.features.kernel_table import new_block, run_kernels

        calls = list(dict.fromkeys(column.call for column in wanted.values()))
        sources = {name: self.array(name) for call in calls for name in call.sources}
        rows = len(self.frame)
        blocks = {call: new_block(call, rows, self.working, self.finished) for call in calls}
        shares = [
            {call: blocks[call] for call in calls[first::SHARES]}
            for first in range(min(SHARES, len(calls)))
        ]
        running = [pool.submit(run_kernels, share, sources, self.bounds) for share in shares]
        for share in running:
            share.result()
        for name, column in wanted.items():
            self.arrays[name] = blocks[column.call][column.output]

    def array(self, name: str) -> Array:
        """Return a column as numbers that can be written to, NaN where null."""
        if name not in self.arrays:
            from src.v2.features.placing import fill

            block = self.working.block(1, len(self.frame))[0]
            numbers = from_series(self.frame[name].cast(pl.Float64))
            fill(numbers.values, numbers.known, numbers.first, block)
            self.arrays[name] = block
        return self.arrays[name]

    def select(self, wanted: Expressions) -> pl.DataFrame:
        """Evaluate expressions so that none sees more than one ticker."""
        there = set(self.frame.columns)
        made = [to_series(name, self.arrays[name]) for name in wanted.read if name not in there]
        self.frame = self.frame.hstack(made)
        found = self.frame.select("ticker", *wanted.rowwise)
        if wanted.windowed:
            grouped = self.frame.group_by("ticker", maintain_order=True).agg(wanted.windowed)
            names = grouped.columns[1:]
            for name in names:
                _check_length(grouped[name], len(self.frame))
            found = found.hstack(grouped.select(names).explode(names))
        return found.select(wanted.names)


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
