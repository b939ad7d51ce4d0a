"""Which numbers are too good to be true.

The limits are about four times the best published results (Gu, Kelly and Xiu 2020; the
benchmarks of qlib; Numerai): a number beyond one is almost always a leak. They rise with
the horizon, linearly in its logarithm, and are flat beyond the first and the last horizon
named.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from src.v2.evaluation_records import (
    ClassSkill,
    GuardCheck,
    Interval,
    Outcome,
    Portfolio,
    RankingSkill,
    ReturnSkill,
    SideSkill,
)

OUTCOMES: tuple[Outcome, ...] = ("plausible", "suspicious", "implausible")
"""From mild to grave."""

MIN_DATES = 250
"""A mean rank IC over fewer dates is too noisy to be called implausible."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Limits of one quantity by horizon.

    Parameters
    ----------
    horizons
        Sessions, rising; the limits between are interpolated in their logarithm.
    suspicious, implausible
        One limit a horizon.
    """

    horizons: tuple[int, ...]
    suspicious: tuple[float, ...]
    implausible: tuple[float, ...]

    def at(self, forward_days: int) -> tuple[float, float]:
        """Give the suspicious and the implausible limit at a horizon."""
        place, known = math.log(forward_days), np.log(self.horizons)
        suspicious, implausible = (
            float(np.interp(place, known, limits)) for limits in (self.suspicious, self.implausible)
        )
        return suspicious, implausible


R2 = Limit((21, 60, 90, 250), (0.01, 0.03, 0.03, 0.08), (0.02, 0.06, 0.06, 0.15))
RANK_IC = Limit((21, 60), (0.08, 0.12), (0.12, 0.20))
ICIR_OF_ONE_DAY = Limit((1,), (0.6,), (1.0,))
HIT_RATE = Limit((1,), (0.05,), (0.08,))
AUC = Limit((1,), (0.56,), (0.60,))
SHARPE = Limit((1,), (2.5,), (4.0,))


def guard_checks(
    forward_days: int,
    *,
    ranking: RankingSkill | None,
    returns: ReturnSkill | None,
    sides: SideSkill,
    classes: ClassSkill | None,
    portfolio: Portfolio | None,
) -> tuple[GuardCheck, ...]:
    """Hold every number that has a limit against it.

    R2 is guarded against the expanding mean and within dates, never against zero alone: the
    drift of the market reaches a few percent there.

    Parameters
    ----------
    forward_days
        Horizon of the forecasts, in sessions.
    ranking, returns, sides, classes, portfolio
        What the evaluation found; a part that is None is not checked.
    """
    checks: list[GuardCheck] = []
    if returns is not None:
        limits = R2.at(forward_days)
        checks.append(_mean_check(returns, limits))
        checks.append(_check("R2 within dates", returns.r2_demeaned, limits))
        if ranking is not None:
            # A forecast of this correlation cannot explain more than its square.
            bound = 2 * ranking.ic.mean**2 + 0.01
            checks.append(
                _check("R2 within dates for this IC", returns.r2_demeaned, (bound, bound))
            )
    if ranking is not None and ranking.dates >= MIN_DATES:
        checks.append(_check("mean rank IC", ranking.rank_ic, RANK_IC.at(forward_days)))
        if forward_days == 1:
            ratio = _plain(ranking.icir)
            checks.append(_check("rank IC / deviation", ratio, ICIR_OF_ONE_DAY.at(1)))
    checks.append(_check("hit rate over base rate", sides.difference, HIT_RATE.at(forward_days)))
    if classes is not None:
        checks.append(_check("AUC within dates", classes.auc, AUC.at(forward_days)))
    if portfolio is not None:
        sharpe = portfolio.books[0].sharpe
        checks.append(_check("Sharpe ratio, long-short net", sharpe, SHARPE.at(forward_days)))
    return tuple(check for check in checks if math.isfinite(check.value))


def guard_rank_ic(rank_ic: Interval, dates: int, forward_days: int) -> Outcome:
    """Hold a mean rank IC against its limits; over fewer than 250 dates it passes.

    Parameters
    ----------
    dates
        Dates that it is a mean of.
    forward_days
        Horizon of the returns.
    """
    if dates < MIN_DATES or not math.isfinite(rank_ic.mean):
        return "plausible"
    return _check("mean rank IC", rank_ic, RANK_IC.at(forward_days)).outcome


def _mean_check(returns: ReturnSkill, limits: tuple[float, float]) -> GuardCheck:
    """Guard R2 over the expanding mean, where the model also beats zero by as much.

    After a boom the expanding mean is a forecast far worse than zero, and to beat it is easy.
    """
    over_mean = _check("R2 over the expanding mean", returns.r2, limits)
    over_zero = _check("R2 over zero", returns.r2_zero, limits)
    milder = min(over_mean.outcome, over_zero.outcome, key=OUTCOMES.index)
    return dataclasses.replace(over_mean, outcome=milder)


def _plain(value: float) -> Interval:
    return Interval(value, float("nan"), float("nan"), 0)


def _check(quantity: str, found: Interval, limits: tuple[float, float]) -> GuardCheck:
    """Pass a limit when the lower bound does, or the value twice over."""
    suspicious, implausible = limits
    outcome: Outcome = "plausible"
    if found.low > implausible or found.mean > 2 * implausible:
        outcome = "implausible"
    elif found.mean > suspicious:
        outcome = "suspicious"
    return GuardCheck(quantity, found.mean, found.low, suspicious, implausible, outcome)
