"""What a look at a model in use found, as frozen records without logic."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["ok", "alarm", "note", "too early", "cannot tell"]
"""``too early``: more dates will tell. ``cannot tell``: what was promised is too small to miss."""


@dataclass(frozen=True, slots=True)
class MonitorCheck:
    """One question to a model in use, and its answer.

    Parameters
    ----------
    rule
        What raises the alarm, in words; empty where nothing does.
    numbers
        Everything behind the evidence, by name; NaN where these dates cannot tell.
    """

    name: str
    question: str
    outcome: Outcome
    evidence: str
    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeatureMove:
    """How far a feature has moved from its training rows.

    Parameters
    ----------
    importance
        Share of gain in training.
    psi
        Population stability index of the newest quarter.
    distance, usual
        Largest gap of the distribution functions, and its geometric mean for quarters inside
        the training rows.
    p
        Adjusted over the features that matter (Benjamini and Hochberg); NaN for the others,
        and where the blocks are too few.
    drifted
        Whether it raises the alarm.
    """

    feature: str
    importance: float
    psi: float
    distance: float
    usual: float
    p: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """A look at a model in use.

    Parameters
    ----------
    day
        Last session of the bars.
    logged, scored
        Dates in the log of this model, and those of them whose outcome counts.
    left_out
        Dates that do not count, by reason.
    moves
        By index of stability, largest first; empty without a reference.
    """

    model: str
    model_id: str
    shown: str
    day: dt.date
    forward_days: int
    logged: int
    scored: int
    left_out: Mapping[str, int]
    checks: tuple[MonitorCheck, ...]
    moves: tuple[FeatureMove, ...]

    @property
    def alarms(self) -> tuple[MonitorCheck, ...]:
        """The checks that raise an alarm."""
        return tuple(check for check in self.checks if check.outcome == "alarm")
