"""The trial log counts distinct configurations tried on the same data."""

from __future__ import annotations

import datetime as dt
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.errors import OmninmoError
from src.v2.evaluation.trial_log import (
    TRIALS_NAME,
    Trials,
    Tried,
    count_trials,
    record_trial,
    trials_reaching,
)

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2020, 1, 1)
BARS_END, LATER = dt.date(2022, 1, 1), dt.date(2022, 2, 1)


def _tried(
    config: str,
    data: str = "d",
    first: dt.date = FIRST,
    last: dt.date = LAST,
    tickers: tuple[str, ...] = ("A", "B", "C"),
    bars_end: dt.date = BARS_END,
    code: str = "code",
) -> Tried:
    return Tried(tickers, first, last, bars_end, data, config, code)


def _try(
    folder: Path,
    config: str,
    sharpe: float | None = 0.01,
    rank_ic: float | None = 0.02,
    **others: Any,
) -> Trials:
    return record_trial(folder, _tried(config, **others), rank_ic=rank_ic, sharpe=sharpe)


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


def test_other_prices_are_another_trial_though_their_last_sessions_are_cut(tmp_path: Path) -> None:
    day = dt.timedelta(days=1)
    counts = [
        _try(tmp_path, "a", data=f"edited {n}", bars_end=BARS_END - n * day).count for n in range(4)
    ]
    assert counts == [1, 2, 3, 4]
    # Looking again at what was tried is no further trial.
    assert _try(tmp_path, "a", data="edited 2", bars_end=BARS_END - 2 * day).count == 4
    assert count_trials(tmp_path, _tried("a", data="edited 0")) == 4


def test_two_sources_of_bars_that_both_grow_stay_two_trials(tmp_path: Path) -> None:
    for n in range(5):
        for source in ("yahoo", "files"):
            end = BARS_END + dt.timedelta(days=n)
            found = _try(tmp_path, "a", float(n), data=f"{source} {n}", bars_end=end)
    assert found == Trials(2, (4.0,))


def _longest_row_that_never_grows(ends: list[int]) -> int:
    best: list[int] = []
    for place, end in enumerate(ends):
        best.append(
            1 + max((best[n] for n, before in enumerate(ends[:place]) if before >= end), default=0)
        )
    return max(best)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_the_count_is_the_longest_row_of_trials_whose_bars_never_grow(
    tmp_path_factory: pytest.TempPathFactory, ends: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("trials")
    for number, end in enumerate(ends):
        bars_end = BARS_END + dt.timedelta(days=end)
        found = _try(folder, "a", data=f"data {number}", bars_end=bars_end)
    assert found.count == _longest_row_that_never_grows(ends)
    assert len(found.others) == found.count - 1


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
    assert "cannot be read: 1." in capsys.readouterr().err


def test_trials_made_at_once_are_all_counted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda n: _try(tmp_path, f"config {n}").count, range(16)))
    assert sorted(counts) == list(range(1, 17))


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OmninmoError, match="trial log"):
        _try(tmp_path / "file", "a")


def test_other_feature_code_is_another_trial_unless_it_gives_the_same_numbers(
    tmp_path: Path,
) -> None:
    _try(tmp_path, "a", rank_ic=0.020)
    assert _try(tmp_path, "a", rank_ic=0.020, code="a comment more").count == 1
    assert _try(tmp_path, "a", rank_ic=0.031, code="another formula").count == 2
    # The code with the comment is known for the same one on later bars too.
    later: dict[str, Any] = {"data": "newer", "bars_end": LATER}
    assert _try(tmp_path, "a", rank_ic=0.025, code="a comment more", **later).count == 2
    assert count_trials(tmp_path, _tried("a", code="a third formula")) == 3


def test_trials_of_a_few_tickers_have_no_numbers_to_know_the_code_by(tmp_path: Path) -> None:
    counts = [
        _try(tmp_path, "a", sharpe=None, rank_ic=None, code=code).count
        for code in ("one", "one", "other")
    ]
    assert counts == [1, 1, 2]


def test_a_line_without_a_code_is_a_trial_of_the_present_code(tmp_path: Path) -> None:
    _try(tmp_path, "a")
    log = tmp_path / TRIALS_NAME
    line = json.loads(log.read_text())
    del line["code_hash"]
    log.write_text(json.dumps(line) + "\n")
    assert _try(tmp_path, "a", rank_ic=0.04).count == 1
    assert _try(tmp_path, "b").count == 2


def test_counting_writes_nothing_and_sees_what_was_tried_since(tmp_path: Path) -> None:
    assert count_trials(tmp_path / "nowhere", _tried("a")) == 1
    assert not (tmp_path / "nowhere").exists()
    _try(tmp_path, "a")
    assert count_trials(tmp_path, _tried("a")) == 1
    for name in ("b", "c", "b"):
        _try(tmp_path, name)
    _try(tmp_path, "elsewhere", tickers=("X", "Y", "Z"))
    assert count_trials(tmp_path, _tried("a")) == 3
    assert count_trials(tmp_path, _tried("a", data="newer", bars_end=LATER)) == 3
    assert count_trials(tmp_path, _tried("never logged")) == 4
    assert len((tmp_path / TRIALS_NAME).read_text().splitlines()) == 4


def test_a_log_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / TRIALS_NAME).mkdir()
    with pytest.raises(OmninmoError, match="cannot be read"):
        count_trials(tmp_path, _tried("a"))


def test_folds_that_reach_into_a_span_are_counted_by_configuration(tmp_path: Path) -> None:
    day = dt.timedelta(days=1)
    span = {"first": LAST, "last": LAST + 300 * day}
    tickers = ("A", "B", "C")
    assert trials_reaching(tmp_path, tickers=tickers, **span) == 0
    _try(tmp_path, "before", last=LAST - day)
    assert trials_reaching(tmp_path, tickers=tickers, **span) == 0
    _try(tmp_path, "into")
    _try(tmp_path, "into", rank_ic=0.03, data="other")
    _try(tmp_path, "through", last=LAST + 500 * day)
    assert trials_reaching(tmp_path, tickers=tickers, **span) == 2
    assert trials_reaching(tmp_path, tickers=("X", "Y"), **span) == 0
