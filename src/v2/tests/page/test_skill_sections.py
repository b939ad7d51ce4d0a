"""The sections on skill, null test and errors say what their records hold, and no more."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.evaluation_records import Interval, Portfolio, RankingSkill, RatingReturn
from src.v2.figures.style import figure_svg
from src.v2.page.panels import Answer, Fact, Panel, Section, Table
from src.v2.page.sections import errors, null_test, skill
from src.v2.page.skill.words import against, chance, spoken, together
from src.v2.records import TrainingResult
from src.v2.tests.results import make_result

KINDS = ("regression", "binary", "rating")
SECTIONS = (skill, null_test, errors)
NAN = float("nan")
UNKNOWN = Interval(NAN, NAN, NAN, 0)
HOSTILE = "<script>{x}</script>\x1b[31m\n"


@cache
def result_of(kind: str = "regression") -> TrainingResult:
    return replace(make_result(kind), settings={"label": {"forward_days": 30}})


def ranking_of(result: TrainingResult) -> RankingSkill:
    assert result.evaluation.ranking is not None
    return result.evaluation.ranking


def portfolio_of(result: TrainingResult) -> Portfolio:
    assert result.evaluation.portfolio is not None
    return result.evaluation.portfolio


def with_ranking(result: TrainingResult, **changes: Any) -> TrainingResult:
    ranking = replace(ranking_of(result), **changes)
    return replace(result, evaluation=replace(result.evaluation, ranking=ranking))


def small_of(kind: str) -> TrainingResult:
    """Make a run below 20 tickers, as the evaluation and the detail leave it."""
    result = result_of(kind)
    evaluation = replace(
        result.evaluation,
        ranking=None,
        portfolio=None,
        ratings=(),
        baselines=tuple(
            replace(rule, rank_ic=UNKNOWN, margin=UNKNOWN) for rule in result.evaluation.baselines
        ),
    )
    detail = replace(
        result.detail,
        daily=result.detail.daily.with_columns(rank_ic=None),
        months=(),
        decay=(),
        quantiles=(),
        quantile_paths=result.detail.quantile_paths.clear(),
        memory=(),
        regimes=tuple(replace(each, rank_ic=UNKNOWN) for each in result.detail.regimes),
    )
    rows = result.predictions.filter(result.predictions["ticker"].is_in(["T1", "T2"]))
    return replace(result, evaluation=evaluation, detail=detail, predictions=rows)


def without_numbers(record: Any) -> Any:
    """Make every number of a record NaN, at any depth; counts and frames stay."""
    if is_dataclass(record) and not isinstance(record, type):
        return replace(
            record,
            **{each.name: without_numbers(getattr(record, each.name)) for each in fields(record)},
        )
    if isinstance(record, tuple):
        return tuple(without_numbers(each) for each in record)
    return NAN if isinstance(record, float) else record


def unknown_of(kind: str) -> TrainingResult:
    """Make a run whose every mean, bound and p-value cannot be told."""
    result = result_of(kind)
    return replace(
        result,
        evaluation=without_numbers(result.evaluation),
        detail=without_numbers(result.detail),
    )


def hostile_of(kind: str) -> TrainingResult:
    result = result_of(kind)
    worst = tuple(replace(each, ticker=HOSTILE) for each in result.detail.worst)
    evaluation = result.evaluation
    rules = tuple(replace(rule, name=HOSTILE, about=HOSTILE) for rule in evaluation.baselines)
    ratings = tuple(replace(each, name=HOSTILE) for each in evaluation.ratings)
    return replace(
        result,
        classes=tuple(f"{HOSTILE}{name}" for name in result.classes),
        detail=replace(result.detail, worst=worst),
        evaluation=replace(evaluation, baselines=rules, ratings=ratings),
    )


def sections_of(result: TrainingResult) -> list[Section]:
    return [module.section(result) for module in SECTIONS]


def panels(result: TrainingResult) -> dict[str, Panel]:
    parts = [part for section in sections_of(result) for part in section.content]
    return {part.name: part for part in parts if isinstance(part, Panel)}


def tables(result: TrainingResult) -> dict[str, Table]:
    parts = [part for section in sections_of(result) for part in section.content]
    return {part.name: part for part in parts if isinstance(part, Table)}


def values(panel: Panel) -> dict[str, Any]:
    return {name: fact.value for name, fact in panel.answer.facts.items()}


MAKERS = (result_of, small_of, unknown_of, hostile_of)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", MAKERS)
def test_every_sentence_is_whole(make: Any, kind: str) -> None:
    sections = sections_of(make(kind))
    assert [section.name for section in sections] == ["skill", "null-test", "errors"]
    names = []
    for section in sections:
        assert section.content
        assert section.question.endswith("?")
        for part in section.content:
            names.append(part.name)
            assert re.fullmatch(r"[a-z0-9-]+", part.name)
            if isinstance(part, Table):
                assert part.rows
                assert {len(row) for row in part.rows} == {len(part.head)}
                continue
            assert part.question.endswith("?")
            assert part.answer.text.endswith(".")
            assert part.answer.text[0].isupper() or part.answer.text[0] in "–0123456789"
            assert {name for _, name in part.answer.parts if name} <= set(part.answer.facts)
            assert "nan" not in part.answer.text.lower()
            assert (part.draw is None) == (part.alt == "")
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (result_of, "binary"),
        (small_of, "regression"),
        (hostile_of, "rating"),
    ],
)
def test_every_picture_can_be_drawn(make: Any, kind: str) -> None:
    for name, panel in panels(make(kind)).items():
        if panel.draw is not None:
            figure = panel.draw()
            assert "<script" not in figure_svg(figure, name)
            assert figure.get_figwidth() == (7.2 if panel.wide else 4.6), name


def test_nothing_is_drawn_of_what_cannot_be_told() -> None:
    for kind in KINDS:
        for name, panel in panels(unknown_of(kind)).items():
            if panel.draw is not None:
                assert figure_svg(panel.draw(), name)
    names = set(panels(unknown_of("regression")))
    assert not names & {"skill-months", "skill-decay", "skill-quantiles", "errors-bins"}


def test_the_facts_of_skill_are_those_of_the_records() -> None:
    result = result_of()
    shown, ranking, detail = panels(result), ranking_of(result), result.detail
    months = values(shown["skill-months"])
    assert months["mean"] == ranking.rank_ic.mean
    assert (months["mean_low"], months["mean_high"]) == (ranking.rank_ic.low, ranking.rank_ic.high)
    assert months["positive"] == sum(each.rank_ic > 0 for each in detail.months)
    assert months["months"] == len(detail.months) == 14
    assert months["latest_year"] == pytest.approx(
        detail.daily.filter(detail.daily["date"] >= dt.date(2020, 3, 1))["rank_ic"].mean()
    )
    grid = values(shown["skill-month-grid"])
    assert grid["best"] == max(each.rank_ic for each in detail.months)
    assert grid["worst"] == min(each.rank_ic for each in detail.months)
    decay = values(shown["skill-decay"])
    by_horizon = {each.horizon: each.rank_ic for each in detail.decay}
    assert (decay["own"], decay["own_low"]) == (by_horizon[30].mean, by_horizon[30].low)
    assert decay["horizon"] == 30
    assert decay["best_horizon"] == 1
    memory = values(shown["skill-memory"])
    near = next(each for each in detail.memory if each.sessions == 21)
    assert (memory["alike"], memory["left"]) == (near.autocorrelation, near.leavers)
    assert memory["turnover"] == portfolio_of(result).books[0].turnover
    quantiles = values(shown["skill-quantiles"])
    assert quantiles["top"] == detail.quantiles[-1].excess.mean
    assert quantiles["bottom_high"] == detail.quantiles[0].excess.high
    assert (quantiles["rises"], quantiles["steps"]) == (4, 4)
    paths = values(shown["skill-paths"])
    assert paths["top"] == detail.quantile_paths["q5"][-1]
    assert paths["bottom"] == detail.quantile_paths["q1"][-1]
    assert paths["between"] == pytest.approx(paths["top"] - paths["bottom"])


def test_the_facts_of_the_books_are_those_of_the_records() -> None:
    result = result_of()
    books = tuple(
        replace(book, sharpe=Interval(place, place - 0.5, place + 0.7, 9), dsr=0.1 * place)
        for place, book in enumerate(portfolio_of(result).books)
    )
    portfolio = replace(portfolio_of(result), books=books)
    result = replace(result, evaluation=replace(result.evaluation, portfolio=portfolio))
    book = portfolio.books[0]
    said = values(panels(result)["skill-growth"])
    expected = {
        "sharpe": book.sharpe.mean,
        "sharpe_low": book.sharpe.low,
        "annual": book.annual_return,
        "drawdown": book.max_drawdown,
        "dsr": book.dsr,
        "trials": 3,
        "cost": portfolio.cost_bps,
        "over": portfolio.books[3].sharpe.mean,
    }
    assert {name: said[name] for name in expected} == expected
    for name, column in (("net", "long_short"), ("gross", "long_short_gross")):
        growth = math.prod(1 + each for each in portfolio.daily[column])
        assert said[name] == pytest.approx(growth - 1)
    table = tables(result)["skill-books"]
    for row, each in zip(table.rows, portfolio.books, strict=True):
        numbers = [cell.value for cell in row[1:] if isinstance(cell, Fact)]
        assert row[0] == each.name
        assert numbers == [
            *(each.sharpe.mean, each.sharpe.low, each.sharpe.high, each.psr, each.dsr),
            *(each.annual_return, each.annual_volatility, each.max_drawdown, each.turnover),
        ]
    years = [
        [str(cell.text) if isinstance(cell, Fact) else cell for cell in row]
        for row in tables(result)["skill-years"].rows
    ]
    assert years[1] == ["2021", "252", "-0.0100", "-2.00%", "+20.00%", "+10.00%"]


def test_scores_that_rank_nothing_earn_nothing() -> None:
    result = result_of()
    portfolio = portfolio_of(result)
    flat = replace(portfolio, books=tuple(replace(b, sharpe=UNKNOWN) for b in portfolio.books))
    result = replace(result, evaluation=replace(result.evaluation, portfolio=flat))
    assert panels(result)["skill-growth"].answer.text.startswith("Nothing: the scores rank")


@pytest.mark.parametrize(
    ("margin", "reading"),
    [
        (Interval(0.02, 0.01, 0.03, 40), "better than ridge, the best"),
        (Interval(-0.02, -0.03, -0.01, 40), "worse than ridge, the best"),
        (Interval(0.02, -0.01, 0.03, 40), "no better than ridge, the best"),
        (Interval(0.02, NAN, NAN, 0), "no better than ridge, the best"),
    ],
)
def test_a_rule_is_beaten_only_with_an_interval(margin: Interval, reading: str) -> None:
    result = result_of()
    ridge = replace(result.evaluation.baselines[0], margin=margin)
    luck = replace(ridge, name="permuted labels", rank_ic=Interval(0.9, 0.8, 1, 40), margin=UNKNOWN)
    evaluation = replace(result.evaluation, baselines=(ridge, luck))
    shown = panels(replace(result, evaluation=evaluation))
    answer = shown["skill-margins"].answer
    assert f"It is {reading}" in answer.text
    assert answer.facts["beaten"].value == int(margin.low > 0)
    assert answer.facts["rules"].value == 1
    rules = values(shown["skill-rules"])
    assert (rules["rule"], rules["luck"]) == ("ridge", 0.9)
    text = shown["skill-rules"].answer.text
    assert f"in {luck.folds} of 8 folds, it reaches +0.9000 (95% interval +0.8000 to" in text
    assert "which can only be luck" in text


def test_forecast_skill_is_that_of_the_mode() -> None:
    regression, rating = panels(result_of()), panels(result_of("rating"))
    assert "skill-classes" not in regression
    assert "skill-r2" not in rating
    r2 = values(regression["skill-r2"])
    assert (r2["r2"], r2["r2_low"], r2["p"]) == (0.02, -0.01, 0.12)
    classes = values(rating["skill-classes"])
    assert (classes["auc"], classes["auc_high"]) == (0.51, 0.53)
    assert "the interval includes 0.5." in rating["skill-classes"].answer.text
    sides = values(regression["skill-sides"])
    assert (sides["hits"], sides["base"], sides["gain"]) == (0.51, 0.5, 0.02)


def test_ratings_stand_with_their_intervals_highest_first() -> None:
    result = result_of("rating")
    sure = RatingReturn("Buy", 10, Interval(0.02, 0.01, 0.03, 40))
    unsure = RatingReturn("Sell", 5, UNKNOWN)
    evaluation = replace(result.evaluation, ratings=(unsure, sure))
    table = tables(replace(result, evaluation=evaluation))["skill-ratings"]
    rows = [[cell.text if isinstance(cell, Fact) else cell for cell in row] for row in table.rows]
    assert rows == [["Buy", "10", "+2.00%", "+1.00%", "+3.00%"], ["Sell", "5", "–", "–", "–"]]
    assert "Intervals that exclude 0: 1 of 2." in table.note
    assert "withheld" in table.note
    proven = replace(evaluation, verdict=replace(evaluation.verdict, word="evidence"))
    assert "withheld" not in tables(replace(result, evaluation=proven))["skill-ratings"].note


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_universe_is_told_why_there_is_no_ranking(kind: str) -> None:
    result = small_of(kind)
    shown = panels(result)
    why = values(shown["skill-no-ranking"])
    assert (why["needed"], why["tickers"]) == (20, 2)
    assert "no rank IC" in shown["null-permutation"].answer.text
    assert shown["null-permutation"].draw is None
    assert not [name for name in shown if name.startswith(("skill-m", "skill-q", "skill-g"))]
    assert "errors-regimes" not in shown
    assert ("errors-bins" in shown) == (kind == "regression")
    assert ("errors-calibration" in shown) == (kind != "regression")


@pytest.mark.parametrize(
    ("p", "reading"),
    [(0.0166, "that is below the 0.0167"), (0.0168, "that is not below the 0.0167")],
)
def test_the_p_value_is_held_against_the_number_of_trials(p: float, reading: str) -> None:
    answer = panels(with_ranking(result_of(), permutation_p=p))["null-permutation"].answer
    assert reading in answer.text
    assert ("rarely" in answer.text) == (p < 0.05 / 3)
    facts = answer.facts
    assert (facts["p"].value, facts["draws"].value) == (p, 9999)
    assert (facts["exchangeable"].value, facts["tickers"].value) == (48, 50)
    assert facts["actual"].value == 0.02


def test_without_a_test_the_reason_is_given() -> None:
    few = with_ranking(
        result_of(), permutation_p=NAN, permutations=0, exchangeable=9, tickers=30, null=()
    )
    panel = panels(few)["null-permutation"]
    assert panel.draw is None
    assert "9 of 30 tickers" in panel.answer.text
    assert "10 are needed" in panel.answer.text
    many = with_ranking(
        result_of(), permutation_p=NAN, permutations=0, exchangeable=30, rank_ic=UNKNOWN, null=()
    )
    assert "there is no mean rank IC" in panels(many)["null-permutation"].answer.text


def test_the_smallest_skill_to_be_found_is_held_against_the_one_found() -> None:
    text = panels(result_of())["null-detectable"].answer.text
    assert "A true mean rank IC of 0.0400" in text
    assert "+0.0200 found is smaller" in text
    strong = with_ranking(result_of(), rank_ic=Interval(0.05, 0.02, 0.08, 40))
    assert "+0.0500 found is no smaller" in panels(strong)["null-detectable"].answer.text
    nothing = with_ranking(result_of(), detectable=NAN, demeaned_rank_ic=UNKNOWN)
    assert "null-detectable" not in panels(nothing)


def test_the_other_tests_are_those_of_the_record() -> None:
    ranking = ranking_of(result_of())
    rows = {str(row[0]): row[1:3] for row in tables(result_of())["null-tests"].rows}
    assert [cell.value for cell in rows["Newey-West"] if isinstance(cell, Fact)] == [
        ranking.newey_west.statistic,
        ranking.newey_west.p,
    ]
    assert rows["Exchanged tickers"][1] == Fact(ranking.permutation_p, "loss")


def test_bins_are_counted_that_hold_their_forecast() -> None:
    result = result_of()
    bins = result.detail.bins
    said = values(panels(result)["errors-bins"])
    held = [each.realised.low <= each.forecast <= each.realised.high for each in bins]
    assert (said["inside"], said["intervals"], said["groups"]) == (sum(held), 10, 10)
    assert 0 < sum(held) < 10
    assert (said["low_forecast"], said["high_came"]) == (bins[0].forecast, bins[-1].realised.mean)
    right = tuple(replace(each, forecast=each.realised.mean) for each in bins)
    shown = panels(replace(result, detail=replace(result.detail, bins=right)))
    text = shown["errors-bins"].answer.text
    assert "Intervals that hold their forecast: 10 of 10, so no error" in text
    assert "about one in 20 does not" in text


def test_states_differ_only_where_intervals_are_apart() -> None:
    result = result_of()
    assert "no difference" in panels(result)["errors-regimes"].answer.text
    calm, middle, stormy = result.detail.regimes
    apart = replace(stormy, rank_ic=Interval(0.2, 0.1, 0.3, 40))
    detail = replace(result.detail, regimes=(calm, middle, apart))
    shown = panels(replace(result, detail=detail))
    assert "the states differ" in shown["errors-regimes"].answer.text
    said = values(shown["errors-regimes"])
    assert (said["state_3"], said["ic_3"], said["ic_3_low"]) == ("stormy", 0.2, 0.1)
    sizes = values(shown["errors-sizes"])
    assert (sizes["most"], sizes["most_state"]) == (stormy.rmse, "stormy")
    assert (sizes["least"], sizes["least_state"]) == (calm.rmse, "calm")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.05, "In the stormy third forecasts were too high: the mean error is +3.00% "),
        (-0.01, 0.07, "In no third can the mean error be told from 0."),
        (NAN, NAN, "In no third can the mean error be told from 0."),
    ],
)
def test_a_mean_error_is_named_only_where_its_interval_excludes_0(
    low: float, high: float, words: str
) -> None:
    result = result_of()
    calm, middle, stormy = result.detail.regimes
    biased = replace(stormy, bias=0.03, bias_low=low, bias_high=high)
    shown = panels(replace(result, detail=replace(result.detail, regimes=(calm, middle, biased))))
    answer = shown["errors-sizes"].answer
    assert words in answer.text
    assert ("too high" in answer.text) == (low > 0) == ("bias_1_low" in answer.facts)


def test_states_whose_intervals_overlap_are_not_told_apart_by_their_means() -> None:
    result = result_of()
    calm, *others = result.detail.regimes
    low = replace(calm, rank_ic=Interval(-0.03, -0.09, 0.005, 40))
    detail = replace(result.detail, regimes=(low, *others))
    text = panels(replace(result, detail=detail))["errors-regimes"].answer.text
    assert "no difference" in text


def test_the_worst_rows_are_folded_and_their_names_are_only_text() -> None:
    result = result_of()
    rows = tables(result)["errors-worst-rows"]
    assert rows.folded
    assert len(rows.rows) == len(result.detail.worst) == 20
    first = result.detail.worst[0]
    error = rows.rows[0][-1]
    assert isinstance(error, Fact)
    assert error.value == pytest.approx(first.forecast - first.realised)
    found = panels(result)["errors-worst"].answer
    said = values(panels(result)["errors-worst"])
    assert (said["dates"], said["tickers"], said["of_date"]) == (1, 20, 20)
    # Twenty tickers have one error each: none of them has the most.
    assert f"at most 1 on one ticker and 20 on one date ({said['date']})." in found.text
    hostile = hostile_of("regression")
    said = values(panels(hostile)["errors-worst"])
    assert said["ticker"] == "<script>{x}</script>[31m"
    assert said["of_ticker"] == 20
    assert tables(hostile)["errors-worst-rows"].rows[0][1] == "<script>{x}</script>[31m"


def test_classes_are_held_against_chance_and_the_most_frequent_class() -> None:
    result = result_of("rating")
    classes = result.evaluation.classes
    assert classes is not None
    shown = panels(result)
    calibration = values(shown["errors-calibration"])
    assert (calibration["ece"], calibration["ece_null"]) == (0.01, 0.02)
    assert "no more than chance" in shown["errors-calibration"].answer.text
    assert calibration["high_came"] == classes.curve[-1].observed
    confusion = values(shown["errors-confusion"])
    counts = np.array(classes.confusion)
    assert confusion["rows"] == counts.sum()
    assert confusion["right"] == pytest.approx(np.trace(counts) / counts.sum())
    assert confusion["common"] == pytest.approx(0.2)
    near = np.triu(np.tril(counts, 1), -1).sum() / counts.sum()
    assert confusion["near"] == pytest.approx(near)
    bad = replace(result.evaluation, classes=replace(classes, ece=0.03))
    text = panels(replace(result, evaluation=bad))["errors-calibration"].answer.text
    assert "more than chance explains" in text
    unsure = replace(result.evaluation, classes=replace(classes, ece_null=NAN))
    text = panels(replace(result, evaluation=unsure))["errors-calibration"].answer.text
    assert "too few dates" in text


@given(st.tuples(*[st.floats(-1, 1)] * 3).map(sorted), st.sampled_from([0.0, 0.5]))
def test_an_interval_is_read_on_one_side_only(bounds: list[float], value: float) -> None:
    low, mean, high = bounds
    said = against(Interval(mean, low, high, 9), value)
    sides = {"above": low > value, "below": high < value, "includes": low <= value <= high}
    assert [word for word in sides if word in said] == [word for word in sides if sides[word]]
    assert "nothing can be told" in against(Interval(mean, NAN, high, 9), value)


@given(st.floats(0, 1))
def test_a_p_value_never_reads_as_zero(p: float) -> None:
    text = chance(p).text
    assert float(text) == pytest.approx(p, rel=0.51, abs=1e-320)
    assert (float(text) > 0) == (p > 0)


def test_joined_answers_keep_their_facts_apart() -> None:
    words, facts = spoken("a", Interval(0.1, NAN, NAN, 0), "ic")
    joined = together(Answer(words, facts), Answer(""), Answer("{a}", facts))
    assert joined.text == "+0.1000 (no interval: too few independent windows) +0.1000"
    with pytest.raises(ValueError, match="Two facts are named a"):
        together(joined, Answer("{a}", {"a": Fact(2)}))


def test_a_run_without_dates_says_so_in_words() -> None:
    result = result_of()
    daily = result.detail.daily.clear()
    empty = replace(result.detail, daily=daily, bins=(), regimes=(), worst=())
    section = errors.section(replace(result, detail=empty))
    assert [part.name for part in section.content] == ["errors-none"]
    assert "dates from" not in section.data
    assert "400 dates from 2020-01-01 to 2021-02-03" in errors.section(result).data


def test_one_class_off_is_held_against_naming_one_class_always() -> None:
    result = result_of("rating")
    counts = ((5, 1, 0, 0, 4), (1, 9, 2, 1, 0), (0, 3, 30, 2, 0), (2, 0, 4, 8, 1), (1, 0, 0, 2, 4))
    skill = result.evaluation.classes
    assert skill is not None
    evaluation = replace(result.evaluation, classes=replace(skill, confusion=counts))
    answer = panels(replace(result, evaluation=evaluation))["errors-confusion"].answer
    actual = [sum(row) for row in counts]
    near = sum(counts[a][b] for a in range(5) for b in range(5) if abs(a - b) <= 1)
    always = [sum(actual[a] for a in range(5) if abs(a - b) <= 1) for b in range(5)]
    assert answer.facts["near"].value == near / sum(actual)
    assert answer.facts["base"].value == max(always) / sum(actual)
    assert answer.facts["middle"].value == "Hold"


def test_what_is_rounded_to_nothing_has_no_sign() -> None:
    result = result_of()
    calm, *others = result.detail.regimes
    tiny = Interval(-1e-7, -2e-7, -1e-8, 40)
    detail = replace(result.detail, regimes=(replace(calm, rank_ic=tiny), *others))
    text = panels(replace(result, detail=detail))["errors-regimes"].answer.text
    assert "In the calm third 0.0000 (95% interval 0.0000 to 0.0000)" in text
    assert Fact(-0.00001, "signed").text == Fact(0.00001, "signed").text == "0.00%"
    assert Fact(-0.0001, "signed").text == "-0.01%"
    assert Fact(math.inf, "signed").text == "–"
