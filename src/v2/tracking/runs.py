"""Runs in MLflow: opened, and closed by how the work ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from src.v2.console import show_note
from src.v2.tracking.complaints import refusals
from src.v2.tracking.entities import tag_entities
from src.v2.tracking.lifecycle import open_run
from src.v2.tracking.lost_runs import end_lost_runs
from src.v2.tracking.process import origin_tags
from src.v2.tracking.store import open_store
from src.v2.tracking.tracked_run import NullRun, TrackedRun

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

__all__ = ["TrackedRun", "null_run", "training_run"]


def null_run() -> TrackedRun:
    """Give a run of the same interface that keeps nothing."""
    return NullRun()


@contextlib.contextmanager
def training_run(
    config: MlflowConfig,
    *,
    run_name: str,
    tags: Mapping[str, str] | None = None,
    description: str = "",
) -> Iterator[TrackedRun]:
    """Open a run, and close it as FINISHED, FAILED or KILLED by how the block ends.

    An error is FAILED; an interrupt, a signal or an exit is KILLED. Earlier runs whose process
    was killed outright are closed first, with a note. With ``mlflow.enabled: false`` the block
    gets a run that keeps nothing.

    Parameters
    ----------
    config
        Where runs are kept.
    run_name
        Shown in the table of runs.
    tags
        Set when the run is created.
    description
        Markdown for the run's page.

    Raises
    ------
    ConfigError
        When MLflow is not installed.
    TrackingError
        When the store cannot be reached or written.
    """
    if not config.enabled:
        yield null_run()
        return
    store = open_store(config)
    ended = end_lost_runs(store)
    if ended:
        show_note(ended)
    first = {**origin_tags(), **(tags or {})}
    if description:
        first["mlflow.note.content"] = description
    with refusals(store.address):
        first = {tag.key: tag.value for tag in tag_entities(first)}
    with open_run(store, run_name, first) as run_id:
        yield TrackedRun(store, run_id, keeps_files=config.log_artifacts)
