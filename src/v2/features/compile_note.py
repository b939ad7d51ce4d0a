"""Tells that kernels are being compiled: it takes seconds in which nothing else can be seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

ONCE = "compiling feature kernels once; later runs skip this"
ALWAYS = (
    "compiling feature kernels, and again in every run: neither the folder of the code nor "
    "NUMBA_CACHE_DIR can be written to"
)


class _Teller(event.Listener):
    """Says a note when the first kernel is compiled rather than read from the disk."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._told = False

    def on_start(self, event: Any) -> None:
        """Say it, the first time."""
        with self._lock:
            first, self._told = not self._told, True
        if first:
            kept = event.data["dispatcher"].stats.cache_path
            self._say(ONCE if kept else ALWAYS)

    def on_end(self, event: Any) -> None:
        """Say nothing."""


@contextmanager
def compiling_told(say: Callable[[str], None]) -> Iterator[None]:
    """Say so once, when a kernel is really compiled inside the block.

    Parameters
    ----------
    say
        Shows a note; it may be called from another thread.
    """
    with event.install_listener("numba:compile", _Teller(say)):
        yield
