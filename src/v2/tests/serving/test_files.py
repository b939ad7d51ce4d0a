"""Where the scores of a file are written: whole, and never over what was given."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.errors import ConfigError, OmninmoError
from src.v2.serving import package
from src.v2.serving.files import ENDINGS, check_target, write_rows
from src.v2.tests.full_disk import small_files

ROWS = pl.DataFrame(
    {"ticker": [f"T{n:04d}" for n in range(4000)], "score": [n / 7 for n in range(4000)]}
).with_columns(pl.lit(["why", "so"]).alias("reasons"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_cannot_grow_leaves_the_older_one_and_nothing_beside_it(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"scores{ending}"
    write_rows(ROWS.head(2), path)
    before = path.read_bytes()
    with small_files(2000), pytest.raises(OmninmoError, match=r"File too large\. .*--out"):
        write_rows(ROWS, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_rows(ROWS, path)
    assert path.stat().st_size > 2000


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bars.csv", "the file of bars itself"),
        ("link.csv", "the file of bars itself"),
        ("pipe.csv", "no regular file"),
        ("folder.csv", "no regular file"),
        ("nowhere/scores.csv", "a folder that exists"),
        ("scores.xlsx", "must end in"),
    ],
)
def test_a_target_that_would_lose_something_is_refused_before_the_work(
    tmp_path: Path, name: str, told: str
) -> None:
    given = tmp_path / "bars.csv"
    given.write_text("date,ticker,close\n")
    (tmp_path / "link.csv").symlink_to(given)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=told):
        check_target(tmp_path / name, given)


def test_an_older_file_and_a_new_one_are_targets(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    for name in ("old.csv", "new.csv"):
        check_target(tmp_path / name, tmp_path / "missing.csv")


def test_a_package_whose_code_cannot_be_copied_leaves_the_older_one_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, code = tmp_path / "package", tmp_path / "code"
    for folder in (older, code):
        folder.mkdir()
    (older / package.DESCRIPTION).write_text(f"{package.KIND}: 1")
    (code / "module.py").write_text("x = 1\n" * 1000)

    def copy(fresh: Path, *_: object) -> None:
        shutil.copytree(code, fresh)

    monkeypatch.setattr(package, "_write", copy)
    nothing: Any = None
    with small_files(2000), pytest.raises(OmninmoError, match=r"File too large.*--build-only"):
        package.build_package(older, tmp_path, nothing, nothing)
    assert sorted(tmp_path.iterdir()) == [code, older]
    assert package.is_package(older)
