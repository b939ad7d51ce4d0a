"""SHAP values over the walk-forward: each row by the model that forecast it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.explain.shap_values import Explainer, sample_rows_by_date
from src.v2.modeling.feature_rows import map_rows
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample

SAMPLED_ROWS = 200
"""Most rows explained where contributions are sampled: each takes thousands of forecasts."""


def explain_folds(fits: Sequence[FoldFit], plan: LabelPlan, rows: int, seed: int) -> ShapSample:
    """Explain a sample of out-of-sample rows, each by the model of its own fold.

    Parameters
    ----------
    rows
        Rows wanted; at most 200 where contributions are sampled.
    """
    if not fits[0].model.exact:
        rows = min(rows, SAMPLED_ROWS)
    sessions = np.concatenate([fit.test.session for fit in fits])
    chosen = sample_rows_by_date(sessions, rows, seed)
    starts = np.cumsum([0, *(len(fit.test.session) for fit in fits)])
    keys, features, values, bases = [], [], [], []
    for fit, start, stop in zip(fits, starts[:-1], starts[1:], strict=True):
        inside = chosen[(chosen >= start) & (chosen < stop)] - start
        if not len(inside):
            continue
        told = fit.test.feature_rows[inside]
        explain = Explainer(fit.model)
        value, base = (
            np.concatenate(parts) for parts in zip(*map_rows(told, explain), strict=True)
        )
        number = pl.lit(fit.fold.number, dtype=pl.Int32).alias("fold")
        keys.append(fit.test.keys[inside].select("date", "ticker", number))
        features.append(np.asarray(told))
        values.append(value)
        bases.append(base)
    outputs = plan.classes if len(plan.classes) > 2 else ("forecast",)
    return ShapSample(
        pl.concat(keys),
        np.concatenate(features),
        np.concatenate(values),
        np.concatenate(bases),
        outputs,
        fits[0].test.names,
    )


def mean_importance_by_fold(sample: ShapSample) -> npt.NDArray[np.float64]:
    """Mean absolute SHAP value of each feature on the test rows of each fold.

    Returns
    -------
    ndarray
        Array (folds, features), in the order of the folds' numbers; over all outputs.
    """
    size = np.abs(sample.values).mean(axis=1)
    numbers = sample.rows["fold"].to_numpy()
    return np.array(
        [size[numbers == number].mean(axis=0) for number in np.unique(numbers)], dtype=np.float64
    )
