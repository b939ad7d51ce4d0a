"""The truth table of the verdict, and the limits of the guard."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation.guard import AUC, R2, RANK_IC, guard_checks
from src.v2.evaluation.verdict import Findings, Rival, Small, fallen_hurdles, judge
from src.v2.evaluation_records import (
    GuardCheck,
    Interval,
    RankingSkill,
    ReturnSkill,
    SideSkill,
    Statistic,
)

NAN = float("nan")


def _guard(outcome: str) -> GuardCheck:
    return GuardCheck("mean rank IC", 0.3, 0.2, 0.08, 0.12, outcome)  # type: ignore[arg-type]


FOUND = Findings(
    tickers=100,
    windows=75,
    rank_ic=Interval(0.05, 0.02, 0.08, 75),
    ewc=Statistic(5.0, 0.0001),
    permutation_p=0.001,
    permutations=9999,
    demeaned_rank_ic=0.04,
    demeaned_ewc=Statistic(3.0, 0.002),
    small=Small(NAN, NAN),
    earns=True,
    trials=1,
    guard=(_guard("plausible"),),
    rivals=(Rival("ridge", 0.04, Interval(0.01, -0.01, 0.03, 75)),),
)
EIGHT = dataclasses.replace(
    FOUND,
    tickers=8,
    rank_ic=Interval(NAN, NAN, NAN, 75),
    permutation_p=NAN,
    small=Small(0.001, 0.01),
)


@pytest.mark.parametrize(
    ("changes", "word", "said"),
    [
        ({}, "evidence", "lies above 0, from +0.0200"),
        ({"rank_ic": Interval(0.05, 0.0, 0.1, 75)}, "no evidence", "reaches down to +0.0000"),
        ({"rank_ic": Interval(-0.05, -0.1, -0.02, 75)}, "no evidence", "reaches down to -0.1"),
        ({"rank_ic": Interval(0.05, NAN, NAN, 9), "windows": 9}, "no evidence", "too short"),
        ({"permutation_p": 0.05}, "no evidence", "p 0.0500 is not below 0.05"),
        ({"permutation_p": 0.049}, "evidence", "p 0.0490 is below 0.05"),
        ({"permutation_p": 0.049, "trials": 2}, "no evidence", "0.025 (0.05 over 2 trials)"),
        ({"permutation_p": 0.001, "trials": 49}, "evidence", "over 49 trials"),
        ({"permutation_p": 0.001, "trials": 50}, "no evidence", "over 50 trials"),
        ({"permutation_p": NAN}, "no evidence", "too few tickers of equal history"),
        ({"demeaned_ewc": Statistic(1.0, 0.16)}, "no evidence", "static ranking"),
        ({"demeaned_ewc": Statistic(NAN, NAN)}, "no evidence", "static ranking"),
        ({"ewc": Statistic(2.1, 0.02), "trials": 1}, "evidence", "lies above 0"),
        ({"ewc": Statistic(2.1, 0.02), "trials": 2}, "no evidence", "level of 2 trials"),
        (
            {"permutation_p": 0.0001, "permutations": 9999, "trials": 600},
            "no evidence",
            "raise evaluation.permutations",
        ),
        ({"guard": (_guard("suspicious"),)}, "evidence", "is suspicious"),
        ({"guard": (_guard("implausible"),)}, "implausible: check for leakage", "believable"),
    ],
)
def test_truth_table_from_twenty_tickers_on(
    changes: dict[str, object], word: str, said: str
) -> None:
    verdict = judge(dataclasses.replace(FOUND, **changes))  # type: ignore[arg-type]
    assert verdict.word == word
    assert any(said in reason for reason in verdict.reasons), verdict.reasons


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "evidence"),
        ({"small": Small(0.2, 0.01)}, "no evidence"),
        ({"small": Small(0.03, 0.01), "trials": 2}, "no evidence"),
        ({"small": Small(0.001, -0.01)}, "no evidence"),
        ({"small": Small(NAN, NAN)}, "no evidence"),
        ({"guard": (_guard("implausible"),)}, "implausible: check for leakage"),
        ({"tickers": 19}, "evidence"),
        ({"tickers": 20}, "no evidence"),
    ],
)
def test_truth_table_below_twenty_tickers(changes: dict[str, object], word: str) -> None:
    verdict = judge(dataclasses.replace(EIGHT, **changes))  # type: ignore[arg-type]
    assert verdict.word == word
    assert not verdict.beside


def test_an_implausible_run_is_so_whatever_else_it_shows() -> None:
    worst = dataclasses.replace(
        FOUND,
        rank_ic=Interval(-0.3, -0.4, -0.2, 75),
        permutation_p=1.0,
        guard=(_guard("plausible"), _guard("implausible")),
    )
    assert judge(worst).word == "implausible: check for leakage"


def test_rules_that_do_as_well_stand_beside_the_word() -> None:
    rivals = (
        Rival("ridge", 0.06, Interval(-0.01, -0.03, 0.01, 75)),
        Rival("momentum 12-1", 0.04, Interval(0.01, -0.01, 0.03, 75)),
        Rival("reversal", 0.0, Interval(0.05, 0.02, 0.08, 75)),
    )
    beside = judge(dataclasses.replace(FOUND, rivals=rivals, earns=False)).beside
    assert beside == (
        "no better than ridge",
        "not shown to beat momentum 12-1",
        "not shown to earn after costs",
    )
    unproven = dataclasses.replace(FOUND, rivals=rivals, earns=False, permutation_p=0.2)
    assert judge(unproven).beside == ("no better than ridge",)


def _ranking(mean: float, low: float, dates: int = 1000, ic: float = 0.05) -> RankingSkill:
    nothing = Statistic(NAN, NAN)
    return RankingSkill(
        dates=dates,
        tickers=100,
        ic=Interval(ic, NAN, NAN, 50),
        rank_ic=Interval(mean, low, NAN, 50),
        ewc=nothing,
        rank_ic_std=0.1,
        icir=0.5,
        positive_share=0.5,
        permutation_p=0.5,
        permutations=999,
        exchangeable=100,
        non_overlapping=nothing,
        newey_west=nothing,
        demeaned_rank_ic=Interval(mean, low, NAN, 50),
        demeaned_ewc=nothing,
        detectable=0.03,
        yearly=(),
        null=(),
    )


def _returns(r2: float, low: float, demeaned: float = 0.0, zero: float = 0.9) -> ReturnSkill:
    nothing = Statistic(NAN, NAN)
    return ReturnSkill(
        r2=Interval(r2, low, NAN, 50),
        r2_zero=Interval(zero, zero - 0.01, NAN, 50),
        r2_demeaned=Interval(demeaned, demeaned - 0.001, NAN, 50),
        clark_west_mean=nothing,
        clark_west_zero=nothing,
    )


def _outcomes(
    forward_days: int, ranking: RankingSkill | None, returns: ReturnSkill | None
) -> set[str]:
    sides = SideSkill(0.5, 0.5, Interval(0.0, -0.01, 0.01, 50))
    checks = guard_checks(
        forward_days, ranking=ranking, returns=returns, sides=sides, classes=None, portfolio=None
    )
    return {check.outcome for check in checks}


@pytest.mark.parametrize(
    ("forward_days", "mean", "low", "outcome"),
    [
        (20, 0.07, 0.05, "plausible"),
        (20, 0.09, 0.05, "suspicious"),
        (20, 0.13, 0.11, "suspicious"),
        (20, 0.13, 0.121, "implausible"),
        (20, 0.25, NAN, "implausible"),
        (20, 0.23, NAN, "suspicious"),
        (60, 0.19, 0.15, "suspicious"),
        (60, 0.25, 0.21, "implausible"),
        (250, 0.25, 0.21, "implausible"),
    ],
)
def test_the_rank_ic_passes_its_limit_by_its_bound_or_twice_over(
    forward_days: int, mean: float, low: float, outcome: str
) -> None:
    found = _outcomes(forward_days, _ranking(mean, low), None)
    assert (outcome in found) and ("implausible" in found) == (outcome == "implausible")


def test_the_rank_ic_of_few_dates_is_not_guarded() -> None:
    assert _outcomes(20, _ranking(0.5, 0.4, dates=249), None) == {"plausible"}


def test_r2_is_guarded_against_the_mean_and_within_dates_but_never_against_zero() -> None:
    assert _outcomes(30, None, _returns(0.0, -0.01)) == {"plausible"}
    assert "implausible" in _outcomes(21, None, _returns(0.03, 0.021))
    assert "suspicious" in _outcomes(21, None, _returns(0.03, 0.019))
    assert "implausible" in _outcomes(21, None, _returns(0.0, -0.01, demeaned=0.03))


def test_beating_a_bad_mean_alone_is_not_implausible() -> None:
    assert _outcomes(21, None, _returns(0.2, 0.1, zero=-0.3)) == {"plausible"}
    assert "suspicious" in _outcomes(21, None, _returns(0.2, 0.1, zero=0.015))
    assert "implausible" in _outcomes(21, None, _returns(0.2, 0.1, zero=0.05))


def test_more_r2_than_the_ic_allows_is_implausible() -> None:
    assert "implausible" in _outcomes(90, _ranking(0.01, 0, ic=0.01), _returns(0, 0, 0.03))
    assert _outcomes(90, _ranking(0.01, 0, ic=0.12), _returns(0, 0, 0.02)) == {"plausible"}


def test_limits_are_linear_in_the_logarithm_of_the_horizon_and_flat_beyond() -> None:
    assert R2.at(1) == R2.at(21) == (0.01, 0.02)
    assert R2.at(75) == pytest.approx((0.03, 0.06))
    assert R2.at(1000) == (0.08, 0.15)
    middle = round(math.sqrt(21 * 60))
    assert RANK_IC.at(middle) == pytest.approx((0.10, 0.16), abs=0.002)
    assert AUC.at(1) == AUC.at(250) == (0.56, 0.60)


@given(
    st.integers(1, 40),
    st.integers(0, 40),
    st.floats(1e-5, 0.03),
    st.floats(1e-5, 0.06),
    st.sampled_from([8, 100]),
)
def test_judging_again_is_judging_with_more_trials(
    then: int, more: int, ranking_p: float, other_p: float, tickers: int
) -> None:
    base = EIGHT if tickers == 8 else FOUND
    first = dataclasses.replace(
        base,
        trials=then,
        ewc=Statistic(3.0, ranking_p),
        permutation_p=other_p if tickers == 100 else NAN,
        small=Small(other_p, 0.01) if tickers == 8 else base.small,
    )
    verdict = judge(first)
    if verdict.word == "evidence":
        anew = judge(dataclasses.replace(first, trials=then + more))
        assert (anew.word == "evidence") == (not fallen_hurdles(verdict, then + more))


def test_luck_among_twenty_trained_in_turn_rarely_stands_when_all_are_known() -> None:
    generator, often, found, still = np.random.default_rng(11), 2000, 0, 0
    for _ in range(often):
        shared = generator.normal()
        marks = np.sqrt(0.5) * (generator.normal(size=20) + shared)
        chances = stats.norm.sf(marks)
        # Only those that are evidence when they are trained may ask again.
        lucky = [place for place, p in enumerate(chances, 1) if p < 0.025 / place]
        found += bool(lucky)
        verdicts = [
            judge(
                dataclasses.replace(
                    FOUND, trials=place, ewc=Statistic(marks[place - 1], chances[place - 1])
                )
            )
            for place in lucky
        ]
        still += any(
            not fallen_hurdles(dataclasses.replace(each, hurdles=each.hurdles[:1]), 20)
            for each in verdicts
        )
    # 5.8% and 1.8% are expected: the level of 20 trials is for all of them together.
    assert found / often > 0.04
    assert still / often < 0.03
