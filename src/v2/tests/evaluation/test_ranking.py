"""Ranking skill against scipy, plain loops and panels whose truth is known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from scipy import stats

from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.permutation import permutation_test
from src.v2.evaluation.ranking import ranking_skill, without_static_ranking
from src.v2.tests.synthetic import weekdays

Matrix = npt.NDArray[np.float64]

FOLD = 60


def _table(scores: Matrix, returns: Matrix) -> pl.DataFrame:
    dates, tickers = scores.shape
    days = weekdays(dates, dt.date(2020, 6, 1))
    return pl.DataFrame(
        {
            "date": [day for day in days for _ in range(tickers)],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * dates,
            "fold": np.repeat(np.arange(dates) // FOLD + 1, tickers).astype(np.int32),
            "score": scores.ravel(),
            "forward_return": returns.ravel(),
        }
    )


def _noise(seed: int, dates: int = 240, tickers: int = 20) -> tuple[Matrix, Matrix]:
    scores, returns = np.random.default_rng(seed).normal(size=(2, dates, tickers))
    return scores, returns


def _momentum(seed: int, look_back: int, horizon: int) -> tuple[Matrix, Matrix]:
    """Past and future sums of independent returns: the past tells nothing."""
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.normal(size=(look_back + 240 + horizon, 20)), axis=0)
    now = slice(look_back, look_back + 240)
    return level[now] - level[:240], level[look_back + horizon :] - level[now]


def _demeaned_mean(table: pl.DataFrame) -> float:
    return float(daily_ic(without_static_ranking(table))["rank_ic"].to_numpy().mean())


def test_skill_gathers_what_scipy_says_of_each_date() -> None:
    scores, returns = _noise(0)
    scores += 0.3 * returns
    skill = ranking_skill(_table(scores, returns), 5, 99, 0)
    ranked = np.array([stats.spearmanr(*day)[0] for day in zip(scores, returns, strict=True)])
    plain = np.array([stats.pearsonr(*day)[0] for day in zip(scores, returns, strict=True)])
    assert (skill.dates, skill.tickers, skill.rank_ic.windows) == (240, 20, 48)
    assert skill.rank_ic.mean == pytest.approx(ranked.mean())
    assert skill.ic.mean == pytest.approx(plain.mean())
    assert skill.rank_ic_std == pytest.approx(ranked.std(ddof=1))
    assert skill.icir == pytest.approx(ranked.mean() / ranked.std(ddof=1))
    assert skill.positive_share == (ranked > 0).mean()
    test = permutation_test(scores, returns, 99, 0)
    assert (skill.permutation_p, skill.permutations, skill.exchangeable) == (test.p, 99, 20)
    assert skill.null == test.null and sum(each.count for each in skill.null) == 99
    error = (skill.rank_ic.high - skill.rank_ic.mean) / stats.t.ppf(0.975, 24)
    assert skill.detectable == pytest.approx(error * stats.t.ppf([0.975, 0.8], 24).sum())
    assert skill.newey_west.p < 0.01 and skill.non_overlapping.p < 0.01


def test_yearly_means_add_up_to_the_mean() -> None:
    scores, returns = _noise(1)
    table = _table(scores, returns)
    skill = ranking_skill(table, 5, 9, 0)
    assert [year for year, _, _ in skill.yearly] == [2020, 2021]
    assert [dates for _, dates, _ in skill.yearly] == [154, 86]
    total = sum(dates * mean for _, dates, mean in skill.yearly)
    assert total / 240 == pytest.approx(skill.rank_ic.mean)


def test_neither_the_order_of_rows_nor_rows_without_a_return_matter() -> None:
    scores, returns = _noise(2)
    table = _table(scores, returns)
    gone = table.with_columns(
        pl.when((pl.col("ticker") != "T03") | (pl.col("date") < dt.date(2021, 4, 1)))
        .then("forward_return")
        .alias("forward_return")
    )
    mixed = gone.sample(fraction=1.0, shuffle=True, seed=1)
    assert ranking_skill(gone, 5, 99, 0) == ranking_skill(mixed, 5, 99, 0)
    stopped = ranking_skill(gone.drop_nulls("forward_return"), 5, 99, 0)
    assert stopped == ranking_skill(gone, 5, 99, 0)
    assert stopped.exchangeable == 19


def test_dates_with_few_tickers_are_left_out_and_their_tickers_not_counted() -> None:
    scores, returns = _noise(3, tickers=12)
    table = _table(scores, returns)
    first = table["date"].min()
    few = table.filter((pl.col("date") != first) | (pl.col("ticker") < "T09"))
    alone = few.filter(pl.col("date") == first).with_columns(
        ("X" + pl.col("ticker")).alias("ticker")
    )
    skill = ranking_skill(pl.concat([few.filter(pl.col("date") != first), alone]), 5, 9, 0)
    assert (skill.dates, skill.tickers) == (239, 12)


@pytest.mark.parametrize("dates", [0, 1, 30])
def test_what_the_rows_cannot_tell_is_nan(dates: int) -> None:
    scores, returns = _noise(4, dates=30)
    table = _table(scores, returns).head(20 * dates)
    skill = ranking_skill(table, 20, 9, 0)
    assert skill.dates == dates
    assert np.isnan(skill.rank_ic.low) and np.isnan(skill.detectable)
    assert np.isnan(skill.newey_west.p) and np.isnan(skill.non_overlapping.p)
    assert np.isnan(skill.rank_ic.mean) == (dates == 0)
    assert np.isnan(skill.icir) == (dates < 2)
    assert np.isnan(skill.permutation_p) == (dates == 0)
    assert (skill.null == ()) == (dates == 0)


def test_a_score_that_never_changes_has_no_demeaned_skill() -> None:
    drift = np.linspace(-1, 1, 20)
    _, noise = _noise(5)
    skill = ranking_skill(_table(np.tile(0.1 + drift / 3, (240, 1)), noise + drift), 5, 99, 0)
    assert skill.rank_ic.low > 0.3 and skill.permutation_p == 0.01
    assert (skill.demeaned_rank_ic.mean, skill.demeaned_rank_ic.high) == (0.0, 0.0)


def test_a_static_ranking_that_jumps_at_each_refit_has_no_demeaned_skill() -> None:
    drift = np.linspace(-1, 1, 20)
    _, noise = _noise(6)
    refits = drift + np.random.default_rng(0).normal(0, 0.3, (4, 20))
    table = _table(np.repeat(refits, FOLD, axis=0), noise + drift)
    assert ranking_skill(table, 5, 99, 0).rank_ic.low > 0.3
    assert _demeaned_mean(table) == 0.0
    over_all_folds = pl.col("score") - pl.col("score").mean().over("ticker")
    assert daily_ic(table.with_columns(over_all_folds))["rank_ic"].to_numpy().std() > 0.05


def test_a_static_ranking_below_noise_has_about_no_demeaned_skill() -> None:
    drift = np.linspace(-1, 1, 20)
    means = []
    for seed in range(20):
        scores, noise = _noise(seed)
        means.append(_demeaned_mean(_table(scores + 2 * drift, noise + drift)))
    assert abs(np.mean(means)) < 4 * np.std(means, ddof=1) / 20**0.5
    assert np.std(means) < 0.03


def test_a_ranking_that_changes_keeps_its_skill_without_the_static_part() -> None:
    drift = np.linspace(-3, 3, 20)
    signal, noise = _noise(7)
    assert _demeaned_mean(_table(signal + drift, signal + 2 * noise)) > 0.3


@pytest.mark.parametrize("sign", [1, -1])
def test_momentum_of_random_walks_stays_without_skill_when_demeaned(sign: int) -> None:
    causal, whole = [], []
    for seed in range(40):
        past, future = _momentum(seed, look_back=40, horizon=10)
        table = _table(sign * past, future)
        causal.append(_demeaned_mean(table))
        over_fold = pl.col("score") - pl.col("score").mean().over("ticker", "fold")
        whole.append(daily_ic(table.with_columns(over_fold))["rank_ic"].to_numpy().mean())
    error = np.std(causal, ddof=1) / 40**0.5
    assert abs(np.mean(causal)) < 3.5 * error
    # The mean over the whole fold holds scores that know the returns to be forecast.
    assert -sign * np.mean(whole) > 10 * error


def test_demeaned_scores_are_those_of_a_plain_loop() -> None:
    scores, returns = _noise(8, dates=90, tickers=3)
    table = _table(scores, returns).filter(pl.col("score").abs() < 2)
    got = without_static_ranking(table.sample(fraction=1.0, shuffle=True, seed=2))
    assert got.select("date", "ticker").equals(
        table.select("date", "ticker").sort("date", "ticker")
    )
    for date, ticker, fold, score in got.select("date", "ticker", "fold", "score").iter_rows():
        past = table.filter(
            (pl.col("ticker") == ticker) & (pl.col("fold") == fold) & (pl.col("date") <= date)
        )["score"].to_numpy()
        assert score == pytest.approx(past[-1] - past.mean(), abs=1e-12)
