"""Which numbers are taken of which forecasts, and under which keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from src.v2.evaluation.folds import over_folds
from src.v2.evaluation.metrics import (
    classification_metrics,
    daily_ic,
    hit_rates,
    regression_metrics,
)
from src.v2.evaluation.significance import ewc_interval
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import probability_column
from src.v2.records import FoldResult

FINAL_ALIASES = {"mse": "test_mse", "rmse": "test_rmse", "r2": "test_r2", "mae": "test_mae"}
"""Keys that regression's holdout scores have besides ``final_*``."""

PLAIN_ALIASES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall"}
"""Keys that classification's holdout scores have besides ``final_*``."""


PRIOR_KEYS = {"accuracy_base", "log_loss_base"}


def score_block(
    predictions: pl.DataFrame, plan: LabelPlan, prior: Sequence[float]
) -> dict[str, float]:
    """Score the forecasts of one block: a fold or the holdout.

    Parameters
    ----------
    predictions
        The forecasts table, with `prediction` for regression.
    prior
        Share of each class in the rows fitted on.
    """
    if plan.classes:
        columns = [probability_column(name) for name in plan.classes]
        scores = classification_metrics(predictions, columns, prior)
    else:
        scores = regression_metrics(predictions)
    daily = daily_ic(predictions)
    for name in ("ic", "rank_ic"):
        scores[name] = float(daily[name].sum()) / daily.height if daily.height else float("nan")
    middle = (len(plan.classes) - 1) / 2
    return scores | hit_rates(predictions, cross_sectional=plan.cross_sectional, middle=middle)


def score_walk_forward(
    predictions: pl.DataFrame, folds: Sequence[FoldResult], plan: LabelPlan
) -> dict[str, float]:
    """Score all folds: mean and deviation over them, and all their rows at once.

    Returns
    -------
    dict
        ``cv_<key>_mean``, ``cv_<key>_std``, ``cv_<key>_pooled``, the 95% interval of the mean
        rank IC over dates as ``cv_rank_ic_low`` and ``cv_rank_ic_high``, the independent
        windows behind it as ``cv_windows``, and the dates as ``cv_dates``.
    """
    scores = over_folds([fold.metrics for fold in folds])
    pooled = score_block(predictions, plan, [1.0] * len(plan.classes))
    for key in PRIOR_KEYS & pooled.keys():
        # Each row against the shares of the classes that its own fold was fitted on.
        total = sum(fold.metrics[key] * fold.test_rows for fold in folds)
        pooled[key] = total / sum(fold.test_rows for fold in folds)
    scores |= {f"cv_{key}_pooled": value for key, value in pooled.items()}
    daily = daily_ic(predictions)
    interval = ewc_interval(daily["rank_ic"].to_numpy(), plan.config.forward_days)
    return scores | {
        "cv_rank_ic_low": interval.low,
        "cv_rank_ic_high": interval.high,
        "cv_windows": float(interval.windows),
        "cv_dates": float(daily.height),
    }


def score_holdout(block: Mapping[str, float]) -> dict[str, float]:
    """Name a holdout's scores ``final_<key>``, and by the keys that guides know besides."""
    aliases = FINAL_ALIASES | PLAIN_ALIASES
    scores = {f"final_{key}": value for key, value in block.items() if key != "mse"}
    return scores | {aliases[key]: value for key, value in block.items() if key in aliases}
