"""What an MLflow run says besides its metrics: parameters, folds, samples and a note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.v2.records import TrainingResult, flatten
from src.v2.summary_text import openings, reading, shown

if TYPE_CHECKING:
    from src.v2.tracking.runs import TrackedRun

SAMPLE_PREDICTIONS = 200
BARE_PARAMS = ("label.", "model.")
"""Settings of these sections are logged under their own short names, as guides show them."""

NO_PARAMS = (
    *("mlflow.", "predict.", "runs.", "paths.", "explain.", "compare.", "tune."),
    *("config", "variation"),
)
"""Settings that decide no number of a run."""


def note_markdown(result: TrainingResult) -> str:
    """Write the text on the run's page: what was done and what it shows."""
    metrics, holdout = result.metrics, result.holdout
    keys = [("rank IC", "rank_ic", "ic"), ("IC", "ic", "ic"), ("hit rate", "hit_rate", "share")]
    if result.classes:
        keys += [("accuracy", "accuracy", "share"), ("log loss", "log_loss", "loss")]
    else:
        keys += [("R2 against the expanding mean", "r2", "signed"), ("RMSE", "rmse", "share")]
    rows = "\n".join(
        f"| {label} | {shown(metrics[f'cv_{key}_pooled'], style)} "
        f"| {shown(holdout.metrics[key], style)} |"
        for label, key, style in keys
    )
    return (
        f"{reading(result)}\n\n"
        f"| | walk-forward ({len(result.folds)} folds) | holdout ({openings(holdout)}) |"
        f"\n|---|---|---|\n{rows}\n\n"
        "Every number comes from rows that their own fit had not seen. The shipped model is "
        "refitted on all labelled rows and has no score of its own."
    )


def log_fold(run: TrackedRun, result: TrainingResult, place: int) -> None:
    """Log one fold as a child run: its scores, its curves and its dates."""
    fold = result.folds[place]
    curve = fold.curve
    counts = {"train_rows": fold.train_rows, "test_rows": fold.test_rows, "rounds": fold.rounds}
    run.child(
        f"fold_{fold.number:02d}_{fold.test_first:%Y-%m}",
        metrics=dict(fold.metrics) | {key: float(value) for key, value in counts.items()},
        curves={"train_loss": curve.train_loss, "val_loss": curve.val_loss} if curve else None,
        params={
            "train_first": fold.train_first,
            "train_last": fold.train_last,
            "test_first": fold.test_first,
            "test_last": fold.test_last,
            "purged_rows": fold.purged_rows,
        },
        tags={"part": "fold"},
    )


def run_params(result: TrainingResult) -> dict[str, Any]:
    """Pick the settings that matter, by short names where guides have them."""
    params = setting_params(result.settings)
    params |= {"target": result.target, "train_stride": result.train_stride}
    params |= {"rounds": result.rounds, "feature_count": len(result.features.names)}
    return params


def setting_params(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name settings as parameters of a run: those of the label and the model by themselves."""
    params: dict[str, Any] = {}
    for name, value in flatten(settings).items():
        if name.startswith(NO_PARAMS):
            continue
        bare = next(
            (name.removeprefix(head) for head in BARE_PARAMS if name.startswith(head)), name
        )
        params[bare] = value
    return params


def sample_predictions(result: TrainingResult) -> str:
    """Evenly spaced rows of the holdout as CSV."""
    import polars as pl

    held = result.predictions.filter(pl.col("part") == "holdout")
    step = max(1, held.height // SAMPLE_PREDICTIONS)
    return held.gather_every(step).head(SAMPLE_PREDICTIONS).write_csv(float_precision=6)
