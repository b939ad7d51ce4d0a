"""Whether the winner of a search holds on folds that no trial saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.evaluation.guard import MIN_DATES, OUTCOMES, guard_rank_ic
from src.v2.evaluation.paired import common_rows, daily_rank_ics
from src.v2.evaluation.significance import MIN_COSINES, ewc_interval, ewc_test
from src.v2.evaluation_records import Interval, Outcome, Statistic
from src.v2.ledgers import counted
from src.v2.lifecycle.study import TrialRecord
from src.v2.lifecycle.trial_walks import walk_scored
from src.v2.modeling.folds import Fold
from src.v2.preparation import Prepared
from src.v2.stored_records import decode

LEVEL = 0.05

Finding = Literal["held", "implausible", "too short", "no better", "chance"]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The winner beside the default on folds that no trial saw.

    Parameters
    ----------
    margin
        Mean rank IC of the winner less that of the default, over common rows.
    test
        One-sided, for a margin above 0.
    guard
        Whether the winner's rank IC can be believed, the graver of here and on the searched folds.
    dates
        Dates on which they met.
    looks
        Winners of searches that met the default on such dates so far, this one included.
    """

    winner: Interval
    default: Interval
    margin: Interval
    test: Statistic
    guard: Outcome
    dates: int
    looks: int

    @property
    def level(self) -> float:
        """Below this p the winner held: the dates are shared by all that looked at them."""
        return LEVEL / self.looks

    @property
    def finding(self) -> Finding:
        """What the dates say: held only if it can be judged, believed and told from chance."""
        if self.guard == "implausible":
            return "implausible"
        if self.dates < MIN_DATES:
            return "too short"
        if self.margin.mean <= 0:
            return "no better"
        if not np.isfinite(self.test.p):
            return "too short"
        return "held" if self.test.p < self.level else "chance"

    @property
    def held(self) -> bool:
        """Whether the winner is better beyond chance, and not too good to be true."""
        return self.finding == "held"


def least_dates(horizon: int) -> int:
    """Give the dates below which nothing is confirmed: no interval, or no guard."""
    return max(MIN_DATES, 2 * MIN_COSINES * horizon)


def guard_searched(trial: TrialRecord, horizon: int) -> Outcome:
    """Tell whether a trial's rank IC on the searched folds can be believed."""
    if "rank_ic" not in trial.facts:
        return "plausible"
    found = decode(Interval, trial.facts["rank_ic"], {})
    return guard_rank_ic(found, int(trial.facts["dates"]), horizon)


def confirm(
    prepared: Prepared, config: Config, tuned: Config, folds: Sequence[Fold], searched: Outcome
) -> Confirmation:
    """Walk the winner and the default over the kept-out folds, and compare them date by date.

    Parameters
    ----------
    config, tuned
        The default, and the winner.
    folds
        Those that no trial saw.
    searched
        What `guard_searched` says of the winner.

    Returns
    -------
    Confirmation
        Written down as a look at these dates before they are scored.
    """
    sessions = prepared.panel.sessions
    ledgers = counted(tuned, prepared.coverage)
    # Written down before anything is seen, as an opening of the holdout is.
    looks = ledgers.open_confirmation(
        sessions[folds[0].test_start], sessions[folds[-1].test_stop - 1]
    )
    tables = {}
    for name, own in (("default", config), ("tuned", tuned)):
        parts, _, _ = walk_scored(prepared, own, folds, None, lambda place, score: False)
        tables[name] = pl.concat(parts)
    horizon = config.label.forward_days
    daily = daily_rank_ics(common_rows(tables))
    winner, default = (daily[name].to_numpy() for name in ("tuned", "default"))
    level = ewc_interval(winner, horizon)
    here = guard_rank_ic(level, daily.height, horizon)
    return Confirmation(
        level,
        ewc_interval(default, horizon),
        ewc_interval(winner - default, horizon),
        ewc_test(winner - default, horizon),
        max(here, searched, key=OUTCOMES.index),
        daily.height,
        looks or 1,
    )
