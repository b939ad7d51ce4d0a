"""The gate of promotion: one pure function from what is known to what is allowed."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from src.v2.evaluation.verdict import INTERVAL_LEVEL, fallen_hurdles, trial_level
from src.v2.evaluation_records import Verdict
from src.v2.lifecycle.audits import Audited
from src.v2.lifecycle.margin import Margin
from src.v2.summary_text import ordinal

REGISTER = "Register it under a name of its own: --mlflow.registered-model-name NAME"


@dataclass(frozen=True, slots=True)
class Rival:
    """The model in use, beside which a challenger stands.

    Parameters
    ----------
    version
        Its number.
    margin
        None where the two cannot be compared.
    hindrance
        Why they cannot be; empty where they can.
    refresh
        Whether the challenger is the champion's own settings and features on later bars.
    """

    version: int
    margin: Margin | None
    hindrance: str
    refresh: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gate looks at.

    Parameters
    ----------
    verdict
        Of the challenger's walk-forward.
    audit
        None where data, settings and code were never audited.
    rival
        None where there is no champion yet.
    damage
        What is wrong with the model's folder; empty where it is whole and loads.
    bars_last
        Last date of the bars that it was trained on.
    trials
        Configurations tried on its data by now; never fewer than when it was trained.
    remarks
        What is worth a note and decides nothing.
    """

    verdict: Verdict
    audit: Audited | None
    rival: Rival | None
    damage: str
    bars_last: dt.date
    trials: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the user may set.

    Parameters
    ----------
    refresh
        Whether the champion's own settings on later bars need only be no worse.
    max_age
        Calendar days after which bars count as old.
    """

    refresh: bool
    max_age: int


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One question of the gate.

    Parameters
    ----------
    value
        What was found.
    rule
        What must hold.
    remedy
        What to do where it does not.
    final
        Whether not even force overrules it.
    """

    name: str
    passed: bool
    value: str
    rule: str
    remedy: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Every check, and what is worth a note without deciding."""

    checks: tuple[GateCheck, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing stands against promotion."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        """What stands against it."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def forcible(self) -> bool:
        """Whether force is enough."""
        return not any(check.final for check in self.failed)


def judge(evidence: Evidence, rules: GateRules, today: dt.date) -> Gate:
    """Ask every question, whatever the others answer.

    Parameters
    ----------
    evidence
        What is known of the challenger and of the champion.
    today
        The age of the bars is counted to it.

    Returns
    -------
    Gate
        Checks in the order verdict, plausibility, audit, comparison, model folder.
    """
    checks = (
        _verdict(evidence.verdict, evidence.trials),
        _plausible(evidence.verdict),
        _audit(evidence.audit),
        _comparison(evidence.rival, evidence.trials, rules),
        _folder(evidence.damage),
    )
    notes = [*evidence.remarks]
    notes += [
        f"{check.quantity} {check.value:+.3f} is suspicious (above {check.suspicious:.3f})"
        for check in evidence.verdict.guard
        if check.outcome == "suspicious"
    ]
    age = (today - evidence.bars_last).days
    if age > rules.max_age:
        notes.append(
            f"its bars end on {evidence.bars_last}, {age} days ago (promote.max_age "
            f"{rules.max_age}): it has not seen what happened since"
        )
    return Gate(checks, tuple(notes))


def _verdict(verdict: Verdict, trials: int) -> GateCheck:
    """Ask for evidence, at the level of all that was tried by now."""
    value: str = verdict.word
    fallen = fallen_hurdles(verdict, trials)
    remedy = "Read its reasons: make report. More tickers or years make an edge visible"
    if verdict.word == "evidence":
        value += f" with {trials} configuration{'s' if trials > 1 else ''} tried on its data"
    if verdict.word == "evidence" and fallen:
        when = f"when trained as the {ordinal(verdict.trials)} configuration"
        value = f"evidence {when}, no longer with {trials}: {'; '.join(fallen)}"
        remedy = "Each further configuration asks for more; more tickers or years help"
    return GateCheck(
        "verdict",
        verdict.word == "evidence" and not fallen,
        value,
        "the walk-forward must show evidence of skill, with all that was tried on its data since",
        remedy,
    )


def _plausible(verdict: Verdict) -> GateCheck:
    broken = [check for check in verdict.guard if check.outcome == "implausible"]
    found = "; ".join(
        f"{check.quantity} {check.value:+.3f} (limit {check.implausible:.3f})" for check in broken
    )
    return GateCheck(
        "plausible",
        not broken,
        found or f"{len(verdict.guard)} limits kept",
        "nothing may be better than is believable at this horizon",
        "Look for leakage: make audit with the run's own settings",
    )


def _audit(audit: Audited | None) -> GateCheck:
    value = "never audited" if audit is None else audit.shown
    return GateCheck(
        "audit",
        audit is not None and audit.passed,
        value,
        "the same data, settings and feature code must have passed an audit",
        "Run it with the settings of the run: --audit here, or make audit",
    )


def _comparison(rival: Rival | None, trials: int, rules: GateRules) -> GateCheck:
    """Ask whether the challenger beats the champion on the same dates."""
    name = "better than the champion"
    level = trial_level(INTERVAL_LEVEL, trials)
    rule = f"on the same dates it must be better, with a one-sided p below {level}"
    if rival is None:
        value = "no champion yet: nothing to compare with"
        return GateCheck(name, True, value, rule, "")
    if rival.margin is None:
        value = f"cannot be compared with version {rival.version}: {rival.hindrance}"
        return GateCheck(name, False, value, rule, REGISTER)
    margin, gain = rival.margin, rival.margin.gain
    if margin.tickers == 0:
        value = f"no ticker and date in common with version {rival.version}"
        remedy = "Models of other tickers are other models: --mlflow.registered-model-name"
        return GateCheck(name, False, value, rule, remedy)
    value = _margin_text(rival.version, margin)
    if not math.isfinite(gain.low):
        remedy = "The two need 12 horizons of common dates: train on more years"
        return GateCheck(name, False, value, rule, remedy)
    if rival.refresh and rules.refresh:
        rule = (
            "the champion's own settings on later bars: the 95% interval of the difference must "
            "reach 0"
        )
        remedy = "What was better on the same dates stays in use; find out what changed"
        return GateCheck(name, gain.high >= 0, value, rule, remedy)
    value += f"; p {margin.p:.2g}, to be below {level}"
    remedy = "The champion stays in use until a model is shown to beat it"
    if rival.refresh:
        remedy += "; its own settings on later bars need only be no worse with --promote.refresh"
    return GateCheck(name, margin.p < INTERVAL_LEVEL / trials, value, rule, remedy)


def _margin_text(version: int, margin: Margin) -> str:
    """Say what the comparison found."""
    digits = 4 if margin.measure == "rank IC" else 6
    numbers = (margin.gain.mean, margin.gain.low, margin.gain.high)
    mean, low, high = (f"{number:+.{digits}f}" for number in numbers)
    interval = f"({low} to {high})" if math.isfinite(margin.gain.low) else "(no interval)"
    return (
        f"{margin.measure} {margin.ours:.{digits}f} against {margin.theirs:.{digits}f} of version "
        f"{version}: {mean} {interval}, {margin.dates:,} dates, {margin.tickers} tickers"
    )


def _folder(damage: str) -> GateCheck:
    return GateCheck(
        "model folder",
        not damage,
        damage or "whole, and loads",
        "the model must load, with the content that was registered",
        "Train and register again; force does not overrule this",
        final=True,
    )
