"""Runs whose process was killed outright, and so could not be closed by it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from src.v2.console import mask_secrets, printable
from src.v2.tracking.complaints import reason_of, refusals
from src.v2.tracking.lifecycle import END_REASON
from src.v2.tracking.process import PID, is_gone, process_tags
from src.v2.tracking.store import Store

logger = logging.getLogger(__name__)

NAMED = 3
"""Runs that are named; the others are counted."""

_PARENT = "mlflow.parentRunId"
_PAGE = 1000


def end_lost_runs(store: Store) -> str:
    """Mark runs of the experiment as KILLED whose process is gone.

    Runs of another host, and those that do not tell their process, stay as they are; so do those
    that the store does not let this user change.

    Returns
    -------
    str
        What was ended, in one line; empty where nothing was.

    Raises
    ------
    TrackingError
        When the store cannot be asked.
    """
    here = process_tags()
    if not here:
        return ""
    with refusals(store.address):
        lost = [run for run in _running(store) if is_gone(run.data.tags, here)]
        ended = [run for run in lost if _end(store, run)]
    ids = {run.info.run_id for run in ended}
    # The folds of a run go with it.
    heads = [run for run in ended if run.data.tags.get(_PARENT) not in ids]
    if not heads:
        return ""
    names = [f"{run.info.run_name} ({run.info.run_id[:8]})" for run in heads]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    what = "1 run whose process is gone is"
    if len(names) > 1:
        what = f"{len(names)} runs whose process is gone are"
    return mask_secrets(printable(f"{what} now KILLED in MLflow: {', '.join(names[:NAMED])}{more}"))


def _running(store: Store) -> Iterator[Any]:
    """Give every run of the experiment that was not closed."""
    token: str | None = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            filter_string="attributes.status = 'RUNNING'",
            max_results=_PAGE,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _end(store: Store, run: Any) -> bool:
    """Close one run, and tell whether the store let us."""
    run_id, pid = run.info.run_id, run.data.tags[PID]
    reason = f"process {pid} is gone: it was killed, or the machine stopped"
    try:
        store.client.set_tag(run_id, END_REASON, reason)
        store.client.set_terminated(run_id, "KILLED")
    except Exception as trouble:
        logger.warning(
            "The MLflow run %s could not be marked KILLED: %s.", run_id, reason_of(trouble)
        )
        return False
    return True
