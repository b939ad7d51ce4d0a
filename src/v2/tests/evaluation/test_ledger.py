"""The holdout's ledger counts distinct configurations, from any number of processes."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.v2.errors import OmninmoError
from src.v2.evaluation.ledger import LEDGER_NAME, record_opening

FIRST, LAST = dt.date(2020, 1, 1), dt.date(2021, 1, 1)


def _open(
    folder: Path,
    config: str,
    data: str = "d",
    first: dt.date = FIRST,
    tickers: tuple[str, ...] = ("A", "B", "C"),
) -> int:
    return record_opening(
        folder,
        tickers=tickers,
        first=first,
        last=LAST,
        data_fingerprint=data,
        config_fingerprint=config,
    )


def test_each_new_configuration_opens_the_holdout_once_more(tmp_path: Path) -> None:
    assert [_open(tmp_path, name) for name in ("a", "b", "a", "c", "b")] == [1, 2, 2, 3, 3]
    assert len((tmp_path / LEDGER_NAME).read_text().splitlines()) == 3


def test_data_that_grew_still_counts_where_dates_overlap(tmp_path: Path) -> None:
    assert _open(tmp_path, "a") == 1
    assert _open(tmp_path, "a", data="one day more", first=dt.date(2020, 2, 1)) == 2
    assert _open(tmp_path, "a", data="elsewhere", first=dt.date(2020, 12, 31)) == 3


def test_a_universe_that_lost_a_ticker_still_counts_and_another_starts_anew(
    tmp_path: Path,
) -> None:
    assert _open(tmp_path, "a") == 1
    assert _open(tmp_path, "b", tickers=("A", "B")) == 2
    assert _open(tmp_path, "c", tickers=("X", "Y", "Z")) == 1


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    _open(tmp_path, "a")
    with (tmp_path / LEDGER_NAME).open("a") as ledger:
        ledger.write('{"universe": "u", "fir\n')
    assert _open(tmp_path, "b") == 2
    assert _open(tmp_path, "c") == 3


def test_a_line_without_an_end_swallows_no_later_one(tmp_path: Path) -> None:
    _open(tmp_path, "a")
    with (tmp_path / LEDGER_NAME).open("a") as ledger:
        ledger.write('{"torn')
    assert [_open(tmp_path, "b"), _open(tmp_path, "c")] == [2, 3]


def test_a_ledger_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file")
    with pytest.raises(OmninmoError, match=r"ledger .* cannot be written"):
        _open(tmp_path / "ledger", "a")


def test_openings_at_once_are_all_counted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda number: _open(tmp_path, str(number)), range(40)))
    assert sorted(places) == list(range(1, 41))
    lines = (tmp_path / LEDGER_NAME).read_text().splitlines()
    assert len({json.loads(line)["config_fingerprint"] for line in lines}) == 40
