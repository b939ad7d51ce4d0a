"""The model beside simple rules that need no trees."""

from __future__ import annotations

import math
from collections.abc import Iterator

from src.v2.evaluation.baselines import PERMUTED
from src.v2.evaluation_records import BaselineScore
from src.v2.figures.interval_rows import interval_rows
from src.v2.page.panels import Answer, Fact, Panel, Table
from src.v2.page.sections.verdict import best_rule
from src.v2.page.skill.words import cells, chance, plural, say, spoken, together
from src.v2.records import TrainingResult


def rule_parts(result: TrainingResult) -> Iterator[Panel | Table]:
    """Give the rules' rank ICs, the model's margins and their table, where there are any."""
    rules = result.evaluation.baselines
    if any(math.isfinite(rule.rank_ic.mean) for rule in rules):
        yield _levels(result)
    if any(math.isfinite(rule.margin.mean) for rule in rules):
        yield _margins(result)
    if rules:
        yield _table(rules)


def _levels(result: TrainingResult) -> Panel:
    rules = [rule for rule in result.evaluation.baselines if math.isfinite(rule.rank_ic.mean)]
    rows = [(rule.name, rule.rank_ic) for rule in rules]
    ranking = result.evaluation.ranking
    answers = []
    if ranking is not None and math.isfinite(ranking.rank_ic.mean):
        rows.insert(0, ("this model", ranking.rank_ic))
        answers.append(say("The model reaches {model}.", model=Fact(ranking.rank_ic.mean, "ic")))
    best = best_rule(result)
    if best is not None:
        words, facts = spoken("best", best.rank_ic, "ic")
        answers.append(
            Answer(f"The best simple rule, {{rule}}, reaches {words}.", facts | _named(best))
        )
    answers += [_luck(rule, len(result.folds)) for rule in rules if rule.name == PERMUTED]
    return Panel(
        "skill-rules",
        "What do simple rules reach?",
        together(*answers),
        lambda: interval_rows(rows, "Mean daily rank IC", first_stands_out=len(rows) > len(rules)),
        f"Mean rank IC with 95% bars of the model, a diamond, and of {len(rules)} rules below it.",
        "The same folds and dates, but for permuted labels, which are fitted in few folds. A rule "
        "is chosen before the test, or fitted on the same rows.",
    )


def _luck(rule: BaselineScore, folds: int) -> Answer:
    words, facts = spoken("luck", rule.rank_ic, "ic")
    facts |= {"luck_folds": Fact(rule.folds, "count"), "folds": Fact(folds, "count")}
    return Answer(
        "Fitted on labels of other tickers, in {luck_folds} of "
        f"{{folds}} {plural(folds, 'fold')}, it reaches {words}, which can only be luck.",
        facts,
    )


def _named(rule: BaselineScore) -> dict[str, Fact]:
    return {"rule": Fact(rule.name)}


def _margins(result: TrainingResult) -> Panel:
    rules = [rule for rule in result.evaluation.baselines if math.isfinite(rule.margin.mean)]
    beaten = sum(rule.margin.low > 0 for rule in rules)
    answers = [
        say(
            "The model ranks better than {beaten} of {rules} {noun} with an interval above 0.",
            beaten=Fact(beaten, "count"),
            rules=Fact(len(rules), "count"),
            noun=Fact(plural(len(rules), "rule")),
        )
    ]
    best = best_rule(result)
    if best is not None and math.isfinite(best.margin.mean):
        answers.append(_against_best(best))
    return Panel(
        "skill-margins",
        "Does the model rank better than they do?",
        together(*answers),
        lambda: interval_rows([(rule.name, rule.margin) for rule in rules], "Model less rule"),
        f"The model's daily rank IC less that of each of {len(rules)} rules, mean with 95% bars, "
        "beside zero.",
        "On the dates that both score. Intervals are not corrected for the number of rules.",
    )


def _against_best(best: BaselineScore) -> Answer:
    words, facts = spoken("margin", best.margin, "ic")
    if best.margin.low > 0:
        reading = "better than {rule}, the best of them"
    elif best.margin.high < 0:
        reading = "worse than {rule}, the best of them"
    else:
        reading = "no better than {rule}, the best of them, as far as these dates can tell"
    return Answer(f"It is {reading}: the margin is {words}.", facts | _named(best))


def _table(rules: tuple[BaselineScore, ...]) -> Table:
    return Table(
        "skill-rule-table",
        "The rules in numbers",
        (
            *("Rule", "What it does", "Rank IC", "95% from", "to"),
            *("Model better by", "95% from", "to", "R2", "Error p", "Folds"),
        ),
        tuple(
            (
                rule.name,
                rule.about,
                *cells(rule.rank_ic, "ic"),
                *cells(rule.margin, "ic"),
                Fact(rule.r2, "signed"),
                chance(rule.diebold_mariano.p),
                Fact(rule.folds, "count"),
            )
            for rule in rules
        ),
        "R2 over the mean known at the time. Error p: one-sided, that the model's squared error "
        "is no smaller (Diebold and Mariano 1995).",
        folded=True,
    )
