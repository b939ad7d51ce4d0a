"""What a look at a model in use found, as frozen records without logic."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from src.v2.evaluation_records import Interval

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
    of
        The version that it is about; empty where it is about no version alone.
    """

    name: str
    question: str
    outcome: Outcome
    evidence: str
    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    of: str = ""


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
class VersionRecord:
    """A model of the log beside the one that is monitored.

    Parameters
    ----------
    name
        Of the version, or of the model folder.
    roles
        Dates on which it was asked while it had an alias, by alias.
    first, last
        Dates decided on.
    logged, scored
        Dates in the log, and those of them whose outcome counts.
    rank_ic
        Realised, with its 95% interval; NaN bounds where these dates cannot tell.
    promised
        Of its walk-forward; NaN where the log does not tell.
    margin, margin_dates
        Its rank IC less that of the alias, or of the model that is monitored, on the dates of
        both on which that was another model; NaN without any.
    """

    name: str
    model_id: str
    roles: Mapping[str, int]
    first: dt.date
    last: dt.date
    logged: int
    scored: int
    rank_ic: Interval
    promised: Interval
    margin: Interval
    margin_dates: int


@dataclass(frozen=True, slots=True)
class AliasRecord:
    """What the log holds of an alias, whichever version had it.

    Parameters
    ----------
    versions
        Their number.
    logged, scored
        Dates, and those of them whose outcome counts.
    """

    alias: str
    versions: int
    logged: int
    scored: int


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
    versions
        Every model of the log over the same horizon, newest first.
    alias
        None where the model was not asked for by an alias.
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
    versions: tuple[VersionRecord, ...] = ()
    alias: AliasRecord | None = None

    @property
    def alarms(self) -> tuple[MonitorCheck, ...]:
        """The checks that raise an alarm."""
        return tuple(check for check in self.checks if check.outcome == "alarm")
