"""Runs in MLflow: opened, and closed by how the work ends."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from src.v2.tracking.entities import tag_entities
from src.v2.tracking.store import Store, open_store, reason_of, refusals
from src.v2.tracking.tracked_run import NullRun, TrackedRun, origin_tags

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

__all__ = ["TrackedRun", "null_run", "training_run"]

logger = logging.getLogger(__name__)


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

    An error is FAILED; an interrupt, a signal or an exit is KILLED. With
    ``mlflow.enabled: false`` the block gets a run that keeps nothing.

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
    with refusals(store.address):
        first = {**origin_tags(), **(tags or {})}
        if description:
            first["mlflow.note.content"] = description
        first = {tag.key: tag.value for tag in tag_entities(first)}
        made = store.client.create_run(store.experiment_id, tags=first, run_name=run_name)
        run = TrackedRun(store, str(made.info.run_id), keeps_files=config.log_artifacts)
    try:
        yield run
    except BaseException as error:
        _close_after(error, store, run.run_id)
        raise
    with refusals(store.address):
        store.client.set_terminated(run.run_id, "FINISHED")


def _close_after(error: BaseException, store: Store, run_id: str) -> None:
    """Close a run that an error ended, without hiding the error."""
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    try:
        store.client.set_terminated(run_id, status, end_time=int(time.time() * 1000))
    except Exception as trouble:
        logger.warning(
            "The MLflow run %s could not be marked %s: %s.", run_id, status, reason_of(trouble)
        )
