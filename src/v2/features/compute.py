"""From bars to features: inside each ticker first, then across the tickers of a date."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from src.v2.features.cross_section import LEAST_TICKERS
from src.v2.features.inputs import market_sessions
from src.v2.features.ranks import centred_ranks, date_blocks
from src.v2.features.registry import Feature
from src.v2.features.ticker_pass import TickerPart, finite_values, ticker_features


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of every row of the bars.

    Parameters
    ----------
    frame
        | date | ticker | one Float32 column a feature |, sorted by date and ticker.
    left_out
        Features not computed, each with the reason.
    infinite
        Values that came out infinite or undefined and were made null, by feature; only
        features with any.
    """

    frame: pl.DataFrame
    left_out: dict[str, str]
    infinite: dict[str, int]


class _Columns:
    """Finished columns, sorted by date and ticker, NaN where null.

    One block of memory holds them all: the system hands out a large block in large pages,
    which is several times faster than a block for each column.
    """

    def __init__(self, names: Sequence[str], rows: int) -> None:
        block = np.empty((len(names), rows), dtype=np.float32)
        self.values = dict(zip(names, block, strict=True))
        self.infinite: dict[str, int] = {}

    def put(self, found: pl.Series) -> None:
        """Keep a whole column and count what is not finite."""
        self.values[found.name][:], self.infinite[found.name] = finite_values(found)

    def put_part(self, part: TickerPart, places: NDArray[np.int64]) -> None:
        """Write the features of some tickers to their places."""
        # In the order of the places, so that neighbours are written together.
        order = np.argsort(places)
        ordered = places[order]
        for name, numbers in part.values.items():
            self.values[name][ordered] = numbers[order]
            self.values[name][places[part.early[name]]] = np.nan
        for name, wrong in part.infinite.items():
            self.infinite[name] = self.infinite.get(name, 0) + wrong


def compute_features(
    bars: pl.DataFrame, features: Sequence[Feature], market: pl.DataFrame | None = None
) -> FeatureTable:
    """Compute features for every row of the bars.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, | open | high | low | volume | and own
        columns; any order, one row a ticker and date.
    features
        What is computed, in the order of the columns.
    market
        | date | close | of the market; absent: the equal-weight mean return of the universe.

    Returns
    -------
    FeatureTable
        With a row for each bar. A value before the look-back, or infinite, is null.

    Raises
    ------
    ConfigError
        A feature reads a column that does not exist.
    """
    kept, left_out = usable_features(bars, features)
    bars = bars.sort("ticker", "date")
    sessions = market_sessions(bars, market)
    dates = bars.select(pl.col("date").unique().sort())
    date_index = dates["date"].search_sorted(bars["date"]).to_numpy().astype(np.int64)
    order = np.argsort(date_index, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    counts = np.bincount(date_index, minlength=len(dates))

    names = [feature.name for feature in kept]
    columns = _Columns(names, len(bars))
    _add_ticker_features(columns, kept, bars, sessions, places)
    _add_session_features(columns, kept, sessions, dates, counts)
    _add_rank_features(columns, kept, counts)
    keys = bars.select("date", "ticker")[order]
    _add_date_features(columns, kept, keys["date"])

    infinite = {name: columns.infinite[name] for name in names if columns.infinite.get(name)}
    series = [_to_series(name, columns.values[name]) for name in names]
    return FeatureTable(keys.hstack(series), left_out, infinite)


def usable_features(
    bars: pl.DataFrame, features: Sequence[Feature]
) -> tuple[list[Feature], dict[str, str]]:
    """Part the features that the bars allow from the others.

    Parameters
    ----------
    bars
        A column that is absent or null throughout counts as lacking.
    features
        The features wanted.

    Returns
    -------
    tuple[list[Feature], dict[str, str]]
        Features to compute, in order, and the reason for each of the others.
    """
    known = {name for name in bars.columns if _has_values(bars[name])}
    left_out: dict[str, str] = {}
    kept_names: set[str] = set()
    # Ticker-wise features first: the others read them, wherever they stand in the list.
    for feature in sorted(features, key=lambda item: item.scope in ("date", "rank")):
        missing = [name for name in feature.inputs if name not in known]
        unmet = [name for name in feature.needs if name not in kept_names]
        if missing:
            left_out[feature.name] = f"needs {', '.join(missing)}, which the bars lack"
        elif unmet:
            left_out[feature.name] = f"needs {', '.join(unmet)}, which is left out"
        else:
            kept_names.add(feature.name)
    return [feature for feature in features if feature.name in kept_names], left_out


def _has_values(column: pl.Series) -> bool:
    """Say whether any value is there; NaN counts as missing."""
    there = column.is_not_null()
    if column.dtype.is_float():
        there = column.is_not_nan().fill_null(False)
    return there.any()


def _add_ticker_features(
    columns: _Columns,
    features: Sequence[Feature],
    bars: pl.DataFrame,
    sessions: pl.DataFrame,
    places: NDArray[np.int64],
) -> None:
    """Compute ticker-wise features, writing one part while Polars works on the next.

    The second thread must touch numpy alone: a Polars call in it could wait for workers
    that wait for Python's lock to run a kernel.
    """
    wanted = [feature for feature in features if feature.scope == "ticker"]
    with ThreadPoolExecutor(max_workers=1) as writer:
        writing: Future[None] | None = None
        for part in ticker_features(bars, sessions, wanted):
            if writing is not None:
                writing.result()
            writing = writer.submit(columns.put_part, part, places[part.rows])
        if writing is not None:
            writing.result()


def _add_session_features(
    columns: _Columns,
    features: Sequence[Feature],
    sessions: pl.DataFrame,
    dates: pl.DataFrame,
    counts: NDArray[np.int64],
) -> None:
    """Compute what all tickers of a date share, once a session."""
    wanted = [feature for feature in features if feature.scope == "session"]
    row = pl.int_range(pl.len())
    found = sessions.select(
        "date",
        *[
            pl.when(row >= item.lookback).then(item.expression).cast(pl.Float32).alias(item.name)
            for item in wanted
        ],
    )
    found = dates.join(found, on="date", how="left", maintain_order="left")
    each = np.repeat(np.arange(len(dates)), counts)
    for item in wanted:
        columns.put(found[item.name][each])


def _add_rank_features(
    columns: _Columns, features: Sequence[Feature], counts: NDArray[np.int64]
) -> None:
    """Rank ticker-wise features among the tickers of each date."""
    blocks = date_blocks(np.concatenate(([0], np.cumsum(counts))))
    wanted = [feature for feature in features if feature.scope == "rank"]
    ranked = [columns.values[feature.expression.meta.output_name()] for feature in wanted]
    with ThreadPoolExecutor(max_workers=pl.thread_pool_size()) as pool:
        ranks = pool.map(lambda values: centred_ranks(values, blocks, LEAST_TICKERS), ranked)
        for feature, found in zip(wanted, ranks, strict=True):
            columns.values[feature.name][:] = found


def _add_date_features(columns: _Columns, features: Sequence[Feature], dates: pl.Series) -> None:
    """Compute the other features of a date's cross-section."""
    for feature in features:
        if feature.scope == "date":
            read = [_to_series(name, columns.values[name]) for name in feature.needs]
            table = pl.DataFrame([dates.set_sorted(), *read])
            found = table.select(feature.expression.over("date").alias(feature.name))
            columns.put(found.to_series())


def _to_series(name: str, values: NDArray[np.float32]) -> pl.Series:
    """Wrap numbers as a column without copying them, NaN as null."""
    known = ~np.isnan(values)
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    array = pa.Array.from_buffers(pa.float32(), len(values), [validity, pa.py_buffer(values)])
    return pl.Series(name, pl.from_arrow(array))
