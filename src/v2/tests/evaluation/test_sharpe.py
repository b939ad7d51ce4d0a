"""Sharpe ratios against empyrical's values, scipy's moments, simulation and a published example."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.portfolio import simulate, sum_up, yearly_returns
from src.v2.evaluation.sharpe import (
    best_by_luck,
    chance_above,
    deflated_sharpe,
    drawdowns,
    max_drawdown,
    probabilistic_sharpe,
    sharpe_ratio,
    sharpe_standard_error,
)
from src.v2.tests.golden.finance_data import PERIODS, QUANTILES, FinanceData, finance_data

GOLDEN = Path(__file__).parents[1] / "golden" / "finance_oracles.json"


@pytest.fixture(scope="module")
def data() -> FinanceData:
    return finance_data()


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text())
    return found


def _returns(seed: int = 0, count: int = 500) -> np.ndarray[Any, np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    return 0.0006 + 0.01 * (rng.gamma(2, 1, count) - 2) * rng.choice([-1, 0.4], count)


def test_the_data_are_those_that_the_libraries_saw(
    data: FinanceData, golden: dict[str, Any]
) -> None:
    for name, total in golden["data"].items():
        assert getattr(data, name).sum() == pytest.approx(total, rel=1e-12)


def test_a_book_agrees_with_empyrical(data: FinanceData, golden: dict[str, Any]) -> None:
    book, oracle = sum_up("any", data.returns, np.zeros(len(data.returns))), golden["book"]
    assert book.sharpe.mean == pytest.approx(oracle["sharpe_ratio"], rel=1e-10)
    assert book.annual_volatility == pytest.approx(oracle["annual_volatility"], rel=1e-10)
    assert book.max_drawdown == pytest.approx(-oracle["max_drawdown"], rel=1e-10)
    assert book.annual_return == pytest.approx(oracle["annual_return"], rel=1e-10)


def test_years_agree_with_empyrical(data: FinanceData, golden: dict[str, Any]) -> None:
    columns = {"long_short": data.returns, "top": data.returns / 2, "equal_weight": -data.returns}
    daily = pl.DataFrame({"date": data.return_dates, **columns})
    years = yearly_returns(daily.sample(fraction=1.0, shuffle=True, seed=1))
    assert [year for year, *_ in years] == [int(year) for year in golden["book"]["yearly"]]
    np.testing.assert_allclose([year[1] for year in years], [*golden["book"]["yearly"].values()])


@pytest.mark.parametrize("period", PERIODS)
def test_the_daily_rank_ic_agrees_with_alphalens(
    period: int, data: FinanceData, golden: dict[str, Any]
) -> None:
    scored = len(data.scores)
    forward = data.closes[period : scored + period] / data.closes[:scored] - 1
    table = pl.DataFrame(
        {
            "date": [day for day in data.dates[:scored] for _ in data.tickers],
            "score": data.scores.ravel(),
            "forward_return": forward.ravel(),
        }
    )
    np.testing.assert_allclose(
        daily_ic(table)["rank_ic"], golden["panel"]["rank_ic"][str(period)], atol=1e-12
    )


def test_tranches_of_a_day_earn_the_quantile_returns_of_alphalens(
    data: FinanceData, golden: dict[str, Any]
) -> None:
    bars = pl.DataFrame(
        {
            "date": [day for day in data.dates for _ in data.tickers],
            "ticker": data.tickers * len(data.dates),
            "close": data.closes.ravel(),
        }
    )
    scores = bars.head(data.scores.size).with_columns(score=data.scores.ravel())
    portfolio = simulate(
        scores, bars, forward_days=1, entry_lag=0, quantile=1 / QUANTILES, cost_bps=0
    )
    assert portfolio is not None
    quantiles = np.array(golden["panel"]["quantile_returns_1"])[: portfolio.sessions]
    assert len(quantiles) == len(data.scores) - 1
    np.testing.assert_allclose(portfolio.daily["top"], quantiles[:, -1], atol=1e-12)
    np.testing.assert_allclose(
        portfolio.daily["long_short"], quantiles[:, -1] - quantiles[:, 0], atol=1e-12
    )


def test_the_published_example_of_the_deflated_sharpe_ratio() -> None:
    """Bailey and Lopez de Prado 2014: 46 trials are the most that 95% confidence allows."""
    observed, variance = 2.5 / 250**0.5, 1 / 2 / 250
    fat = {"periods": 1250, "skewness": -3.0, "kurtosis": 10.0}
    assert best_by_luck(100, variance) == pytest.approx(0.1132, abs=5e-5)
    chances = {k: chance_above(best_by_luck(k, variance), observed, **fat) for k in (46, 100)}  # type: ignore[arg-type]
    assert chances == pytest.approx({46: 0.9505, 100: 0.9004}, abs=5e-5)
    normal = chance_above(best_by_luck(88, variance), observed, 1250, skewness=0, kurtosis=3)
    assert normal == pytest.approx(0.9505, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 300), st.floats(-0.2, 0.2))
def test_psr_agrees_with_moments_of_scipy(seed: int, count: int, benchmark: float) -> None:
    returns = _returns(seed, count)
    sharpe = np.mean(returns) / np.std(returns, ddof=1)
    spread = 1 - stats.skew(returns) * sharpe + (stats.kurtosis(returns) + 2) / 4 * sharpe**2
    error = math.sqrt(spread / (count - 1))
    assert sharpe_standard_error(returns) == pytest.approx(error, rel=1e-9)
    chance = stats.norm.cdf((sharpe - benchmark) / error)
    assert probabilistic_sharpe(returns, benchmark) == pytest.approx(chance, abs=1e-9)


def test_dsr_agrees_with_a_plain_derivation() -> None:
    returns, others = _returns(), [0.01, -0.02, 0.05, 0.03, float("nan")]
    known = [value for value in others if value == value] + [sharpe_ratio(returns)]
    mean = sum(known) / 5
    variance = sum((value - mean) ** 2 for value in known) / 4
    usual, rare = stats.norm.ppf(1 - 1 / 6), stats.norm.ppf(1 - 1 / (6 * math.e))
    best = math.sqrt(variance) * ((1 - np.euler_gamma) * usual + np.euler_gamma * rare)
    expected = probabilistic_sharpe(returns, best)
    assert deflated_sharpe(returns, others) == pytest.approx(expected, abs=1e-12)
    assert 0.01 < expected < 0.99


def test_one_trial_deflates_nothing_and_more_trials_deflate_more() -> None:
    returns, sharpe = _returns(3), sharpe_ratio(_returns(3))
    assert deflated_sharpe(returns, ()) == probabilistic_sharpe(returns)
    spread = [sharpe - 0.05, sharpe + 0.05]
    chances = [deflated_sharpe(returns, spread * times) for times in (1, 5, 50)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] < probabilistic_sharpe(returns)
    assert math.isnan(deflated_sharpe(returns, [float("nan")]))


def test_the_best_of_trials_without_skill_is_where_simulation_finds_it() -> None:
    draws = np.random.default_rng(0).normal(0, 0.04, (20_000, 50)).max(axis=1)
    assert best_by_luck(50, 0.04**2) == pytest.approx(draws.mean(), rel=0.02)


def test_the_standard_error_is_the_spread_over_samples() -> None:
    samples = 0.0005 + 0.01 * (np.random.default_rng(1).gamma(1.5, 1, (4000, 300)) - 1.2)
    sharpes = [sharpe_ratio(sample) for sample in samples]
    errors = [sharpe_standard_error(sample) for sample in samples]
    assert np.mean(errors) == pytest.approx(np.std(sharpes), rel=0.05)
    normal = 1 / math.sqrt(299)
    assert abs(np.mean(errors) - normal) > 3 * abs(np.mean(errors) - np.std(sharpes))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 80))
def test_the_drawdown_agrees_with_every_pair_of_days(seed: int, count: int) -> None:
    returns = np.random.default_rng(seed).normal(0, 0.1, count)
    wealth = [1.0]
    for value in returns:
        wealth.append(wealth[-1] * (1 + value))
    falls = [
        1 - wealth[later] / wealth[earlier]
        for later in range(count + 1)
        for earlier in range(later + 1)
    ]
    assert max_drawdown(returns) == pytest.approx(max(falls), abs=1e-12)


def test_a_total_loss_is_a_drawdown_of_one_for_good() -> None:
    np.testing.assert_array_equal(drawdowns(np.array([0.5, -1.3, 0.9])), [0, 1, 1])


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.1 + 1e-17, 0.1, 0.1]])
def test_there_is_no_sharpe_ratio_of_what_does_not_vary(returns: list[float]) -> None:
    array = np.array(returns, dtype=np.float64)
    for function in (sharpe_ratio, sharpe_standard_error, probabilistic_sharpe):
        assert math.isnan(function(array))
    assert math.isnan(deflated_sharpe(array, [0.1, 0.2]))
    assert math.isnan(max_drawdown(array)) == (len(array) == 0)
