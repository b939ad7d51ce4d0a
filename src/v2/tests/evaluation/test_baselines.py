"""The model beside simple rules: the same rows for both, and numbers by slow references."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.config import LabelConfig
from src.v2.evaluation.baselines import PERMUTED, rule_tables, score_baselines
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import BaselineScore
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.rules import rule_scores
from src.v2.tests.synthetic import ragged, random_walk_bars, weekdays

HORIZON = 5
NAN = float("nan")


def _predictions(tickers: int = 24, dates: int = 150, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    days = weekdays(dates + HORIZON)
    rows = [
        (days[day], f"T{number:02d}", day // 50 + 1, days[day + HORIZON])
        for day in range(dates)
        for number in range(tickers)
    ]
    table = pl.DataFrame(rows, schema=["date", "ticker", "fold", "label_end"], orient="row")
    score = rng.normal(0, 0.02, table.height)
    return table.with_columns(
        pl.Series("score", score),
        pl.Series("prediction", 0.5 * score + 0.01),
        pl.Series("forward_return", 0.5 * score + 0.01 + rng.normal(0, 0.05, table.height)),
        pl.Series("expanding_mean", 0.01 + 0.001 * rng.normal(size=table.height)),
    )


def _other(predictions: pl.DataFrame, seed: int = 1, missing: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    score = pl.Series("score", rng.normal(0, 0.02, predictions.height))
    there = pl.Series(rng.random(predictions.height) >= missing)
    return predictions.select(
        "date",
        "ticker",
        pl.when(there).then(score).alias("score"),
        pl.when(there).then(score * 2).alias("prediction"),
    )


def _score(predictions: pl.DataFrame, other: pl.DataFrame, name: str = "rule") -> BaselineScore:
    (score,) = score_baselines(predictions, {name: other}, HORIZON)
    return score


def _plan(**label: object) -> LabelPlan:
    return plan_label(LabelConfig.model_validate({"forward_days": HORIZON, **label}), 24)


def test_model_and_rule_are_scored_on_the_rows_that_both_have() -> None:
    predictions = _predictions()
    other = _other(predictions, missing=0.3)
    score = _score(predictions, other)
    both = predictions.join(other.drop_nulls(), on=["date", "ticker"], suffix="_rule")
    rule, margin = [], []
    for _, part in both.sort("date").group_by("date", maintain_order=True):
        truth = part["forward_return"]
        rule.append(stats.spearmanr(part["score_rule"], truth).statistic)
        margin.append(stats.spearmanr(part["score"], truth).statistic - rule[-1])
    assert score.rank_ic.mean == pytest.approx(np.mean(rule))
    expected = ewc_interval(np.array(margin), HORIZON)
    assert score.margin.mean == pytest.approx(expected.mean)
    assert score.margin.low == pytest.approx(expected.low)
    assert score.margin.high == pytest.approx(expected.high)
    outcome = both["forward_return"].to_numpy()
    errors = ((outcome - both["prediction_rule"].to_numpy()) ** 2).sum()
    base = ((outcome - both["expanding_mean"].to_numpy()) ** 2).sum()
    assert score.r2 == pytest.approx(1 - errors / base)
    assert score.folds == 3


def test_rows_without_an_outcome_or_in_another_order_change_nothing() -> None:
    predictions = _predictions()
    other = _other(predictions, missing=0.1)
    ended = predictions.head(50).with_columns(
        pl.lit("gone").alias("ticker"), pl.lit(None, pl.Float64).alias("forward_return")
    )
    more = pl.concat([predictions, ended]).sample(fraction=1, shuffle=True, seed=0)
    told = pl.concat([other, _other(ended)]).sample(fraction=1, shuffle=True, seed=1)
    assert _score(more, told) == _score(predictions, other)


def test_a_rule_that_says_what_the_model_says_has_no_margin() -> None:
    predictions = _predictions()
    score = _score(predictions, predictions.select("date", "ticker", "score", "prediction"))
    assert (score.margin.mean, score.margin.low, score.margin.high) == (0, 0, 0)
    assert math.isnan(score.diebold_mariano.p)


def test_the_test_of_losses_favours_the_better_forecast() -> None:
    predictions = _predictions()
    perfect = predictions.select("date", "ticker", score="forward_return").with_columns(
        pl.col("score").alias("prediction")
    )
    assert _score(predictions, perfect).diebold_mariano.statistic < -5
    assert _score(predictions, perfect).margin.high < 0
    worse = _score(predictions, _other(predictions))
    assert worse.diebold_mariano.statistic > 3
    assert worse.margin.low > 0


def test_zero_and_the_expanding_mean_do_not_rank() -> None:
    predictions = _predictions()
    scores = rule_scores(random_walk_bars(2, 10), HORIZON)
    rules = rule_tables(predictions, scores, _plan())
    zero = _score(predictions, rules["zero"])
    truth = predictions["forward_return"].to_numpy()
    base = ((truth - predictions["expanding_mean"].to_numpy()) ** 2).sum()
    assert zero.r2 == pytest.approx(1 - (truth**2).sum() / base)
    mean = _score(predictions, rules["expanding mean"])
    assert mean.r2 == 0
    for score in (zero, mean):
        for interval in (score.rank_ic, score.margin):
            assert math.isnan(interval.mean) and math.isnan(interval.low)
        assert score.diebold_mariano.statistic > 0
        assert score.folds == 3


def test_a_rule_without_a_row_is_not_scored() -> None:
    predictions = _predictions()
    score = _score(predictions, _other(predictions, missing=1.0))
    assert math.isnan(score.rank_ic.mean) and math.isnan(score.r2)
    assert score.folds == 0


def test_below_twenty_tickers_ranks_are_not_compared_and_returns_are() -> None:
    predictions = _predictions(tickers=19)
    score = _score(predictions, _other(predictions))
    assert math.isnan(score.rank_ic.mean) and math.isnan(score.margin.mean)
    assert math.isfinite(score.r2) and math.isfinite(score.diebold_mariano.statistic)


def test_classification_shows_no_return() -> None:
    predictions = _predictions().drop("prediction")
    scores = rule_scores(random_walk_bars(2, 10), HORIZON)
    rules = rule_tables(predictions, scores, _plan(mode="classification"))
    assert list(rules) == ["persistence", "reversal", "momentum 12-1", "inverse volatility"]
    score = _score(predictions, _other(predictions).drop("prediction"))
    assert math.isfinite(score.rank_ic.mean) and math.isfinite(score.margin.mean)
    assert math.isnan(score.r2) and math.isnan(score.diebold_mariano.p)


def test_permuted_labels_are_judged_by_themselves() -> None:
    predictions = _predictions()
    rng = np.random.default_rng(5)
    moved = pl.Series("forward_return", rng.permutation(predictions["forward_return"].to_numpy()))
    other = predictions.filter(pl.col("fold") > 1).select("date", "ticker", "score", "prediction")
    told = other.with_columns(moved[-other.height :])
    score = _score(predictions, told, PERMUTED)
    assert abs(score.rank_ic.mean) < 0.05
    assert _score(predictions, told, "rule").rank_ic.mean > 0.1
    rows = told.join(predictions.select("date", "ticker", "expanding_mean"), on=["date", "ticker"])
    errors = ((rows["forward_return"] - rows["prediction"]) ** 2).to_numpy().sum()
    base = ((rows["forward_return"] - rows["expanding_mean"]) ** 2).to_numpy().sum()
    assert score.r2 == pytest.approx(1 - errors / base)
    assert math.isnan(score.margin.mean) and math.isnan(score.diebold_mariano.p)
    assert score.folds == 2


def _walked(bars: pl.DataFrame, first: int = 300) -> pl.DataFrame:
    """Make forecasts of noise for the bars from a session on."""
    rng = np.random.default_rng(0)
    close = pl.col("close")
    table = (
        bars.sort("ticker", "date")
        .with_columns(
            (close.shift(-HORIZON) / close - 1).over("ticker").alias("forward_return"),
            pl.col("date").shift(-HORIZON).over("ticker").alias("label_end"),
        )
        .filter(pl.col("date") >= weekdays(first + 1)[-1])
        .drop_nulls()
        .sort("date", "ticker")
    )
    place = pl.col("date").rank("dense")
    return table.with_columns(
        ((place - 1) // 100 + 1).cast(pl.Int32).alias("fold"),
        pl.Series("score", rng.normal(size=table.height)),
        pl.lit(0.0).alias("prediction"),
        pl.lit(0.002).alias("expanding_mean"),
    )


def test_rules_say_what_each_ticker_s_own_past_says() -> None:
    bars = ragged(random_walk_bars(24, 620))
    predictions = _walked(bars)
    scores = rule_scores(bars, HORIZON)
    rules = rule_tables(predictions.sample(fraction=1, shuffle=True, seed=0), scores, _plan())
    past = scores.select("date", "ticker", "persistence", "momentum", "inverse_volatility")
    for name, column, sign in (
        ("persistence", "persistence", 1),
        ("reversal", "persistence", -1),
        ("momentum 12-1", "momentum", 1),
        ("inverse volatility", "inverse_volatility", 1),
    ):
        joined = rules[name].join(past, on=["date", "ticker"])
        assert joined.height == predictions.height
        assert joined["score"].equals(sign * joined[column], check_names=False)
    reversal = rules["reversal"]
    assert reversal["prediction"].equals(reversal["score"], check_names=False)
    ranked = rules["momentum 12-1"].join(
        predictions.select("date", "ticker", "fold"), on=["date", "ticker"]
    )
    ranked = ranked.drop_nulls("prediction")
    assert (ranked.filter(pl.col("fold") == 1)["prediction"] == 0.002).all()
    assert ranked.filter(pl.col("fold") > 1)["prediction"].n_unique() > 5


def test_a_planted_momentum_is_found_by_the_momentum_rule_alone() -> None:
    rng = np.random.default_rng(0)
    drift = pl.DataFrame(
        {"ticker": [f"T{number:03d}" for number in range(24)], "drift": rng.normal(0, 0.002, 24)}
    )
    bars = random_walk_bars(24, 620).join(drift, on="ticker").sort("ticker", "date")
    day = pl.int_range(pl.len()).over("ticker")
    bars = bars.with_columns((pl.col("close") * (pl.col("drift") * day).exp()).alias("close"))
    predictions = _walked(bars)
    rules = rule_tables(predictions, rule_scores(bars, HORIZON), _plan())
    found = {score.name: score for score in score_baselines(predictions, rules, HORIZON)}
    momentum = found["momentum 12-1"]
    assert momentum.rank_ic.low > 0.05
    assert momentum.margin.high < 0
    assert momentum.r2 > 0
    assert momentum.diebold_mariano.statistic < 0
    assert found["reversal"].rank_ic.mean < 0
    assert found["reversal"].rank_ic.mean == pytest.approx(-found["persistence"].rank_ic.mean)
