"""Panels on how steady skill is and how long it lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from src.v2.detail_records import Decay, Memory, MonthSkill
from src.v2.figures.skill_lasting import rank_ic_decay, ranking_memory
from src.v2.figures.skill_time import MONTHS, month_grid, monthly_rank_ic, rolling_year
from src.v2.page.panels import Answer, Fact, Panel
from src.v2.page.skill.words import (
    against,
    overlap_note,
    own_horizon,
    plural,
    say,
    spoken,
    together,
)
from src.v2.records import TrainingResult


def time_panels(result: TrainingResult) -> Iterator[Panel]:
    """Give the panels of months, horizons and memory that there are numbers for."""
    months = tuple(each for each in result.detail.months if math.isfinite(each.rank_ic))
    if months:
        yield _months(result, months)
        yield _grid(months)
    decay = tuple(each for each in result.detail.decay if math.isfinite(each.rank_ic.mean))
    if decay:
        yield _decay(result, decay)
    memory = tuple(each for each in result.detail.memory if math.isfinite(each.autocorrelation))
    if memory:
        yield _memory(result, memory)


def _months(result: TrainingResult, months: tuple[MonthSkill, ...]) -> Panel:
    return Panel(
        "skill-months",
        "How much skill, and how steadily?",
        together(_mean(result), _steadiness(months)),
        lambda: monthly_rank_ic(months),
        f"Bars of the mean daily rank IC of {len(months)} months from {months[0].year} to "
        f"{months[-1].year}, up or down from zero, and a line of the mean of the last 12 months.",
        "Rank IC: rank correlation of scores and returns over the tickers of a date. "
        f"{overlap_note(result)} Neighbouring months therefore move together.",
        wide=True,
    )


def _mean(result: TrainingResult) -> Answer:
    ranking = result.evaluation.ranking
    if ranking is None:
        return Answer("")
    words, facts = spoken("mean", ranking.rank_ic, "ic")
    return Answer(f"The mean daily rank IC is {words}: {against(ranking.rank_ic)}.", facts)


def _steadiness(months: tuple[MonthSkill, ...]) -> Answer:
    """Count the months above zero, and tell what the latest year says."""
    positive = sum(each.rank_ic > 0 for each in months)
    answer = say(
        "Months above 0: {positive} of {months}.",
        positive=Fact(positive, "count"),
        months=Fact(len(months), "count"),
    )
    recent = rolling_year(months)
    known = recent[[math.isfinite(value) for value in recent]]
    if not known.size:
        return answer
    return together(
        answer,
        say(
            "The mean of 12 months was between {worst_year} and {best_year}; the latest is "
            "{latest_year}.",
            worst_year=Fact(float(known.min()), "ic"),
            best_year=Fact(float(known.max()), "ic"),
            latest_year=Fact(float(known[-1]), "ic"),
        ),
    )


def _grid(months: tuple[MonthSkill, ...]) -> Panel:
    best = max(months, key=lambda each: each.rank_ic)
    worst = min(months, key=lambda each: each.rank_ic)
    answer = say(
        "The best month was {best_month} with {best}, the worst {worst_month} with {worst}. Single "
        "months are mostly luck: look for years of one colour.",
        best_month=Fact(_month_name(best)),
        best=Fact(best.rank_ic, "ic"),
        worst_month=Fact(_month_name(worst)),
        worst=Fact(worst.rank_ic, "ic"),
    )
    return Panel(
        "skill-month-grid",
        "In which months and years?",
        answer,
        lambda: month_grid(months),
        "A table of years by months; each cell holds the month's mean daily rank IC and is "
        "shaded purple above zero, orange below.",
        "Deeper shades are further from zero; an empty month has no scored date.",
        wide=True,
    )


def _month_name(month: MonthSkill) -> str:
    return f"{MONTHS[month.month - 1]} {month.year}"


def _decay(result: TrainingResult, decay: tuple[Decay, ...]) -> Panel:
    own = own_horizon(result)
    fitted = next((each for each in decay if each.horizon == own), None)
    answers = []
    if fitted is not None:
        words, facts = spoken("own", fitted.rank_ic, "ic")
        facts["horizon"] = Fact(fitted.horizon, "count")
        answers.append(
            Answer(
                f"At the horizon of {{horizon}} {plural(fitted.horizon, 'session')} that it was "
                "fitted on, the mean rank IC is "
                f"{words}: {against(fitted.rank_ic)}.",
                facts,
            )
        )
    answers.append(_highest(decay, fitted))
    return Panel(
        "skill-decay",
        "How far ahead do the scores see?",
        together(*answers),
        lambda: rank_ic_decay(decay, own),
        f"Mean rank IC with 95% bars at {len(decay)} horizons, from {decay[0].horizon} to "
        f"{decay[-1].horizon} sessions; the one fitted on is a diamond.",
        "The same scores held against the returns over other horizons; no new fit.",
    )


def _highest(decay: tuple[Decay, ...], fitted: Decay | None) -> Answer:
    """Name the horizon of the highest mean, which is partly chosen by luck."""
    best = max(decay, key=lambda each: each.rank_ic.mean)
    if len(decay) == 1:
        return Answer("")
    if best is fitted:
        others = len(decay) - 1
        return say(
            f"None of {{others}} other {plural(others, 'horizon')} is higher.",
            others=Fact(others, "count"),
        )
    words, facts = spoken("best", best.rank_ic, "ic")
    facts |= {"best_horizon": Fact(best.horizon, "count"), "horizons": Fact(len(decay), "count")}
    return Answer(
        f"The highest is at a horizon of {{best_horizon}} {plural(best.horizon, 'session')}: "
        f"{words}; as the best of {{horizons}} it may be partly luck.",
        facts,
    )


def _memory(result: TrainingResult, memory: tuple[Memory, ...]) -> Panel:
    own = own_horizon(result) or memory[-1].sessions
    near = min(memory, key=lambda each: abs(each.sessions - own))
    answer = say(
        f"After {{sessions}} {plural(near.sessions, 'session')} the ranking has a correlation of "
        "{alike} with what it was, and "
        "{left} of the top quantile has left it.",
        sessions=Fact(near.sessions, "count"),
        alike=Fact(near.autocorrelation, "ratio"),
        left=Fact(near.leavers, "share"),
    )
    portfolio = result.evaluation.portfolio
    if portfolio is not None and math.isfinite(portfolio.books[0].turnover):
        turnover = Fact(portfolio.books[0].turnover, "share")
        answer = together(
            answer, say("Long-short trades {turnover} of its book a session.", turnover=turnover)
        )
    return Panel(
        "skill-memory",
        "How long does a ranking last?",
        answer,
        lambda: ranking_memory(memory),
        "Two lines over the sessions between two rankings: their rank correlation, and the share "
        "of the top quantile that has left it.",
        "Pairs of dates of the same fold. What lasts costs little to trade, and says nothing "
        "about being right.",
    )
