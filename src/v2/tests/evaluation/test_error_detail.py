"""Errors by size, state of the market and row, against plain loops."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.evaluation.error_detail import (
    forecast_bins,
    ratio_interval,
    regime_skill,
    worst_rows,
)
from src.v2.evaluation.significance import ewc_interval
from src.v2.tests.synthetic import weekdays


def _table(dates: int = 130, tickers: int = 20, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    prediction = rng.normal(0.01, 0.02, dates * tickers)
    return pl.DataFrame(
        {
            "date": [day for day in weekdays(dates) for _ in range(tickers)],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * dates,
            "fold": np.repeat(np.arange(dates) // 50 + 1, tickers).astype(np.int32),
            "prediction": prediction,
            "forward_return": 0.5 * prediction + rng.standard_t(3, dates * tickers) * 0.05,
        }
    )


def test_ten_bins_of_equal_mass_rise_with_the_forecast() -> None:
    table = _table()
    got = forecast_bins(table.sample(fraction=1.0, shuffle=True, seed=1), 5)
    order = np.argsort(table["prediction"].to_numpy())
    for each, rows in zip(got, np.split(order, 10), strict=True):
        assert each.rows == 260
        assert each.forecast == pytest.approx(table["prediction"].to_numpy()[rows].mean())
        assert each.realised.mean == pytest.approx(table["forward_return"].to_numpy()[rows].mean())
        assert each.realised.low < each.realised.mean < each.realised.high


def test_rows_without_a_return_are_left_out_and_equal_forecasts_share_a_bin() -> None:
    table = _table()
    ended = pl.when(pl.col("ticker") != "T03").then("forward_return")
    got = forecast_bins(table.with_columns(forward_return=ended), 5)
    assert repr(got) == repr(forecast_bins(table.filter(pl.col("ticker") != "T03"), 5))
    thirds = table.with_columns(prediction=pl.int_range(pl.len()) % 3 / 100)
    bins = forecast_bins(thirds, 5)
    assert [each.forecast for each in bins] == pytest.approx([0.0, 0.01, 0.02])
    assert sum(each.rows for each in bins) == table.height
    assert len(forecast_bins(table.with_columns(prediction=pl.lit(0.02)), 5)) == 1
    assert forecast_bins(table.clear(), 5) == ()


def test_a_bin_of_few_dates_has_a_mean_and_no_bounds() -> None:
    table = _table()
    first = table["date"].unique().sort()[:50]
    lifted = pl.when(pl.col("date").is_in(first.to_list())).then(0.5).otherwise(0.0)
    bins = forecast_bins(table.with_columns(pl.col("prediction") + lifted), 5)
    assert bins[-1].realised.windows == 10
    assert np.isnan(bins[-1].realised.low) and np.isfinite(bins[-1].realised.mean)
    assert np.isfinite(bins[0].realised.low) and bins[0].realised.windows == 16


def test_equal_numbers_of_rows_give_the_interval_of_the_daily_means() -> None:
    means = np.random.default_rng(0).normal(size=200)
    got = ratio_interval(7 * means, np.full(200, 7.0), 4)
    expected = ewc_interval(means, 4)
    assert (got.mean, got.low, got.high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert np.isnan(ratio_interval(np.zeros(0), np.zeros(0), 4).mean)


def test_the_bounds_of_a_bin_hold_the_truth_as_often_as_they_say() -> None:
    horizon, dates, tries = 10, 400, 400
    held = 0
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        # Rows of a date share its market return, whose windows overlap; a bin has some of them.
        market = np.convolve(rng.normal(size=dates + horizon - 1), np.ones(horizon), "valid")
        rows = rng.integers(0, 6, dates).astype(float)
        there = rows > 0
        sums = rows * market + rows**0.5 * rng.normal(size=dates)
        interval = ratio_interval(sums[there], rows[there], horizon)
        held += interval.low < 0 < interval.high
    low, high = stats.binom.ppf([0.001, 0.999], tries, 0.95) / tries
    assert low - 0.02 <= held / tries <= high


def _daily(table: pl.DataFrame) -> pl.DataFrame:
    dates = table["date"].unique().sort()
    rng = np.random.default_rng(1)
    names = pl.Series(["calm", "middle", "stormy"])
    code = rng.integers(0, 3, len(dates))
    daily = pl.DataFrame(
        {
            "date": dates,
            "rank_ic": rng.normal(size=len(dates)),
            "volatility": 0.1 + 0.1 * code + 0.05 * rng.random(len(dates)),
            "regime": names.gather(code),
        }
    )
    unknown = pl.col("date") < dates[10]
    return daily.with_columns(
        pl.when(~unknown).then(name).alias(name) for name in ("volatility", "regime")
    )


def test_each_regime_has_its_own_skill_and_errors() -> None:
    table = _table(dates=400)
    daily = _daily(table)
    got = regime_skill(table, daily, 5)
    assert [each.name for each in got] == ["calm", "middle", "stormy"]
    assert sum(each.dates for each in got) == 390
    for each in got:
        part = daily.filter(pl.col("regime") == each.name)
        rows = table.join(part, on="date", how="semi")
        error = (rows["prediction"] - rows["forward_return"]).to_numpy()
        assert each.rmse == pytest.approx(np.sqrt((error**2).mean()))
        assert each.bias == pytest.approx(error.mean())
        # Dates far more than 12 horizons: there are bounds, and they hold the mean.
        assert each.bias_low < each.bias < each.bias_high
        assert (each.low, each.high) == (part["volatility"].min(), part["volatility"].max())
        assert each.rank_ic == ewc_interval(part["rank_ic"].to_numpy(), 5)


def test_regimes_of_classes_have_no_errors_and_unranked_dates_no_skill() -> None:
    table = _table()
    daily = _daily(table).with_columns(rank_ic=pl.lit(None, dtype=pl.Float64))
    for each in regime_skill(table.drop("prediction"), daily, 5):
        assert each.dates > 0 and np.isnan(each.rmse) and np.isnan(each.bias)
        assert np.isnan(each.rank_ic.mean)
    calm = daily.filter(pl.col("regime") == "calm")
    assert [each.name for each in regime_skill(table, calm, 5)] == ["calm"]
    nothing = daily.with_columns(regime=pl.lit(None, dtype=pl.String))
    assert regime_skill(table, nothing, 5) == ()


def test_the_worst_rows_are_the_largest_errors_two_a_ticker_and_month() -> None:
    table = _table()
    crash = (pl.col("ticker") == "T05") & (pl.col("date") < table["date"][20 * 15])
    table = table.with_columns(forward_return=pl.when(crash).then(-0.9).otherwise("forward_return"))
    got = worst_rows(table.sample(fraction=1.0, shuffle=True, seed=1))
    taken: dict[tuple[object, ...], int] = {}
    expected = []
    size = (pl.col("prediction") - pl.col("forward_return")).abs()
    for row in table.sort(size, descending=True).iter_rows(named=True):
        month = row["ticker"], row["date"].year, row["date"].month
        taken[month] = taken.get(month, 0) + 1
        if taken[month] <= 2:
            expected.append((row["date"], row["ticker"], row["forward_return"]))
    assert [(each.date, each.ticker, each.realised) for each in got] == expected[:20]
    assert sum(each.ticker == "T05" and each.realised == -0.9 for each in got) == 2
    first = got[0]
    own = table.filter((pl.col("date") == first.date) & (pl.col("ticker") == first.ticker))
    assert (first.fold, first.forecast) == (own["fold"][0], own["prediction"][0])


def test_the_worst_rows_of_classes_gave_the_class_that_came_the_smallest_chance() -> None:
    rng = np.random.default_rng(0)
    table = _table().drop("prediction")
    shares = rng.dirichlet([1, 1, 1], table.height)
    label = rng.integers(0, 3, table.height)
    table = table.with_columns(
        pl.Series("label", label.astype(np.float32)),
        *(pl.Series(f"p_{code}", shares[:, code]) for code in range(3)),
    ).with_columns(label=pl.when(pl.col("ticker") != "T01").then("label"))
    got = worst_rows(table, ["p_0", "p_1", "p_2"])
    chance = shares[np.arange(len(label)), label]
    known = (table["ticker"] != "T01").to_numpy()
    assert got[0].forecast == chance[known].min()
    assert [each.forecast for each in got] == sorted(each.forecast for each in got)
    assert len(got) == 20 and "T01" not in {each.ticker for each in got}
    assert worst_rows(table.clear(), ["p_0", "p_1", "p_2"]) == ()


def test_equal_errors_come_in_the_order_of_date_and_ticker() -> None:
    table = _table(dates=3).with_columns(prediction=pl.lit(0.0), forward_return=pl.lit(0.1))
    got = worst_rows(table.sample(fraction=1.0, shuffle=True, seed=1))
    assert [each.ticker for each in got] == sorted(table["ticker"].unique())
    assert {each.date for each in got} == {table["date"].min()}


def test_the_bounds_of_a_regimes_error_hold_it_and_exclude_0_where_it_is_planted() -> None:
    table = _table(dates=400)
    daily = _daily(table)
    told = table.with_columns(prediction=pl.col("forward_return") + 0.01)
    for each in regime_skill(told, daily, 5):
        assert each.bias == pytest.approx(0.01)
        assert (each.bias_low, each.bias_high) == pytest.approx((0.01, 0.01))
    few = daily.filter(pl.col("date") <= daily["date"][30])
    for each in regime_skill(table, few, 5):
        assert np.isfinite(each.bias) and np.isnan(each.bias_low) and np.isnan(each.bias_high)
