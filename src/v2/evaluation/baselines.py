"""The model beside simple rules, on the same folds, dates and rows.

A row counts where both the model and the rule have something to say; each comparison scores
the model afresh on those rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import diebold_mariano, ewc_interval
from src.v2.evaluation_records import BaselineScore, Interval, Statistic
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.rules import show_by_rank

PERMUTED = "permuted labels"
"""The one rule that is judged by labels of its own."""

ABOUT = {
    "zero": "forecasts a return of zero",
    "expanding mean": "forecasts the mean of all returns known at the date; uses no feature",
    "persistence": "forecasts each ticker's return over its last horizon",
    "reversal": "forecasts the negative of each ticker's return over its last horizon",
    "momentum 12-1": "ranks by the return from 252 to 21 sessions ago",
    "inverse volatility": "ranks by the least standard deviation of the last 63 daily returns",
    "ridge": "linear regression on the same features and training rows",
    "logistic": "logistic regression on the same features and training rows",
    PERMUTED: "the model's own settings, fitted and scored on labels moved between tickers",
}

MAP_STRIDE = 5
"""The returns that ranks are shown as are learned on every fifth date."""

NAN = float("nan")
NO_INTERVAL = Interval(NAN, NAN, NAN, 0)
NO_TEST = Statistic(NAN, NAN)


def rule_tables(
    predictions: pl.DataFrame, scores: pl.DataFrame, plan: LabelPlan
) -> dict[str, pl.DataFrame]:
    """Make what each simple rule says of the model's rows.

    Parameters
    ----------
    predictions
        The model's walk-forward forecasts.
    scores
        Of `src.v2.modeling.rules.rule_scores`.
    plan
        The label in force.

    Returns
    -------
    dict
        By name: | date | ticker | score | prediction (fraction) |, null where a rule does not
        rank or shows no return. Ranks by momentum and volatility show what such ranks turned
        into in earlier folds, and the expanding mean alone in the first. Classification has
        no shown return, thus neither zero nor the expanding mean.
    """
    rows = predictions.select(
        "date", "ticker", "fold", "forward_return", "expanding_mean", "label_end"
    ).join(scores, on=["date", "ticker"], how="left", maintain_order="left")
    own, nothing = pl.col("prediction"), pl.lit(None, dtype=pl.Float64)
    past = rows.with_columns(pl.col("persistence").alias("prediction"))
    shown = {
        "persistence": past.with_columns(own.alias("score")),
        "reversal": past.with_columns((-own).alias("prediction"), (-own).alias("score")),
        "momentum 12-1": _ranked(rows, "momentum", plan),
        "inverse volatility": _ranked(rows, "inverse_volatility", plan),
    }
    if not plan.classes:
        zero = rows.with_columns(nothing.alias("score"), pl.lit(0.0).alias("prediction"))
        mean = zero.with_columns(pl.col("expanding_mean").alias("prediction"))
        shown = {"zero": zero, "expanding mean": mean, **shown}
    prediction = nothing if plan.classes else own
    return {
        name: table.select("date", "ticker", "score", prediction.alias("prediction"))
        for name, table in shown.items()
    }


def score_baselines(
    predictions: pl.DataFrame, others: Mapping[str, pl.DataFrame], horizon: int
) -> tuple[BaselineScore, ...]:
    """Score the model beside each rule.

    Parameters
    ----------
    predictions
        The model's walk-forward forecasts, any order: | date | ticker | fold | score |
        forward_return | expanding_mean | and, for regression, | prediction |.
    others
        By name: | date | ticker | score (nullable) | and | prediction (fraction, nullable) |
        where a return is shown. "permuted labels" also has | forward_return |, its own labels'.
    horizon
        Dates over which neighbouring labels overlap.

    Returns
    -------
    tuple
        One a rule, in the order given. Below 20 tickers nothing is said about ranks; permuted
        labels are other labels than the model's, so there is no margin and no test.
    """
    known = predictions.drop_nulls(["forward_return"]).sort("date", "ticker")
    ranks = known["ticker"].n_unique() >= SMALL_UNIVERSE
    return tuple(
        _score(name, _side_by_side(known, other, own=name == PERMUTED), horizon, ranks=ranks)
        for name, other in others.items()
    )


def _ranked(rows: pl.DataFrame, rule: str, plan: LabelPlan) -> pl.DataFrame:
    """Score by a rule, and show what its ranks turned into."""
    if plan.classes:
        return rows.with_columns(pl.col(rule).alias("score"))
    score = pl.col(rule)
    rank = (score.rank("average").over("date") - 0.5) / score.count().over("date") - 0.5
    shown = show_by_rank(rows.with_columns(rank.alias("score")), every=MAP_STRIDE)
    return shown.with_columns(score.alias("score"))


def _side_by_side(known: pl.DataFrame, other: pl.DataFrame, *, own: bool) -> pl.DataFrame:
    """Put the model (score, prediction) and a rule (other_score, other_prediction) on one row."""
    columns = ["score", "prediction"] + (["forward_return"] if own else [])
    for column in {"prediction"} - set(other.columns):
        other = other.with_columns(pl.lit(None, dtype=pl.Float64).alias(column))
    for column in {"prediction"} - set(known.columns):
        known = known.with_columns(pl.lit(None, dtype=pl.Float64).alias(column))
    renamed = other.select("date", "ticker", pl.col(columns).name.prefix("other_"))
    rows = known.select(
        "date", "ticker", "fold", "score", "prediction", "forward_return", "expanding_mean"
    ).join(renamed, on=["date", "ticker"], how="inner", maintain_order="left")
    if own:
        rows = rows.with_columns(pl.col("other_forward_return").alias("forward_return"))
        rows = rows.drop_nulls(["forward_return"])
    return rows.filter(
        pl.col("other_score").is_not_null() | pl.col("other_prediction").is_not_null()
    )


def _score(name: str, rows: pl.DataFrame, horizon: int, *, ranks: bool) -> BaselineScore:
    rank_ic, margin = _ranking(rows, horizon) if ranks else (NO_INTERVAL, NO_INTERVAL)
    r2, test = _returns(rows, horizon)
    if name == PERMUTED:
        margin, test = NO_INTERVAL, NO_TEST
    about = ABOUT.get(name, name)
    return BaselineScore(name, about, rank_ic, r2, margin, test, rows["fold"].n_unique())


def _ranking(rows: pl.DataFrame, horizon: int) -> tuple[Interval, Interval]:
    """Rank IC of the rule, and that of the model less it."""
    rows = rows.drop_nulls(["score", "other_score"])
    if rows.is_empty():
        return NO_INTERVAL, NO_INTERVAL
    model = daily_ic(rows)["rank_ic"].to_numpy()
    rule = daily_ic(rows.with_columns(pl.col("other_score").alias("score")))["rank_ic"].to_numpy()
    return ewc_interval(rule, horizon), ewc_interval(model - rule, horizon)


def _returns(rows: pl.DataFrame, horizon: int) -> tuple[float, Statistic]:
    """R2 of the rule's shown return, and whether the model's squared error is smaller."""
    truth = pl.col("forward_return")
    errors = rows.select(
        "date",
        model=(truth - pl.col("prediction")) ** 2,
        rule=(truth - pl.col("other_prediction")) ** 2,
        mean=(truth - pl.col("expanding_mean")) ** 2,
    ).drop_nulls()
    if errors.is_empty() or not errors["mean"].sum() > 0:
        return NAN, NO_TEST
    r2 = 1 - float(errors["rule"].sum()) / float(errors["mean"].sum())
    daily = errors.group_by("date").agg(pl.col("model", "rule").mean()).sort("date")
    model, rule = (daily[column].to_numpy() for column in ("model", "rule"))
    return r2, diebold_mariano(np.asarray(model), np.asarray(rule), horizon)
