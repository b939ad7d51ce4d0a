"""Append-only files of one JSON object a line, shared between processes under a lock."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from src.v2.console import show_note

SAME_UNIVERSE = 0.5
"""Two universes are one when they share this much of the smaller one."""


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line, after ending one that a crash tore, and see it on the disk; or none of it."""
    _refuse_other_than_file(path)
    whole = path.stat().st_size if path.exists() else 0
    torn = whole > 0 and not path.read_bytes().endswith(b"\n")
    text = ("\n" if torn else "") + json.dumps(dict(line), sort_keys=True) + "\n"
    with path.open("ab", buffering=0) as journal:
        try:
            written = journal.write(text.encode())
            # A disk that fills up takes a part first, and refuses the next.
            journal.write(text.encode()[written:])
            os.fsync(journal.fileno())
        except BaseException:
            journal.truncate(whole)
            raise


def read[T](path: Path, record: type[T]) -> Iterator[T]:
    """Give every line as a record; one that is torn or of another shape is passed over, aloud.

    Of another shape is a line that lacks a field of the record or has another one besides, or
    whose value is not of the field's type; a number must be finite.
    """
    if not path.exists():
        return
    _refuse_other_than_file(path)
    kinds = get_type_hints(record)
    unreadable = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            if not all(_fits(value, kinds[name]) for name, value in values.items()):
                raise TypeError(line)
            made = record(**values)
        # Lists in lists without end, and numbers of thousands of digits, are well-formed JSON.
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            unreadable += 1
            continue
        yield made
    if unreadable:
        show_note(f"lines of {path} that cannot be read: {unreadable}. Its count may be too low.")


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value of JSON is of a field's type."""
    inner = get_args(kind)
    match get_origin(kind):
        case None:
            if kind is float:
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                return number and abs(value) <= sys.float_info.max
            return kind is Any or type(value) is kind
        case origin if origin is UnionType:
            return any(_fits(value, each) for each in inner)
        case origin if origin is Literal:
            return value in inner
        case origin if origin is list:
            return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
        case origin:
            return isinstance(value, origin)


def _refuse_other_than_file(path: Path) -> None:
    """Refuse what would never end or never answer, as a pipe."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it must be a regular file", str(path))


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
