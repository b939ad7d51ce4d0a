"""The interval of a mean over overlapping dates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from src.v2.evaluation.significance import ewc_interval


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
