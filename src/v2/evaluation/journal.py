"""Append-only files of one JSON object a line, shared between processes under a lock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.v2.console import show_note

SAME_UNIVERSE = 0.5
"""Two universes are one when they share this much of the smaller one."""


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line, after ending one that a crash tore, and see it on the disk."""
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as journal:
        journal.write(("\n" if torn else "") + json.dumps(dict(line), sort_keys=True) + "\n")
        journal.flush()
        os.fsync(journal.fileno())


def read[T](path: Path, record: type[T]) -> Iterator[T]:
    """Give every line as a record; one that is torn or of another shape is passed over, aloud."""
    if not path.exists():
        return
    unreadable = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield record(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            unreadable += 1
    if unreadable:
        show_note(f"lines of {path} that cannot be read: {unreadable}. Its count may be too low.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes."""
    import fcntl

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def same_universe(some: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two lists of tickers are about one universe."""
    shared = len(set(some) & set(others))
    return shared >= SAME_UNIVERSE * min(len(set(some)), len(set(others)))
