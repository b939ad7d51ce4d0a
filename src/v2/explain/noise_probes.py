"""How important features without any meaning come out.

Mean |SHAP| is never zero for a feature that trees may split on. So one more model is fitted
with three columns of chance beside the features, and what these reach is the line that a
feature must pass (the idea of Boruta: Kursa and Rudnicki 2010, Journal of Statistical Software
36(11)). One column differs on every row. The other two last, as most features do, and so can
fit labels that overlap: one is the same on all dates of a ticker, one for all tickers of a date.
The model is never scored, nor shipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.v2.config import ExplainConfig
from src.v2.explain.direction import signed_values
from src.v2.explain.permuted_importance import permutation_drops
from src.v2.explain.shap_values import explain_rows
from src.v2.explanation_records import NoiseLine
from src.v2.modeling.folds import train_mask
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

PROBES = ("one a row", "one a ticker", "one a date")

MOST_ROWS = 100_000
"""More rows would add seconds to a line that is drawn once."""


def noise_line(
    sample: ShapSample,
    fits: Sequence[FoldFit],
    trainer: Trainer,
    shares: Mapping[str, float],
    config: ExplainConfig,
    seed: int,
) -> NoiseLine:
    """Fit the newest explained fold once more, with three columns of chance beside its features.

    Parameters
    ----------
    sample
        The rows explained; those of that fold are explained again.
    fits
        What the walk-forward gave, one a fold.
    trainer
        That of the run, which fits XGBoost. It stays as it is; the copy fits for as many rounds
        as the fold did, on evenly spaced dates where its window is longer than 100,000 rows.
    shares
        Share of the mean |SHAP| by feature, largest first.
    config
        How many rows to permute.
    seed
        Of the columns of chance.

    Returns
    -------
    NoiseLine
        The shares that the columns of chance reach among all columns of that model, and what
        its forecast loses when they are permuted.

    Raises
    ------
    TypeError
        The trainer's learner is not XGBoost's.
    """
    number = int(sample.rows["fold"].to_numpy().max())
    fit = next(each for each in fits if each.fold.number == number)
    probed = fit_with_probes(fit, trainer, seed)
    reached = _shares(sample, number, probed)
    count = len(fit.test.names)
    groups = [[count + place] for place in range(len(PROBES))]
    drops = permutation_drops([probed], trainer.plan, groups, config.permutation_rows, seed)
    lost = drops.values.mean(axis=0) if len(drops.values) else np.full(len(PROBES), np.nan)
    limit = max(reached.values())
    below = tuple(name for name, share in shares.items() if not share > limit)
    return NoiseLine(number, reached, dict(zip(PROBES, lost.tolist(), strict=True)), limit, below)


def fit_with_probes(fit: FoldFit, trainer: Trainer, seed: int) -> FoldFit:
    """Fit a fold's window once more, with three columns of chance after its features.

    Parameters
    ----------
    fit
        The fold, for its rounds and test rows.
    trainer
        As of `noise_line`.
    seed
        Of the columns: standard Gaussian, one a row, one a ticker, one a date.

    Returns
    -------
    FoldFit
        Its columns are named by their places, so that no feature's name can be taken twice.

    Raises
    ------
    TypeError
        The trainer's learner is not XGBoost's.
    """
    learner = trainer.learner
    if not isinstance(learner, XGBoostLearner):
        raise TypeError(f"noise is probed with XGBoost's learner; got {type(learner).__name__}")
    window, kept = _spaced_window(trainer, fit)
    window, test = (
        _add_probes(panel, trainer.panel, seed, part)
        for part, panel in enumerate((window, fit.test))
    )
    # A leaf keeps the share of the rows that it must hold.
    weight = learner.leaf_weight * kept
    learner = dataclasses.replace(learner, feature_names=window.names, leaf_weight=weight)
    model = dataclasses.replace(trainer, learner=learner).fit(window, fit.model.rounds)
    train = int(window.session[0]), int(window.session[-1])
    return dataclasses.replace(
        fit,
        model=model,
        curve=None,
        train=train,
        train_rows=len(window.session),
        test=test,
        forecast=model.predict(test.features),
    )


def _spaced_window(trainer: Trainer, fit: FoldFit) -> tuple[Panel, float]:
    """Rows that the fold may be fitted on, thinned by whole dates, and the share kept."""
    fold = fit.fold
    before = trainer.strided.between(fold.train_start, fold.test_start)
    may = train_mask(before.session, before.label_end, fold)
    rows = int(may.sum())
    if rows <= MOST_ROWS:
        return before.take(may), 1.0
    dates = np.unique(before.session[may])
    keep = max(1, len(dates) * MOST_ROWS // rows)
    spaced = dates[((np.arange(keep) + 0.5) * len(dates) / keep).astype(np.int64)]
    window = before.take(may & np.isin(before.session, spaced))
    return window, len(window.session) / rows


def _add_probes(panel: Panel, whole: Panel, seed: int, part: int) -> Panel:
    """Append the columns of chance; those of a ticker and of a date are the same in every part."""
    rows, count = panel.features.shape
    by_ticker = np.random.default_rng([seed, 2]).standard_normal(int(whole.ticker.max()) + 1)
    by_date = np.random.default_rng([seed, 3]).standard_normal(len(whole.sessions))
    features = np.empty((rows, count + len(PROBES)), dtype=np.float32)
    features[:, :count] = panel.features
    features[:, count] = np.random.default_rng([seed, 1, part]).standard_normal(rows)
    features[:, count + 1] = by_ticker[panel.ticker]
    features[:, count + 2] = by_date[panel.session]
    names = tuple(str(place) for place in range(features.shape[1]))
    return dataclasses.replace(panel, features=features, names=names)


def _shares(sample: ShapSample, number: int, probed: FoldFit) -> dict[str, float]:
    """Share of the mean |SHAP| of each column of chance, on the fold's explained rows."""
    rows = sample.rows.filter(sample.rows["fold"] == number).select("date", "ticker")
    keys = probed.test.keys.select("date", "ticker").with_row_index("place")
    place = keys.join(rows, on=["date", "ticker"], how="semi")["place"].to_numpy()
    model, names = probed.model, probed.test.names
    values, _ = explain_rows(model.booster, probed.test.features[place], names, model.rounds)
    size = np.abs(signed_values(values)).mean(axis=0, dtype=np.float64)
    total = size.sum()
    reached = size[-len(PROBES) :] / total if total > 0 else np.zeros(len(PROBES))
    return dict(zip(PROBES, reached.tolist(), strict=True))
