"""How sure a mean over dates is, when neighbouring dates tell nearly the same story.

A forward return of 20 days shares 19 of them with that of the next date, tickers move
together, and a fold's model stays for a whole test block. So whole blocks of consecutive
sessions are drawn, each longer than the overlap: the non-overlapping block bootstrap (Carlstein
1986), with all rows of a date in one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from src.v2.evaluation_records import Interval

Array = np.ndarray[Any, Any]

FEWEST_BLOCKS = 5
"""Fewer blocks than this say nothing about their spread."""

SHORTEST_BLOCK = 63
"""Sessions: a quarter of a year, over which markets keep their state."""

COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class BlockBounds:
    """The means of columns, and how far they would move on other dates.

    Parameters
    ----------
    mean
        Array (columns,): mean over the rows; NaN for a column without values.
    low, high
        Array (columns,): 95% bounds of the mean; NaN where fewer than 5 blocks hold values.
    blocks
        Blocks of sessions that hold rows.
    """

    mean: Array
    low: Array
    high: Array
    blocks: int

    def interval(self, column: int) -> Interval:
        """One column as a record."""
        low, high = float(self.low[column]), float(self.high[column])
        return Interval(float(self.mean[column]), low, high, self.blocks)


def block_length(span: int, test_sessions: int = 0) -> int:
    """Sessions of a block: a quarter, or twice the sessions that a label spans, or a test block.

    Parameters
    ----------
    span
        Sessions that a label spans.
    test_sessions
        Of the longest test block, for what belongs to the models, as mean |SHAP|: one model
        lives for a whole test block, and shorter blocks would count it several times.

    Examples
    --------
    >>> block_length(21), block_length(60), block_length(21, test_sessions=126)
    (63, 120, 126)
    """
    return max(SHORTEST_BLOCK, 2 * span, test_sessions)


def date_block_bounds(
    values: Array, session: Array, block_sessions: int, seed: int, draws: int = 1000
) -> BlockBounds:
    """Bound the mean of each column, by drawing blocks of sessions with replacement.

    Parameters
    ----------
    values
        Array (rows, columns). NaN cells are left out of their column.
    session
        Array (rows,): position of each row's date, whole numbers in any order.
    block_sessions
        Sessions of a block, counted from the first one of the rows.
    seed
        Seed of the draws.
    draws
        How often the blocks are drawn.

    Returns
    -------
    BlockBounds
        The means with their spread percentile bounds, one a column.

    Raises
    ------
    ValueError
        ``block_sessions`` or ``draws`` is below 1, or there is not one session a row.

    Examples
    --------
    >>> bounds = date_block_bounds(np.ones((700, 1)), np.arange(700), 63, seed=0)
    >>> bounds.blocks, bounds.interval(0).low
    (12, 1.0)
    """
    if block_sessions < 1 or draws < 1:
        raise ValueError(
            f"block_sessions and draws must be at least 1; got {block_sessions} and {draws}."
        )
    if len(values) != len(session):
        raise ValueError(f"{len(values)} rows of values came with {len(session)} sessions.")
    sums, rows = _block_sums(np.asarray(values, dtype=np.float64), session, block_sessions)
    total = rows.sum(axis=0)
    mean = np.divide(sums.sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    filled = (rows > 0).sum(axis=0)
    enough = filled >= FEWEST_BLOCKS
    if enough.any():
        means = _draw_means(sums[:, enough], rows[:, enough], seed, draws)
        tail = (1 - COVERAGE) / 2
        # Draws that hold none of a column's blocks are left out.
        bounds = np.nanquantile(means, [tail, 1 - tail], axis=0)
        spread = _small_sample_factor(filled[enough])
        low[enough], high[enough] = mean[enough] + spread * (bounds - mean[enough])
    return BlockBounds(mean, low, high, len(sums))


def _block_sums(values: Array, session: Array, block_sessions: int) -> tuple[Array, Array]:
    """Sum and number of the values in each block that holds rows: two (blocks, columns)."""
    if not len(values):
        empty = np.zeros((0, values.shape[1]))
        return empty, empty
    block = (session - session.min()) // block_sessions
    order = np.argsort(block, kind="stable")
    _, start = np.unique(block[order], return_index=True)
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0)[order], start, axis=0)
    return sums, np.add.reduceat(known[order], start, axis=0, dtype=np.float64)


def _draw_means(sums: Array, rows: Array, seed: int, draws: int) -> Array:
    """Mean of each column over each draw of blocks: (draws, columns)."""
    blocks = len(sums)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(float)
    drawn = counts @ rows
    means = np.full(drawn.shape, np.nan)
    np.divide(counts @ sums, drawn, out=means, where=drawn > 0)
    return means


def _small_sample_factor(blocks: Array) -> Array:
    """How much too narrow the percentile bounds of so many blocks are."""
    from scipy import stats

    upper = (1 + COVERAGE) / 2
    student = stats.t.ppf(upper, blocks - 1) / stats.norm.ppf(upper)
    return np.asarray(student * np.sqrt(blocks / (blocks - 1)))
