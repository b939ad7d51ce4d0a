"""What trading the scores would have brought, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from src.v2.evaluation_records import Portfolio
from src.v2.figures.portfolio import book_growth
from src.v2.page.panels import Answer, Cell, Fact, Panel, Table
from src.v2.page.skill.words import against, bounded, cells, plural, say, spoken, together
from src.v2.records import TrainingResult


def book_parts(result: TrainingResult) -> Iterator[Panel | Table]:
    """Give the growth of the books and their table, and what the years brought."""
    portfolio = result.evaluation.portfolio
    if portfolio is not None and portfolio.daily.height:
        yield _growth(result, portfolio)
        yield _books(result, portfolio)
    yearly = _yearly(result)
    if yearly.rows:
        yield yearly


def _growth(result: TrainingResult, portfolio: Portfolio) -> Panel:
    return Panel(
        "skill-growth",
        "What would trading the scores have brought, after costs?",
        _answer(result, portfolio),
        lambda: book_growth(portfolio),
        "Above, lines of the growth of long-short before and after costs, of the top alone and of "
        "equal weight; below, how far long-short stood under its peak.",
        f"{portfolio.sessions:,} sessions. Top and bottom: {portfolio.quantile:.0%} of the tickers "
        f"each, in overlapping tranches. Costs: {portfolio.cost_bps:g} bps a side; no borrowing "
        "fees, no interest, no limit on what can be traded.",
        wide=True,
    )


def _answer(result: TrainingResult, portfolio: Portfolio) -> Answer:
    """Tell gain, fall and Sharpe ratio of the long-short book, and how luck would do."""
    book = portfolio.books[0]
    if not math.isfinite(book.sharpe.mean):
        return Answer("Nothing: the scores rank no tickers, so that long-short stays in cash.")
    words, facts = spoken("sharpe", book.sharpe, "ratio")
    money = say(
        "After costs of {cost} bps a side, long-short made {annual} a year ({net} in all, {gross} "
        "before costs) with a deepest fall of {drawdown}.",
        cost=Fact(portfolio.cost_bps),
        annual=Fact(book.annual_return, "signed"),
        net=Fact(_total(portfolio, "long_short"), "signed"),
        gross=Fact(_total(portfolio, "long_short_gross"), "signed"),
        drawdown=Fact(book.max_drawdown, "share"),
    )
    sure = Answer(f"Its Sharpe ratio is {words}: {against(book.sharpe)}.", facts)
    return together(money, sure, _deflated(result, book.dsr), _over_market(portfolio))


def _total(portfolio: Portfolio, column: str) -> float:
    """Compound a column of daily returns."""
    return float(np.prod(np.maximum(1 + portfolio.daily[column].to_numpy(), 0.0)) - 1)


def _deflated(result: TrainingResult, dsr: float) -> Answer:
    trials = result.evaluation.verdict.trials
    if trials < 2 or not math.isfinite(dsr):
        return Answer("")
    return say(
        "The chance that it is truly above what luck gives the best of {trials} trials is {dsr}.",
        trials=Fact(trials, "count"),
        dsr=Fact(dsr, "chance"),
    )


def _over_market(portfolio: Portfolio) -> Answer:
    """Tell whether the top beats holding everything."""
    book = next((each for each in portfolio.books if each.name == "top less equal weight"), None)
    if book is None or not math.isfinite(book.sharpe.mean):
        return Answer("")
    words, facts = spoken("over", book.sharpe, "ratio")
    return Answer(
        f"The top less equal weight has a Sharpe ratio of {words}: {against(book.sharpe)}.", facts
    )


def _books(result: TrainingResult, portfolio: Portfolio) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            book.name,
            *cells(book.sharpe, "ratio"),
            Fact(book.psr, "chance"),
            Fact(book.dsr, "chance"),
            Fact(book.annual_return, "signed"),
            Fact(book.annual_volatility, "share"),
            Fact(book.max_drawdown, "share"),
            Fact(book.turnover, "share"),
        )
        for book in portfolio.books
    ]
    trials = result.evaluation.verdict.trials
    shown = [book for book in portfolio.books if bounded(book.sharpe)]
    above = sum(book.sharpe.low > 0 for book in shown)
    return Table(
        "skill-books",
        "How sure is each book?",
        (
            *("Book", "Sharpe ratio", "95% from", "to", "PSR", "DSR"),
            *("A year", "Volatility", "Deepest fall", "Turnover a session"),
        ),
        tuple(rows),
        f"Intervals of the Sharpe ratio above 0: {above} of {len(shown)}. Net of "
        f"{portfolio.cost_bps:g} bps a side. PSR: chance of a true Sharpe ratio above 0. DSR: "
        f"above what luck gives the best of {trials} {plural(trials, 'trial')}. Both take "
        "daily returns as independent.",
    )


def _yearly(result: TrainingResult) -> Table:
    """Put the years of the ranking beside those of the books."""
    ranking, portfolio = result.evaluation.ranking, result.evaluation.portfolio
    skill = {year: (dates, mean) for year, dates, mean in ranking.yearly} if ranking else {}
    money = {year: returns for year, *returns in portfolio.yearly} if portfolio else {}
    nothing = [math.nan] * 3
    rows: list[tuple[Cell, ...]] = []
    for year in sorted(skill.keys() | money.keys()):
        dates, mean = skill.get(year, (0, math.nan))
        returns = tuple(Fact(value, "signed") for value in money.get(year, nothing))
        rows.append((str(year), Fact(dates, "count"), Fact(mean, "ic"), *returns))
    return Table(
        "skill-years",
        "What did each year bring?",
        ("Year", "Dates", "Mean rank IC", "Long-short", "Top", "Equal weight"),
        tuple(rows),
        "Books net of costs, compounded within the year; the first and last may be short.",
        folded=len(rows) > 8,
    )
