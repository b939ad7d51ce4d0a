"""What the folds say together: means, deviations and agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from src.v2.records import LearningCurve


def over_folds(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean and sample standard deviation of each metric over folds, as ``cv_<key>_mean``.

    A metric that is NaN in some folds is averaged over the others; NaN where none is left.
    """
    summary: dict[str, float] = {}
    for key in dict.fromkeys(key for fold in folds for key in fold):
        values = np.array([fold[key] for fold in folds if np.isfinite(fold.get(key, np.nan))])
        summary[f"cv_{key}_mean"] = float(values.mean()) if values.size else float("nan")
        summary[f"cv_{key}_std"] = float(values.std(ddof=1)) if values.size > 1 else float("nan")
    return summary


def feature_stability(importances: Sequence[Mapping[str, float]], names: Sequence[str]) -> float:
    """Mean Spearman correlation of the features' importance between every two folds.

    1 means the same order of features in every fold. It is no sign of skill: noise is
    stable too. NaN with fewer than two folds or two features.
    """
    from scipy import stats

    table = np.array([[fold.get(name, 0.0) for name in names] for fold in importances])
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        return float("nan")
    ranks = np.apply_along_axis(stats.rankdata, 1, table)
    if (ranks.std(axis=1) == 0).any():
        return float("nan")
    pairs = np.corrcoef(ranks)[np.triu_indices(len(ranks), k=1)]
    return float(pairs.mean())


def mean_importance(folds: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """Mean over folds of each feature's share of gain, largest first."""
    mean = {name: float(np.mean([fold.get(name, 0.0) for fold in folds])) for name in names}
    return dict(sorted(mean.items(), key=lambda item: (-item[1], item[0])))


def mean_curve(curves: Sequence[LearningCurve | None]) -> LearningCurve | None:
    """Mean of the folds' curves over the rounds that all of them reached."""
    there = [curve for curve in curves if curve is not None]
    if not there:
        return None
    rounds = min(len(curve.train_loss) for curve in there)
    train = np.mean([curve.train_loss[:rounds] for curve in there], axis=0)
    val = np.mean([curve.val_loss[:rounds] for curve in there], axis=0)
    return LearningCurve(tuple(train.tolist()), tuple(val.tolist()))
