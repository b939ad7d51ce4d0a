"""Lines that another hand wrote, or a crash tore, are passed over and told."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal
from src.v2.evaluation.ledger import LEDGER_NAME, record_opening
from src.v2.evaluation.trial_log import (
    TRIALS_NAME,
    Tried,
    count_trials,
    record_trial,
    trials_reaching,
)
from src.v2.tests.full_disk import small_files

Output = pytest.CaptureFixture[str]
DAY = dt.date(2020, 1, 1)
TRIED = Tried(("A", "B"), DAY, DAY, DAY, "data", "config", "code")


@dataclass(frozen=True, slots=True)
class Line:
    """A record with a field of each kind."""

    word: Literal["yes", "no"]
    names: list[str]
    number: float | None
    count: int
    flag: bool
    rest: list[dict[str, Any]]


GOOD: dict[str, Any] = {
    "word": "yes",
    "names": ["a"],
    "number": 1.5,
    "count": 3,
    "flag": True,
    "rest": [{"any": [1, None]}],
}


@pytest.mark.parametrize(
    "text",
    [
        *(
            json.dumps(GOOD | change)
            for change in (
                {"word": "perhaps"},
                {"word": ["yes"]},
                {"names": None},
                {"names": [["a"]]},
                {"names": "a"},
                {"number": "1.5"},
                {"number": True},
                {"number": float("nan")},
                {"number": 10**400},
                {"count": 1.0},
                {"count": True},
                {"flag": 1},
                {"rest": [1]},
                {"more": 1},
            )
        ),
        json.dumps({"word": "yes"}),
        json.dumps([GOOD]),
        "null",
        "5",
        "[" * 200_000,
        '{"word": ' + "[" * 200_000,
        json.dumps(GOOD).replace("1.5", "9" * 5000),
        json.dumps(GOOD).replace("1.5", "1e999"),
        json.dumps(GOOD)[:-5],
    ],
    ids=lambda text: text[:90],
)
def test_a_line_of_another_shape_is_passed_over_aloud(
    tmp_path: Path, capsys: Output, text: str
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(f"{text}\n{json.dumps(GOOD)}\n")
    assert list(journal.read(path, Line)) == [Line(**GOOD)]
    assert f"lines of {path} that cannot be read: 1." in capsys.readouterr().err


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(
            Line,
            st.sampled_from(["yes", "no"]),
            st.lists(st.text()),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.integers(),
            st.booleans(),
            st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text())),
        )
    )
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "lines.jsonl"
    for line in lines:
        journal.append(path, asdict(line))
    assert list(journal.read(path, Line)) == lines


@pytest.mark.parametrize(
    "change",
    [
        {"tickers": None},
        {"tickers": [["a"]]},
        {"first": 5},
        {"bars_end": 1},
        {"config_fingerprint": [1]},
        {"sharpe": "high"},
    ],
    ids=str,
)
def test_no_line_ends_a_count_after_the_work_is_done(
    tmp_path: Path, capsys: Output, change: dict[str, Any]
) -> None:
    record_trial(tmp_path, TRIED, rank_ic=0.1, sharpe=0.1)
    log = tmp_path / TRIALS_NAME
    line = json.loads(log.read_text())
    log.write_text(json.dumps(line | change) + "\n" + log.read_text())
    assert record_trial(tmp_path, TRIED, rank_ic=0.1, sharpe=0.1).count == 1
    assert "cannot be read: 1." in capsys.readouterr().err
    assert trials_reaching(tmp_path, tickers=("A",), first=DAY, last=DAY) == 1


def test_no_line_ends_the_count_of_a_holdout(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / LEDGER_NAME).write_text("[" * 200_000 + "\n" + '{"tickers": null}\n')
    found = record_opening(
        tmp_path,
        tickers=("A",),
        first=DAY,
        last=DAY,
        data_fingerprint="d",
        config_fingerprint="c",
    )
    assert found == 1
    assert "cannot be read: 2." in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_log_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / TRIALS_NAME)
    with pytest.raises(OmninmoError, match="cannot be read: it must be a regular file"):
        count_trials(tmp_path, TRIED)
    with pytest.raises(OSError, match="must be a regular file"):
        journal.append(tmp_path / TRIALS_NAME, {})


@given(st.integers(0, 200), st.booleans())
@settings(max_examples=30)
def test_a_line_is_added_whole_or_not_at_all(room: int, torn: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines.jsonl")
        journal.append(path, GOOD)
        if torn:
            path.write_bytes(path.read_bytes() + b'{"word": "y')
        before = path.read_bytes()
        with small_files(len(before) + room):
            try:
                journal.append(path, GOOD)
            except OSError:
                assert path.read_bytes() == before
            else:
                assert path.read_bytes()[len(before) :].strip() == before.splitlines()[0]
