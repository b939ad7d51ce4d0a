"""Several ways of ranking beside one reference."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from src.v2.evaluation.paired import common_rows, daily_rank_ics, stepdown_p
from src.v2.evaluation.significance import ewc_test
from src.v2.tests.synthetic import weekdays


def _overlapping(generator: np.random.Generator, dates: int, ways: int, horizon: int) -> np.ndarray:
    """Moving sums of noise that the ways share in part."""
    steps = generator.normal(size=(dates + horizon, ways))
    steps += generator.normal(size=(dates + horizon, 1))
    sums = steps.cumsum(axis=0)
    return (sums[horizon:] - sums[:-horizon]) / horizon


def _table(scores: dict[tuple[dt.date, str], float | None]) -> pl.DataFrame:
    rows = [
        {"date": date, "ticker": ticker, "score": score, "forward_return": float(place)}
        for place, ((date, ticker), score) in enumerate(scores.items())
    ]
    return pl.DataFrame(rows, schema_overrides={"score": pl.Float64})


def test_only_rows_that_all_tables_score_are_compared() -> None:
    day = weekdays(1)[0]
    one = _table({(day, "A"): 1.0, (day, "B"): 2.0, (day, "C"): None})
    other = _table({(day, "C"): 1.0, (day, "B"): 5.0, (day, "D"): 2.0})
    rows = common_rows({"one": one, "other": other})
    assert rows.rows() == [(day, "B", 1.0, 2.0, 5.0)]
    assert rows.columns == ["date", "ticker", "forward_return", "one", "other"]


def test_daily_rank_ics_are_those_of_scipy() -> None:
    generator = np.random.default_rng(3)
    dates, names = weekdays(4), [f"T{i:02d}" for i in range(12)]
    keys = [(date, name) for date in dates for name in names][:-4]
    values = generator.normal(size=(len(keys), 3))
    table = pl.DataFrame(
        {"date": [k[0] for k in keys], "ticker": [k[1] for k in keys]}
        | {name: values[:, i] for i, name in enumerate(("forward_return", "x", "y"))}
    )
    daily = daily_rank_ics(table)
    # The last date has 8 tickers, fewer than can be compared.
    assert daily["date"].to_list() == dates[:3]
    for name in ("x", "y"):
        for date, found in daily.select("date", name).iter_rows():
            part = table.filter(pl.col("date") == date)
            expected = stats.spearmanr(part[name], part["forward_return"]).statistic
            assert found == pytest.approx(expected)


@pytest.mark.parametrize("horizon", [1, 5])
def test_one_difference_has_the_p_value_of_the_plain_test(horizon: int) -> None:
    generator = np.random.default_rng(4)
    for shift in (-0.1, 0.0, 0.1, 0.3):
        series = _overlapping(generator, 400, 1, horizon) + shift
        expected = ewc_test(series[:, 0], horizon).p
        assert stepdown_p(series, horizon)[0] == pytest.approx(expected, abs=0.01)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 5), st.floats(-0.5, 0.5))
def test_the_adjusted_p_values_are_those_of_statsmodels(
    seed: int, ways: int, horizon: int, shift: float
) -> None:
    series = np.random.default_rng(seed).normal(shift, 1.0, (80, ways))
    series[:, ways // 2] = 0.1 if seed % 3 == 0 else series[:, 0]
    plain = np.array([ewc_test(series[:, way], horizon).p for way in range(series.shape[1])])
    there = np.isfinite(plain)
    found = stepdown_p(series, horizon)
    assert (np.isfinite(found) == there).all()
    if there.any():
        _, expected, _, _ = multipletests(plain[there], method="holm")
        assert found[there] == pytest.approx(expected)


def test_what_does_not_vary_is_no_part_of_the_family() -> None:
    series = _overlapping(np.random.default_rng(6), 400, 2, 5) + 0.1
    beside = np.column_stack([series, np.zeros(400)])
    found = stepdown_p(beside, 5)
    assert np.isnan(found[2])
    assert found[:2] == pytest.approx(stepdown_p(series, 5), abs=0.01)
    assert np.isnan(stepdown_p(series[:50], 5)).all()


def _false_claims(panels: int, dates: int, ways: int, horizon: int) -> int:
    """Count the panels in which a way without skill is claimed to be better, at 5%."""
    generator = np.random.default_rng(7)
    return sum(
        bool(stepdown_p(_overlapping(generator, dates, ways, horizon), horizon).min() < 0.05)
        for _ in range(panels)
    )


def test_false_claims_are_as_rare_as_said_where_a_few_horizons_tell_many_ways() -> None:
    # Of 300 panels 15 are expected, 4.8% of 400 were measured; one denominator for all ways
    # makes 38, and 27 is 3.2 standard deviations away.
    assert _false_claims(300, 360, 23, 30) < 27


@pytest.mark.slow
@pytest.mark.parametrize(("dates", "ways"), [(360, 5), (750, 23), (2238, 23)])
def test_false_claims_are_as_rare_as_said_at_every_length(dates: int, ways: int) -> None:
    # The plain test rejects a little more than it says, hence up to 6% are expected.
    assert _false_claims(800, dates, ways, 30) < 800 * 0.06 + 3 * (800 * 0.06) ** 0.5


def test_what_stepm_of_arch_finds_plainly_is_found() -> None:
    from arch.bootstrap import StepM

    shifts = np.array([0.5, 0.4, -0.2, -0.4])
    series = np.random.default_rng(8).normal(size=(600, 4)) + shifts
    test = StepM(np.zeros(600), -series, reps=200, seed=1)
    test.compute()
    assert set(test.superior_models) == {0, 1}
    assert np.flatnonzero(stepdown_p(series, 1) < 0.05).tolist() == [0, 1]
