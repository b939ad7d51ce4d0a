"""The words and the number formats of the summary."""

from __future__ import annotations

import math
from collections.abc import Mapping

from src.v2.console import printable, unsigned_zero
from src.v2.evaluation_records import Interval
from src.v2.modeling.learners.kinds import kind_of
from src.v2.records import Drop, HoldoutResult, TrainingResult

TOP_FEATURES = 10
SHOWN_NAMES = 5

_LACKS = (
    ", which the bars lack",
    ", which is not given",
    ", which has no value on the dates of the bars",
)
"""How the reason ends where a feature lacks an input."""


def reading(result: TrainingResult) -> str:
    """Say the verdict in a few sentences."""
    trials = tried(result.evaluation.verdict.trials)
    return " ".join([f"Verdict: {headline(result)}.", *reasons(result), trials])


def headline(result: TrainingResult) -> str:
    """Give the word of the verdict, with what stands beside it."""
    verdict = result.evaluation.verdict
    return ", ".join([verdict.word, *verdict.beside])


def tried(trials: int) -> str:
    """Say how many configurations were tried on the same data.

    Examples
    --------
    >>> tried(1)
    'The 1st configuration tried on these data.'
    >>> tried(3)
    'One of 3 configurations tried on these data: each asks for more.'
    """
    if trials == 1:
        return "The 1st configuration tried on these data."
    return f"One of {trials} configurations tried on these data: each asks for more."


def reasons(result: TrainingResult) -> list[str]:
    """Give what decided the verdict, one sentence each."""
    verdict = result.evaluation.verdict
    return [f"{reason[0].upper()}{reason[1:]}." for reason in verdict.reasons]


def stability_line(result: TrainingResult) -> str:
    """Say how far the folds agree on the features, beside what permuted labels reach."""
    found, importance = result.evaluation.stability, kind_of(result.settings).importance
    null = ""
    if math.isfinite(found.phi_null):
        null = (
            f"; on one pair of folds {shown(found.phi_pair, 'ratio')}, and "
            f"{shown(found.phi_null, 'ratio')} with permuted labels"
        )
    return (
        f"stability score {shown(found.spearman, 'ratio')} (rank correlation of {importance} "
        "between folds); "
        f"Phi {shown(found.phi, 'ratio')} of the top {found.top} of {found.groups} groups by "
        f"|SHAP| on test rows{null}; folds share rows, and stability is not skill"
    )


def between(interval: Interval, style: str) -> str:
    """Write a mean and its bounds.

    Examples
    --------
    >>> between(Interval(0.012, -0.01, 0.03, 40), "ic")
    '+0.0120 (-0.0100 to +0.0300)'
    """
    if not math.isfinite(interval.mean):
        return "–"
    if not math.isfinite(interval.low):
        return f"{shown(interval.mean, style)} (no interval)"
    low, high = shown(interval.low, style), shown(interval.high, style)
    return f"{shown(interval.mean, style)} ({low} to {high})"


def drop_lines(drops: tuple[Drop, ...]) -> list[str]:
    """Write a line for each reason, with the tickers it struck."""
    groups: dict[tuple[str, bool], list[Drop]] = {}
    for drop in drops:
        groups.setdefault((drop.reason, drop.whole_ticker), []).append(drop)
    lines = []
    for (reason, whole), members in groups.items():
        names = some([drop.ticker for drop in members])
        rows = sum(drop.rows for drop in members)
        what = counted(len(members), "ticker") if whole else counted(rows, "bar")
        lines.append(f"{what} left out, {reason}: {names}")
    return lines


def left_out_line(left_out: Mapping[str, str]) -> str:
    """Say in one line which features are left out, and what is not there that they need."""
    lack = [
        reason.removeprefix("needs ").removesuffix(end).split(", ")
        for end in _LACKS
        for reason in left_out.values()
        if reason.endswith(end)
    ]
    columns = list(dict.fromkeys(name for names in lack for name in names))
    why = f" for want of {', '.join(columns)}" if columns else ""
    return f"{counted(len(left_out), 'feature')} left out{why}: {some(list(left_out))}"


def some(names: list[str]) -> str:
    """Name the first few and count the others."""
    shown = ", ".join(printable(name) for name in names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def shown(value: float, style: str) -> str:
    """Write a number in a style; a dash for NaN.

    Styles are ic, short, loss, ratio, chance, digits (three of them), share, percent (whole)
    and signed. What is rounded to 0 has no sign.

    Examples
    --------
    >>> shown(0.01234, "ic"), shown(0.01234, "share"), shown(float("nan"), "ic")
    ('+0.0123', '1.23%', '–')
    """
    if not math.isfinite(value):
        return "–"
    written = {
        "ic": f"{value:+.4f}",
        "loss": f"{value:.4f}",
        "short": f"{value:+.3f}",
        "ratio": f"{value:+.2f}",
        "chance": f"{value:.3f}",
        "digits": f"{value:.3g}",
        "share": f"{value:.2%}",
        "percent": f"{value:.0%}",
        "signed": f"{value:+.2%}",
    }[style]
    return unsigned_zero(written)


def openings(holdout: HoldoutResult) -> str:
    """Say how often the holdout was looked at, whole and in part."""
    count, seen = holdout.opening, holdout.seen
    if count is None:
        return "not counted"
    said = "the 1st configuration scored on it"
    if count > 1:
        said = f"one of {count} configurations scored on it"
    if not seen:
        return said
    return (
        f"{said}, and {seen} configuration{'s' if seen > 1 else ''} saw part of it in their folds"
    )


def sessions(count: int) -> str:
    """Write a number of sessions.

    Examples
    --------
    >>> sessions(1), sessions(2)
    ('1 session', '2 sessions')
    """
    return counted(count, "session")


def counted(count: float, one: str, many: str | None = None) -> str:
    """Write a whole number with its noun.

    Examples
    --------
    >>> counted(1, "family", "families"), counted(1200, "row")
    ('1 family', '1,200 rows')
    """
    return f"{count:,.0f} {one if count == 1 else many or f'{one}s'}"


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 4th.

    Examples
    --------
    >>> [ordinal(number) for number in (1, 2, 3, 11, 22)]
    ['1st', '2nd', '3rd', '11th', '22nd']
    """
    suffix = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{suffix}"
