"""Sentences that the sections on skill share: numbers with their intervals, read honestly."""

from __future__ import annotations

import math

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation_records import Interval
from src.v2.page.panels import Answer, Cell, Fact
from src.v2.records import TrainingResult, flatten


def together(*answers: Answer) -> Answer:
    """Join answers into one, a space between.

    Raises
    ------
    ValueError
        Two answers give one name to different facts.

    Examples
    --------
    >>> together(Answer("One {a}.", {"a": Fact(1)}), Answer("Two {b}.", {"b": Fact(2)})).text
    'One 1. Two 2.'
    """
    facts: dict[str, Fact] = {}
    for answer in answers:
        for name, fact in answer.facts.items():
            # NaN is unlike itself, so the written forms are compared.
            if name in facts and repr(facts[name]) != repr(fact):
                raise ValueError(f"Two facts are named {name}: {facts[name]} and {fact}.")
            facts[name] = fact
    return Answer(" ".join(answer.template for answer in answers if answer.template), facts)


def say(template: str, **facts: Fact) -> Answer:
    """Make an answer from named facts."""
    return Answer(template, facts)


def spoken(name: str, interval: Interval, style: str) -> tuple[str, dict[str, Fact]]:
    """Give the words of a mean with its interval, and their facts.

    Returns
    -------
    tuple
        Words for a template, and the facts ``name``, ``name_low`` and ``name_high``.

    Examples
    --------
    >>> words, facts = spoken("ic", Interval(0.02, -0.01, 0.05, 40), "ic")
    >>> Answer(words, facts).text
    '+0.0200 (95% interval -0.0100 to +0.0500)'
    """
    facts = {
        name: Fact(interval.mean, style),
        f"{name}_low": Fact(interval.low, style),
        f"{name}_high": Fact(interval.high, style),
    }
    if not bounded(interval):
        return f"{{{name}}} (no interval: too few independent windows)", facts
    return f"{{{name}}} (95% interval {{{name}_low}} to {{{name}_high}})", facts


def bounded(interval: Interval) -> bool:
    """Tell whether an interval has both bounds."""
    return math.isfinite(interval.low) and math.isfinite(interval.high)


def against(interval: Interval, value: float = 0.0) -> str:
    """Say on which side of a value an interval lies.

    Examples
    --------
    >>> against(Interval(0.02, -0.01, 0.05, 40))
    'the interval includes 0'
    >>> against(Interval(0.53, 0.51, 0.55, 40), 0.5)
    'the interval lies above 0.5'
    """
    if not bounded(interval):
        return "without an interval nothing can be told from luck"
    if interval.low > value:
        return f"the interval lies above {value:g}"
    if interval.high < value:
        return f"the interval lies below {value:g}"
    return f"the interval includes {value:g}"


def chance(p: float) -> Fact:
    """Give a p-value as a fact: four decimals, or two digits where it is smaller.

    Examples
    --------
    >>> chance(0.0312).text, chance(0.0000123).text
    ('0.0312', '1.2e-05')
    """
    if math.isfinite(p) and 0 < p < 0.0001:
        return Fact(float(f"{p:.2g}"))
    return Fact(p, "loss")


def cells(interval: Interval, style: str) -> tuple[Cell, Cell, Cell]:
    """Give the mean and both bounds as cells of a table."""
    low, high = Fact(interval.low, style), Fact(interval.high, style)
    return Fact(interval.mean, style), low, high


def plural(count: int, word: str) -> str:
    """Give a word in the number that fits.

    Examples
    --------
    >>> plural(1, "date"), plural(2, "date")
    ('date', 'dates')
    """
    return word if count == 1 else f"{word}s"


def own_horizon(result: TrainingResult) -> int | None:
    """Sessions ahead that the model was fitted on; None where the settings do not say."""
    days = flatten(result.settings).get("label.forward_days")
    return int(days) if isinstance(days, int) else None


def overlap_note(result: TrainingResult) -> str:
    """Say how far the returns of neighbouring dates overlap."""
    days = own_horizon(result)
    if days is None:
        return "Intervals allow for returns that overlap."
    if days == 1:
        return "Each return spans one session."
    return (
        f"Each return spans {days} sessions and overlaps its neighbours'; intervals allow for it."
    )


def data_used(result: TrainingResult) -> str:
    """Name the rows that skill is measured on."""
    daily = result.detail.daily
    if not daily.height:
        return "The walk-forward's rows, each scored by a model that had not seen it."
    first, last = daily["date"][0], daily["date"][-1]
    return (
        f"The walk-forward's rows, {daily.height:,} dates from {first} to {last}, each scored by "
        "a model that had not seen it. The holdout has no part in it."
    )


def no_ranking(result: TrainingResult) -> Answer:
    """Say why no ranking is judged below 20 tickers."""
    return say(
        "No claim about a ranking is made below {needed} tickers, and the forecasts hold "
        "{tickers}: there is no rank IC, no quantile and no portfolio.",
        needed=Fact(SMALL_UNIVERSE, "count"),
        tickers=Fact(result.predictions["ticker"].n_unique(), "count"),
    )
