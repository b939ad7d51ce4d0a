"""Panels on where forecasts are wrong: by size, by state of the market, and the worst of all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations

from src.v2.console import printable
from src.v2.detail_records import ForecastBin, RegimeSkill, WorstRow
from src.v2.evaluation.error_detail import WORST_A_MONTH
from src.v2.evaluation_records import Interval
from src.v2.figures.errors import forecast_bins, regime_errors, regime_skill
from src.v2.page.panels import Answer, Cell, Fact, Panel, Table
from src.v2.page.skill.words import against, bounded, overlap_note, plural, say, spoken, together
from src.v2.records import TrainingResult


def bin_panels(result: TrainingResult) -> Iterator[Panel]:
    """Give the panel of forecasts against returns, for regression."""
    bins = result.detail.bins
    known = [each for each in bins if math.isfinite(each.forecast + each.realised.mean)]
    if known:
        yield Panel(
            "errors-bins",
            "Do returns come out as forecast?",
            _bins_answer(known),
            lambda: forecast_bins(bins),
            f"Points of the mean return that came over the mean forecast, for {len(bins)} groups "
            "of rows by rising forecast, with 95% bars; a dashed line where both are equal.",
            f"{sum(each.rows for each in bins):,} rows. {overlap_note(result)}",
        )


def _bins_answer(bins: list[ForecastBin]) -> Answer:
    """Compare both ends, and count the intervals that hold their forecast."""
    low, high = bins[0], bins[-1]
    ends = say(
        "Of {groups} groups of rows, the lowest was forecast {low_forecast} and {low_came} came; "
        "the highest {high_forecast}, and {high_came} came.",
        groups=Fact(len(bins), "count"),
        low_forecast=Fact(low.forecast, "signed"),
        low_came=Fact(low.realised.mean, "signed"),
        high_forecast=Fact(high.forecast, "signed"),
        high_came=Fact(high.realised.mean, "signed"),
    )
    sure = [each for each in bins if bounded(each.realised)]
    if not sure:
        return together(ends, Answer("Without intervals nothing can be told from luck."))
    inside = sum(each.realised.low <= each.forecast <= each.realised.high for each in sure)
    return together(
        ends,
        say(
            "Intervals that hold their forecast: {inside} of {intervals}{enough}. By luck alone "
            "about one in 20 does not.",
            inside=Fact(inside, "count"),
            intervals=Fact(len(sure), "count"),
            enough=Fact("" if inside < len(sure) else ", so no error can be told from luck"),
        ),
    )


def regime_panels(result: TrainingResult) -> Iterator[Panel]:
    """Give the panels of skill and of errors in each state of the market."""
    regimes = result.detail.regimes
    note = (
        "Thirds of the dates by the market's volatility over the 63 sessions before: a "
        "description after the fact, not a rule that was known then."
    )
    if any(math.isfinite(each.rank_ic.mean) for each in regimes):
        yield Panel(
            "errors-regimes",
            "Does skill depend on the state of the market?",
            _regime_answer(regimes),
            lambda: regime_skill(regimes),
            f"Mean rank IC with 95% bars in {len(regimes)} states of the market, calm first.",
            note,
        )
    if any(math.isfinite(each.rmse) for each in regimes):
        yield Panel(
            "errors-sizes",
            "When are the errors largest?",
            _sizes_answer([each for each in regimes if math.isfinite(each.rmse)]),
            lambda: regime_errors(regimes),
            f"Bars of the root mean squared error in {len(regimes)} states of the market, calm "
            "first, and diamonds of the mean error.",
            f"{note} Errors grow with the market's own swings, whatever the skill. Error: forecast "
            "less return.",
        )


def _regime_answer(regimes: tuple[RegimeSkill, ...]) -> Answer:
    """Give each state's skill, and whether the states can be told apart."""
    known = [each for each in regimes if math.isfinite(each.rank_ic.mean)]
    answers = []
    for place, each in enumerate(known, 1):
        words, facts = spoken(f"ic_{place}", each.rank_ic, "ic")
        facts[f"state_{place}"] = Fact(each.name)
        answers.append(
            Answer(f"In the {{state_{place}}} third {words}: {against(each.rank_ic)}.", facts)
        )
    sure = [each.rank_ic for each in known if bounded(each.rank_ic)]
    apart = any(
        one.high < other.low or other.high < one.low for one, other in combinations(sure, 2)
    )
    if len(sure) > 1:
        told = (
            "Not all intervals overlap: the states differ."
            if apart
            else "All intervals overlap: no difference between the states is shown."
        )
        answers.append(Answer(told))
    return together(*answers)


def _sizes_answer(regimes: list[RegimeSkill]) -> Answer:
    """Compare the size of the errors, and give the mean errors that can be told from 0."""
    most = max(regimes, key=lambda each: each.rmse)
    least = min(regimes, key=lambda each: each.rmse)
    sizes = say(
        "The root mean squared error is {most} in the {most_state} third and {least} in the "
        "{least_state} one.",
        most=Fact(most.rmse, "share"),
        most_state=Fact(most.name),
        least=Fact(least.rmse, "share"),
        least_state=Fact(least.name),
    )
    biased = [each for each in regimes if each.bias_low > 0 or each.bias_high < 0]
    if not biased:
        return together(sizes, Answer("In no third can the mean error be told from 0."))
    return together(sizes, *(_bias(place, each) for place, each in enumerate(biased, 1)))


def _bias(place: int, regime: RegimeSkill) -> Answer:
    """Say on which side the forecasts of one state were."""
    side = "too high" if regime.bias > 0 else "too low"
    found = Interval(regime.bias, regime.bias_low, regime.bias_high, 0)
    words, facts = spoken(f"bias_{place}", found, "signed")
    facts[f"bias_state_{place}"] = Fact(regime.name)
    return Answer(
        f"In the {{bias_state_{place}}} third forecasts were {side}: the mean error is {words}.",
        facts,
    )


def worst_parts(result: TrainingResult) -> Iterator[Panel | Table]:
    """Give the largest errors, in words and as a folded table."""
    worst = result.detail.worst
    if worst:
        yield Panel(
            "errors-worst",
            "Which forecasts went most wrong?",
            _worst_answer(worst, bool(result.classes)),
            note=f"At most {WORST_A_MONTH} of a ticker and month. Many on one date or ticker point "
            "to an event, or to bad data.",
        )
        yield _worst_table(worst, bool(result.classes))


def _most_common(names: Iterable[object]) -> tuple[str, int]:
    """Give the name that occurs most, and how often; no name where several do."""
    (name, times), *others = Counter(names).most_common(2)
    alone = not others or others[0][1] < times
    return str(name) if alone else "", times


def _worst_answer(worst: tuple[WorstRow, ...], classes: bool) -> Answer:
    """Tell how few dates and tickers the largest errors lie on."""
    ticker, of_ticker = _most_common(printable(each.ticker) for each in worst)
    date, of_date = _most_common(each.date for each in worst)
    dates, tickers = len({each.date for each in worst}), len({each.ticker for each in worst})
    first = worst[0]
    spread = say(
        f"The {{errors}} largest {plural(len(worst), 'error')} lie on {{dates}} "
        f"{plural(dates, 'date')} and {{tickers}} {plural(tickers, 'ticker')}: at most "
        f"{{of_ticker}} on one ticker{' ({ticker})' if ticker else ''} and {{of_date}} on one date"
        f"{' ({date})' if date else ''}.",
        errors=Fact(len(worst), "count"),
        dates=Fact(dates, "count"),
        tickers=Fact(tickers, "count"),
        of_ticker=Fact(of_ticker, "count"),
        ticker=Fact(ticker),
        of_date=Fact(of_date, "count"),
        date=Fact(date),
    )
    said = "gave the class that came {forecast}" if classes else "forecast {forecast}"
    return together(
        spread,
        say(
            f"The worst, {{worst_ticker}} on {{worst_date}}, {said}; the return was {{realised}}.",
            worst_ticker=Fact(printable(first.ticker)),
            worst_date=Fact(first.date),
            forecast=Fact(first.forecast, "share" if classes else "signed"),
            realised=Fact(first.realised, "signed"),
        ),
    )


def _worst_table(worst: tuple[WorstRow, ...], classes: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for each in worst:
        named = (Fact(each.date), printable(each.ticker), Fact(each.fold, "count"))
        forecast = Fact(each.forecast, "share" if classes else "signed")
        error = () if classes else (Fact(each.forecast - each.realised, "signed"),)
        rows.append((*named, forecast, Fact(each.realised, "signed"), *error))
    said = "P(class that came)" if classes else "Forecast"
    head = ("Date", "Ticker", "Fold", said, "Return that came")
    return Table(
        "errors-worst-rows",
        f"The {len(worst)} largest {plural(len(worst), 'error')}",
        head if classes else (*head, "Error"),
        tuple(rows),
        "" if classes else "Error: forecast less return.",
        folded=True,
    )
