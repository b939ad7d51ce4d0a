"""The verdict: one pure function from what was found to a word and its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.significance import MIN_COSINES
from src.v2.evaluation_records import GuardCheck, Hurdle, Interval, Statistic, Verdict, Word

SIGNIFICANCE = 0.05
INTERVAL_LEVEL = SIGNIFICANCE / 2
"""One-sided level of the 95% interval."""

MIN_HORIZONS = 2 * MIN_COSINES
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
class Small:
    """What a universe below 20 tickers is judged by.

    Parameters
    ----------
    p
        The larger p-value of the tests against the mean known at the time, and against zero.
    skill
        1 - the model's loss / that of the forecast without features.
    """

    p: float
    skill: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What the verdict is made from.

    Parameters
    ----------
    tickers
        Scored on a usual date; below 20 the ranking is not judged.
    windows
        Independent horizons among the test dates.
    rank_ic, ewc, permutation_p, permutations, demeaned_rank_ic, demeaned_ewc
        As in `RankingSkill`.
    small
        Below 20 tickers: whether the model beats the forecast without features.
    earns
        Whether the interval of the net long-short Sharpe ratio lies above 0.
    trials
        Configurations tried on these data so far, this one included.
    """

    tickers: int
    windows: int
    rank_ic: Interval
    ewc: Statistic
    permutation_p: float
    permutations: int
    demeaned_rank_ic: float
    demeaned_ewc: Statistic
    small: Small
    earns: bool
    trials: int
    guard: tuple[GuardCheck, ...]
    rivals: tuple[Rival, ...]


def judge(findings: Findings) -> Verdict:
    """Say what an honest reader may conclude.

    Implausible where any number passes its limit. Evidence where the interval of the mean
    rank IC, at 95% or as much more as the number of trials asks, lies above 0, the permutation
    p-value is below 0.05 over the number of trials, and what is left without each ticker's own
    mean score is above 0 beyond chance; below 20 tickers, where the model beats the forecast
    without features at the same level, in its loss too. No evidence otherwise.

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
        word: Word = "implausible: check for leakage"
        return Verdict(word, reasons, (), findings.trials, findings.guard, _hurdles(findings))
    small = findings.tickers < SMALL_UNIVERSE
    failed, held = _small_reasons(findings) if small else _ranking_reasons(findings)
    watched = tuple(
        f"{check.quantity} {check.value:+.3f} is suspicious (above {check.suspicious:.3f})"
        for check in findings.guard
        if check.outcome == "suspicious"
    )
    word = "no evidence" if failed else "evidence"
    beside = () if small else _beside(findings, proven=not failed)
    reasons = (*(failed or held), *watched)
    return Verdict(word, reasons, beside, findings.trials, findings.guard, _hurdles(findings))


def fallen_hurdles(verdict: Verdict, trials: int) -> tuple[str, ...]:
    """Say which tests of a verdict of evidence do not hold at a larger number of trials.

    What else evidence asks for does not depend on that number.

    Parameters
    ----------
    trials
        Configurations tried on the same data by now.

    Returns
    -------
    tuple
        Empty where the verdict stands; it names what is missing where a run of an older
        version kept no tests and more was tried since.
    """
    if trials <= verdict.trials:
        return ()
    if not verdict.hurdles:
        return ("its run keeps no p-values to judge it again by",)
    return tuple(
        f"p of {test.quantity} {test.p:.2g} is not below {trial_level(test.level, trials)}"
        for test in verdict.hurdles
        if not test.p < test.level / trials
    )


def trial_level(level: float, trials: int) -> str:
    """Write the level that is left when several configurations were tried.

    Examples
    --------
    >>> trial_level(0.05, 1), trial_level(0.05, 20)
    ('0.05', '0.0025 (0.05 over 20 trials)')
    """
    left = f"{level / trials:.2g}"
    return left if trials == 1 else f"{left} ({level:g} over {trials} trials)"


def _hurdles(findings: Findings) -> tuple[Hurdle, ...]:
    """Give the tests whose level is divided by the number of trials."""
    if findings.tickers < SMALL_UNIVERSE:
        return (Hurdle("the forecast without features", findings.small.p, SIGNIFICANCE),)
    return (
        Hurdle("the mean rank IC", findings.ewc.p, INTERVAL_LEVEL),
        Hurdle("the permutation", findings.permutation_p, SIGNIFICANCE),
    )


def _ranking_reasons(findings: Findings) -> tuple[list[str], list[str]]:
    """Conditions of the ranking that fail, and those that hold."""
    failed: list[str] = []
    held: list[str] = []
    interval, trials = findings.rank_ic, findings.trials
    if not math.isfinite(interval.low):
        failed.append(
            f"too short: the test dates hold {findings.windows} independent horizons, an interval "
            f"needs {MIN_HORIZONS}"
        )
    elif interval.low <= 0:
        failed.append(f"the 95% interval of the mean rank IC reaches down to {interval.low:+.4f}")
    elif findings.ewc.p >= INTERVAL_LEVEL / trials:
        failed.append(
            f"the 95% interval of the mean rank IC lies above 0, but not at the level of {trials} "
            f"trials (p {findings.ewc.p:.4f})"
        )
    else:
        held.append(f"the 95% interval of the mean rank IC lies above 0, from {interval.low:+.4f}")
    p, level = findings.permutation_p, SIGNIFICANCE / trials
    if math.isnan(p):
        failed.append("too few tickers of equal history to exchange: no permutation p-value")
    elif p >= level:
        wall = 1 / (1 + findings.permutations)
        more = "" if wall < level else "; raise evaluation.permutations, no p can be as small"
        failed.append(f"permutation p {p:.4f} is not below {_level(trials)}{more}")
    else:
        held.append(f"permutation p {p:.4f} is below {_level(trials)}")
    if findings.demeaned_ewc.p < SIGNIFICANCE:
        held.append(f"less each ticker's own mean score, {findings.demeaned_rank_ic:+.4f} is left")
    elif not failed:
        failed.append(
            "without each ticker's own mean score nothing is left beyond chance "
            f"({findings.demeaned_rank_ic:+.4f}): a static ranking, which survivorship alone makes"
        )
    return failed, held


def _small_reasons(findings: Findings) -> tuple[list[str], list[str]]:
    """Below 20 tickers: does the model beat the forecast without features."""
    p, skill = findings.small.p, findings.small.skill
    about = f"{findings.tickers} tickers a date are too few to compare with each other"
    if math.isnan(p):
        text = f"too short: {findings.windows} independent horizons, {MIN_HORIZONS} are needed"
        return [text, about], []
    failed, held = [], []
    text = f"against the forecast without features p is {p:.4f}"
    if p >= SIGNIFICANCE / findings.trials:
        failed.append(f"{text}, not below {_level(findings.trials)}")
    else:
        held.append(f"{text}, below {_level(findings.trials)}")
    where, what = (held, "smaller than") if skill > 0 else (failed, "no smaller than")
    where.append(f"its errors are {what} those of that forecast ({skill:+.2%})")
    return ([*failed, about] if failed else []), [*held, about]


def _level(trials: int) -> str:
    return trial_level(SIGNIFICANCE, trials)


def _beside(findings: Findings, *, proven: bool) -> tuple[str, ...]:
    """Name the rules that do as well; of evidence also what it is not shown to do."""
    rivals = findings.rivals
    equal = [rival.name for rival in rivals if rival.margin.mean <= 0]
    near = [rival.name for rival in rivals if rival.margin.mean > 0 and not rival.margin.low > 0]
    said = []
    if equal:
        said.append(f"no better than {_list(equal)}")
    if near and proven:
        said.append(f"not shown to beat {_list(near)}")
    if proven and not findings.earns:
        said.append("not shown to earn after costs")
    return tuple(said)


def _list(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
