"""Rows that bring the earlier rows of their ticker along, for a model of sequences.

A row becomes a window: its own features, then those of the ticker's bar before, and so on. The
windows are gathered when they are read; none is kept. To all else they are rows of more columns,
so folds, purging, forecasts and explanations need no change: a window holds nothing later than
its own row, and whether a row may be fitted on is decided by its own label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from src.v2.modeling.feature_rows import Matrix, Pick, Places, all_rows
from src.v2.modeling.panel import Panel

ROWS_AT_ONCE = 8192


@dataclasses.dataclass(frozen=True, slots=True)
class PastStore:
    """Windows of past rows, a `src.v2.modeling.feature_rows.BlockStore`.

    Parameters
    ----------
    features
        Features of every row of a panel.
    past
        Array (rows, length): places of the rows of each window, the row itself first; -1 where
        the ticker has no such bar among the rows.
    """

    features: Matrix
    past: Places

    @property
    def starts(self) -> Places:
        """First row of each block, and the number of rows at the end."""
        return np.append(np.arange(0, len(self.past), ROWS_AT_ONCE), len(self.past))

    @property
    def width(self) -> int:
        """Numbers of a window."""
        return int(self.past.shape[1] * self.features.shape[1])

    def run[Result](
        self, picks: Iterable[Pick], work: Callable[[Matrix], Result]
    ) -> Iterator[Result]:
        """Give what ``work`` makes of each pick's windows, NaN where a bar is missing."""
        starts = self.starts
        for block, inside in picks:
            past = self.past[starts[block] : starts[block + 1]][inside]
            windows = self.features[past]
            windows[past < 0] = np.nan
            yield work(windows.reshape(len(past), -1))


def past_places(panel: Panel, length: int) -> Places:
    """Find the rows of each row's window.

    Parameters
    ----------
    length
        Bars of a window, the row's own among them.

    Returns
    -------
    ndarray
        Array (rows, length): the row, then the ticker's bar before it, and so on; -1 where that
        bar is no row of the panel (before `features.min_history`, or outside the universe).
    """
    bar, spread = panel.bar.astype(np.int64), int(panel.bar.max(initial=0)) + 1
    key = panel.ticker.astype(np.int64) * spread + bar
    order = np.argsort(key)
    ranked = key[order]
    past = np.full((len(key), length), -1, dtype=np.int64)
    for lag in range(length):
        place = np.minimum(np.searchsorted(ranked, key - lag), len(key) - 1)
        there = (bar >= lag) & (ranked[place] == key - lag)
        past[there, lag] = order[place[there]]
    return past


def with_past(panel: Panel, length: int) -> Panel:
    """Give each row of a panel its window.

    Parameters
    ----------
    panel
        With its features in memory.
    length
        Bars of a window.

    Returns
    -------
    Panel
        The same rows; columns ``name``, ``name@1``, ``name@2`` … by the bars they lie back, all
        of one bar together: ``rows.reshape(len(rows), length, -1)`` gives (rows, bars, features),
        the row's own bar first.

    Raises
    ------
    TypeError
        When the features lie elsewhere.
    """
    if not isinstance(panel.feature_rows, np.ndarray):
        raise TypeError("windows are made of features in memory")
    store = PastStore(panel.feature_rows, past_places(panel, length))
    earlier = (f"{name}@{lag}" for lag in range(1, length) for name in panel.names)
    return dataclasses.replace(panel, feature_rows=all_rows(store), names=(*panel.names, *earlier))
