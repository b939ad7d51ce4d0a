"""The first screen: the verdict in words, six numbers, and what an honest reader concludes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from src.v2.evaluation.baselines import PERMUTED
from src.v2.evaluation_records import BaselineScore, Interval, RankingSkill
from src.v2.explain.trust import PLAUSIBILITY
from src.v2.page.panels import Answer, Fact, Panel, Section
from src.v2.page.skill.words import chance
from src.v2.records import TrainingResult
from src.v2.summary_text import openings, reasons, tried

IMPLAUSIBLE = "implausible: check for leakage"


def section(result: TrainingResult) -> Section:
    """Give the verdict and what stands behind it.

    Parameters
    ----------
    result
        Below 20 tickers the tiles speak of errors instead of ranks.

    Returns
    -------
    Section
        A panel with the word, six panels named ``tile-…``, whose first line is the number, then
        the reasons and the conclusion, a line each.
    """
    first, last = result.judged_dates
    return Section(
        "verdict",
        "Verdict",
        "Is there any skill here, beyond noise and a simple rule?",
        f"The verdict and these numbers come from the walk-forward, {first} to {last}: rows that "
        "their own fit had not seen.",
        (_word(result), *_tiles(result), _because(result), _conclusion(result)),
    )


def passed_checks(result: TrainingResult) -> tuple[int, int, tuple[str, ...]]:
    """Count the checks passed and made, and name those that failed.

    Counted are the checks of the explanation that can fail, and every number that is held
    against what is believable; the check that sums those up does not count again.
    """
    made = [
        (check.name, check.passed)
        for check in result.explanation.checks
        if check.passed is not None and check.name != PLAUSIBILITY
    ]
    made += [
        (check.quantity, check.outcome == "plausible") for check in result.evaluation.verdict.guard
    ]
    failed = tuple(name for name, passed in made if not passed)
    return len(made) - len(failed), len(made), failed


def best_rule(result: TrainingResult) -> BaselineScore | None:
    """Give the simple rule with the highest mean rank IC; None where no rule ranks."""
    rules = [
        rule
        for rule in result.evaluation.baselines
        if rule.name != PERMUTED and math.isfinite(rule.rank_ic.mean)
    ]
    return max(rules, key=lambda rule: rule.rank_ic.mean, default=None)


def _word(result: TrainingResult) -> Panel:
    verdict = result.evaluation.verdict
    facts = {"word": Fact(verdict.word)}
    names = _numbered(facts, "beside", verdict.beside)
    template = "{word}" + ("\n" + ", ".join(names) + "." if names else "")
    question = "Is there any skill here, beyond noise and a simple rule?"
    return Panel("verdict-word", question, Answer(template, facts))


def _because(result: TrainingResult) -> Panel:
    facts: dict[str, Fact] = {}
    lines = _numbered(facts, "reason", tuple(reasons(result)))
    return Panel("verdict-reasons", "What decided it", Answer("\n".join(lines), facts))


def _numbered(facts: dict[str, Fact], head: str, texts: tuple[str, ...]) -> list[str]:
    """Add texts as facts, and give their places in a template."""
    for place, text in enumerate(texts, 1):
        facts[f"{head}_{place}"] = Fact(text)
    return [f"{{{head}_{place}}}" for place in range(1, len(texts) + 1)]


def _conclusion(result: TrainingResult) -> Panel:
    """Say what the numbers allow to be said, and what they do not."""
    verdict, holdout = result.evaluation.verdict, result.holdout
    facts = {
        "tried": Fact(tried(verdict.trials)),
        "trials": Fact(verdict.trials, "count"),
        "holdout_first": Fact(holdout.first),
        "holdout_last": Fact(holdout.last),
        "openings": Fact(openings(holdout)),
    }
    lines = [
        *_meaning(result, facts),
        "{tried}",
        "The holdout, {holdout_first} to {holdout_last}, has no part in the verdict; {openings}.",
    ]
    answer = Answer("\n".join(lines), facts)
    return Panel("verdict-conclusion", "What an honest reader concludes", answer)


def _meaning(result: TrainingResult, facts: dict[str, Fact]) -> Iterator[str]:
    """Give the sentences that go with the word."""
    evaluation, word = result.evaluation, result.evaluation.verdict.word
    if word == IMPLAUSIBLE:
        yield "At least one number is too good to be true: the usual cause is a leak."
        yield "Until that is ruled out, nothing below says anything about the market."
        return
    if word == "evidence":
        yield "On dates that their own fits had not seen the forecasts did better than luck."
        yield from _money(result, facts)
        return
    yield "These results cannot be told from luck. There is nothing here to trade on."
    ranking = evaluation.ranking
    if ranking is not None and math.isfinite(ranking.detectable):
        facts["detectable"] = Fact(ranking.detectable, "loss")
        facts["dates"] = Fact(ranking.dates, "count")
        yield (
            "That is no proof that there is no skill: {dates} dates find a true mean rank IC of "
            "{detectable} four times of five, and mostly miss a smaller one."
        )


def _money(result: TrainingResult, facts: dict[str, Fact]) -> Iterator[str]:
    """Say whether skill was shown to earn."""
    portfolio = result.evaluation.portfolio
    if portfolio is None or not math.isfinite(portfolio.books[0].sharpe.low):
        return
    low = portfolio.books[0].sharpe.low
    facts["sharpe_low"] = Fact(low, "ratio")
    if low > 0:
        yield "After costs it earned: the Sharpe ratio's interval begins at {sharpe_low}."
    else:
        yield (
            "That it earns after costs is not shown: the Sharpe ratio's interval begins at "
            "{sharpe_low}."
        )


def _tiles(result: TrainingResult) -> tuple[Panel, ...]:
    ranking = result.evaluation.ranking
    skill = _small_tiles(result) if ranking is None else _ranking_tiles(result, ranking)
    return (*skill, _coverage(result), _checks(result))


def _ranking_tiles(result: TrainingResult, ranking: RankingSkill) -> tuple[Panel, ...]:
    test = _tile(
        "ewc",
        "Against luck: t of the rank IC",
        "{t}\np {p}, one-sided; {exchanged} by exchanging the tickers",
        t=Fact(ranking.ewc.statistic, "ratio"),
        p=chance(ranking.ewc.p),
        exchanged=chance(ranking.permutation_p),
    )
    return (
        _interval_tile("rank-ic", "Mean rank IC", ranking.rank_ic, "ic"),
        test,
        _rule_tile(result),
        _sharpe_tile(result),
    )


def _small_tiles(result: TrainingResult) -> tuple[Panel, ...]:
    """Below 20 tickers: errors and sides in place of ranks."""
    evaluation = result.evaluation
    returns, classes, sides = evaluation.returns, evaluation.classes, evaluation.sides
    tiles = []
    if returns is not None:
        tests = (returns.clark_west_mean, returns.clark_west_zero)
        worse = max(tests, key=lambda test: test.p)
        tiles += [
            _interval_tile("r2", "R2 over the mean known at the time", returns.r2, "signed"),
            _tile(
                "clark-west",
                "Against no features: Clark-West t",
                "{t}\np {p}, one-sided; the harder of zero and the known mean",
                t=Fact(worse.statistic, "ratio"),
                p=chance(worse.p),
            ),
        ]
    if classes is not None:
        skill, brier = classes.log_loss_skill, classes.brier_skill
        tiles += [
            _interval_tile("log-loss", "Log-loss skill over the plain shares", skill, "signed"),
            _interval_tile("brier", "Brier skill over the plain shares", brier, "signed"),
        ]
    hits = _tile(
        "hits",
        "Hit rate",
        "{hits}\nnaming one side always reaches {base}",
        hits=Fact(sides.hit_rate, "share"),
        base=Fact(sides.base_rate, "share"),
    )
    gain = "Hit rate over naming one side"
    return (*tiles, hits, _interval_tile("hit-gain", gain, sides.difference, "signed"))


def _interval_tile(name: str, label: str, found: Interval, style: str) -> Panel:
    """Make a tile of a mean with its interval."""
    facts = {"centre": Fact(found.mean, style)}
    if not math.isfinite(found.low):
        return _tile(name, label, "{centre}\nno interval: too few dates", **facts)
    return _tile(
        name,
        label,
        "{centre}\n95% interval {low} to {high}, {windows} independent windows",
        **facts,
        low=Fact(found.low, style),
        high=Fact(found.high, style),
        windows=Fact(found.windows, "count"),
    )


def _rule_tile(result: TrainingResult) -> Panel:
    label, rule = "Less the best simple rule", best_rule(result)
    if rule is None:
        return _tile("rule", label, "–\nno simple rule ranks these tickers")
    return _tile(
        "rule",
        label,
        "{centre}\n95% interval {low} to {high}; {rule} alone reaches {ic}",
        ic=Fact(rule.rank_ic.mean, "ic"),
        rule=Fact(rule.name),
        centre=Fact(rule.margin.mean, "ic"),
        low=Fact(rule.margin.low, "ic"),
        high=Fact(rule.margin.high, "ic"),
    )


def _sharpe_tile(result: TrainingResult) -> Panel:
    label, portfolio = "Long-short Sharpe ratio, net", result.evaluation.portfolio
    if portfolio is None:
        return _tile("sharpe", label, "–\nno portfolio was made")
    book = portfolio.books[0]
    return _tile(
        "sharpe",
        label,
        "{centre}\n95% interval {low} to {high}; configurations tried: {trials}",
        centre=Fact(book.sharpe.mean, "ratio"),
        low=Fact(book.sharpe.low, "ratio"),
        high=Fact(book.sharpe.high, "ratio"),
        trials=Fact(result.evaluation.verdict.trials, "count"),
    )


def _coverage(result: TrainingResult) -> Panel:
    coverage = result.coverage
    left_out = len(coverage.skipped) + len(coverage.errors)
    noun = "ticker" if len(coverage.tickers) == 1 else "tickers"
    return _tile(
        "coverage",
        "Coverage",
        f"{{tickers}} {noun}\n{{first}} to {{last}}, {{bars}} bars; left out: {{left_out}}",
        tickers=Fact(len(coverage.tickers), "count"),
        first=Fact(coverage.first),
        last=Fact(coverage.last),
        bars=Fact(coverage.rows, "count"),
        left_out=Fact(left_out, "count"),
    )


def _checks(result: TrainingResult) -> Panel:
    passed, made, failed = passed_checks(result)
    facts: Mapping[str, Fact] = {"passed": Fact(passed, "count"), "made": Fact(made, "count")}
    if failed:
        return _tile(
            "checks",
            "Checks passed",
            "{passed} of {made}\nnot passed: {failed}",
            **facts,
            failed=Fact(", ".join(failed)),
        )
    return _tile(
        "checks",
        "Checks passed",
        "{passed} of {made}\nall passed; they stand under Trust",
        **facts,
    )


def _tile(name: str, label: str, template: str, **facts: Fact) -> Panel:
    return Panel(f"tile-{name}", label, Answer(template, facts))
