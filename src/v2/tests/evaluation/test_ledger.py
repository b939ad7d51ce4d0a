"""The holdout's ledger counts distinct configurations, from any number of processes."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.v2.evaluation.ledger import LEDGER_NAME, record_opening, universe_id

FIRST, LAST = dt.date(2020, 1, 1), dt.date(2021, 1, 1)


def _open(folder: Path, config: str, data: str = "d", first: dt.date = FIRST) -> int:
    return record_opening(
        folder,
        universe="u",
        first=first,
        last=LAST,
        data_fingerprint=data,
        config_fingerprint=config,
    )


def test_each_new_configuration_opens_the_holdout_once_more(tmp_path: Path) -> None:
    assert [_open(tmp_path, name) for name in ("a", "b", "a", "c", "b")] == [1, 2, 1, 3, 2]
    assert len((tmp_path / LEDGER_NAME).read_text().splitlines()) == 3


def test_data_that_grew_still_counts_where_dates_overlap(tmp_path: Path) -> None:
    assert _open(tmp_path, "a") == 1
    assert _open(tmp_path, "a", data="one day more", first=dt.date(2020, 2, 1)) == 2
    assert _open(tmp_path, "a", data="elsewhere", first=dt.date(2020, 12, 31)) == 3


def test_another_universe_starts_anew(tmp_path: Path) -> None:
    assert _open(tmp_path, "a") == 1
    other = record_opening(
        tmp_path,
        universe=universe_id("us20", ("A",)),
        first=FIRST,
        last=LAST,
        data_fingerprint="d",
        config_fingerprint="b",
    )
    assert other == 1
    assert (
        universe_id("x", ("A", "B")) == universe_id("x", ("B", "A")) != universe_id("y", ("A", "B"))
    )


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    _open(tmp_path, "a")
    with (tmp_path / LEDGER_NAME).open("a") as ledger:
        ledger.write('{"universe": "u", "fir\n')
    assert _open(tmp_path, "b") == 2


def test_openings_at_once_are_all_counted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda number: _open(tmp_path, str(number)), range(40)))
    assert sorted(places) == list(range(1, 41))
    lines = (tmp_path / LEDGER_NAME).read_text().splitlines()
    assert len({json.loads(line)["config_fingerprint"] for line in lines}) == 40
