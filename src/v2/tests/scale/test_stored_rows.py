"""Rows in a store behave as the rows of an array, and are read only where asked for."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.modeling.feature_rows import Matrix, StoredRows, all_rows, map_rows
from src.v2.scale.disk_store import DiskStore, write_block

SIZES = (3, 1, 7, 2, 5)
ROWS, WIDTH = sum(SIZES), 4


@pytest.fixture(scope="module")
def table() -> Matrix:
    numbers = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    numbers[2, 1] = np.nan
    return numbers


@pytest.fixture(scope="module")
def rows(table: Matrix, tmp_path_factory: pytest.TempPathFactory) -> StoredRows:
    folder = tmp_path_factory.mktemp("blocks")
    starts = np.cumsum([0, *SIZES])
    for number, (first, stop) in enumerate(itertools.pairwise(starts)):
        write_block(folder, number, table[first:stop])
    return all_rows(DiskStore(folder, starts, WIDTH))


edges = st.none() | st.integers(-ROWS - 2, ROWS + 2)
steps = st.none() | st.integers(-3, 3).filter(bool)
slices = st.builds(slice, edges, edges, steps)
columns = st.builds(slice, st.integers(0, WIDTH), st.integers(0, WIDTH)) | st.lists(
    st.integers(-WIDTH, WIDTH - 1), max_size=6
).map(lambda chosen: np.array(chosen, dtype=np.int64))


@given(first=slices, second=slices, chosen=columns, data=st.data())
def test_chosen_rows_are_those_of_an_array(
    rows: StoredRows,
    table: Matrix,
    first: slice,
    second: slice,
    chosen: slice | np.ndarray[tuple[int], np.dtype[np.int64]],
    data: st.DataObject,
) -> None:
    stored, array = rows[first][second], table[first][second]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array))))
    mask = mask.astype(bool)
    places = np.array(
        data.draw(st.lists(st.integers(0, len(array) - 1), max_size=9)) if len(array) else [],
        dtype=np.int64,
    )
    for found, wanted in (
        (stored, array),
        (stored[mask], array[mask]),
        (stored[places], array[places]),
    ):
        assert found.shape == wanted.shape
        assert len(found) == len(wanted)
        np.testing.assert_array_equal(np.asarray(found), wanted)
        np.testing.assert_array_equal(np.asarray(found, dtype=np.float64), wanted)
        np.testing.assert_array_equal(found[:, chosen], wanted[:, chosen])


@given(mask=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_work_goes_from_block_to_block_in_order(
    rows: StoredRows, table: Matrix, mask: list[bool]
) -> None:
    chosen = np.array(mask)
    parts = list(map_rows(rows[chosen], np.array))
    assert [len(part) for part in parts if len(part)] == [len(part) for part in parts]
    assert len(parts) <= len(SIZES)
    joined = np.concatenate(parts) if parts else table[:0]
    np.testing.assert_array_equal(joined, table[chosen])


def test_work_refuses_rows_out_of_order(rows: StoredRows) -> None:
    with pytest.raises(ValueError, match="in the order of the store"):
        list(rows[np.array([4, 2])].map_blocks(len))


def test_choosing_rows_reads_nothing(table: Matrix, tmp_path: Path) -> None:
    nowhere = all_rows(DiskStore(tmp_path / "gone", np.array([0, ROWS]), WIDTH))
    chosen = nowhere[table[:, 0] > 8][2:5]
    assert chosen.places.tolist() == [5, 6, 7]
    with pytest.raises(FileNotFoundError):
        np.asarray(chosen)


def test_a_block_cannot_be_changed_by_work(rows: StoredRows) -> None:
    def spoil(block: Matrix) -> None:
        block[0, 0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        list(rows[:3].map_blocks(spoil))
