"""What a run is told by the ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.v2.config import Config, PathsConfig, ValidationConfig
from src.v2.evaluation.ledger import Openings
from src.v2.ledgers import counted, uncounted
from src.v2.modeling.folds import schedule_folds
from src.v2.records import Coverage, HoldoutResult
from src.v2.summary_text import openings
from src.v2.tests.synthetic import weekdays

SESSIONS, SPAN = weekdays(4100), 31


def _config(folder: Path, share: float) -> Config:
    return Config(
        paths=PathsConfig(ledger_dir=folder), validation=ValidationConfig(holdout_share=share)
    )


@pytest.mark.parametrize(("share", "seen"), [(0.05, 1), (0.15, 1), (0.2, 0), (0.3, 0)])
def test_an_opening_is_told_how_many_walked_through_its_holdout_before(
    tmp_path: Path, share: float, seen: int
) -> None:
    first, last = SESSIONS[0], SESSIONS[-1]
    coverage = Coverage("test", "test", ("A", "B"), (), 1, 1, first, last, "0" * 32)
    config = _config(tmp_path, share)
    walk = schedule_folds(SESSIONS, config.validation, SPAN)
    # The last date whose label is known before the walk's own holdout.
    scored_to = SESSIONS[walk.folds[-1].test_stop - 1 - SPAN]
    walked = counted(config, coverage)
    for rank_ic in (0.01, 0.02):
        walked.record_trial(SESSIONS[walk.folds[0].test_start], scored_to, rank_ic, 0.1)
    usual = schedule_folds(SESSIONS, ValidationConfig(), SPAN)
    opener = counted(_config(tmp_path, 0.2), coverage)
    opened = opener.open_holdout(SESSIONS[usual.holdout_start], last)
    assert opened == Openings(1, seen)


@pytest.mark.parametrize(
    ("opening", "seen", "said"),
    [
        (None, None, "not counted"),
        (1, 0, "the 1st configuration scored on it"),
        (3, None, "one of 3 configurations scored on it"),
        (
            *(1, 1),
            "the 1st configuration scored on it, and 1 configuration saw part of it in their folds",
        ),
        (
            *(3, 12),
            "one of 3 configurations scored on it, and 12 configurations saw part of it in their "
            "folds",
        ),
    ],
)
def test_the_summary_says_who_saw_the_holdout(
    opening: int | None, seen: int | None, said: str
) -> None:
    first, last = SESSIONS[-800], SESSIONS[-1]
    assert openings(HoldoutResult(first, last, 1, 1, {}, opening, seen)) == said


def test_nothing_is_told_where_nobody_counts() -> None:
    ledgers = uncounted()
    assert ledgers.open_holdout(SESSIONS[0], SESSIONS[-1]) is None
    assert ledgers.record_trial(SESSIONS[0], SESSIONS[-1], 0.1, 0.1).count == 1
