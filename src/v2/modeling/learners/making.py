"""The one place that knows every kind of learner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.v2.config import ModelConfig
from src.v2.errors import ModelError
from src.v2.modeling.learners.base import FittedModel, Learner

FILES = {"xgboost": ("model.ubj",)}
"""Files of a saved model, by its type."""


def make_learner(
    config: ModelConfig, names: Sequence[str], classes: int, weight: float, seed: int
) -> Learner:
    """Give the learner of ``model.type``.

    Parameters
    ----------
    config
        The learner's settings.
    names
        Names of the columns of every matrix given.
    classes
        Number of classes; 0 for regression.
    weight
        Least sum of hessians in a leaf of XGBoost's trees.
    seed
        Of everything random.
    """
    from src.v2.modeling.learners.xgboost_trees import XGBoostLearner

    return XGBoostLearner(config, names, classes, weight, seed)


def load_learned(kind: str, folder: Path) -> FittedModel:
    """Read the files of a saved model.

    Parameters
    ----------
    kind
        The type that the model's card names.
    folder
        Where they lie.

    Raises
    ------
    ModelError
        When the type is unknown, or a file is missing or damaged.
    """
    if kind == "xgboost":
        from src.v2.modeling.learners.xgboost_trees import BOOSTER_NAME, load_xgboost

        return load_xgboost(folder / BOOSTER_NAME)
    raise ModelError(
        f"{folder} holds a model of type {kind!r}; this code reads {', '.join(FILES)}. Update "
        "omninmo, or train again."
    )
