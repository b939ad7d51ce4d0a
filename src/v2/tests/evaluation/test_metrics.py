"""Metrics against scikit-learn, scipy and hand-made tables."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as oracle

from src.v2.evaluation.folds import feature_stability, over_folds
from src.v2.evaluation.metrics import (
    classification_metrics,
    daily_ic,
    hit_rates,
    regression_metrics,
)

DAYS = [dt.date(2020, 1, day) for day in range(1, 31)]


def _forecasts(seed: int = 0, tickers: int = 15, days: int = 30) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    size = tickers * days
    return pl.DataFrame(
        {
            "date": [day for day in DAYS[:days] for _ in range(tickers)],
            "ticker": [f"T{i}" for i in range(tickers)] * days,
            "score": rng.normal(size=size),
            "prediction": rng.normal(0.01, 0.05, size),
            "forward_return": rng.normal(0.01, 0.1, size),
            "expanding_mean": rng.normal(0.01, 0.001, size),
        }
    )


def test_errors_agree_with_scikit_learn() -> None:
    table = _forecasts()
    truth, guess = table["forward_return"].to_numpy(), table["prediction"].to_numpy()
    got = regression_metrics(table)
    assert got["mse"] == pytest.approx(oracle.mean_squared_error(truth, guess))
    assert got["rmse"] == pytest.approx(oracle.root_mean_squared_error(truth, guess))
    assert got["mae"] == pytest.approx(oracle.mean_absolute_error(truth, guess))


def test_the_expanding_mean_scores_zero_against_itself() -> None:
    table = _forecasts().with_columns(prediction=pl.col("expanding_mean"))
    got = regression_metrics(table)
    assert got["r2"] == pytest.approx(0.0, abs=1e-12)
    assert got["r2_zero"] == pytest.approx(got["r2_mean_zero"])
    assert regression_metrics(table.with_columns(prediction=pl.lit(0.0)))["r2_zero"] == 0.0


def test_ic_agrees_with_scipy_on_each_date() -> None:
    table = _forecasts()
    daily = daily_ic(table.sample(fraction=1.0, shuffle=True, seed=3))
    assert daily["date"].to_list() == DAYS
    for date, ic, rank_ic, count in daily.iter_rows():
        day = table.filter(pl.col("date") == date)
        truth, score = day["forward_return"].to_numpy(), day["score"].to_numpy()
        assert ic == pytest.approx(stats.pearsonr(score, truth)[0])
        assert rank_ic == pytest.approx(stats.spearmanr(score, truth)[0])
        assert count == 15


def test_ic_ignores_rising_transforms_and_needs_ten_tickers() -> None:
    table = _forecasts()
    lifted = table.with_columns(score=pl.col("score").exp())
    assert daily_ic(table)["rank_ic"].to_list() == pytest.approx(
        daily_ic(lifted)["rank_ic"].to_list()
    )
    assert daily_ic(_forecasts(tickers=9)).is_empty()
    constant = daily_ic(table.with_columns(score=pl.lit(1.0)))
    assert (constant["ic"].to_list(), constant["rank_ic"].to_list()) == ([0.0] * 30, [0.0] * 30)


def test_hit_rate_and_its_base_on_a_hand_made_table() -> None:
    table = pl.DataFrame(
        {
            "date": [DAYS[0]] * 4 + [DAYS[1]] * 2,
            "score": [1.0, 1.0, -1.0, -1.0, 1.0, -1.0],
            "prediction": [0.1, 0.1, -0.1, 0.1, 0.1, 0.1],
            "forward_return": [0.2, -0.1, -0.3, 0.1, 0.1, 0.2],
        }
    )
    assert hit_rates(table, cross_sectional=False) == {
        "hit_rate": pytest.approx((3 / 4 + 1) / 2),
        "hit_base": pytest.approx((2 / 4 + 1) / 2),
    }
    assert hit_rates(table, cross_sectional=True)["hit_rate"] == pytest.approx((2 / 4 + 0) / 2)


def test_a_row_on_neither_side_hits_nothing() -> None:
    table = pl.DataFrame({"date": [DAYS[0]] * 2, "score": [2.0, 3.0], "forward_return": [0.0, 0.1]})
    assert hit_rates(table, cross_sectional=False, middle=2.0) == {
        "hit_rate": 0.5,
        "hit_base": 0.5,
    }
    same = table.with_columns(forward_return=pl.lit(0.1))
    assert hit_rates(same, cross_sectional=True) == {"hit_rate": 0.0, "hit_base": 0.0}


@pytest.mark.parametrize("classes", [2, 5])
def test_class_scores_agree_with_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    shares = rng.dirichlet(np.ones(classes), 300)
    truth = rng.integers(0, classes, 300)
    names = [f"p_{code}" for code in range(classes)]
    table = pl.DataFrame(shares, schema=names).with_columns(label=pl.Series(truth))
    prior = (np.bincount(truth) / 300).tolist()
    got = classification_metrics(table, names, prior)
    guess = shares.argmax(axis=1)
    assert got["accuracy"] == pytest.approx(oracle.accuracy_score(truth, guess))
    assert got["balanced_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(truth, guess))
    assert got["mcc"] == pytest.approx(oracle.matthews_corrcoef(truth, guess))
    assert got["log_loss"] == pytest.approx(oracle.log_loss(truth, shares))
    assert got["log_loss_base"] == pytest.approx(stats.entropy(prior))
    assert got["accuracy_base"] == pytest.approx(max(prior))
    assert got["precision"] == pytest.approx(oracle.precision_score(truth, guess, average="macro"))
    assert got["recall"] == pytest.approx(oracle.recall_score(truth, guess, average="macro"))


def test_over_folds_leaves_missing_values_out() -> None:
    got = over_folds([{"r2": 1.0, "ic": float("nan")}, {"r2": 3.0, "ic": 0.5}])
    assert got["cv_r2_mean"] == 2.0
    assert got["cv_r2_std"] == pytest.approx(2**0.5)
    assert got["cv_ic_mean"] == 0.5
    assert np.isnan(got["cv_ic_std"])


def test_stability_is_the_mean_pairwise_spearman() -> None:
    rng = np.random.default_rng(1)
    names = [f"f{i}" for i in range(12)]
    folds = [dict(zip(names, rng.random(12), strict=True)) for _ in range(4)]
    pairs = [
        stats.spearmanr(list(folds[i].values()), list(folds[j].values()))[0]
        for i in range(4)
        for j in range(i + 1, 4)
    ]
    assert feature_stability(folds, names) == pytest.approx(np.mean(pairs))
    assert feature_stability([folds[0], folds[0]], names) == pytest.approx(1.0)
    assert np.isnan(feature_stability(folds[:1], names))


def test_a_date_of_equal_scores_hits_nothing() -> None:
    table = _forecasts().with_columns(score=pl.lit(0.1 + 0.2))
    assert hit_rates(table, cross_sectional=True)["hit_rate"] == 0.0
