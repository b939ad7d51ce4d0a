"""XGBoost's matrix of rows that do not fit into memory.

XGBoost reads the rows some at a time, bins them, and keeps the binned pages in files of its own,
which it reads again in every round: one byte a value where none is missing, else four, and one
more for the order by column.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from src.v2.errors import ModelError
from src.v2.modeling.feature_rows import FolderStore, StoredRows
from src.v2.modeling.learners.base import TrainingRows


class RowBatches(xgb.DataIter):
    """Gives rows to XGBoost in batches of nearly equal size.

    Parameters
    ----------
    rows
        Rows to fit on, whose features lie in a store.
    names
        Names of the features.
    cache
        Folder for XGBoost's own files.
    """

    def __init__(self, rows: TrainingRows, names: list[str], cache: Path) -> None:
        # Batches keep their number in the files' names: two matrices must not share a prefix.
        super().__init__(cache_prefix=tempfile.mkdtemp(prefix="pages-", dir=cache) + "/page")
        self._rows, self._names = rows, names
        self._edges = batch_edges(rows)
        self._next = 0
        self.stopped: BaseException | None = None

    def reset(self) -> None:
        """Start again from the first batch."""
        self._next = 0

    def next(self, input_data: Callable[..., None]) -> bool:
        """Give the next batch; False after the last one, or when something stopped it."""
        if self.stopped is not None or self._next + 1 >= len(self._edges):
            return False
        batch = slice(self._edges[self._next], self._edges[self._next + 1])
        try:
            input_data(
                data=np.asarray(self._rows.feature_rows[batch]),
                label=self._rows.label[batch],
                weight=self._rows.weight[batch],
                feature_names=self._names,
            )
        except BaseException as error:
            # XGBoost, whose caller this is, would drop an interrupt and go on with fewer rows.
            self.stopped = error
            return False
        self._next += 1
        return True


def batch_edges(rows: TrainingRows) -> list[int]:
    """Cut rows into equal batches, none larger than the largest block of their store."""
    stored = rows.feature_rows
    if not isinstance(stored, StoredRows):
        raise TypeError("batches are made of rows in a store")
    largest = int(np.diff(stored.store.starts).max())
    batches = max(1, -(-len(stored) // largest))
    return np.linspace(0, len(stored), batches + 1).round().astype(np.int64).tolist()


@contextmanager
def cache_folder(rows: TrainingRows) -> Iterator[Path]:
    """Make a folder for the pages of fits on some rows, beside the rows; it goes with the block."""
    store = rows.feature_rows.store if isinstance(rows.feature_rows, StoredRows) else None
    beside = store.folder if isinstance(store, FolderStore) else None
    with tempfile.TemporaryDirectory(prefix="fit-", dir=beside, ignore_cleanup_errors=True) as path:
        yield Path(path)


def external_matrix(
    rows: TrainingRows, names: list[str], cache: Path, **settings: Any
) -> xgb.ExtMemQuantileDMatrix:
    """Bin rows into pages on disk.

    Parameters
    ----------
    rows
        Rows to fit on, whose features lie in a store.
    names
        Names of the features.
    cache
        From `cache_folder`; the matrix needs it for as long as it lives.
    settings
        Passed on to XGBoost: threads, bins and the matrix that the bins are taken from.

    Raises
    ------
    ModelError
        When XGBoost did not get all rows. What else stops the reading is raised as it is.
    """
    batches = RowBatches(rows, names, cache)
    try:
        matrix = xgb.ExtMemQuantileDMatrix(batches, **settings)
    except xgb.core.XGBoostError:
        if batches.stopped is None:
            raise
    if batches.stopped is not None:
        raise batches.stopped
    if matrix.num_row() != len(rows.label):
        raise ModelError(
            f"XGBoost took {matrix.num_row():,} of {len(rows.label):,} rows: reading was "
            "interrupted. Train again."
        )
    return matrix
