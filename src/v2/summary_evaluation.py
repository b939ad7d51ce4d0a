"""The evaluation on the console: the verdict, and the tables behind it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from src.v2.console import printable
from src.v2.evaluation_records import Evaluation, RankingSkill, Statistic
from src.v2.records import TrainingResult
from src.v2.summary_text import (
    between,
    counted,
    headline,
    ordinal,
    reasons,
    sessions,
    shown,
    tried,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {
    "evidence": "green",
    "no evidence": "yellow",
    "implausible: check for leakage": "red",
}


def print_verdict(out: Console, result: TrainingResult) -> None:
    """Print the verdict and what decided it."""
    from rich.text import Text

    verdict = result.evaluation.verdict
    line = Text("Verdict: ", style="bold")
    line.append(headline(result), style=f"bold {COLOURS[verdict.word]}")
    out.print(line)
    for reason in reasons(result):
        _say(out, reason)
    _say(out, tried(verdict.trials))
    if verdict.word != "evidence":
        _say(out, "Ratings are withheld: each reads as the verdict.")
    out.print()


def print_evaluation(out: Console, result: TrainingResult) -> None:
    """Print the significance, the simple rules, the portfolio, the classes and the ratings."""
    evaluation = result.evaluation
    out.print("[bold]Significance[/], on all dates of the folds")
    out.print(_significance(result))
    out.print()
    out.print("[bold]Simple rules[/] on the same folds, dates and rows")
    out.print(_baselines(evaluation))
    out.print(
        "  R2: over the known mean; error p: of a smaller squared error of the model (Diebold, "
        "Mariano);\n  permuted: the model fitted on labels of other tickers, judged by those",
        style="dim",
    )
    out.print()
    if evaluation.classes is not None:
        out.print("[bold]Probabilities[/], calibrated on earlier folds")
        out.print(_probabilities(evaluation))
        out.print()
    if evaluation.ratings:
        out.print("[bold]Ratings[/]: fifths of the ranking, and the return over the date's mean")
        out.print(_ratings(evaluation))
        out.print()
    if evaluation.portfolio is not None:
        _print_portfolio(out, result)


def _rows(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _significance(result: TrainingResult) -> Table:
    evaluation, horizon = result.evaluation, result.settings["label"]["forward_days"]
    ranking, returns = evaluation.ranking, evaluation.returns
    table = _rows("", "95% interval or test", "")
    if ranking is not None:
        _add_ranking(table, ranking, horizon)
    if returns is not None:
        table.add_row("  R2 over known mean", between(returns.r2, "signed"), "")
        table.add_row("  R2 within dates", between(returns.r2_demeaned, "signed"), "")
        table.add_row("  Clark-West over known mean", _test(returns.clark_west_mean), "")
        table.add_row("  Clark-West over zero", _test(returns.clark_west_zero), "")
    sides = evaluation.sides
    table.add_row(
        "  hit rate over base rate",
        between(sides.difference, "signed"),
        f"{sides.difference.windows} independent",
    )
    return table


def _add_ranking(table: Table, ranking: RankingSkill, horizon: int) -> None:
    """Add what is known of the ranking."""
    table.add_row(
        "  mean rank IC",
        between(ranking.rank_ic, "ic"),
        f"{ranking.dates:,} dates, {ranking.rank_ic.windows} independent",
    )
    table.add_row("  mean IC", between(ranking.ic, "ic"), "")
    table.add_row(
        "  less each ticker's own mean",
        between(ranking.demeaned_rank_ic, "ic"),
        "0 if it never changes",
    )
    table.add_row(
        "  exchange of tickers",
        _p(ranking.permutation_p),
        f"{ranking.permutations:,} draws, {ranking.exchangeable} of {ranking.tickers}",
    )
    table.add_row(
        f"  every {ordinal(horizon)} date alone" if horizon > 1 else "  Student's t",
        _test(ranking.non_overlapping),
        "",
    )
    table.add_row("  Newey-West", _test(ranking.newey_west), "too sure; for comparison")
    table.add_row(
        "  smallest IC to be found", shown(ranking.detectable, "ic"), "with a chance of 80%"
    )


def _baselines(evaluation: Evaluation) -> Table:
    table = _rows("", "rank IC", "model better by", "R2", "error p")
    most = max((rule.folds for rule in evaluation.baselines), default=0)
    for rule in evaluation.baselines:
        few = f" ({counted(rule.folds, 'fold')})" if rule.folds < most else ""
        table.add_row(
            f"  {rule.name.removesuffix(' labels')}{few}",
            between(rule.rank_ic, "short"),
            between(rule.margin, "short"),
            "–" if math.isnan(rule.r2) else f"{rule.r2:+.1%}",
            shown(rule.diebold_mariano.p, "chance"),
        )
    return table


def _probabilities(evaluation: Evaluation) -> Table:
    classes = evaluation.classes
    assert classes is not None
    table = _rows("", "", "")
    table.add_row("  log-loss skill over shares", between(classes.log_loss_skill, "signed"), "")
    table.add_row("  Brier skill over shares", between(classes.brier_skill, "signed"), "")
    table.add_row("  AUC within dates", between(classes.auc, "loss"), "0.5 is luck")
    table.add_row(
        "  calibration error",
        shown(classes.ece, "share"),
        f"up to {shown(classes.ece_null, 'share')} if right",
    )
    table.add_row(
        "  average precision",
        shown(classes.pr_auc, "loss"),
        f"{shown(classes.pr_base, 'loss')} is luck",
    )
    return table


def _ratings(evaluation: Evaluation) -> Table:
    table = _rows("", "mean excess return", "rows")
    for rating in reversed(evaluation.ratings):
        table.add_row(f"  {rating.name}", between(rating.excess, "signed"), f"{rating.rows:,}")
    return table


def _print_portfolio(out: Console, result: TrainingResult) -> None:
    portfolio = result.evaluation.portfolio
    assert portfolio is not None
    horizon = result.settings["label"]["forward_days"]
    out.print(
        f"[bold]Portfolio[/]: top and bottom {portfolio.quantile:.0%}, held "
        f"{sessions(horizon)}, {portfolio.cost_bps:g} bps a side"
    )
    table = _rows("", "Sharpe", "a year", "sd", "drawdown", "turnover", "PSR", "DSR")
    for book in portfolio.books:
        table.add_row(
            f"  {book.name}",
            between(book.sharpe, "ratio"),
            f"{book.annual_return:+.1%}",
            f"{book.annual_volatility:.1%}",
            f"{book.max_drawdown:.0%}",
            f"{book.turnover:.1%}",
            shown(book.psr, "chance"),
            shown(book.dsr, "chance"),
        )
    out.print(table)
    years = ", ".join(f"{year} {both:+.0%}" for year, both, _, _ in portfolio.yearly)
    _say(out, f"long-short by year: {years}")
    if portfolio.sectors:
        sectors = ", ".join(f"{name} {weight:+.0%}" for name, weight in portfolio.sectors.items())
        _say(out, f"mean net weight by sector: {sectors}")
    trials = result.evaluation.verdict.trials
    out.print(
        "  a year: compounded; PSR: chance of a true Sharpe ratio above 0;\n  DSR: above what luck "
        f"reaches in {trials} trial{'s' if trials > 1 else ''}",
        style="dim",
    )
    out.print()


def _say(out: Console, text: str) -> None:
    """Print a paragraph, indented and wrapped; nothing in it is read as markup."""
    from rich.padding import Padding
    from rich.text import Text

    out.print(Padding(Text(printable(text)), (0, 0, 0, 2), expand=False))


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"p {value:.4f}" if value >= 0.0001 else "p <0.0001"


def _test(found: Statistic) -> str:
    if not math.isfinite(found.statistic):
        return "–"
    return f"t {found.statistic:+.2f}, {_p(found.p)}"
