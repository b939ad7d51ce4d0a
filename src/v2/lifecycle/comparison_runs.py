"""A comparison in MLflow: one run for the whole, and one below it for each arm."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.v2.evaluation.folds import mean_curve
from src.v2.lifecycle.arms import ArmResult
from src.v2.lifecycle.comparison import Comparison
from src.v2.lifecycle.comparison_text import comparison_markdown, margin_metrics
from src.v2.summary_run import setting_params

if TYPE_CHECKING:
    from src.v2.tracking.runs import TrackedRun


def log_comparison(
    comparison: Comparison, reused: Collection[str], files: Mapping[str, Path], run: TrackedRun
) -> str:
    """Log a comparison; parameters and metrics of an arm have the names that training uses.

    Parameters
    ----------
    reused
        Names of arms that finished in an earlier call.
    files
        Local files by artifact path.
    run
        The open run.

    Returns
    -------
    str
        Address of MLflow's page that shows the arms side by side; empty without MLflow.

    Raises
    ------
    TrackingError
        When the store refuses.
    """
    ids = []
    for arm in comparison.arms:
        group = comparison.group_of(arm.name)
        made = run.child(
            arm.run_name,
            metrics={**arm.metrics, **margin_metrics(group.standing(arm.name))},
            curves=arm_curves(arm),
            params=arm_params(arm),
            tags={
                **arm_tags(arm),
                "part": "arm",
                "reference": group.reference,
                "recommended": str(arm.name == group.recommended).lower(),
                "reused": str(arm.name in reused).lower(),
            },
        )
        ids.append(made)
    run.log_metrics({"arms": float(len(comparison.arms))} | _overfitting(comparison))
    run.set_tags({"recommended": comparison.recommended or "none: several groups"})
    run.log_files(files)
    page = side_by_side(run, ids)
    run.note(f"{comparison_markdown(comparison)}\n[Side by side]({page})\n")
    return page


def side_by_side(run: TrackedRun, ids: Sequence[str]) -> str:
    """Give the address of MLflow's page that compares runs; empty without MLflow."""
    if not run.run_id:
        return ""
    server = run.page.partition("/#/")[0]
    runs, experiments = (quote(json.dumps(list(x))) for x in (ids, [run.experiment_id]))
    which = f"runs={runs}&experiments={experiments}&workflowType=machine_learning"
    return f"{server}/#/compare-runs?{which}"


def arm_params(arm: ArmResult) -> dict[str, Any]:
    """Give an arm's settings by the names that training uses."""
    return setting_params(arm.settings) | {"arm": arm.name, "rounds": arm.rounds}


def arm_tags(arm: ArmResult) -> dict[str, str]:
    """Give the tags that an arm is found by."""
    return {
        "arm": arm.name,
        "mode": str(arm.settings["label"]["mode"]),
        "dataset_name": arm.dataset,
        "data_fingerprint": arm.data_fingerprint,
        "config_fingerprint": arm.config_fingerprint,
    }


def arm_curves(arm: ArmResult) -> dict[str, list[float]]:
    """Give the mean losses by round, and the rank IC fold after fold."""
    curves = {"fold_rank_ic": [fold.metrics.get("rank_ic", float("nan")) for fold in arm.folds]}
    mean = mean_curve([fold.curve for fold in arm.folds])
    if mean is not None:
        curves |= {"train_loss": list(mean.train_loss), "val_loss": list(mean.val_loss)}
    return curves


def _overfitting(comparison: Comparison) -> dict[str, float]:
    """Give the probability of overfitting, where all arms are one group."""
    if len(comparison.groups) != 1 or comparison.groups[0].overfitting is None:
        return {}
    return {"overfitting_probability": comparison.groups[0].overfitting.probability}
