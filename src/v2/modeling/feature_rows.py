"""Rows of features that need not lie in this process: on disk, or on a cluster's workers.

A panel of thousands of tickers does not fit into memory. Its rows are kept in blocks of whole
dates; choosing rows only writes down their numbers, and work is brought to the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Pick = tuple[int, "slice | Places"]
"""Number of a block, and which of its rows."""


class BlockStore(Protocol):
    """Where the blocks lie.

    Parameters
    ----------
    starts
        First row of each block, and the number of rows at the end.
    width
        Number of features.
    """

    @property
    def starts(self) -> Places:
        """First row of each block, and the number of rows at the end."""

    @property
    def width(self) -> int:
        """Number of features."""

    def run[Result](
        self, picks: Iterable[Pick], work: Callable[[Matrix], Result]
    ) -> Iterator[Result]:
        """Give what ``work`` makes of each pick's rows, in the order of the picks.

        Parameters
        ----------
        picks
            Rows of blocks.
        work
            A function that can be sent to another process; it must not change its rows.
        """


@runtime_checkable
class FolderStore(BlockStore, Protocol):
    """A store that lies in a folder, where temporary files may be written too."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows chosen from a store, in any order; nothing is read until it is asked for.

    Parameters
    ----------
    store
        Where they lie.
    places
        Number of each row in the store.
    """

    store: BlockStore
    places: Places

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return len(self.places), self.store.width

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.places)

    @overload
    def __getitem__(self, rows: slice | Mask | Places) -> StoredRows: ...
    @overload
    def __getitem__(self, rows: tuple[slice, Any]) -> Matrix: ...
    def __getitem__(self, rows: slice | Mask | Places | tuple[slice, Any]) -> StoredRows | Matrix:
        """Choose rows without reading them; ``[rows, columns]`` reads some columns."""
        if isinstance(rows, tuple):
            inside, columns = rows
            width = len(np.arange(self.store.width)[columns])
            return self[inside]._read(_Columns(columns), width)
        return StoredRows(self.store, self.places[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all rows into memory."""
        found = self._read(np.asarray, self.store.width)
        return found if dtype is None else found.astype(dtype, copy=False)

    def _read(self, work: Callable[[Matrix], Matrix], width: int) -> Matrix:
        """Read rows in any order, repeated ones too."""
        places, wanted = self.places, None
        if len(places) > 1 and (np.diff(places) <= 0).any():
            places, wanted = np.unique(places, return_inverse=True)
        found = np.empty((len(places), width), dtype=np.float32)
        filled = 0
        for part in StoredRows(self.store, places).map_blocks(work):
            found[filled : filled + len(part)] = part
            filled += len(part)
        return found if wanted is None else found[wanted]

    def map_blocks[Result](self, work: Callable[[Matrix], Result]) -> Iterator[Result]:
        """Give what ``work`` makes of the rows, some at a time, in order.

        Parameters
        ----------
        work
            From rows (some, features), float32, to anything; it runs where the rows lie.

        Raises
        ------
        ValueError
            When the rows are not in the order of the store.
        """
        return self.store.run(self.picks(), work)

    def picks(self) -> list[Pick]:
        """Part the rows by block.

        Raises
        ------
        ValueError
            When the rows are not in the order of the store.
        """
        if len(self.places) > 1 and (np.diff(self.places) <= 0).any():
            raise ValueError("rows are worked on in the order of the store, each of them once")
        starts = self.store.starts
        edges = np.searchsorted(self.places, starts)
        picks: list[Pick] = []
        for block in np.flatnonzero(np.diff(edges)):
            inside = self.places[edges[block] : edges[block + 1]] - starts[block]
            whole = int(inside[-1] - inside[0]) + 1 == len(inside)
            rows = slice(int(inside[0]), int(inside[-1]) + 1) if whole else inside
            picks.append((int(block), rows))
        return picks


@dataclass(frozen=True, slots=True)
class _Columns:
    """Takes some columns of rows; a class, so that it can be sent to another process."""

    columns: Any

    def __call__(self, rows: Matrix) -> Matrix:
        return np.ascontiguousarray(rows[:, self.columns])


Rows = Matrix | StoredRows
"""Rows of features: an array, or rows that lie elsewhere."""


def map_rows[Result](rows: Rows, work: Callable[[Matrix], Result]) -> Iterator[Result]:
    """Give what ``work`` makes of rows: of all at once in memory, else block after block."""
    return rows.map_blocks(work) if isinstance(rows, StoredRows) else iter([work(rows)])


def all_rows(store: BlockStore) -> StoredRows:
    """Choose every row of a store."""
    return StoredRows(store, np.arange(store.starts[-1], dtype=np.int64))
