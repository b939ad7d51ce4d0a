"""Blocks of features as files that are mapped into memory when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.v2.modeling.feature_rows import Matrix, Pick, Places


@dataclass(frozen=True, slots=True)
class DiskStore:
    """Blocks of features on a disk, a `src.v2.modeling.feature_rows.BlockStore`.

    Parameters
    ----------
    folder
        Holds one file a block; temporary files of a fit may be written beside them.
    starts
        First row of each block, and the number of rows at the end.
    width
        Number of features.
    """

    folder: Path
    starts: Places
    width: int

    def run[Result](
        self, picks: Iterable[Pick], work: Callable[[Matrix], Result]
    ) -> Iterator[Result]:
        """Give what ``work`` makes of each pick's rows; a block is open while it is worked on."""
        for number, rows in picks:
            yield work(read_block(self.folder, number)[rows])


def write_block(folder: Path, number: int, rows: Matrix) -> None:
    """Write a block of rows."""
    np.save(_path(folder, number), rows)


def read_block(folder: Path, number: int) -> Matrix:
    """Map a block that was written; nothing is read until it is used."""
    block: Matrix = np.load(_path(folder, number), mmap_mode="r")
    return block


def _path(folder: Path, number: int) -> Path:
    """Name the file of a block."""
    return folder / f"block-{number:05d}.npy"
