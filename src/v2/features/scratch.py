"""Memory that is used again from one part of the bars to the next.

The system clears every page that it hands out, which takes longer than a kernel takes to fill it:
memory that is kept costs that once, not once a part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SLAB = 2**24
"""Bytes asked for at once: enough for the system to give them in large pages."""

LINE = 64
"""Bytes of a cache line, at which each block starts."""


class Scratch:
    """Blocks cut from slabs of memory, one after the other, until all of them are given back."""

    def __init__(self) -> None:
        self._slabs: list[NDArray[np.uint8]] = []
        self._slab = 0
        self._used = 0

    def restart(self) -> None:
        """Take back every block: what they hold is written over from now on."""
        self._slab, self._used = 0, 0

    def block(self, columns: int, rows: int, kind: DTypeLike = np.float64) -> NDArray[Any]:
        """Return a block of a shape, row by row in one piece, whatever stands in it.

        Examples
        --------
        >>> scratch = Scratch()
        >>> scratch.block(2, 3).shape, scratch.block(1, 3, "float32").dtype
        ((2, 3), dtype('float32'))
        """
        size = columns * rows * np.dtype(kind).itemsize
        while self._slab < len(self._slabs) and self._used + size > len(self._slabs[self._slab]):
            self._slab, self._used = self._slab + 1, 0
        if self._slab == len(self._slabs):
            self._slabs.append(np.empty(max(SLAB, size), dtype=np.uint8))
        found = self._slabs[self._slab][self._used : self._used + size]
        self._used += -(-size // LINE) * LINE
        return found.view(kind).reshape(columns, rows)
