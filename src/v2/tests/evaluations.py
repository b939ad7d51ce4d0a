"""Made-up evaluations."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from src.v2.evaluation_records import (
    BaselineScore,
    Book,
    CalibrationBin,
    ClassSkill,
    Evaluation,
    GuardCheck,
    Interval,
    NullBin,
    Portfolio,
    RankingSkill,
    RatingReturn,
    ReturnSkill,
    SideSkill,
    Stability,
    Statistic,
    Verdict,
)

SKILL = Interval(0.02, -0.01, 0.05, 40)
NAMES = ("Strong Sell", "Sell", "Hold", "Buy", "Strong Buy")


def make_evaluation(classes: int = 0, word: str = "no evidence") -> Evaluation:
    """Make an evaluation of a run of some classes; 0 for regression."""
    test = Statistic(1.2, 0.12)
    ranking = RankingSkill(
        dates=800,
        tickers=50,
        ic=SKILL,
        rank_ic=SKILL,
        ewc=test,
        rank_ic_std=0.1,
        icir=0.2,
        positive_share=0.55,
        permutation_p=0.04,
        permutations=9999,
        exchangeable=48,
        non_overlapping=test,
        newey_west=test,
        demeaned_rank_ic=SKILL,
        demeaned_ewc=test,
        detectable=0.04,
        yearly=((2020, 252, 0.02), (2021, 252, -0.01)),
        null=tuple(
            NullBin(0.002 * place, 0.002 * (place + 1), 300 - place**2) for place in range(-16, 16)
        ),
    )
    returns = ReturnSkill(SKILL, SKILL, SKILL, test, test)
    bins = tuple(
        CalibrationBin(0.4 + 0.02 * place, 0.41 + 0.015 * place, 0.3, 0.6, 1000)
        for place in range(10)
    )
    skill = ClassSkill(
        brier=0.5,
        brier_skill=SKILL,
        log_loss=0.69,
        log_loss_skill=SKILL,
        ece=0.01,
        ece_null=0.02,
        auc=Interval(0.51, 0.49, 0.53, 40),
        roc_auc=0.51,
        pr_auc=0.52,
        pr_base=0.5,
        balanced_accuracy=0.51,
        mcc=0.01,
        confusion=tuple(tuple(range(1, classes + 1)) for _ in range(classes)),
        curve=bins,
    )
    return Evaluation(
        ranking=ranking,
        returns=None if classes else returns,
        sides=SideSkill(0.51, 0.5, SKILL),
        classes=skill if classes else None,
        ratings=tuple(RatingReturn(name, 1000, SKILL) for name in NAMES),
        baselines=(
            BaselineScore("ridge", "a linear model", SKILL, 0.001, SKILL, test, 8),
            BaselineScore("momentum 12-1", "a rule", SKILL, 0.001, SKILL, test, 8),
        ),
        portfolio=make_portfolio(),
        stability=Stability(0.8, 0.5, float("nan"), float("nan"), 0.1, 0.45, 25, 5),
        verdict=Verdict(
            word,  # type: ignore[arg-type]
            ("the 95% interval of the mean rank IC reaches down to -0.0100",),
            ("no better than ridge",),
            3,
            (GuardCheck("mean rank IC", 0.02, -0.01, 0.08, 0.12, "plausible"),),
        ),
    )


def make_portfolio(sessions: int = 600) -> Portfolio:
    """Make a portfolio of normal returns."""
    rng = np.random.default_rng(3)
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=number) for number in range(sessions)]
    columns = ("long_short", "top", "equal_weight", "long_short_gross", "top_gross")
    daily = pl.DataFrame({"date": days}).with_columns(
        pl.Series(name, rng.normal(0.0003, 0.01, sessions)) for name in columns
    )
    books = tuple(
        Book(name, 0.07, 0.16, Interval(0.45, -0.6, 1.5, sessions), 0.8, 0.6, 0.2, 0.03)
        for name in ("long-short", "top", "equal weight", "top less equal weight")
    )
    yearly = ((2020, 0.05, 0.1, 0.08), (2021, -0.02, 0.2, 0.1))
    return Portfolio(0.2, 5.0, sessions, books, daily, yearly, {"Energy": 0.1})
