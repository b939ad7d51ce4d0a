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
from typing import TextIO

from src.v2.errors import ConfigError

PREFIX = "run-"
LOCK_NAME = "lock"


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
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent, PREFIX)
        folder, lock = _claim(parent, f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S')}-")
    except OSError as error:
        raise ConfigError(
            f"The scratch folder {parent} cannot be written: {error.strerror}. Mend it, or name "
            "another with --paths.scratch-dir."
        ) from error
    with _held(folder, lock):
        yield folder


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make such a folder among the system's temporary files, which others share.

    Parameters
    ----------
    prefix
        Start of its name, of this purpose alone; what killed runs of this user left under it is
        removed.

    Raises
    ------
    ConfigError
        When nothing can be written there.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _sweep(parent, prefix)
        folder, lock = _claim(parent, prefix)
    except OSError as error:
        raise ConfigError(
            f"No temporary folder can be made: {error.strerror}. Free some space, or name another "
            "place in the variable TMPDIR."
        ) from error
    with _held(folder, lock):
        yield folder


@contextmanager
def _held(folder: Path, lock: TextIO) -> Iterator[None]:
    """Keep a claimed folder while the block runs."""
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _claim(parent: Path, prefix: str) -> tuple[Path, TextIO]:
    """Make a folder and hold its lock; one that a sweep took for deserted is given up."""
    import fcntl

    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            lock = (folder / LOCK_NAME).open("a")
        except FileNotFoundError:
            continue
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(folder / LOCK_NAME), os.fstat(lock.fileno())):
                return folder, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        lock.close()


def _sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of runs that are no more."""
    import fcntl

    for left in parent.glob(f"{prefix}*"):
        try:
            # In a folder that others share, a link of theirs may bear the name.
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            with (left / LOCK_NAME).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            # Held by a run, or no folder of ours.
            continue


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
