"""How often the verdict is right where the truth is known."""

from __future__ import annotations

import pytest

from src.v2.tests.calibration import CASES, Case, Judged, judge_case

FEW = 4
"""Most panels of 40 that may be called evidence where nothing can be forecast."""

FOUND = {"planted": 28, "planted stronger": 36}
"""Fewest of 40 that must be: where the planted rank IC is 0.07, and 0.10."""


def _count(judged: list[Judged], word: str) -> int:
    return sum(one.word == word for one in judged)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.forward_days}")
def test_the_verdict_is_right_as_often_as_it_says(case: Case) -> None:
    judged = judge_case(case)
    words = [one.word for one in judged]
    if case.shuffled:
        assert words == ["implausible: check for leakage"] * len(case.seeds)
        return
    assert _count(judged, "implausible: check for leakage") == 0
    if not case.signal:
        assert _count(judged, "evidence") <= FEW * len(case.seeds) // 40
    elif case.forward_days == 20:
        assert _count(judged, "evidence") >= FOUND[case.name]
