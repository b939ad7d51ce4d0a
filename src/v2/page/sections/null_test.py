"""Whether luck would do as well, and how small a skill these data could find."""

from __future__ import annotations

import math

from src.v2.evaluation.permutation import MIN_EXCHANGEABLE
from src.v2.evaluation.verdict import SIGNIFICANCE
from src.v2.evaluation_records import RankingSkill, Statistic
from src.v2.figures.interval_rows import interval_rows
from src.v2.figures.null_test import null_histogram
from src.v2.page.panels import Answer, Cell, Fact, Panel, Section, Table
from src.v2.page.skill.words import (
    against,
    chance,
    data_used,
    no_ranking,
    say,
    spoken,
    together,
)
from src.v2.records import TrainingResult

QUESTION = "Would luck do this?"


def section(result: TrainingResult) -> Section:
    """Give the permutation test, the smallest skill to be found, and the other tests.

    Parameters
    ----------
    result
        Below 20 tickers, or where too few tickers can be exchanged, words take the place of
        the test.
    """
    ranking = result.evaluation.ranking
    content: tuple[Panel | Table, ...]
    if ranking is None:
        answer = together(no_ranking(result), Answer("So there is nothing to exchange."))
        content = (Panel("null-permutation", QUESTION, answer),)
    else:
        content = (_permutation(result, ranking), *_reach(ranking), _tests(ranking))
    return Section("null-test", "Null test", QUESTION, data_used(result), content)


def _permutation(result: TrainingResult, ranking: RankingSkill) -> Panel:
    if not math.isfinite(ranking.permutation_p):
        return Panel("null-permutation", QUESTION, _no_test(ranking))
    note = (
        "One exchange of names holds for all dates, so that scores and returns keep how they "
        "persist and overlap. A ranking that never changes can pass: see the next picture."
    )
    answer = together(_p_value(result, ranking), _meaning(result, ranking))
    if not ranking.null:
        return Panel("null-permutation", QUESTION, answer, note=note)
    return Panel(
        "null-permutation",
        QUESTION,
        answer,
        lambda: null_histogram(ranking.null, ranking.rank_ic.mean),
        f"Histogram of the mean rank ICs of {ranking.permutations:,} draws with exchanged tickers; "
        "an upright line marks the model, and the bars beyond it are hatched.",
        note,
    )


def _no_test(ranking: RankingSkill) -> Answer:
    facts = {
        "exchangeable": Fact(ranking.exchangeable, "count"),
        "tickers": Fact(ranking.tickers, "count"),
        "needed": Fact(MIN_EXCHANGEABLE, "count"),
    }
    if ranking.exchangeable < MIN_EXCHANGEABLE:
        return Answer(
            "No test was made: {exchangeable} of {tickers} tickers have another one of about "
            "equal coverage to be exchanged with, and {needed} are needed.",
            facts,
        )
    return Answer(
        "No test was made: there is no mean rank IC to be held against {exchangeable} exchangeable "
        "tickers of {tickers}.",
        facts,
    )


def _p_value(result: TrainingResult, ranking: RankingSkill) -> Answer:
    """Tell how often luck reaches the model, and what that is held against."""
    trials = result.evaluation.verdict.trials
    level = SIGNIFICANCE / trials
    passed = ranking.permutation_p < level
    answer = say(
        "With the tickers' names exchanged, luck reaches the model's {actual} with p {p}, in "
        "{draws} draws over {exchangeable} of {tickers} tickers.",
        actual=Fact(ranking.rank_ic.mean, "ic"),
        p=chance(ranking.permutation_p),
        draws=Fact(ranking.permutations, "count"),
        exchangeable=Fact(ranking.exchangeable, "count"),
        tickers=Fact(ranking.tickers, "count"),
    )
    verdict = "that is below" if passed else "that is not below"
    why = "for {trials} tried configurations" if trials > 1 else "for {trials} configuration"
    held = say(
        f"One-sided, {verdict} the {{level}} asked {why}.",
        level=chance(level),
        trials=Fact(trials, "count"),
    )
    return together(answer, held)


def _meaning(result: TrainingResult, ranking: RankingSkill) -> Answer:
    """Say what a p-value says, and what it does not."""
    if ranking.permutation_p < SIGNIFICANCE / result.evaluation.verdict.trials:
        return Answer(
            "Luck alone would rarely do this; the p-value does not say how large the skill is, "
            "nor that it will last."
        )
    return Answer(
        "Luck alone would do this too often to rule it out; that is no proof that there is no "
        "skill."
    )


def _reach(ranking: RankingSkill) -> tuple[Panel, ...]:
    """Show the skill found, what is left of it without a static ranking, and the least to find."""
    answers = [_detectable(ranking)] if math.isfinite(ranking.detectable) else []
    left = ranking.demeaned_rank_ic
    if math.isfinite(left.mean):
        words, facts = spoken("demeaned", left, "ic")
        answers.append(
            Answer(
                f"Less each ticker's own mean score so far, {words} is left: {against(left)}. "
                "At 0 or below, the scores hold one ranking that never changes.",
                facts,
            )
        )
    if not answers:
        return ()
    rows = (("mean rank IC", ranking.rank_ic), ("less tickers' own means", left))
    panel = Panel(
        "null-detectable",
        "How small a skill could these data find?",
        together(*answers),
        lambda: interval_rows(
            rows, "Mean daily rank IC", mark=(ranking.detectable, "smallest to be found")
        ),
        "The mean rank IC, and what is left of it without a static ranking, with 95% bars beside "
        "zero; a dashed line marks the smallest one that these dates can find.",
        f"{ranking.dates:,} dates, {ranking.rank_ic.windows} independent windows. To be found: at "
        "the one-sided level of 2.5%, with a chance of 80%.",
    )
    return (panel,)


def _detectable(ranking: RankingSkill) -> Answer:
    answer = say(
        "A true mean rank IC of {detectable} would be found four times of five.",
        detectable=Fact(ranking.detectable, "loss"),
    )
    if not math.isfinite(ranking.rank_ic.mean):
        return answer
    if ranking.rank_ic.mean < ranking.detectable:
        reading = "The {found} found is smaller: these dates mostly miss a skill of that size."
    else:
        reading = "The {found} found is no smaller."
    return together(answer, say(reading, found=Fact(ranking.rank_ic.mean, "ic")))


def _tests(ranking: RankingSkill) -> Table:
    none = Fact(math.nan)

    def row(name: str, found: Statistic, about: str) -> tuple[Cell, ...]:
        return name, Fact(found.statistic, "ratio"), chance(found.p), about

    return Table(
        "null-tests",
        "What do other tests say?",
        ("Test", "t", "p, one-sided", "What it is"),
        (
            row("Equal-weighted cosines", ranking.ewc, "that of the interval; allows for overlap"),
            row(
                "Dates that do not overlap",
                ranking.non_overlapping,
                "one date a horizon, the median over where to begin",
            ),
            row(
                "Less tickers' own means",
                ranking.demeaned_ewc,
                "whether more than one static ranking is left",
            ),
            row("Newey-West", ranking.newey_west, "too sure where returns overlap; to compare"),
            ("Exchanged tickers", none, chance(ranking.permutation_p), "that of the picture"),
        ),
        f"The rank IC is above 0 on {ranking.positive_share:.0%} of the dates."
        if math.isfinite(ranking.positive_share)
        else "",
        folded=True,
    )
