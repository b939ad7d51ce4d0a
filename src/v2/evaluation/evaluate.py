"""From out-of-sample forecasts to everything that is said about them, and the verdict."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE, EvaluationConfig
from src.v2.evaluation.baselines import score_baselines
from src.v2.evaluation.class_skill import class_skill, direction_gains
from src.v2.evaluation.guard import guard_checks
from src.v2.evaluation.portfolio import simulate
from src.v2.evaluation.ranking import ranking_skill
from src.v2.evaluation.ratings import rating_returns
from src.v2.evaluation.returns import return_skill, side_skill
from src.v2.evaluation.sharpe import deflated_sharpe, sharpe_ratio
from src.v2.evaluation.significance import ewc_test
from src.v2.evaluation.trial_log import Trials
from src.v2.evaluation.verdict import Findings, Rival, Small, judge
from src.v2.evaluation_records import (
    BaselineScore,
    ClassSkill,
    Evaluation,
    Interval,
    Portfolio,
    RankingSkill,
    ReturnSkill,
    Stability,
    Statistic,
)
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import probability_column

RIVALS = ("ridge", "logistic", "momentum 12-1", "inverse volatility", "persistence", "reversal")
"""Simple rules that the verdict names when they do as well."""

NOTHING = float("nan")

RecordTrial = Callable[[dt.date, dt.date, float | None, float | None], Trials]
"""Writes a trial down (first and last date of the forecasts, mean rank IC, Sharpe ratio of a
session) and gives those on the same data so far."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the evaluation needs to know besides the forecasts.

    Parameters
    ----------
    bars
        | date | ticker | close | of the universe.
    sectors
        Sector by ticker; empty where unknown.
    priors
        Shares of the classes in the rows that each fold was fitted on, by fold.
    """

    plan: LabelPlan
    config: EvaluationConfig
    seed: int
    bars: pl.DataFrame
    sectors: Mapping[str, str]
    priors: Mapping[int, Sequence[float]]


def evaluate(
    walked: pl.DataFrame,
    baselines: Mapping[str, pl.DataFrame],
    stability: Stability,
    setting: Setting,
    record_trial: RecordTrial,
) -> Evaluation:
    """Take every number of the walk-forward's forecasts, and judge.

    Parameters
    ----------
    walked
        The forecasts table of all folds.
    baselines
        Forecasts of simple rules by name, as `score_baselines` takes them.
    stability
        Whether the folds agree on the features.
    record_trial
        Called once, before the verdict.
    """
    plan = setting.plan
    horizon = plan.config.forward_days
    scored = walked.drop_nulls(["forward_return"])
    tickers = usual_tickers(scored)
    small = tickers < SMALL_UNIVERSE
    ranking = None if small else _ranking(scored, setting)
    returns = None if plan.classes else return_skill(scored, horizon)
    sides = side_skill(
        scored,
        horizon,
        cross_sectional=plan.cross_sectional,
        middle=(len(plan.classes) - 1) / 2,
    )
    classes = _classes(scored, setting)
    ratings = () if small else rating_returns(walked, horizon)
    rules = score_baselines(walked, baselines, horizon)
    portfolio = None if small else _portfolio(walked, setting)
    trials = _record(scored, ranking, portfolio, record_trial)
    if portfolio is not None:
        portfolio = _deflate(portfolio, trials)
    guard = guard_checks(
        horizon,
        ranking=ranking,
        returns=returns,
        sides=sides,
        classes=classes,
        portfolio=portfolio,
    )
    findings = Findings(
        tickers=tickers,
        windows=ranking.rank_ic.windows if ranking else scored["date"].n_unique() // horizon,
        rank_ic=ranking.rank_ic if ranking else Interval(NOTHING, NOTHING, NOTHING, 0),
        ewc=ranking.ewc if ranking else Statistic(NOTHING, NOTHING),
        permutation_p=ranking.permutation_p if ranking else NOTHING,
        permutations=ranking.permutations if ranking else 0,
        demeaned_rank_ic=ranking.demeaned_rank_ic.mean if ranking else NOTHING,
        demeaned_ewc=ranking.demeaned_ewc if ranking else Statistic(NOTHING, NOTHING),
        small=_small(scored, returns, classes, setting),
        earns=portfolio is not None and portfolio.books[0].sharpe.low > 0,
        trials=trials.count,
        guard=guard,
        rivals=_rivals(rules),
    )
    return Evaluation(
        ranking, returns, sides, classes, ratings, rules, portfolio, stability, judge(findings)
    )


def _ranking(scored: pl.DataFrame, setting: Setting) -> RankingSkill:
    horizon = setting.plan.config.forward_days
    config = setting.config
    return ranking_skill(scored, horizon, config.permutations, setting.seed, setting.sectors)


def usual_tickers(scored: pl.DataFrame) -> int:
    """Count the tickers of a usual date: the median over dates."""
    counts = scored.group_by("date").len()["len"].to_numpy()
    return int(np.median(counts)) if len(counts) else 0


def _classes(scored: pl.DataFrame, setting: Setting) -> ClassSkill | None:
    plan = setting.plan
    if not plan.classes:
        return None
    columns = [probability_column(name) for name in plan.classes]
    return class_skill(scored, columns, setting.priors, plan.config.forward_days)


def _portfolio(walked: pl.DataFrame, setting: Setting) -> Portfolio | None:
    label, config = setting.plan.config, setting.config
    return simulate(
        walked,
        setting.bars,
        forward_days=label.forward_days,
        entry_lag=label.entry_lag,
        quantile=config.quantile,
        cost_bps=config.cost_bps,
        sectors=setting.sectors,
    )


def _record(
    scored: pl.DataFrame,
    ranking: RankingSkill | None,
    portfolio: Portfolio | None,
    record_trial: RecordTrial,
) -> Trials:
    """Write the trial down under its dates, with what it showed."""
    first, last = scored["date"].min(), scored["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    rank_ic = ranking.rank_ic.mean if ranking else None
    sharpe = _session_sharpe(portfolio) if portfolio else None
    return record_trial(first, last, _finite(rank_ic), _finite(sharpe))


def _session_sharpe(portfolio: Portfolio) -> float:
    return sharpe_ratio(portfolio.daily["long_short"].to_numpy())


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _deflate(portfolio: Portfolio, trials: Trials) -> Portfolio:
    """Set the chance that the long-short book beats the best of the trials by luck."""
    first, *rest = portfolio.books
    returns = portfolio.daily["long_short"].to_numpy()
    fresh = dataclasses.replace(first, dsr=deflated_sharpe(returns, trials.others))
    # The log knows the Sharpe ratios of long-short books alone.
    unknown = [dataclasses.replace(book, dsr=NOTHING) for book in rest] if trials.others else rest
    return dataclasses.replace(portfolio, books=(fresh, *unknown))


def _small(
    scored: pl.DataFrame,
    returns: ReturnSkill | None,
    classes: ClassSkill | None,
    setting: Setting,
) -> Small:
    """Test the model against the forecast that uses no feature."""
    if returns is not None:
        p = max(returns.clark_west_mean.p, returns.clark_west_zero.p)
        return Small(p, returns.r2.mean)
    assert classes is not None
    horizon = setting.plan.config.forward_days
    tests = tuple(ewc_test(series, horizon) for series in direction_gains(scored, setting.priors))
    return Small(max(tests[0].p, tests[1].p), classes.log_loss_skill.mean)


def _rivals(rules: Sequence[BaselineScore]) -> tuple[Rival, ...]:
    return tuple(
        Rival(rule.name, rule.rank_ic.mean, rule.margin)
        for rule in rules
        if rule.name in RIVALS and math.isfinite(rule.margin.mean)
    )
