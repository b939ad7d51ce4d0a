"""The evaluation as one flat table of keys and numbers, for MLflow and for the JSON."""

from __future__ import annotations

import re

from src.v2.evaluation_records import (
    BaselineScore,
    Book,
    ClassSkill,
    Evaluation,
    Interval,
    RankingSkill,
    ReturnSkill,
    SideSkill,
    Statistic,
)

WORD_CODES = {"evidence": 1.0, "no evidence": 0.0, "implausible: check for leakage": -1.0}
"""The verdict as a number, so that runs can be searched by it."""


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Name every number of an evaluation; ``docs/metrics.md`` says what each one is."""
    found: dict[str, float] = {
        "verdict": WORD_CODES[evaluation.verdict.word],
        "trials": float(evaluation.verdict.trials),
    }
    if evaluation.ranking is not None:
        found |= _ranking(evaluation.ranking)
    if evaluation.returns is not None:
        found |= _returns(evaluation.returns)
    found |= _sides(evaluation.sides)
    if evaluation.classes is not None:
        found |= _classes(evaluation.classes)
    for rating in evaluation.ratings:
        found |= _interval(f"rating_{slug(rating.name)}_excess", rating.excess)
    for baseline in evaluation.baselines:
        found |= _baseline(baseline)
    if evaluation.portfolio is not None:
        for book in evaluation.portfolio.books:
            found |= book_metrics(book)
    stability = evaluation.stability
    return found | {
        "feature_stability_phi": stability.phi,
        "feature_stability_phi_null": stability.phi_null,
        "feature_stability_phi_pair": stability.phi_pair,
        "feature_groups": float(stability.groups),
    }


def slug(name: str) -> str:
    """Write a name as a part of a key.

    Examples
    --------
    >>> slug("momentum 12-1")
    'momentum_12_1'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _ranking(ranking: RankingSkill) -> dict[str, float]:
    low_high = _interval("cv_ic", ranking.ic)
    del low_high["cv_ic"]
    return {
        **low_high,
        "cv_icir": ranking.icir,
        "cv_rank_ic_positive": ranking.positive_share,
        "cv_rank_ic_detectable": ranking.detectable,
        **_interval("cv_rank_ic_demeaned", ranking.demeaned_rank_ic),
        **_statistic("ewc", ranking.ewc),
        "permutation_p": ranking.permutation_p,
        "exchangeable_tickers": float(ranking.exchangeable),
        **_statistic("non_overlapping", ranking.non_overlapping),
        **_statistic("newey_west", ranking.newey_west),
    }


def _returns(returns: ReturnSkill) -> dict[str, float]:
    found = _interval("cv_r2", returns.r2) | _interval("cv_r2_zero", returns.r2_zero)
    for key in ("cv_r2", "cv_r2_zero"):
        del found[key]
    return {
        **found,
        **_interval("cv_r2_demeaned", returns.r2_demeaned),
        **_statistic("clark_west_mean", returns.clark_west_mean),
        **_statistic("clark_west_zero", returns.clark_west_zero),
    }


def _sides(sides: SideSkill) -> dict[str, float]:
    return _interval("cv_hit_margin", sides.difference)


def _classes(classes: ClassSkill) -> dict[str, float]:
    return {
        "cv_brier": classes.brier,
        **_interval("cv_brier_skill", classes.brier_skill),
        **_interval("cv_log_loss_skill", classes.log_loss_skill),
        "cv_ece": classes.ece,
        "cv_ece_null": classes.ece_null,
        **_interval("cv_auc_daily", classes.auc),
        "cv_pr_auc": classes.pr_auc,
        "cv_pr_base": classes.pr_base,
    }


def _baseline(baseline: BaselineScore) -> dict[str, float]:
    name = f"baseline_{slug(baseline.name)}"
    return {
        **_interval(f"{name}_rank_ic", baseline.rank_ic),
        **_interval(f"{name}_margin", baseline.margin),
        f"{name}_r2": baseline.r2,
        **_statistic(f"{name}_dm", baseline.diebold_mariano),
    }


def book_metrics(book: Book) -> dict[str, float]:
    """Name the numbers of one book."""
    name = f"book_{slug(book.name)}"
    return {
        **_interval(f"{name}_sharpe", book.sharpe),
        f"{name}_return": book.annual_return,
        f"{name}_volatility": book.annual_volatility,
        f"{name}_psr": book.psr,
        f"{name}_dsr": book.dsr,
        f"{name}_drawdown": book.max_drawdown,
        f"{name}_turnover": book.turnover,
    }


def _interval(key: str, interval: Interval) -> dict[str, float]:
    return {key: interval.mean, f"{key}_low": interval.low, f"{key}_high": interval.high}


def _statistic(key: str, statistic: Statistic) -> dict[str, float]:
    return {f"{key}_t": statistic.statistic, f"{key}_p": statistic.p}
