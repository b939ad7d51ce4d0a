"""Which worker fits on which rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from src.v2.modeling.feature_rows import Pick, Places


@dataclass(frozen=True, slots=True)
class Share:
    """Rows of a block that one worker fits on.

    Parameters
    ----------
    block
        Number of the block.
    rows
        Which of its rows.
    places
        The same rows as positions in the rows fitted on.
    """

    block: int
    rows: slice | Places
    places: Places


Shares = dict[str, list[Share]]
"""By the worker's address."""


def share_rows(picks: Sequence[Pick], workers: Sequence[str]) -> Shares:
    """Part rows among workers: block i to worker i modulo their number, as they lie.

    Where a row is fitted on decides the last bits of a model, so the rule depends on the
    number and order of the workers alone.

    Parameters
    ----------
    picks
        Rows of blocks.
    workers
        Addresses, in the order of the workers' names.

    Returns
    -------
    dict
        The shares of the workers that have any, in the order of their first block.
    """
    shares: Shares = {}
    for item in _numbered(picks):
        shares.setdefault(workers[item.block % len(workers)], []).append(item)
    return shares


def share_evenly(picks: Sequence[Pick], workers: Sequence[str]) -> Shares:
    """Part the rows of each block evenly among workers, in their order.

    XGBoost fails where a worker has rows to fit on but none to stop by.
    """
    shares: Shares = {}
    for item in _numbered(picks):
        edges = np.linspace(0, len(item.places), len(workers) + 1).astype(np.int64)
        for worker, start, stop in zip(workers, edges, edges[1:], strict=False):
            inside, places = _inside(item.rows)[start:stop], item.places[start:stop]
            if len(places):
                shares.setdefault(worker, []).append(Share(item.block, inside, places))
    return shares


def _numbered(picks: Sequence[Pick]) -> Iterator[Share]:
    """Count the rows of picks, one after the other."""
    done = 0
    for block, rows in picks:
        count = len(_inside(rows))
        yield Share(block, rows, np.arange(done, done + count))
        done += count


def _inside(rows: slice | Places) -> Places:
    """Give the numbers of a pick's rows inside its block."""
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
