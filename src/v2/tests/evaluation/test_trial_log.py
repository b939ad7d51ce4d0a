"""The trial log counts distinct configurations tried on the same data."""

from __future__ import annotations

import datetime as dt
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.v2.errors import OmninmoError
from src.v2.evaluation.trial_log import TRIALS_NAME, Trials, record_trial

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2020, 1, 1)
BARS_END, LATER = dt.date(2022, 1, 1), dt.date(2022, 2, 1)


def _try(
    folder: Path,
    config: str,
    sharpe: float | None = 0.01,
    data: str = "d",
    first: dt.date = FIRST,
    tickers: tuple[str, ...] = ("A", "B", "C"),
    bars_end: dt.date = BARS_END,
) -> Trials:
    return record_trial(
        folder,
        tickers=tickers,
        first=first,
        last=LAST,
        bars_end=bars_end,
        data_fingerprint=data,
        config_fingerprint=config,
        rank_ic=0.02,
        sharpe=sharpe,
    )


def test_each_new_configuration_is_a_trial_and_a_repeated_one_is_not(tmp_path: Path) -> None:
    assert [_try(tmp_path, name).count for name in ("a", "b", "a", "c", "b")] == [1, 2, 2, 3, 3]
    assert len((tmp_path / TRIALS_NAME).read_text().splitlines()) == 3


def test_a_configuration_on_newer_bars_counts_once_with_its_newest_sharpe(tmp_path: Path) -> None:
    _try(tmp_path, "a", 0.01)
    assert _try(tmp_path, "b", 0.02) == Trials(2, (0.01,))
    assert _try(tmp_path, "a", 0.05, data="newer", bars_end=LATER) == Trials(2, (0.02,))
    assert _try(tmp_path, "b", 0.02) == Trials(2, (0.05,))


def test_other_data_of_the_same_time_are_another_trial_of_the_same_configuration(
    tmp_path: Path,
) -> None:
    counts = [_try(tmp_path, "a", data=f"variant {n}").count for n in range(3)]
    assert counts == [1, 2, 3]
    assert _try(tmp_path, "a", data="a month later", bars_end=LATER).count == 3
    assert _try(tmp_path, "b").count == 4


def test_a_trial_without_a_sharpe_ratio_counts_all_the_same(tmp_path: Path) -> None:
    _try(tmp_path, "a", None)
    found = _try(tmp_path, "b")
    assert found.count == 2 and math.isnan(found.others[0])


def test_other_universes_and_other_times_do_not_count(tmp_path: Path) -> None:
    _try(tmp_path, "a", tickers=("X", "Y", "Z"))
    _try(tmp_path, "b", first=dt.date(2021, 1, 1))
    assert _try(tmp_path, "c") == Trials(1, ())


def test_lines_that_cannot_be_read_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _try(tmp_path, "a")
    with (tmp_path / TRIALS_NAME).open("ab") as log:
        log.write(b"\xff\xfe torn\n")
    assert _try(tmp_path, "b").count == 2
    assert "1 line(s)" in capsys.readouterr().err


def test_trials_made_at_once_are_all_counted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda n: _try(tmp_path, f"config {n}").count, range(16)))
    assert sorted(counts) == list(range(1, 17))


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OmninmoError, match="trial log"):
        _try(tmp_path / "file", "a")
