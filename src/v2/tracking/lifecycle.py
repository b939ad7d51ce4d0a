"""The life of one run in the store: created, and closed by how the work ends."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping

from src.v2.console import mask_secrets, signals_deferred
from src.v2.errors import Interrupted, OmninmoError
from src.v2.tracking.complaints import quiet_libraries, reason_of, refusals
from src.v2.tracking.store import Store

logger = logging.getLogger(__name__)

END_REASON = "end_reason"
"""Tag of a run that did not finish: why, in one line."""

LONGEST_REASON = 500


@contextlib.contextmanager
def open_run(store: Store, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Create a run, give its id, and close it by how the block ends.

    An error is FAILED; an interrupt, a signal or an exit is KILLED; the tag `END_REASON` then
    says why. Signals wait while the run is created and closed, so that none comes between the
    two and leaves it RUNNING.

    Raises
    ------
    TrackingError
        When the store cannot be written.
    """
    run_id = ""
    try:
        with _undisturbed(store), refusals(store.address):
            made = store.client.create_run(store.experiment_id, tags=dict(tags), run_name=name)
            run_id = str(made.info.run_id)
        yield run_id
        with _undisturbed(store), refusals(store.address):
            store.client.set_terminated(run_id, "FINISHED")
    except BaseException as error:
        if run_id:
            _close_after(error, store, run_id)
        raise


def _undisturbed(store: Store) -> contextlib.AbstractContextManager[None]:
    """Hold signals back, but not while a server may be slow to answer."""
    return contextlib.nullcontext() if store.address.kind == "http" else signals_deferred()


def _close_after(error: BaseException, store: Store, run_id: str) -> None:
    """Close a run that an error ended, without hiding the error."""
    status = "FAILED" if isinstance(error, Exception) else "KILLED"
    try:
        with quiet_libraries():
            store.client.set_tag(run_id, END_REASON, end_reason(error))
            store.client.set_terminated(run_id, status, end_time=int(time.time() * 1000))
    except Exception as trouble:
        logger.warning(
            "The MLflow run %s could not be marked %s: %s.", run_id, status, reason_of(trouble)
        )


def end_reason(error: BaseException) -> str:
    """Say in one line, without passwords, what ended a run.

    Examples
    --------
    >>> end_reason(ValueError("no such column"))
    'ValueError: no such column'
    >>> end_reason(Interrupted("SIGTERM", 143))
    'interrupted by SIGTERM'
    """
    kind, said = type(error).__name__, reason_of(error)
    if not isinstance(error, OmninmoError | Interrupted) and said != kind:
        said = f"{kind}: {said}"
    notes = (f"({mask_secrets(' '.join(note.split()))})" for note in _notes(error))
    return " ".join([said, *notes])[:LONGEST_REASON]


def _notes(error: BaseException) -> list[str]:
    return [str(note) for note in getattr(error, "__notes__", [])]
