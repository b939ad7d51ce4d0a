"""How close shown returns come to what followed, and how often their side is right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.metrics import daily_sides
from src.v2.evaluation.significance import clark_west, ewc_interval, skill_interval
from src.v2.evaluation_records import Interval, ReturnSkill, SideSkill, Statistic

LOSSES = ("model", "mean", "zero", "demeaned", "demeaned_zero", "mean_gap", "zero_gap")
"""Columns of `daily_losses`."""


def return_skill(predictions: pl.DataFrame, horizon: int) -> ReturnSkill:
    """Compare the shown returns with the simplest forecasts.

    Parameters
    ----------
    predictions
        | date | ticker | prediction | forward_return | expanding_mean |, any order, returns as
        fractions. Rows that lack one of them are left out.
    horizon
        Dates that a forward return covers.

    Returns
    -------
    ReturnSkill
        A skill is 1 - squared errors of the model / those of the simple forecast, over all
        rows: the dates' sums stand behind its interval. The tests of Clark and West take the
        dates' means, so that every date counts alike. NaN where the rows cannot tell.
    """
    daily = daily_losses(predictions)
    rows = daily["rows"].to_numpy()
    means = {name: daily[name].to_numpy() for name in LOSSES}

    def skill(losses: str, base: str) -> Interval:
        return skill_interval(means[losses] * rows, means[base] * rows, horizon)

    def nested(base: str, gap: str) -> Statistic:
        return clark_west(means["model"], means[base], means[gap], horizon)

    return ReturnSkill(
        r2=skill("model", "mean"),
        r2_zero=skill("model", "zero"),
        r2_demeaned=skill("demeaned", "demeaned_zero"),
        clark_west_mean=nested("mean", "mean_gap"),
        clark_west_zero=nested("zero", "zero_gap"),
    )


def daily_losses(predictions: pl.DataFrame) -> pl.DataFrame:
    """Average the squared errors of each date.

    Parameters
    ----------
    predictions
        | date | ticker | prediction | forward_return | expanding_mean |, any order.

    Returns
    -------
    pl.DataFrame
        | date | rows | model | mean | zero | demeaned | demeaned_zero | mean_gap | zero_gap |,
        sorted by date. Squared errors of the model, of the expanding mean and of zero; of the
        model and of zero when returns and forecasts are taken less their means of the date;
        and the squared gaps from the model to the expanding mean and to zero.
    """
    shown, came, known = (
        pl.col(name).cast(pl.Float64) for name in ("prediction", "forward_return", "expanding_mean")
    )
    above = came - came.mean()
    shown_above = shown - shown.mean()
    return (
        predictions.drop_nulls(["prediction", "forward_return", "expanding_mean"])
        .sort("date", "ticker")
        .group_by("date")
        .agg(
            pl.len().alias("rows"),
            ((came - shown) ** 2).mean().alias("model"),
            ((came - known) ** 2).mean().alias("mean"),
            (came**2).mean().alias("zero"),
            ((above - shown_above) ** 2).mean().alias("demeaned"),
            (above**2).mean().alias("demeaned_zero"),
            ((shown - known) ** 2).mean().alias("mean_gap"),
            (shown**2).mean().alias("zero_gap"),
        )
        .sort("date")
    )


def side_skill(
    predictions: pl.DataFrame, horizon: int, *, cross_sectional: bool, middle: float = 0.0
) -> SideSkill:
    """Compare the share of right sides with what always naming one side reaches.

    Parameters
    ----------
    predictions
        | date | ticker | score | forward_return | and, for regression, | prediction |, any order.
    horizon
        Dates that a forward return covers.
    cross_sectional, middle
        What a side is, as for `src.v2.evaluation.metrics.hit_rates`.

    Returns
    -------
    SideSkill
        The rates of `hit_rates`. The side to always name is the larger one over all dates; the
        difference is that of the dates' hits and of that side's shares. NaN without rows.
    """
    rows = predictions.sort("date", "ticker")
    daily = daily_sides(rows, cross_sectional=cross_sectional, middle=middle)
    hit, up, down = (daily[name].to_numpy() for name in ("hit", "up", "down"))
    base = up if up.sum() >= down.sum() else down
    return SideSkill(_mean(hit), _mean(base), ewc_interval(hit - base, horizon))


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
