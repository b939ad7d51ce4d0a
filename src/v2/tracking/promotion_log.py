"""The log of promotions: what was asked of the registry, what the gate said, what was done.

A line says ``begun`` before aliases move and another one tells the end, so that an interrupted
promotion can be seen.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from src.v2.errors import OmninmoError
from src.v2.evaluation import journal

PROMOTIONS_NAME = "promotions.jsonl"

Action = Literal["promote", "rollback"]
Outcome = Literal["begun", "done", "refused"]


@dataclass(frozen=True, slots=True)
class PromotionEvent:
    """One line of the log.

    Parameters
    ----------
    version, champion
        The version that is to be champion, and the one that was; None without one.
    checks
        The gate's checks as plain values; empty for a rollback.
    """

    action: Action
    outcome: Outcome
    store: str
    name: str
    version: int
    champion: int | None
    forced: bool
    reason: str
    by: str
    at: str
    checks: list[dict[str, Any]]


@contextlib.contextmanager
def promotion_lock(folder: Path) -> Iterator[None]:
    """Let one promotion at a time decide and move, among those that share the ledger's folder.

    Raises
    ------
    OmninmoError
        When the folder cannot be written.
    """
    path = (folder / PROMOTIONS_NAME).with_suffix(".lock")
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(journal.locked(path))
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def record_event(folder: Path, event: PromotionEvent) -> None:
    """Add a line; the caller holds `promotion_lock`.

    Raises
    ------
    OmninmoError
        When the log cannot be written.
    """
    try:
        journal.append(folder / PROMOTIONS_NAME, asdict(event))
    except OSError as error:
        raise _unwritable(folder, error) from error


def read_events(folder: Path) -> list[PromotionEvent]:
    """Give every line, oldest first.

    Raises
    ------
    OmninmoError
        When the log cannot be read.
    """
    path = folder / PROMOTIONS_NAME
    try:
        return list(journal.read(path, PromotionEvent))
    except OSError as error:
        raise OmninmoError(
            f"The log of promotions {path} cannot be read: {error.strerror}. Mend the folder, or "
            "name another with --paths.ledger-dir."
        ) from error


def last_event(folder: Path, store: str, name: str) -> PromotionEvent | None:
    """Give the last line about a name in a store; None without one.

    Parameters and errors are those of `last_promoted`.
    """
    own = [event for event in read_events(folder) if (event.store, event.name) == (store, name)]
    return own[-1] if own else None


def last_promoted(folder: Path, store: str, name: str) -> PromotionEvent | None:
    """Give the last finished promotion or rollback of a name in a store; None without one.

    Parameters
    ----------
    store
        Address of the store as `src.v2.tracking.uris.StoreAddress.shown`.

    Raises
    ------
    OmninmoError
        When the log cannot be read.
    """
    done = [
        event
        for event in read_events(folder)
        if event.outcome == "done" and (event.store, event.name) == (store, name)
    ]
    return done[-1] if done else None


def who_and_when() -> dict[str, str]:
    """Name the user of this machine and the time, in UTC."""
    user = "unknown"
    with contextlib.suppress(KeyError, OSError, ImportError):
        user = getpass.getuser()
    return {"by": user, "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}


def _unwritable(folder: Path, error: OSError) -> OmninmoError:
    return OmninmoError(
        f"The log of promotions in {folder} cannot be written: {error.strerror}. Mend the folder, "
        "or name another with --paths.ledger-dir."
    )
