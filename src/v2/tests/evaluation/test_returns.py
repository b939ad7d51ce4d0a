"""Skill of shown returns and of sides, against plain formulas and the pooled metrics."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_squared_error, r2_score

from src.v2.evaluation.metrics import hit_rates, regression_metrics
from src.v2.evaluation.returns import daily_losses, return_skill, side_skill
from src.v2.evaluation.significance import ewc_interval, skill_interval
from src.v2.tests.synthetic import weekdays

DAYS = weekdays(200)


def _forecasts(seed: int = 0, tickers: int = 12, skill: float = 0.3) -> pl.DataFrame:
    """Rows with gaps, so that dates differ in size, and some without a return."""
    rng = np.random.default_rng(seed)
    size = len(DAYS) * tickers
    came = rng.normal(0.01, 0.1, size) + np.repeat(rng.normal(0, 0.05, len(DAYS)), tickers)
    shown = 0.01 + skill * came + rng.normal(0, 0.03, size)
    table = pl.DataFrame(
        {
            "date": [day for day in DAYS for _ in range(tickers)],
            "ticker": [f"T{place}" for place in range(tickers)] * len(DAYS),
            "score": rng.normal(size=size),
            "prediction": shown,
            "forward_return": came,
            "expanding_mean": np.repeat(rng.normal(0.01, 0.002, len(DAYS)), tickers),
        }
    )
    kept = table.filter(pl.Series(rng.random(size) < 0.9))
    missing = pl.Series(rng.random(kept.height) < 0.02)
    return kept.with_columns(
        pl.when(~missing).then("forward_return").alias("forward_return")
    ).sample(fraction=1.0, shuffle=True, seed=seed)


def _days(table: pl.DataFrame) -> list[pl.DataFrame]:
    return [day for _, day in table.drop_nulls().sort("date").group_by("date", maintain_order=True)]


def test_skills_are_those_of_all_rows_at_once() -> None:
    table = _forecasts()
    pooled = regression_metrics(table)
    got = return_skill(table, 5)
    assert got.r2.mean == pytest.approx(pooled["r2"])
    assert got.r2_zero.mean == pytest.approx(pooled["r2_zero"])
    assert got.r2.windows == 40


def test_demeaned_skill_is_that_of_what_is_above_the_mean_of_the_date() -> None:
    table = _forecasts()
    shown, came = (
        np.concatenate([(day[name] - day[name].mean()).to_numpy() for day in _days(table)])
        for name in ("prediction", "forward_return")
    )
    # Every date's returns are centred, so that their own mean is zero.
    assert return_skill(table, 5).r2_demeaned.mean == pytest.approx(r2_score(came, shown))
    moved = table.with_columns(pl.col("prediction") + pl.col("date").dt.day() / 100)
    lifted = return_skill(moved, 5)
    assert lifted.r2_demeaned.mean == pytest.approx(r2_score(came, shown))
    assert lifted.r2.mean < return_skill(table, 5).r2.mean


def test_intervals_rest_on_the_sums_of_each_date() -> None:
    table = _forecasts()
    sums: dict[str, list[float]] = {"prediction": [], "expanding_mean": []}
    for day in _days(table):
        for name, values in sums.items():
            values.append(float(np.sum((day["forward_return"] - day[name]).to_numpy() ** 2)))
    losses, base = (np.array(values) for values in sums.values())
    expected = skill_interval(losses, base, 5)
    got = return_skill(table, 5).r2
    assert got.low == pytest.approx(expected.low)
    assert got.high == pytest.approx(expected.high)


@pytest.mark.parametrize("name", ["expanding_mean", "zero"])
def test_clark_west_takes_the_means_of_each_date(name: str) -> None:
    table = _forecasts(skill=0.02).with_columns(zero=pl.lit(0.0))
    adjusted = []
    for day in _days(table):
        base = mean_squared_error(day["forward_return"], day[name])
        model = mean_squared_error(day["forward_return"], day["prediction"])
        adjusted.append(base - model + mean_squared_error(day["prediction"], day[name]))
    interval = ewc_interval(np.array(adjusted), 5)
    statistic = interval.mean / (interval.high - interval.mean) * stats.t.ppf(0.975, 20)
    skill = return_skill(table, 5)
    got = skill.clark_west_zero if name == "zero" else skill.clark_west_mean
    assert got.statistic == pytest.approx(statistic)
    assert got.p == pytest.approx(stats.t.sf(statistic, 20))


def test_the_expanding_mean_has_no_skill_over_itself() -> None:
    got = return_skill(_forecasts().with_columns(prediction=pl.col("expanding_mean")), 5)
    assert (got.r2.mean, got.r2.low, got.r2.high) == (0.0, 0.0, 0.0)
    assert np.isnan(got.clark_west_mean.p)
    # It is one value a date: nothing is left of it beside the date's mean.
    assert got.r2_demeaned.mean == pytest.approx(0.0, abs=1e-12)


def test_without_rows_there_is_no_skill() -> None:
    empty = _forecasts().with_columns(forward_return=pl.lit(None, dtype=pl.Float64))
    got = return_skill(empty, 5)
    for interval in (got.r2, got.r2_zero, got.r2_demeaned):
        assert np.isnan([interval.mean, interval.low, interval.high]).all()
        assert interval.windows == 0
    assert np.isnan(got.clark_west_mean.p) and np.isnan(got.clark_west_zero.p)
    sides = side_skill(empty, 5, cross_sectional=True)
    assert np.isnan([sides.hit_rate, sides.base_rate, sides.difference.mean]).all()


def test_the_order_of_rows_changes_no_byte() -> None:
    table = _forecasts()
    mixed = table.sample(fraction=1.0, shuffle=True, seed=9)
    assert return_skill(table, 5) == return_skill(mixed, 5)
    sides = [side_skill(each, 5, cross_sectional=True) for each in (table, mixed)]
    assert sides[0] == sides[1]


def test_losses_come_in_the_order_of_the_dates() -> None:
    daily = daily_losses(_forecasts())
    assert daily["date"].to_list() == DAYS
    assert daily["rows"].sum() == _forecasts().drop_nulls().height


@given(
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1, 6]),
)
@settings(max_examples=40, deadline=None)
def test_sides_are_those_of_the_hit_rates(
    seed: int, cross_sectional: bool, shown: bool, middle: float, digits: int
) -> None:
    # Coarse values put some returns and scores on neither side.
    table = _forecasts(seed, tickers=4).with_columns(pl.col(pl.Float64).round(digits))
    if not shown:
        table = table.drop("prediction")
    # In one order: the rounding of a date's mean decides the side of a row that lies on it.
    rates = hit_rates(table.sort("date", "ticker"), cross_sectional=cross_sectional, middle=middle)
    got = side_skill(table, 5, cross_sectional=cross_sectional, middle=middle)
    assert got.hit_rate == pytest.approx(rates["hit_rate"])
    assert got.base_rate == pytest.approx(rates["hit_base"])
    assert got.difference.mean == pytest.approx(rates["hit_rate"] - rates["hit_base"])
    assert got.difference.low <= got.difference.mean <= got.difference.high


@pytest.mark.parametrize("drift", [0.03, -0.03])
def test_always_naming_the_larger_side_is_no_better_on_any_date(drift: float) -> None:
    table = _forecasts().with_columns(
        pl.col("forward_return") + drift, prediction=pl.lit(float(np.sign(drift)))
    )
    got = side_skill(table, 5, cross_sectional=False)
    assert got.hit_rate == got.base_rate > 0.55
    assert (got.difference.low, got.difference.high) == (0.0, 0.0)


def test_the_interval_compares_date_by_date() -> None:
    table = _forecasts()
    hits, ups, downs = [], [], []
    for day in _days(table):
        shown, came = day["prediction"].to_numpy(), day["forward_return"].to_numpy()
        hits.append(np.mean(shown * came > 0))
        ups.append(np.mean(came > 0))
        downs.append(np.mean(came < 0))
    base = ups if np.mean(ups) >= np.mean(downs) else downs
    expected = ewc_interval(np.array(hits) - np.array(base), 5)
    got = side_skill(table, 5, cross_sectional=False).difference
    assert (got.windows, expected.windows) == (40, 40)
    assert got.low == pytest.approx(expected.low)
    assert got.high == pytest.approx(expected.high)
    assert got.low > 0
