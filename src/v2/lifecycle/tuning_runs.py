"""A search of hyperparameters in MLflow: one run for the whole, one below it for each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.v2.evaluation.significance import ewc_interval
from src.v2.lifecycle.search_space import Dimension
from src.v2.lifecycle.short_names import short_value
from src.v2.lifecycle.tuning import TrialRun, Tuned
from src.v2.lifecycle.tuning_text import tuning_markdown, tuning_metrics
from src.v2.lifecycle.variations import deciding_settings
from src.v2.summary_run import setting_params

if TYPE_CHECKING:
    from src.v2.tracking.runs import TrackedRun


def log_trial(trial: TrialRun, run: TrackedRun) -> None:
    """Log a trial below the search's run, by the keys that training uses.

    Raises
    ------
    TrackingError
        When the store refuses.
    """
    model = trial.config.model
    run.child(
        f"trial_{trial.number:03d}_lr={short_value(model.learning_rate)}_depth={model.max_depth}",
        metrics=trial_metrics(trial),
        curves={"fold_rank_ic": list(trial.fold_ics)},
        params=setting_params(deciding_settings(trial.config)) | {"rounds": trial.rounds},
        tags={
            "part": "trial",
            "pruned": str(trial.pruned).lower(),
            "config_fingerprint": trial.config.fingerprint,
        },
    )


def trial_metrics(trial: TrialRun) -> dict[str, float]:
    """Name a trial's numbers, all of them of the searched folds that it walked."""
    interval = ewc_interval(trial.daily["rank_ic"].to_numpy(), trial.config.label.forward_days)
    folds = np.array(trial.fold_ics)
    return {
        "cv_rank_ic_mean": float(folds.mean()),
        "cv_rank_ic_std": float(folds.std(ddof=1)) if len(folds) > 1 else float("nan"),
        "cv_rank_ic_pooled": interval.mean,
        "cv_rank_ic_low": interval.low,
        "cv_rank_ic_high": interval.high,
        "cv_windows": float(interval.windows),
        "cv_dates": float(trial.daily.height),
        "converged_epoch": float(trial.rounds),
        "runtime_sec": trial.seconds,
    }


def log_tuning(
    tuned: Tuned, space: Sequence[Dimension], files: Mapping[str, Path], run: TrackedRun
) -> None:
    """Log what the search found, with its files.

    Raises
    ------
    TrackingError
        When the store refuses.
    """
    best = setting_params(deciding_settings(tuned.config))
    run.log_params({each.name: best[_param(each)] for each in space})
    shares = {f"importance_{name}": share for name, share in tuned.importance.items()}
    run.log_metrics(tuning_metrics(tuned) | shares)
    run.set_tags({"recommended": "tuned" if tuned.recommended else "default"})
    run.log_files(files)
    run.note(tuning_markdown(tuned, space))


def _param(dimension: Dimension) -> str:
    """Name a dimension as the parameters of a run do."""
    bare = dimension.section == "model"
    return dimension.name if bare else f"{dimension.section}.{dimension.name}"
