"""Sectors are read from files as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.v2.data.sectors import load_sectors
from src.v2.errors import DataError


def test_columns_are_found_in_any_case_and_order(tmp_path: Path) -> None:
    path = tmp_path / "sectors.csv"
    path.write_text("Name,Sector,Symbol\nApple, Technology ,AAPL\nNone,,XYZ\nExxon,Energy,XOM\n")
    assert load_sectors(path) == {"AAPL": "Technology", "XOM": "Energy"}


def test_no_file_asked_for_gives_no_sectors() -> None:
    assert load_sectors(None) == {}


@pytest.mark.parametrize("content", ["ticker,industry\nA,B\n", ""])
def test_a_file_without_the_columns_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sectors.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"data\.sectors"):
        load_sectors(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv"):
        load_sectors(tmp_path / "absent.csv")
