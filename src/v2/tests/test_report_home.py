"""Where a run that comes from a store is put: never outside, and never over another run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from src.v2.errors import DataError
from src.v2.page.identity import RunIdentity
from src.v2.report import _home
from src.v2.run_store import save_run
from src.v2.tests.results import make_result

RUN = "0" * 32
IDENTITY = RunIdentity("st_1", RUN, dt.datetime(2024, 1, 2, tzinfo=dt.UTC), None, {})


def test_a_run_that_is_not_there_yet_gets_the_folder_of_its_name(tmp_path: Path) -> None:
    assert _home(tmp_path, IDENTITY, RUN) == tmp_path / "st_1"


def test_the_same_run_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "st_1").mkdir()
    save_run(make_result(), IDENTITY, tmp_path / "st_1")
    assert _home(tmp_path, IDENTITY, RUN) == tmp_path / "st_1"


def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "st_1").mkdir()
    other = dataclasses.replace(IDENTITY, run_id="f" * 32)
    save_run(make_result(), other, tmp_path / "st_1")
    assert _home(tmp_path, IDENTITY, RUN) == tmp_path / f"st_1_{RUN}"


def test_a_copy_under_an_id_of_its_own_does_not_replace_the_run(tmp_path: Path) -> None:
    assert _home(tmp_path, IDENTITY, "a" * 32) == tmp_path / f"st_1_{'a' * 32}"


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../st_1", "/etc/st_1", "a/b", ".hidden", "a\nb", "x" * 300]
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="letters, digits"):
        _home(tmp_path, dataclasses.replace(IDENTITY, model=name), RUN)


@pytest.mark.parametrize("run_id", ["../x", "a/b", "a b", "x" * 200])
def test_an_id_that_could_lead_elsewhere_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(DataError, match="letters, digits"):
        _home(tmp_path, IDENTITY, run_id)
