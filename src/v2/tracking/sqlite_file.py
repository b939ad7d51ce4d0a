"""The SQLite file under MLflow: checked first, created by one process, quick to write.

Nothing here opens the file except through SQLite. Closing any other descriptor of it would
drop all locks of this process on it, and another process could then take away the
write-ahead log under a live connection.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.v2.errors import TrackingError
from src.v2.tracking.complaints import damaged

LOCK_TIMEOUT_SEC = 10.0
_CHECKED: set[tuple[Path, int, int]] = set()
"""Files that this process has found sound; MLflow may hold them open since."""


@contextlib.contextmanager
def exclusive_use(database: Path) -> Iterator[None]:
    """Hold the lock of a database's folder, waiting for other processes.

    MLflow creates the tables of a new file without any lock, so that one of two
    processes at once would fail. The folder itself is locked: no lock file is left behind.
    """
    import fcntl

    database.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_empty(database: Path) -> bool:
    """Tell whether the file is missing or holds nothing yet."""
    return not database.exists() or database.stat().st_size == 0


def check_file(database: Path) -> None:
    """Refuse a file that is no database, cannot be written, or is locked.

    MLflow itself would try such a file ten times with growing pauses. A sound file gets
    SQLite's write-ahead log, which lasts in the file. It is checked once in a process,
    before MLflow's own connections to it.

    Raises
    ------
    TrackingError
        Naming the file, the reason and the remedy.
    """
    if database.is_dir():
        raise TrackingError(
            f"MLflow's database {database} must be a file; it is a folder. "
            f"Name a file in mlflow.tracking_uri, as sqlite:///{database / 'mlruns.db'}."
        )
    if _identity(database) in _CHECKED:
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_TIMEOUT_SEC)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            # A file that is only readable refuses the first write, not the transaction.
            connection.execute("PRAGMA user_version = 0")
            connection.rollback()
    except sqlite3.Error as error:
        if "not a database" in str(error):
            raise TrackingError(
                f"MLflow's database {database} must be a SQLite file; it holds something else. "
                "Move it away, or name another file in mlflow.tracking_uri."
            ) from error
        if "malformed" in str(error):
            raise TrackingError(damaged(database)) from error
        raise TrackingError(
            f"MLflow's database {database} must be open to writing; got: {error}. "
            "Close the program that holds it, check the rights of the file and its folder, "
            "or name another file in mlflow.tracking_uri."
        ) from error
    _CHECKED.add(_identity(database))


def _identity(database: Path) -> tuple[Path, int, int]:
    """Tell one file from another that later took its name."""
    if not database.exists():
        return database, 0, 0
    facts = database.stat()
    return database, facts.st_dev, facts.st_ino


@functools.cache
def tune_connections(database: Path) -> None:
    """Let every later connection to this file skip the slow flush to disk.

    With the write-ahead log this is safe against a crash of the process. Connections of
    the same process to other files stay as they are.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    resolved = str(database.resolve())

    def relax_flush(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            row = connection.execute("PRAGMA database_list").fetchone()
            if row is not None and row[2] == resolved:
                connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(Engine, "connect", relax_flush)
