"""Intervals and tests of a mean over overlapping dates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.tsa.stattools import diebold_mariano_test

from src.v2.evaluation.significance import (
    clark_west,
    detectable,
    diebold_mariano,
    ewc_interval,
    ewc_standard_error,
    newey_west,
    non_overlapping,
    skill_interval,
)
from src.v2.evaluation_records import Statistic

Series = npt.NDArray[np.float64]


def _overlapping(rng: np.random.Generator, count: int, horizon: int) -> Series:
    return np.convolve(rng.normal(size=count + horizon - 1), np.ones(horizon), "valid")


def test_interval_equals_the_formula_by_a_plain_loop() -> None:
    series = np.random.default_rng(0).normal(0.02, 0.1, 600)
    horizon, count = 30, 600
    windows = count // (2 * horizon)
    terms = []
    for order in range(1, windows + 1):
        total = 0.0
        for day in range(1, count + 1):
            weight = np.cos(np.pi * order * (day - 0.5) / count)
            total += weight * (series[day - 1] - series.mean())
        terms.append((np.sqrt(2 / count) * total) ** 2)
    half = stats.t.ppf(0.975, windows) * np.sqrt(np.mean(terms) / count)
    got = ewc_interval(series, horizon)
    assert got.windows == 20
    assert got.mean == pytest.approx(series.mean())
    assert got.low == pytest.approx(series.mean() - half)
    assert got.high == pytest.approx(series.mean() + half)


def test_interval_covers_a_zero_mean_of_overlapping_sums_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    horizon, count, covered = 20, 800, 0
    for _ in range(600):
        steps = rng.normal(size=count + horizon - 1)
        sums = np.convolve(steps, np.ones(horizon), "valid")
        interval = ewc_interval(sums, horizon)
        covered += interval.low <= 0 <= interval.high
    assert 0.92 <= covered / 600 <= 0.97


def test_too_short_a_series_has_no_interval() -> None:
    got = ewc_interval(np.ones(100), 30)
    assert (got.mean, got.windows) == (1.0, 3)
    assert np.isnan(got.low) and np.isnan(got.high)


def test_interval_rests_on_the_shared_standard_error() -> None:
    series = _overlapping(np.random.default_rng(2), 500, 20)
    error, freedom = ewc_standard_error(series, 20)
    assert freedom == 12
    interval = ewc_interval(series, 20, confidence=0.9)
    assert interval.high - interval.mean == pytest.approx(stats.t.ppf(0.95, 12) * error)


def test_skill_interval_is_that_of_the_ratio_when_the_base_is_constant() -> None:
    losses = 1 + 0.1 * np.random.default_rng(3).normal(size=400)
    got = skill_interval(losses, np.full(400, 2.0), 5)
    plain = ewc_interval(1 - losses / 2, 5)
    assert got.mean == pytest.approx(plain.mean)
    assert [got.low, got.high] == pytest.approx([plain.low, plain.high])


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_newey_west_agrees_with_statsmodels(horizon: int) -> None:
    series = 0.3 + _overlapping(np.random.default_rng(horizon), 400, horizon)
    options = {"maxlags": horizon - 1, "use_correction": True}
    fit = OLS(series, np.ones(400)).fit(cov_type="HAC", cov_kwds=options, use_t=True)
    got = newey_west(series, horizon)
    assert got.statistic == pytest.approx(fit.tvalues[0])
    assert got.p == pytest.approx(stats.t.sf(fit.tvalues[0], 399))


@pytest.mark.parametrize(("horizon", "better"), [(1, True), (5, True), (20, False)])
def test_diebold_mariano_agrees_with_statsmodels(horizon: int, better: bool) -> None:
    rng = np.random.default_rng(horizon)
    truth = _overlapping(rng, 300, horizon)
    near, far = truth + rng.normal(0, 1, 300), truth + rng.normal(0, 1.2, 300)
    model, other = (near, far) if better else (far, near)
    oracle = diebold_mariano_test(
        truth, model, other, lags=horizon - 1, harvey_adj=True, horizon=horizon
    )
    got = diebold_mariano((truth - model) ** 2, (truth - other) ** 2, horizon)
    assert got.statistic == pytest.approx(-oracle.statistic)
    assert (got.statistic > 0) is better
    assert min(got.p, 1 - got.p) == pytest.approx(oracle.pvalue / 2)
    assert (got.p < 0.5) is better


@pytest.mark.parametrize("horizon", [1, 7])
def test_non_overlapping_is_the_median_of_plain_t_tests(horizon: int) -> None:
    series = 0.1 + np.random.default_rng(4).normal(size=101)
    tests = [
        stats.ttest_1samp(series[start::horizon], 0, alternative="greater")
        for start in range(horizon)
    ]
    got = non_overlapping(series, horizon)
    assert got.statistic == pytest.approx(np.median([each.statistic for each in tests]))
    assert got.p == pytest.approx(np.median([each.pvalue for each in tests]))


def test_clark_west_is_the_t_test_of_the_adjusted_difference() -> None:
    rng = np.random.default_rng(5)
    losses, base, gap = rng.random((3, 480))
    interval = ewc_interval(base - losses + gap, 20)
    error = (interval.high - interval.mean) / stats.t.ppf(0.975, 12)
    got = clark_west(losses, base, gap, 20)
    assert got.statistic == pytest.approx(interval.mean / error)
    assert got.p == pytest.approx(stats.t.sf(interval.mean / error, 12))


def test_clark_west_holds_its_size_where_a_useless_model_always_looks_worse() -> None:
    rng = np.random.default_rng(6)
    rejected = beaten = 0
    for _ in range(400):
        truth, noise = _overlapping(rng, 400, 5), _overlapping(rng, 400, 5)
        forecast = 0.3 * noise
        losses, base = (truth - forecast) ** 2, truth**2
        rejected += clark_west(losses, base, forecast**2, 5).p < 0.05
        beaten += diebold_mariano(losses, base, 5).p < 0.05
    low, high = stats.binom.ppf([0.001, 0.999], 400, 0.05)
    assert low <= rejected <= high
    assert beaten < low


def test_clark_west_finds_a_model_that_knows_something() -> None:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(50):
        signal = _overlapping(rng, 600, 5)
        truth = 0.5 * signal + _overlapping(rng, 600, 5)
        # Twice the best weight: worse than zero by its squared error, and still informed.
        losses, base = (truth - 1.05 * signal) ** 2, truth**2
        found += clark_west(losses, base, (1.05 * signal) ** 2, 5).p < 0.05
    assert found >= 45


def test_a_detectable_mean_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(8)
    samples = [_overlapping(rng, 600, 10) for _ in range(800)]
    mean = float(np.mean([detectable(sample, 10) for sample in samples]))
    found = sum(ewc_interval(sample + mean, 10).low > 0 for sample in samples)
    assert 0.75 <= found / 800 <= 0.85


ON_ONE_SERIES: list[Callable[[Series, int], Statistic]] = [
    newey_west,
    lambda series, horizon: diebold_mariano(np.zeros(len(series)), series, horizon),
    lambda series, horizon: clark_west(
        np.zeros(len(series)), series, np.zeros(len(series)), horizon
    ),
]


@pytest.mark.parametrize("test", ON_ONE_SERIES)
def test_below_twelve_horizons_there_is_no_test(test: Callable[[Series, int], Statistic]) -> None:
    series = np.random.default_rng(9).normal(size=120)
    assert np.isfinite(test(series, 10).statistic) and np.isfinite(test(series, 10).p)
    for short in (series[:119], series[:1], series[:0]):
        assert np.isnan(test(short, 10).statistic) and np.isnan(test(short, 10).p)


@pytest.mark.parametrize("test", [*ON_ONE_SERIES, non_overlapping])
def test_a_series_that_does_not_vary_has_no_test(test: Callable[[Series, int], Statistic]) -> None:
    for level in (0.0, 0.1):
        got = test(np.full(300, level), 10)
        assert np.isnan(got.statistic) and np.isnan(got.p)


def test_too_short_a_series_has_neither_offsets_nor_a_detectable_mean() -> None:
    series = np.random.default_rng(10).normal(size=119)
    assert np.isnan(detectable(series, 10))
    assert np.isfinite(detectable(np.append(series, 0.0), 10))
    assert np.isfinite(non_overlapping(series[:20], 10).p)
    assert np.isnan(non_overlapping(series[:19], 10).p)
    assert np.isnan(non_overlapping(series[:0], 10).p)
