"""Skill beyond its mean: over time, horizons, quantiles, states of the market and errors."""

from __future__ import annotations

import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.detail_records import MonthSkill, SkillDetail
from src.v2.evaluation.decay import rank_ic_decay
from src.v2.evaluation.error_detail import forecast_bins, regime_skill, worst_rows
from src.v2.evaluation.evaluate import usual_tickers
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.quantiles import (
    daily_quantiles,
    quantile_paths,
    quantile_returns,
    ranking_memory,
)
from src.v2.evaluation.regimes import market_regimes
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import probability_column


def skill_detail(walked: pl.DataFrame, closes: pl.DataFrame, plan: LabelPlan) -> SkillDetail:
    """Take the walk-forward's skill apart.

    Parameters
    ----------
    walked
        The forecasts table of all folds, any order: | date | ticker | fold | part | score |
        prediction, or p_<class> ... | label | forward_return | label_end |. Rows of a part
        other than the walk-forward are left out.
    closes
        | date | ticker | close | of the universe, any order, one row a date and ticker.
    plan
        The label in force.

    Returns
    -------
    SkillDetail
        Below 20 tickers on a usual date no ranking is judged: every `rank_ic` is null or NaN,
        and months, decay, quantiles, their paths and memory are empty. A single date's rank IC
        is null below 10 tickers.
    """
    horizon = plan.config.forward_days
    walked = walked.filter(pl.col("part") == "walk_forward").sort("date", "ticker")
    scored = walked.drop_nulls("forward_return")
    small = usual_tickers(scored) < SMALL_UNIVERSE
    daily = _daily(scored, closes, small=small)
    fifths = daily_quantiles(walked.clear() if small else walked)
    columns = [probability_column(name) for name in plan.classes]
    return SkillDetail(
        daily=daily,
        months=_months(daily),
        decay=() if small else rank_ic_decay(walked, closes, horizon, plan.config.entry_lag),
        quantiles=() if small else quantile_returns(fifths, horizon),
        quantile_paths=quantile_paths(fifths, horizon),
        memory=() if small else ranking_memory(walked),
        bins=() if plan.classes else forecast_bins(scored, horizon),
        regimes=regime_skill(scored, daily, horizon),
        worst=worst_rows(scored, columns),
    )


def _daily(scored: pl.DataFrame, closes: pl.DataFrame, *, small: bool) -> pl.DataFrame:
    """Put each scored date's rank IC beside the state of the market."""
    ranked = daily_ic(scored.clear() if small else scored).select("date", "rank_ic")
    regimes = market_regimes(closes, scored["date"])
    return regimes.join(ranked, on="date", how="left", maintain_order="left").select(
        "date", "rank_ic", "volatility", "regime"
    )


def _months(daily: pl.DataFrame) -> tuple[MonthSkill, ...]:
    """Average the daily rank IC over calendar months."""
    date = pl.col("date")
    months = (
        daily.drop_nulls("rank_ic")
        .group_by(date.dt.year().alias("year"), date.dt.month().alias("month"), maintain_order=True)
        .agg(pl.len().alias("dates"), pl.col("rank_ic").mean())
        .sort("year", "month")
    )
    return tuple(MonthSkill(*row) for row in months.iter_rows())
