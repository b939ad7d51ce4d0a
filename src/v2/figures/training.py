"""The set of pictures that every training run leaves, by the names its users know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.v2.figures.calibration import calibration_curve
from src.v2.figures.forecasts import confusion_matrix, forecast_against_actual
from src.v2.figures.importance import feature_importance
from src.v2.figures.learning import learning_curve, loss_name
from src.v2.figures.portfolio import equity_curve
from src.v2.figures.shap_base import features_by_shap, shap_unit
from src.v2.figures.shap_dependence import shap_dependence
from src.v2.figures.shap_plots import shap_summary
from src.v2.figures.style import safe_file_name, save_png
from src.v2.modeling.learners.kinds import kind_of
from src.v2.records import TrainingResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenFigures:
    """What a run's pictures became.

    Parameters
    ----------
    paths
        Files written, in the order of the set.
    failed
        Reason by the name of the file that could not be drawn.
    """

    paths: tuple[Path, ...]
    failed: Mapping[str, str]


def write_training_figures(
    result: TrainingResult, folder: Path, dependence_features: int = 4
) -> WrittenFigures:
    """Draw the pictures of a training run.

    A picture that fails is logged and left out; the others are drawn.

    Parameters
    ----------
    result
        The run.
    folder
        Where the files are written; made when missing.
    dependence_features
        Features with a dependence picture, those with the largest mean absolute SHAP value.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    failed: dict[str, str] = {}
    for name, draw in training_figures(result, dependence_features).items():
        try:
            paths.append(save_png(draw(), folder / name))
        except Exception as error:  # a picture is never worth a run
            failed[name] = f"{type(error).__name__}: {error}"
            logger.warning("The picture %s could not be drawn: %s", name, failed[name])
    return WrittenFigures(tuple(paths), failed)


def training_figures(
    result: TrainingResult, dependence_features: int = 4
) -> Mapping[str, Callable[[], Figure]]:
    """List the pictures of a run: how to draw each, by its file name.

    Parameters
    ----------
    result
        The run.
    dependence_features
        Features with a dependence picture.
    """
    sample, kind = result.shap, kind_of(result.settings)
    unit = shap_unit(result.mode, result.target, sample.outputs)
    figures: dict[str, Callable[[], Figure]] = {
        "feature_importance.png": lambda: feature_importance(
            result.importance,
            [fold.importance for fold in result.folds],
            result.features.families,
            kind,
        )
    }
    if len(sample.values):
        figures["shap_summary.png"] = lambda: shap_summary(sample, unit)
        for feature in features_by_shap(sample)[:dependence_features]:
            name = _free_name(f"shap_dependence_{safe_file_name(feature)}", figures)
            figures[name] = lambda feature=feature: shap_dependence(sample, feature, unit)  # type: ignore[misc]
    rows = result.predictions.filter(
        (pl.col("part") == "walk_forward") & pl.col("label").is_not_null()
    )
    if result.mode == "classification":
        figures["confusion_matrix.png"] = lambda: _confusion(rows, result.classes)
    else:
        figures["forecast_against_actual.png"] = lambda: forecast_against_actual(rows)
    evaluation = result.evaluation
    classes, portfolio = evaluation.classes, evaluation.portfolio
    if classes is not None:
        name = result.classes[-1]
        figures["calibration.png"] = lambda: calibration_curve(classes, name)
    if portfolio is not None:
        figures["portfolio.png"] = lambda: equity_curve(portfolio)
    curve = result.curve
    if curve is not None:
        figures["learning_curve.png"] = lambda: learning_curve(
            curve, result.rounds, loss_name(result.mode, result.classes), kind.steps
        )
    return figures


def _confusion(rows: pl.DataFrame, classes: tuple[str, ...]) -> Figure:
    """Draw the confusion matrix of the rows that have both a label and a forecast."""
    known = rows.select("label", "predicted_class").cast(pl.Float64).drop_nans().drop_nulls()
    label, forecast = (known.get_column(name).to_numpy() for name in known.columns)
    return confusion_matrix(label, forecast, classes)


def _free_name(stem: str, taken: Mapping[str, object]) -> str:
    """Return a file name that no other picture has, on any file system."""
    used = {name.casefold() for name in taken}
    name, number = f"{stem}.png", 2
    while name.casefold() in used:
        name, number = f"{stem}_{number}.png", number + 1
    return name
