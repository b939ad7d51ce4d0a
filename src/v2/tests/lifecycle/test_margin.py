"""Two walk-forwards on the rows that both forecast, beside a slow reference."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.evaluation.significance import ewc_interval
from src.v2.lifecycle.margin import forecast_margin
from src.v2.tests.lifecycle.conftest import make_forecasts

GOOD, POOR = make_forecasts(0.4), make_forecasts(0.05)


def _slow_rank_ics(table: pl.DataFrame) -> list[float]:
    """Rank IC of each date, by scipy."""
    return [
        float(stats.spearmanr(day["score"], day["forward_return"]).statistic)
        for _, day in table.sort("date", "ticker").group_by("date", maintain_order=True)
    ]


def test_the_margin_is_the_paired_difference_of_daily_rank_ics() -> None:
    margin = forecast_margin(GOOD, POOR, 5)
    ours, theirs = np.array(_slow_rank_ics(GOOD)), np.array(_slow_rank_ics(POOR))
    wanted = ewc_interval(ours - theirs, 5)
    assert margin.measure == "rank IC"
    assert margin.ours == pytest.approx(ours.mean())
    assert margin.theirs == pytest.approx(theirs.mean())
    assert (margin.gain.mean, margin.gain.low, margin.gain.high) == pytest.approx(
        (wanted.mean, wanted.low, wanted.high)
    )
    assert margin.gain.low > 0
    assert (margin.dates, margin.tickers) == (300, 24)


def test_who_is_asked_decides_the_sign_alone() -> None:
    there, back = forecast_margin(GOOD, POOR, 5).gain, forecast_margin(POOR, GOOD, 5).gain
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_a_model_is_no_better_than_itself() -> None:
    gain = forecast_margin(GOOD, GOOD, 5).gain
    assert (gain.mean, gain.low, gain.high) == (0, 0, 0)


def test_only_dates_and_tickers_of_both_count_whatever_the_order() -> None:
    dates = GOOD["date"].unique().sort()
    late = GOOD.filter(pl.col("date") >= dates[100]).sample(fraction=1, shuffle=True, seed=1)
    fewer = POOR.filter(pl.col("ticker") < "T22")
    margin = forecast_margin(late, fewer, 5)
    assert (margin.dates, margin.tickers) == (200, 22)
    assert (margin.first, margin.last) == (dates[100], dates[-1])
    both = GOOD.filter((pl.col("date") >= dates[100]) & (pl.col("ticker") < "T22"))
    assert margin.ours == pytest.approx(np.mean(_slow_rank_ics(both)))


def test_the_holdout_and_rows_whose_return_is_unknown_are_left_out() -> None:
    dates = GOOD["date"].unique().sort()
    held = pl.when(pl.col("date") >= dates[200]).then(pl.lit("holdout")).otherwise("part")
    late = pl.col("date") >= dates[150]
    known = GOOD.with_columns(
        held.alias("part"), pl.when(~late).then(pl.col("forward_return")).alias("forward_return")
    )
    assert forecast_margin(known, POOR, 5).dates == 150
    assert forecast_margin(POOR, known.with_columns(part=held), 5).dates == 200


def test_below_twenty_tickers_squared_errors_are_compared() -> None:
    good, poor = (make_forecasts(skill, tickers=12) for skill in (0.9, 0.1))
    margin = forecast_margin(good, poor, 5)
    assert margin.measure == "squared error"
    errors = [
        table.group_by("date")
        .agg(error=((pl.col("forward_return") - pl.col("prediction")) ** 2).mean())
        .sort("date")["error"]
        .to_numpy()
        for table in (good, poor)
    ]
    wanted = ewc_interval(errors[1] - errors[0], 5)
    assert margin.gain.mean == pytest.approx(wanted.mean)
    assert margin.gain.low == pytest.approx(wanted.low)
    assert margin.gain.low > 0


def test_classes_have_no_squared_error_and_are_compared_by_rank() -> None:
    good, poor = (make_forecasts(skill, tickers=12).drop("prediction") for skill in (0.9, 0.1))
    assert forecast_margin(good, poor, 5).measure == "rank IC"


def test_too_few_dates_give_no_interval_and_none_give_nothing() -> None:
    short = forecast_margin(make_forecasts(0.4, days=50), POOR, 5)
    assert short.dates == 50 and math.isnan(short.gain.low)
    apart = POOR.with_columns(pl.col("date").dt.offset_by("10y"))
    none = forecast_margin(GOOD, apart, 5)
    assert (none.dates, none.tickers, none.first) == (0, 0, None)
    assert math.isnan(none.gain.mean) and math.isnan(none.ours)
