"""The same panel with nothing left to forecast: returns permuted in time by blocks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.errors import NotEnoughData

BLOCK_SPANS = 2
"""Length of a block in label spans: dynamics shorter than a block stay as they are."""

Grid = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NullBars:
    """Bars without a future that can be forecast.

    Parameters
    ----------
    bars, market
        As those given, on the same dates and tickers.
    blocks
        Blocks that changed places.
    """

    bars: pl.DataFrame
    market: pl.DataFrame | None
    blocks: int


def permute_blocks(
    bars: pl.DataFrame, market: pl.DataFrame | None, span: int, seed: int
) -> NullBars:
    """Permute blocks of sessions, and the tickers inside each block.

    All tickers move together, so that the cross-section of a session, what happens within a
    block and the market's share in it stay. Inside a block the tickers trade places: otherwise
    one that rose most over the whole history would do so in every part of it, which a model may
    learn without any leak. Each ticker keeps its own dates; volume moves along in units of the
    ticker's median, own columns as they are.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, more |, one row a date and ticker.
    market
        | date | close | of the market, or None.
    span
        Sessions from a decision until its label is known.

    Raises
    ------
    NotEnoughData
        When the bars hold fewer than four blocks, or a block has no ticker throughout.
    """
    bars = bars.sort("ticker", "date")
    dates = bars["date"].unique().sort()
    tickers = bars["ticker"].unique().sort()
    place = (
        dates.search_sorted(bars["date"]).to_numpy(),
        tickers.search_sorted(bars["ticker"]).to_numpy(),
    )
    shape = len(dates), len(tickers)
    rng = np.random.default_rng(seed)
    source, blocks = _block_order(len(dates), BLOCK_SPANS * span, rng)
    close = _grid(bars["close"], place, shape)
    column = _source_tickers(close, source, blocks, rng)
    row = np.broadcast_to(source[:, None], shape)
    steps = np.vstack([np.zeros(shape[1]), np.diff(np.log(close), axis=0)])
    moved = steps[row, column]
    moved[0] = 0.0
    first = np.array([values[~np.isnan(values)][0] for values in close.T])
    level = np.exp(np.cumsum(moved, axis=0)) * first
    made = {"close": level[place]}
    for name in bars.columns:
        if name in ("date", "ticker", "close") or not bars[name].dtype.is_numeric():
            continue
        values = _grid(bars[name], place, shape)
        if name in ("open", "high", "low"):
            found = (values / close)[row, column] * level
        elif name == "volume":
            median = _medians(values)
            found = (values / median)[row, column] * median
        else:
            found = values[row, column]
        made[name] = found[place]
    columns = [pl.Series(name, values).fill_nan(None) for name, values in made.items()]
    permuted = bars.with_columns(columns)
    return NullBars(permuted, _permuted_market(market, dates, source), len(blocks))


def _block_order(
    sessions: int, length: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], list[slice]]:
    """Give the session that each session's return comes from, and the new blocks.

    The first session has no return and stays.
    """
    cuts = list(range(1, sessions, length))
    if len(cuts) < 4:
        raise NotEnoughData(
            f"{sessions} sessions hold {len(cuts)} blocks of {length}; a null run needs 4."
        )
    parts = [np.arange(start, min(start + length, sessions)) for start in cuts]
    order = rng.permutation(len(parts))
    shuffled = [parts[number] for number in order]
    source = np.concatenate([[0], *shuffled])
    ends = np.cumsum([1, *map(len, shuffled)])
    blocks = [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]
    return source, blocks


def _source_tickers(
    close: Grid, source: npt.NDArray[np.int64], blocks: list[slice], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw whose returns each ticker gets in each block: of those that trade throughout it."""
    there = ~np.isnan(close)
    columns = np.zeros(close.shape, dtype=np.int64)
    for block in blocks:
        rows = source[block]
        whole = np.flatnonzero(there[rows[0] - 1 : rows[-1] + 1].all(axis=0))
        if not len(whole):
            raise NotEnoughData("A block of sessions has no ticker with a bar on each of them.")
        # Where some lack bars, others lend theirs twice.
        rounds = -(-close.shape[1] // len(whole))
        drawn = np.concatenate([rng.permutation(whole) for _ in range(rounds)])
        columns[block] = drawn[: close.shape[1]]
    return columns


def _grid(
    values: pl.Series,
    place: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    shape: tuple[int, int],
) -> Grid:
    grid = np.full(shape, np.nan)
    grid[place] = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return grid


def _medians(values: Grid) -> Grid:
    """Give each column's median; 1 where it has none above zero."""
    found = [float(np.median(kept)) if len(kept) else 0.0 for kept in _known_columns(values)]
    return np.array([median if median > 0 else 1.0 for median in found])


def _known_columns(values: Grid) -> list[Grid]:
    return [column[~np.isnan(column)] for column in values.T]


def _permuted_market(
    market: pl.DataFrame | None, dates: pl.Series, source: npt.NDArray[np.int64]
) -> pl.DataFrame | None:
    """Move the market's returns to where those of the tickers went."""
    if market is None:
        return None
    aligned = (
        pl.DataFrame({"date": dates})
        .join(market.select("date", "close"), on="date", how="left")
        .with_columns(pl.col("close").forward_fill().backward_fill())
    )
    log_close = aligned["close"].log().to_numpy()
    moved = np.concatenate([[0.0], np.diff(log_close)])[source]
    moved[0] = 0.0
    return aligned.with_columns(pl.Series("close", np.exp(log_close[0] + np.cumsum(moved))))
