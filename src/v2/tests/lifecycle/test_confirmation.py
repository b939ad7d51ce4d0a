"""When the winner of a search is recommended."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import Config, LabelConfig, PathsConfig
from src.v2.evaluation_records import Interval, Statistic
from src.v2.ledgers import counted
from src.v2.lifecycle.confirmation import Confirmation
from src.v2.lifecycle.study import TrialRecord
from src.v2.lifecycle.trial_walks import Folds
from src.v2.lifecycle.tuning import Tuned
from src.v2.lifecycle.tuning_text import tuning_sentences
from src.v2.stored_records import encode
from src.v2.tests.evaluation.leakage.planted import coverage_of
from src.v2.tests.synthetic import random_walk_bars

CONFIG = Config.model_construct(label=LabelConfig(forward_days=5))

CONFIRMED = Confirmation(
    winner=Interval(0.05, 0.01, 0.09, 50),
    default=Interval(0.0, -0.04, 0.04, 50),
    margin=Interval(0.05, 0.01, 0.09, 50),
    test=Statistic(2.5, 0.01),
    guard="plausible",
    dates=400,
    looks=1,
)


@pytest.mark.parametrize(
    ("changes", "finding", "said"),
    [
        ({}, "held", "It held"),
        ({"guard": "suspicious"}, "held", "It held"),
        ({"guard": "implausible"}, "implausible", "too good to be true"),
        ({"guard": "implausible", "dates": 200}, "implausible", "too good to be true"),
        ({"dates": 249}, "too short", "cannot be judged: 249 dates were kept out, 250 are needed"),
        ({"test": Statistic(math.nan, math.nan)}, "too short", "cannot be judged"),
        ({"margin": Interval(-0.01, -0.05, 0.03, 50)}, "no better", "It did not hold"),
        ({"test": Statistic(1.0, 0.16)}, "chance", "no further than chance"),
        ({"test": Statistic(2.0, 0.03), "looks": 2}, "chance", "p 0.025 is asked for"),
        ({"test": Statistic(2.0, 0.02), "looks": 2}, "held", "2 winners of searches"),
    ],
)
def test_a_winner_is_recommended_when_it_can_be_judged_believed_and_told_from_chance(
    changes: dict[str, Any], finding: str, said: str
) -> None:
    check = dataclasses.replace(CONFIRMED, **changes)
    assert check.finding == finding and check.held == (finding == "held")
    trial = TrialRecord(1, {}, 0.05, False, {})
    tuned = Tuned((trial,), trial, trial, CONFIG, Folds((), ()), check, {})
    assert tuned.recommended == check.held
    assert said in tuning_sentences(tuned)[-1]


def test_a_default_that_is_too_good_to_be_true_is_kept_and_said_to_be() -> None:
    for low, said in ((0.5, True), (0.05, False)):
        facts = {"rank_ic": encode(Interval(0.2, low, 0.7, 60)), "dates": 300}
        trial = TrialRecord(0, {}, 0.2, False, facts)
        tuned = Tuned((trial,), trial, trial, CONFIG, Folds((), ()), None, {})
        assert ("too good to be true" in tuning_sentences(tuned)[-1]) == said
        assert not tuned.recommended


def test_looks_at_kept_out_folds_are_counted_apart_from_the_holdouts_openings(
    tmp_path: Path,
) -> None:
    bars = random_walk_bars(20, 300, 1)
    coverage = coverage_of(bars)
    first, last = coverage.first, coverage.last
    looks = []
    for seed in (1, 2, 1):
        config = Config.model_construct(seed=seed, paths=PathsConfig(ledger_dir=tmp_path))
        looks.append(counted(config, coverage).open_confirmation(first, last))
    assert looks == [1, 2, 2]
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["confirmations.jsonl"]
    opened = counted(config, coverage).open_holdout(first, last)
    assert opened is not None and opened.count == 1
