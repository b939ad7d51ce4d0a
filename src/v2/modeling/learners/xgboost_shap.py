"""XGBoost's own margins, exact TreeSHAP contributions and interactions.

They are checked against the booster's margin here, and pairs against the contributions, because
a wrong range of trees or a wrong base score gives sums that are off without any error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.errors import ModelError
from src.v2.modeling.learners.additivity import check_additivity

if TYPE_CHECKING:
    import xgboost

Array = np.ndarray[Any, Any]


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
    check_additivity(values, base, margin, "margin")
    return values, base


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
    check_additivity(values, 0.0, parts[..., :-1], "contributions")
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
