"""One writer of a folder at a time."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.v2.console import show_note
from src.v2.data.store_file import TEMPORARY

LOCK_NAME = ".lock"
_LONGEST = 200


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder, and be its only writer; waits for another one, and says for whom.

    The lock ends with its process, however that ends. What a killed writer left
    half-written is removed. Readers need no lock.

    Raises
    ------
    OSError
        When the folder cannot be made or written.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a+", encoding="utf-8", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(_LONGEST).strip() or "another process"
            show_note(f"{folder} is being filled by {holder}; waiting until it is done.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()} since {dt.datetime.now():%H:%M:%S}")
        lock.flush()
        for left in folder.glob(f"{TEMPORARY}*"):
            left.unlink(missing_ok=True)
        yield
