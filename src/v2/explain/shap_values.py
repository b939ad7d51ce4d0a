"""Which out-of-sample rows are explained, and their SHAP values.

The values are XGBoost's own exact TreeSHAP contributions. They are checked against the
booster's margin here, and pairs against the contributions, because a wrong range of trees or
a wrong base score gives sums that are off without any error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.errors import ModelError

if TYPE_CHECKING:
    import polars as pl
    import xgboost

Array = np.ndarray[Any, Any]

ADDITIVITY_TOLERANCE = 1e-4
"""Largest allowed error of a row's sum, as a share of the largest absolute value wanted."""


def sample_rows_by_date(dates: Array | pl.Series, n_rows: int, seed: int) -> Array:
    """Choose rows spread evenly over the dates, at random within a date.

    Every date gives a first row before any gives a second one, and so on. Where the last
    rows do not suffice for all dates, the dates that still give one are evenly spaced.

    Parameters
    ----------
    dates
        Date, or index of the session, of each row, in any order and without nulls.
    n_rows
        Rows wanted; all rows are chosen when there are fewer.
    seed
        Seed of the choice within a date.

    Returns
    -------
    ndarray
        Rising positions in ``dates``.

    Raises
    ------
    ValueError
        ``n_rows`` is below 1.

    Examples
    --------
    >>> sample_rows_by_date(np.array([0, 1, 2, 3, 4, 5]), 3, seed=0).tolist()
    [1, 3, 5]
    """
    if n_rows < 1:
        raise ValueError(f"n_rows must be at least 1; got {n_rows}.")
    values = dates if isinstance(dates, np.ndarray) else dates.to_numpy()
    if len(values) <= n_rows:
        return np.arange(len(values))
    _, session = np.unique(values, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(values))
    order = shuffled[np.argsort(session[shuffled], kind="stable")]
    counts = np.bincount(session)
    turn = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.cumsum(np.bincount(turn))
    last_turn = int(np.searchsorted(taken, n_rows, side="right"))
    chosen = order[turn < last_turn]
    candidates = order[turn == last_turn]
    missing = n_rows - len(chosen)
    spaced = ((np.arange(missing) + 0.5) * len(candidates) / max(missing, 1)).astype(np.int64)
    return np.sort(np.concatenate([chosen, candidates[spaced]]))


def explain_rows(
    booster: xgboost.Booster, features: Array, feature_names: Sequence[str], rounds: int
) -> tuple[Array, Array]:
    """Split each row's margin into a bias and one contribution a feature.

    Parameters
    ----------
    booster
        A fitted tree booster.
    features
        Array (rows, features), float32, NaN where a feature is missing.
    feature_names
        Name of each column, in the order that the booster was fitted with.
    rounds
        Boosting rounds that the booster forecasts with; later trees are ignored.

    Returns
    -------
    values : ndarray
        Array (rows, outputs, features) in units of the margin.
    base : ndarray
        Array (rows, outputs): the bias that the values add up from.

    Raises
    ------
    ModelError
        The booster cannot read these features, has fewer rounds, or its contributions do
        not add up to its margin.
    """
    parts, margin = _predict(
        booster, features, feature_names, rounds, {"pred_contribs": True}, {"output_margin": True}
    )
    values, base = parts[..., :-1], parts[..., -1]
    _check_additivity(values.sum(axis=2, dtype=np.float64) + base, margin, "margin")
    return values, base


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains rows where they lie: it can be sent to another process.

    Parameters
    ----------
    booster, feature_names, rounds
        As for `explain_rows`.
    """

    booster: xgboost.Booster
    feature_names: Sequence[str]
    rounds: int

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Split each row's margin into contributions and a bias, see `explain_rows`."""
        return explain_rows(self.booster, features, self.feature_names, self.rounds)


def interaction_rows(
    booster: xgboost.Booster, features: Array, feature_names: Sequence[str], rounds: int
) -> Array:
    """Split each row's contributions into main effects and interactions of two features.

    SHAP interaction values (Lundberg, Erion and Lee 2018, arXiv 1802.03888).

    Parameters
    ----------
    booster, features, feature_names, rounds
        As for `explain_rows`. The result of one row takes 4 bytes for each output and pair of
        features, so give few rows at once.

    Returns
    -------
    ndarray
        Array (rows, outputs, features, features) in units of the margin, symmetric: the main
        effect of each feature on the diagonal, and half of an interaction on either side of
        it. The sum over the last axis is the feature's contribution.

    Raises
    ------
    ModelError
        The booster cannot read these features, has fewer rounds, or its interactions do not
        add up to its contributions.
    """
    pairs, parts = _predict(
        booster,
        features,
        feature_names,
        rounds,
        {"pred_interactions": True},
        {"pred_contribs": True},
    )
    # Rows and columns of the bias hold the base alone, which belongs to no pair.
    values = pairs[..., :-1, :-1]
    _check_additivity(values.sum(axis=3, dtype=np.float64), parts[..., :-1], "contributions")
    return np.asarray(values)


def margins(
    booster: xgboost.Booster, features: Array, feature_names: Sequence[str], rounds: int
) -> Array:
    """Forecast rows in units of the margin, in which contributions add up.

    Parameters
    ----------
    booster, features, feature_names, rounds
        As for `explain_rows`.

    Returns
    -------
    ndarray
        Array (rows, outputs): the forecast of a regression, log-odds, or a margin a class.

    Raises
    ------
    ModelError
        The booster cannot read these features, or has fewer rounds.
    """
    (margin,) = _predict(booster, features, feature_names, rounds, {"output_margin": True})
    return margin


def _predict(
    booster: xgboost.Booster,
    features: Array,
    feature_names: Sequence[str],
    rounds: int,
    *kinds: dict[str, bool],
) -> list[Array]:
    """Ask the first rounds of a booster for each kind of prediction."""
    import xgboost

    fitted = booster.num_boosted_rounds()
    if not 1 <= rounds <= fitted:
        raise ModelError(
            f"Rows are explained with 1 to {fitted} rounds, those that the model has; "
            f"got {rounds}. Pass the rounds that the model forecasts with."
        )
    window = (0, rounds)
    try:
        matrix = xgboost.DMatrix(features, feature_names=list(feature_names))
        return [
            booster.predict(matrix, iteration_range=window, strict_shape=True, **kind)
            for kind in kinds
        ]
    except (ValueError, xgboost.core.XGBoostError) as error:
        detail = str(error).splitlines()[0]
        raise ModelError(
            f"The model cannot explain these {len(features)} rows of {len(feature_names)} "
            f"features: {detail} Pass the features that it was fitted on, in that order."
        ) from error


def _check_additivity(sums: Array, wanted: Array, name: str) -> None:
    """Refuse sums of parts that differ from what they must add up to."""
    if not len(wanted):
        return
    scale = max(float(np.abs(wanted).max()), float(np.finfo(np.float32).tiny))
    error = float(np.abs(sums - wanted).max()) / scale
    if not error <= ADDITIVITY_TOLERANCE:  # also catches NaN
        raise ModelError(
            f"SHAP values must add up to the model's {name} within {ADDITIVITY_TOLERANCE:g} of "
            f"their scale; the largest error is {error:.2g}. The explanation would be of another "
            "model: check the rounds and the version of XGBoost."
        )
