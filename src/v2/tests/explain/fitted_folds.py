"""Small folds of real boosters on made-up rows, and their explained rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import xgboost

from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.learners.xgboost_trees import XGBoostModel
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample
from src.v2.tests.explain.probed_runs import make_fit

Array = np.ndarray[Any, Any]

TICKERS = 5
OBJECTIVES: dict[int, dict[str, Any]] = {
    0: {"objective": "reg:squarederror"},
    2: {"objective": "binary:logistic"},
    5: {"objective": "multi:softprob", "num_class": 5},
}


def fit_booster(features: Array, score: Array, classes: int = 0, **settings: Any) -> XGBoostModel:
    """Fit a score, or the classes of equal size that it is cut into."""
    label = score
    if classes:
        cuts = np.quantile(score, np.arange(1, classes) / classes)
        label = np.searchsorted(cuts, score).astype(np.float64)
    names = [f"f{place}" for place in range(features.shape[1])]
    rounds = settings.pop("rounds", 20)
    rules = {"max_depth": 3, "seed": 1, "nthread": 1, **OBJECTIVES[classes], **settings}
    booster = xgboost.train(rules, xgboost.DMatrix(features, label, feature_names=names), rounds)
    return XGBoostModel(booster, rounds)


def booster_of(model: FittedModel) -> Any:
    """Give the booster of a model that has one."""
    assert isinstance(model, XGBoostModel)
    return model.booster


def make_folds(
    draw: Callable[[np.random.Generator, int], Array],
    score: Callable[[Array], Array],
    *,
    folds: int = 2,
    sessions: int = 120,
    classes: int = 0,
    seed: int = 0,
    **settings: Any,
) -> tuple[ShapSample, tuple[FoldFit, ...]]:
    """Fit each fold on rows of its own, and explain all rows that it forecasts.

    Parameters
    ----------
    draw
        Gives so many rows of features.
    score
        What is fitted, from the features.
    sessions
        Of one fold, with 5 tickers each.
    """
    rng = np.random.default_rng(seed)
    fits = []
    for number in range(1, folds + 1):
        train = draw(rng, 1500).astype(np.float32)
        model = fit_booster(train, score(train) + 0.01 * rng.normal(size=1500), classes, **settings)
        session = np.repeat(np.arange(sessions) + sessions * (number - 1), TICKERS)
        session = session.astype(np.int32)
        ticker = np.tile(np.arange(TICKERS, dtype=np.int32), sessions)
        rows = draw(rng, len(session)).astype(np.float32)
        nothing = np.zeros(len(session), dtype=np.float32)
        fits.append(make_fit(session, ticker, rows, nothing, model, number=number))
    # Folds share the sessions of their panel.
    whole = fits[-1].test.sessions
    fits = [replace(fit, test=replace(fit.test, sessions=whole)) for fit in fits]
    return sample_of(fits, classes), tuple(fits)


def sample_of(fits: list[FoldFit], classes: int) -> ShapSample:
    """Explain every row of some folds."""
    parts = [fit.model.contributions(fit.test.features) for fit in fits]
    keys = [
        fit.test.keys.select(
            "date", "ticker", pl.lit(fit.fold.number, dtype=pl.Int32).alias("fold")
        )
        for fit in fits
    ]
    outputs = tuple(f"c{place}" for place in range(classes)) if classes > 2 else ("forecast",)
    return ShapSample(
        pl.concat(keys),
        np.concatenate([fit.test.features for fit in fits]),
        np.concatenate([values for values, _ in parts]),
        np.concatenate([base for _, base in parts]),
        outputs,
        fits[0].test.names,
    )
