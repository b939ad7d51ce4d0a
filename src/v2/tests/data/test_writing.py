"""Tables are written through Python, so that a full disk is an `OSError`."""

from __future__ import annotations

import errno
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.v2.data.writing import replace_texts, write_parquet
from src.v2.tests.full_disk import small_files

TABLE = pl.DataFrame({"number": range(5000), "name": [f"N{n}" for n in range(5000)]})


def test_a_table_and_its_texts_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a table [1].parquet"
    write_parquet(TABLE, path, {"about": "ü"})
    assert_frame_equal(pl.read_parquet(path, glob=False), TABLE)
    assert pl.read_parquet_metadata(path)["about"] == "ü"


def test_a_file_that_may_not_grow_is_an_error_that_says_so(tmp_path: Path) -> None:
    with small_files(1000), pytest.raises(OSError, match="File too large") as raised:
        write_parquet(TABLE, tmp_path / "table.parquet")
    assert raised.value.errno == errno.EFBIG


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        write_parquet(TABLE, Path("/dev/full"))


def test_of_several_texts_all_are_replaced_or_none(tmp_path: Path) -> None:
    replace_texts(tmp_path, {"a.md": "old", "b.csv": "old"})
    with small_files(1000), pytest.raises(OSError, match="File too large"):
        replace_texts(tmp_path, {"a.md": "new", "b.csv": "n" * 2000})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.md": "old",
        "b.csv": "old",
    }
    found = replace_texts(tmp_path, {"a.md": "new", "b.csv": "ü"})
    assert {name: path.read_text("utf-8") for name, path in found.items()} == {
        "a.md": "new",
        "b.csv": "ü",
    }
