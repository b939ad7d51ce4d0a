"""The verdict: one pure function from what was found to a word and its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation_records import GuardCheck, Interval, Statistic, Verdict, Word

SIGNIFICANCE = 0.05
MIN_HORIZONS = 12
"""Fewer horizons of test dates give no interval."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A simple rule that the model has to beat.

    Parameters
    ----------
    rank_ic
        Its mean rank IC on the model's own rows.
    margin
        The model's daily rank IC less the rule's.
    """

    name: str
    rank_ic: float
    margin: Interval


@dataclass(frozen=True, slots=True)
class Findings:
    """What the verdict is made from.

    Parameters
    ----------
    tickers
        Size of the universe; below 20 the ranking is not judged.
    windows
        Independent horizons among the test dates.
    rank_ic, permutation_p, demeaned_rank_ic
        As in `RankingSkill`.
    small
        Below 20 tickers: whether the model beats the forecast without features.
    trials
        Configurations tried on these data so far, this one included.
    """

    tickers: int
    windows: int
    rank_ic: Interval
    permutation_p: float
    demeaned_rank_ic: float
    small: Statistic
    trials: int
    guard: tuple[GuardCheck, ...]
    rivals: tuple[Rival, ...]


def judge(findings: Findings) -> Verdict:
    """Say what an honest reader may conclude.

    Implausible where any number passes its limit. Evidence where the interval of the mean
    rank IC lies above 0, the permutation p-value is below 0.05 over the number of trials, and
    the ranking survives the loss of each ticker's own mean score; below 20 tickers, where the
    model beats the forecast without features at the same level. No evidence otherwise.

    Returns
    -------
    Verdict
        With its reasons as sentences: the conditions that failed, or else all that held.
    """
    broken = [check for check in findings.guard if check.outcome == "implausible"]
    if broken:
        reasons = tuple(
            f"{check.quantity} {check.value:+.3f} is beyond what is believable at this horizon "
            f"({check.implausible:.3f})"
            for check in broken
        )
        return Verdict(
            "implausible: check for leakage", reasons, (), findings.trials, findings.guard
        )
    small = findings.tickers < SMALL_UNIVERSE
    failed, held = _small_reasons(findings) if small else _ranking_reasons(findings)
    watched = tuple(
        f"{check.quantity} {check.value:+.3f} is suspicious (above {check.suspicious:.3f})"
        for check in findings.guard
        if check.outcome == "suspicious"
    )
    word: Word = "no evidence" if failed else "evidence"
    beside = () if small else _beside(findings.rivals)
    reasons = (*(failed or held), *watched)
    return Verdict(word, reasons, beside, findings.trials, findings.guard)


def _ranking_reasons(findings: Findings) -> tuple[list[str], list[str]]:
    """Conditions of the ranking that fail, and those that hold."""
    failed: list[str] = []
    held: list[str] = []
    interval = findings.rank_ic
    if not math.isfinite(interval.low):
        failed.append(
            f"too short: the test dates hold {findings.windows} independent horizons, an interval "
            f"needs {MIN_HORIZONS}"
        )
    else:
        where = failed if interval.low <= 0 else held
        what = "reaches down to" if interval.low <= 0 else "lies above 0, from"
        where.append(f"the 95% interval of the mean rank IC {what} {interval.low:+.4f}")
    limit = SIGNIFICANCE / findings.trials
    p = findings.permutation_p
    if math.isnan(p):
        failed.append("too few tickers of equal history to exchange: no permutation p-value")
    elif p >= limit:
        failed.append(f"permutation p {p:.4f} is not below {_level(findings.trials)}")
    else:
        held.append(f"permutation p {p:.4f} is below {_level(findings.trials)}")
    static = not findings.demeaned_rank_ic > 0
    if static and not failed:
        failed.append(
            "without each ticker's own mean score nothing is left: a static ranking, which "
            "survivorship alone can make"
        )
    elif not static:
        held.append(f"less each ticker's own mean score, {findings.demeaned_rank_ic:+.4f} is left")
    return failed, held


def _small_reasons(findings: Findings) -> tuple[list[str], list[str]]:
    """Below 20 tickers: does the model beat the forecast without features."""
    p = findings.small.p
    about = f"{findings.tickers} tickers are too few to compare with each other"
    if math.isnan(p):
        text = f"too short: {findings.windows} independent horizons, {MIN_HORIZONS} are needed"
        return [text, about], []
    text = f"against the forecast without features p is {p:.4f}"
    if p >= SIGNIFICANCE / findings.trials:
        return [f"{text}, not below {_level(findings.trials)}", about], []
    return [], [f"{text}, below {_level(findings.trials)}", about]


def _level(trials: int) -> str:
    level = f"{SIGNIFICANCE / trials:.2g}"
    return level if trials == 1 else f"{level} (0.05 over {trials} trials)"


def _beside(rivals: tuple[Rival, ...]) -> tuple[str, ...]:
    """Name the rules that do as well, and those that are not shown to do worse."""
    equal = [rival.name for rival in rivals if rival.margin.mean <= 0]
    near = [rival.name for rival in rivals if rival.margin.mean > 0 and not rival.margin.low > 0]
    said = []
    if equal:
        said.append(f"no better than {' and '.join(equal)}")
    if near:
        said.append(f"not shown to beat {' and '.join(near)}")
    return tuple(said)
