"""The gate: a truth table, and words for every answer."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import pytest

from src.v2.evaluation_records import GuardCheck, Interval, Verdict
from src.v2.lifecycle.audits import Audited
from src.v2.lifecycle.gate import Evidence, GateRules, Rival, judge
from src.v2.lifecycle.margin import Margin
from src.v2.tests.lifecycle.conftest import EVIDENCE, NO_EVIDENCE, PASSES

TODAY = dt.date(2026, 3, 1)
RULES = GateRules(refresh=False, max_age=30)
NAN = float("nan")
PASSED = Audited(True, "2026-02-28T10:00:00+00:00", "reports/audit_1")
FAILED = dataclasses.replace(PASSED, passed=False)
LEAK = dataclasses.replace(PASSES, value=0.4, outcome="implausible")
IMPLAUSIBLE = Verdict("implausible: check for leakage", ("too good",), (), 1, (PASSES, LEAK))


def rival(low: float, high: float, *, refresh: bool = False) -> Rival:
    gain = Interval((low + high) / 2, low, high, 60)
    day = dt.date(2020, 1, 1)
    return Rival(1, Margin("rank IC", 0.04, 0.02, gain, 300, 24, day, day), "", refresh)


BETTER, EQUAL, WORSE = rival(0.01, 0.03), rival(-0.01, 0.03), rival(-0.05, -0.01)
APART = Rival(1, None, "it forecasts 30 sessions ahead, this one 5", refresh=False)
WHOLE = Evidence(EVIDENCE, PASSED, BETTER, "", TODAY)

VERDICTS = {"evidence": EVIDENCE, "none": NO_EVIDENCE, "leak": IMPLAUSIBLE}
AUDITS = {"passed": PASSED, "failed": FAILED, "never": None}
RIVALS = {"none": None, "better": BETTER, "equal": EQUAL, "worse": WORSE, "apart": APART}
DAMAGES = {"whole": "", "damaged": "its content was changed"}


@pytest.mark.parametrize(
    ("verdict", "audit", "beside", "damage"),
    list(itertools.product(VERDICTS, AUDITS, RIVALS, DAMAGES)),
)
def test_each_question_is_answered_by_itself(
    verdict: str, audit: str, beside: str, damage: str
) -> None:
    evidence = Evidence(VERDICTS[verdict], AUDITS[audit], RIVALS[beside], DAMAGES[damage], TODAY)
    gate = judge(evidence, RULES, TODAY)
    assert [(check.name, check.passed) for check in gate.checks] == [
        ("verdict", verdict == "evidence"),
        ("plausible", verdict != "leak"),
        ("audit", audit == "passed"),
        ("better than the champion", beside in ("none", "better")),
        ("model folder", damage == "whole"),
    ]
    assert gate.passed == all(check.passed for check in gate.checks)
    assert gate.forcible == (damage == "whole")
    assert all(check.value and check.rule for check in gate.checks)
    assert all(check.remedy for check in gate.failed)


@pytest.mark.parametrize(
    ("low", "high", "allowed"),
    [
        (0.0, 0.02, False),
        (1e-9, 0.02, True),
        (NAN, NAN, False),
    ],
)
def test_better_means_an_interval_above_zero(low: float, high: float, allowed: bool) -> None:
    gate = judge(dataclasses.replace(WHOLE, rival=rival(low, high)), RULES, TODAY)
    assert gate.passed == allowed


def test_a_champion_of_other_tickers_is_told_as_that() -> None:
    nothing = Margin("squared error", NAN, NAN, Interval(NAN, NAN, NAN, 0), 0, 0, None, None)
    evidence = dataclasses.replace(WHOLE, rival=Rival(1, nothing, "", refresh=False))
    (check,) = judge(evidence, RULES, TODAY).failed
    assert check.value == "no ticker and date in common with version 1"
    assert "registered-model-name" in check.remedy


@pytest.mark.parametrize(
    ("low", "high", "refresh", "wished", "allowed"),
    [
        (-0.01, 0.01, True, True, True),
        (0.0, 0.0, True, True, True),
        (-0.02, -0.01, True, True, False),
        (-0.01, 0.01, False, True, False),
        (-0.01, 0.01, True, False, False),
        (NAN, NAN, True, True, False),
    ],
)
def test_the_champions_own_settings_on_later_bars_need_only_be_no_worse_when_asked_for(
    low: float, high: float, refresh: bool, wished: bool, allowed: bool
) -> None:
    evidence = dataclasses.replace(WHOLE, rival=rival(low, high, refresh=refresh))
    gate = judge(evidence, GateRules(refresh=wished, max_age=30), TODAY)
    assert gate.passed == allowed
    if refresh and not wished:
        assert "--promote.refresh" in gate.failed[0].remedy


def test_the_values_found_are_named() -> None:
    values = {check.name: check.value for check in judge(WHOLE, RULES, TODAY).checks}
    assert values["better than the champion"] == (
        "rank IC 0.0400 against 0.0200 of version 1: +0.0200 (+0.0100 to +0.0300), 300 dates, "
        "24 tickers"
    )
    assert values["audit"] == "passed on 2026-02-28T10:00:00+00:00 (reports/audit_1)"
    leak = judge(dataclasses.replace(WHOLE, verdict=IMPLAUSIBLE), RULES, TODAY)
    assert leak.failed[1].value == "rank IC +0.400 (limit 0.200)"
    apart = judge(dataclasses.replace(WHOLE, rival=APART), RULES, TODAY)
    assert "cannot be compared with version 1: it forecasts 30" in apart.failed[0].value


def test_the_age_of_bars_and_what_is_suspicious_are_notes() -> None:
    odd = GuardCheck("R2", 0.05, 0.01, 0.04, 0.1, "suspicious")
    verdict = dataclasses.replace(EVIDENCE, guard=(PASSES, odd))
    for days, notes in ((30, 1), (31, 2)):
        old = TODAY - dt.timedelta(days=days)
        evidence = dataclasses.replace(WHOLE, verdict=verdict, bars_last=old)
        gate = judge(evidence, RULES, TODAY)
        assert gate.passed and len(gate.notes) == notes
    assert "R2 +0.050 is suspicious" in gate.notes[0]
    assert "31 days ago" in gate.notes[1]
