"""Arms beside each other: what may be compared, what is better, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.guard import MIN_DATES, guard_rank_ic
from src.v2.evaluation.overfitting import Overfitting, overfitting
from src.v2.evaluation.paired import common_rows, daily_rank_ics, stepdown_p
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import Interval, Outcome
from src.v2.lifecycle.arms import ArmResult
from src.v2.lifecycle.variations import DEFAULT
from src.v2.records import flatten

LEVEL = 0.05
"""Chance of even one false claim that an arm is better."""

LEAST_SHARE = 0.8
"""Below this share of an arm's rows in common with the others, that is said."""

NAN = float("nan")
NO_INTERVAL = Interval(NAN, NAN, NAN, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an arm stands in its group, on the rows that all of the group's arms score.

    Parameters
    ----------
    rank_ic
        Mean daily rank IC.
    margin
        That of the arm less the reference's, with a 95% interval of its own; NaN for the
        reference.
    p
        One-sided, for a margin above 0, adjusted for the number of arms in the group.
    share
        Share of the arm's own scored rows that are in common.
    guard
        Whether its rank IC can be believed.
    """

    name: str
    rank_ic: Interval
    margin: Interval
    p: float
    share: float
    guard: Outcome


@dataclass(frozen=True, slots=True)
class Group:
    """Arms that forecast the same returns of the same bars.

    Parameters
    ----------
    reference
        The arm that the others are tested against: the default where it is there.
    dates
        Dates with a rank IC of every arm.
    overfitting
        Of choosing the best among them; None for fewer than 4, or too few dates.
    recommended
        The arm with the highest mean among those that are better than the reference and not
        implausibly good; else, and over fewer than 250 dates, the reference.
    """

    dataset: str
    horizon: int
    reference: str
    standings: tuple[Standing, ...]
    dates: int
    overfitting: Overfitting | None
    recommended: str

    def standing(self, name: str) -> Standing:
        """Give the standing of one arm."""
        return next(each for each in self.standings if each.name == name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every arm, in the order given, and the groups that they fall into."""

    arms: tuple[ArmResult, ...]
    groups: tuple[Group, ...]

    @property
    def recommended(self) -> str | None:
        """The recommended arm; None where arms of several groups cannot be ranked."""
        return self.groups[0].recommended if len(self.groups) == 1 else None

    def group_of(self, name: str) -> Group:
        """Give the group of one arm."""
        return next(
            group for group in self.groups if any(each.name == name for each in group.standings)
        )


def compare_arms(arms: Sequence[ArmResult]) -> Comparison:
    """Compare arms in what is comparable.

    Parameters
    ----------
    arms
        With names of their own; the first of each group is its reference, unless the default
        is in it.
    """
    parted: dict[tuple[str, int, int], list[ArmResult]] = {}
    for arm in arms:
        label = arm.settings["label"]
        key = arm.data_fingerprint, int(label["entry_lag"]), int(label["forward_days"])
        parted.setdefault(key, []).append(arm)
    return Comparison(tuple(arms), tuple(_group(members) for members in parted.values()))


def differences(arms: Sequence[ArmResult]) -> dict[str, dict[str, Any]]:
    """List the settings in which arms differ from each other, by arm.

    Returns
    -------
    dict
        Value by setting by name of the arm; the settings are the same for every arm.
    """
    flat = {arm.name: flatten(arm.settings) for arm in arms}
    settings = dict.fromkeys(name for tree in flat.values() for name in tree)
    varied = [
        name for name in settings if len({repr(tree.get(name)) for tree in flat.values()}) > 1
    ]
    return {arm: {name: tree.get(name) for name in varied} for arm, tree in flat.items()}


def _group(members: Sequence[ArmResult]) -> Group:
    names = [arm.name for arm in members]
    reference = DEFAULT if DEFAULT in names else names[0]
    horizon = int(members[0].settings["label"]["forward_days"])
    # By place, since a name may be that of another column.
    rows = common_rows({str(place): arm.predictions for place, arm in enumerate(members)})
    small = min(arm.tickers for arm in members) < SMALL_UNIVERSE
    daily = daily_rank_ics(rows.clear() if small else rows)
    standings = _standings(members, reference, daily, rows.height, horizon)
    better = [each for each in standings if each.p < LEVEL and each.guard != "implausible"]
    if daily.height < MIN_DATES:
        # What is too good to be true cannot be told here from what is good.
        better = []
    best = max(better, key=lambda each: each.rank_ic.mean, default=None)
    return Group(
        dataset=members[0].dataset,
        horizon=horizon,
        reference=reference,
        standings=standings,
        dates=daily.height,
        overfitting=overfitting(daily.drop("date").to_numpy(), horizon),
        recommended=reference if best is None else best.name,
    )


def _standings(
    members: Sequence[ArmResult],
    reference: str,
    daily: pl.DataFrame,
    rows: int,
    horizon: int,
) -> tuple[Standing, ...]:
    series: Mapping[str, np.ndarray[Any, Any]] = {
        arm.name: daily[str(place)].to_numpy() for place, arm in enumerate(members)
    }
    others = [arm.name for arm in members if arm.name != reference]
    margins = {name: series[name] - series[reference] for name in others}
    p: dict[str, float] = {}
    if others:
        table = np.column_stack([margins[name] for name in others])
        p = dict(zip(others, stepdown_p(table, horizon).tolist(), strict=True))
    found = []
    for arm in members:
        rank_ic = _interval(series[arm.name], horizon)
        margin = _interval(margins.get(arm.name), horizon)
        own = arm.predictions.drop_nulls(["score", "forward_return"]).height
        guard = guard_rank_ic(rank_ic, daily.height, horizon)
        share = rows / max(own, 1)
        found.append(Standing(arm.name, rank_ic, margin, p.get(arm.name, NAN), share, guard))
    return tuple(found)


def _interval(series: np.ndarray[Any, Any] | None, horizon: int) -> Interval:
    return NO_INTERVAL if series is None or not len(series) else ewc_interval(series, horizon)
