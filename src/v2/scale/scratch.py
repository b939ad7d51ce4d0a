"""A folder of a run's own, gone when the run is.

A killed run cannot clean up after itself. Each run holds a lock on its folder for as long as it
lives, however it ends; the next run removes the folders whose lock nobody holds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.v2.errors import ConfigError

PREFIX = "run-"
LOCK_NAME = "lock"
_DOOR = ".lock"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder that no other run meets, and remove it at the end, on errors too.

    Parameters
    ----------
    parent
        Where it is made; folders that killed runs left there are removed.

    Raises
    ------
    ConfigError
        When nothing can be written there.
    """
    import fcntl

    try:
        parent.mkdir(parents=True, exist_ok=True)
        # Under this lock a folder whose own lock is free belongs to nobody alive.
        with (parent / _DOOR).open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            _sweep(parent)
            stamp = time.strftime("%Y%m%d-%H%M%S")
            folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{stamp}-", dir=parent))
            lock = (folder / LOCK_NAME).open("a")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise ConfigError(
            f"The scratch folder {parent} cannot be written: {error.strerror}. Mend it, or name "
            "another with --paths.scratch-dir."
        ) from error
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders of runs that are no more."""
    import fcntl

    for left in parent.glob(f"{PREFIX}*"):
        try:
            with (left / LOCK_NAME).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Held by a run, or no folder of ours.
            continue
        shutil.rmtree(left, ignore_errors=True)


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse work that the disk cannot hold, before it starts.

    Parameters
    ----------
    folder
        On the disk that is written to.
    needed
        Bytes that the work takes at most.
    what
        Of what they are, for the message.

    Raises
    ------
    ConfigError
        When fewer bytes are free.
    """
    free = free_bytes(folder)
    if needed > free:
        raise ConfigError(
            f"{what} needs {needed / 1e9:,.1f} GB of disk while it is built; {folder} has "
            f"{free / 1e9:,.1f} GB free. Free some, or name a folder of a larger disk with "
            "--paths.scratch-dir."
        )


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to a folder's disk."""
    return shutil.disk_usage(folder).free


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(
        os.path.getsize(Path(where, name)) for where, _, names in os.walk(folder) for name in names
    )
