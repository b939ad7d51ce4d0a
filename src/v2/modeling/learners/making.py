"""How each kind of learner is made, and its model read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from src.v2.config import ModelConfig
from src.v2.errors import ModelError
from src.v2.modeling.learners.base import FittedModel, Learner
from src.v2.modeling.learners.kinds import KINDS


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
        Least sum of hessians in a leaf of trees, as XGBoost counts them.
    seed
        Of everything random.
    """
    match config.type:
        case "ridge":
            from src.v2.modeling.learners.ridge import RidgeLearner

            return RidgeLearner(names, classes)
        case "hist_gradient_boosting":
            from src.v2.modeling.learners.hist_gradient_boosting import HistLearner

            return HistLearner(config, names, classes, weight, seed)
        case "mlp":
            from src.v2.modeling.learners.mlp import MlpLearner

            return MlpLearner(config, names, classes, seed)
    from src.v2.modeling.learners.xgboost_trees import XGBoostLearner

    return XGBoostLearner(config, names, classes, weight, seed)


def model_files(kind: str) -> tuple[str, ...]:
    """Name the files of a saved model of a type.

    Raises
    ------
    ModelError
        When the type is unknown.
    """
    if kind not in KINDS:
        raise ModelError(
            f"The model is of type {kind!r}; this code reads {', '.join(KINDS)}. Update omninmo, "
            "or train again."
        )
    return KINDS[kind].files


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
    match kind:
        case "xgboost":
            from src.v2.modeling.learners.xgboost_trees import BOOSTER_NAME, load_xgboost

            return load_xgboost(folder / BOOSTER_NAME)
        case "ridge":
            from src.v2.modeling.learners.ridge import load_ridge

            return load_ridge(folder)
        case "hist_gradient_boosting":
            from src.v2.modeling.learners.hist_gradient_boosting import load_hist

            return load_hist(folder)
        case "mlp":
            from src.v2.modeling.learners.mlp import load_mlp

            return load_mlp(folder)
    raise AssertionError(f"{model_files(kind)} of {kind} cannot be read")
