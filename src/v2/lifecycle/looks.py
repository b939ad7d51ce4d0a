"""Looks at a model in use that are repeated every day, without a false alarm every other year.

One look has a false alarm at its stated rate, and whoever looks every day takes many. An alarm
is therefore raised only where the check would have raised it a quarter ago as well: what chance
brought into the window has mostly left it by then, while a model that is worse stays worse.
Nothing needs to be kept between looks: the earlier one is made again, of what was known then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from src.v2.config import MonitorConfig
from src.v2.lifecycle.coverage_check import check_coverage
from src.v2.lifecycle.live_checks import check_calibration, check_skill
from src.v2.lifecycle.monitor_records import MonitorCheck
from src.v2.lifecycle.realised import Realised, looked_at, overlapping_dates, realise
from src.v2.modeling.model_card import ModelCard

WAIT = 63
"""Sessions between the two looks, a quarter of a year; a longer horizon takes its own length."""

Check = Callable[[pl.DataFrame, int], MonitorCheck]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the predictions of one model, or of one alias, are held against.

    Parameters
    ----------
    log
        Rows of the model or the alias, see `src.v2.lifecycle.prediction_log.read_log`.
    came
        As `src.v2.lifecycle.realised.outcomes` gives it.
    sessions
        Sorted distinct dates of the bars.
    keys
        As for `src.v2.lifecycle.realised.realise`.
    """

    log: pl.DataFrame
    came: pl.DataFrame
    sessions: pl.Series
    keys: Sequence[str] = ("model_id", "date")

    def until(self, earlier: int) -> Outcomes:
        """Give what was known so many sessions ago."""
        sessions = self.sessions.head(len(self.sessions) - earlier)
        known = pl.col("label_end") <= sessions.max()
        return replace(self, came=self.came.filter(known), sessions=sessions)

    def realise(self, newest: int) -> Realised:
        """Join the predictions of the newest sessions with what came."""
        return realise(self.log, self.came, self.sessions, newest, self.keys)


def waiting_sessions(card: ModelCard) -> int:
    """Give the sessions between a first showing and an alarm: 63, or the horizon if longer."""
    return max(WAIT, card.forward_days)


def check_outcomes(
    known: Outcomes, found: Realised, card: ModelCard, config: MonitorConfig
) -> tuple[MonitorCheck, ...]:
    """Hold the predictions of a model against what came, by `look_twice`.

    Parameters
    ----------
    found
        What counts of `known`, see `src.v2.lifecycle.realised.realise`.

    Returns
    -------
    tuple
        The checks of skill, coverage (of returns) and calibration.
    """
    rate = config.alarm_rate
    checks: list[Check] = [lambda rows, overlap: check_skill(rows, card, overlap, rate)]
    if not card.classes:
        checks.append(lambda rows, overlap: check_coverage(rows, card, overlap, rate))
    checks.append(lambda rows, overlap: check_calibration(rows, card.classes, overlap, rate))
    return look_twice(checks, known, found, card, config)


def look_twice(
    checks: Sequence[Check],
    known: Outcomes,
    found: Realised,
    card: ModelCard,
    config: MonitorConfig,
) -> tuple[MonitorCheck, ...]:
    """Make checks now and, where one shows, also a quarter ago.

    Parameters
    ----------
    checks
        From predictions that count, and the dates of them that share days, to a check.
    found
        What counts of `known`.

    Returns
    -------
    tuple
        What shows for the first time is a note, and an alarm where it showed a quarter ago.
    """
    now = [check(found.rows, _overlap(found.rows, known.sessions, card)) for check in checks]
    wait = waiting_sessions(card)
    if not any(each.outcome == "alarm" for each in now) or len(known.sessions) <= wait:
        return tuple(_repeated(each, None, wait) for each in now)
    earlier = known.until(wait)
    rows = earlier.realise(looked_at(config.sessions, card)).rows
    overlap = _overlap(rows, earlier.sessions, card)
    return tuple(
        _repeated(each, check(rows, overlap), wait) for each, check in zip(now, checks, strict=True)
    )


def _repeated(now: MonitorCheck, before: MonitorCheck | None, wait: int) -> MonitorCheck:
    """Keep an alarm that the earlier look raises too; make a note of one that it does not."""
    told = replace(now, rule=f"{now.rule}, now and {wait} sessions ago") if now.rule else now
    if now.outcome != "alarm":
        return told
    if before is not None and before.outcome == "alarm":
        return replace(told, evidence=f"{now.evidence}; as {wait} sessions ago")
    words = f"{now.evidence}; it shows for less than {wait} sessions, and is an alarm if it stays"
    return replace(told, outcome="note", evidence=words)


def _overlap(rows: pl.DataFrame, sessions: pl.Series, card: ModelCard) -> int:
    return overlapping_dates(rows["date"].unique().sort(), sessions, card.forward_days)
