"""From bars to features: inside each ticker first, then across the tickers of a date."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.data.context import Context
from src.v2.data.universe import MEMBER
from src.v2.features.as_of import add_series, known_context
from src.v2.features.date_pass import add_date_features
from src.v2.features.feature_columns import FeatureColumns
from src.v2.features.inputs import market_sessions
from src.v2.features.registry import Feature
from src.v2.features.ticker_pass import TickerPart, ticker_features

SHARES = 8
"""Tasks into which the writing of a part is cut."""


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of every row of the bars, or of those of members where they are marked.

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


def compute_features(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    market: pl.DataFrame | None = None,
    context: Context | None = None,
) -> FeatureTable:
    """Compute features for every row of the bars, or for those of members.

    Every bar is history that look-backs read. Where `src.v2.data.universe` marked the members,
    they alone have rows, and what the tickers of a date share is made of them.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, | open | high | low | volume | and own
        columns; any order, one row a ticker and date.
    features
        What is computed, in the order of the columns.
    market
        | date | close | of the market; absent: the equal-weight mean return of the universe.
    context
        Series that all tickers share, and sectors; None for neither.

    Returns
    -------
    FeatureTable
        With a row for each bar, or for each one of a member. A value before the look-back, or
        infinite, is null.

    Raises
    ------
    ConfigError
        A feature reads a column that does not exist.
    """
    kept, left_out = usable_features(bars, features, context)
    bars = bars.sort("ticker", "date")
    sessions = add_series(market_sessions(bars, market), context)
    names = [feature.name for feature in kept]
    keys, columns = ticker_columns(kept, bars, sessions, names)
    sectors = context.sectors if context is not None else None
    add_date_features(columns, kept, sessions, keys["date"], keys["ticker"], sectors)

    infinite = {name: columns.infinite[name] for name in names if columns.infinite.get(name)}
    series = [columns.series(name) for name in names]
    return FeatureTable(keys.hstack(series), left_out, infinite)


def ticker_columns(
    features: Sequence[Feature],
    bars: pl.DataFrame,
    sessions: pl.DataFrame,
    names: Sequence[str],
) -> tuple[pl.DataFrame, FeatureColumns]:
    """Compute ticker-wise features of every row of the bars, or of those of members.

    Parameters
    ----------
    features
        Those whose inputs are there; of other scopes than ticker none is computed.
    bars
        Whole tickers, sorted by ticker and date.
    sessions
        From `src.v2.features.inputs.market_sessions`, of the whole universe.
    names
        Columns to make room for.

    Returns
    -------
    tuple[polars.DataFrame, FeatureColumns]
        | date | ticker | of the rows, sorted, and their columns, in which those of other
        scopes are not filled yet.
    """
    dates = bars.select(pl.col("date").unique().sort())
    date_index = dates["date"].search_sorted(bars["date"]).to_numpy().astype(np.int64)
    order = np.argsort(date_index, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    columns = FeatureColumns(names, len(bars))
    add_ticker_features(columns, features, bars, sessions, places)
    keys = bars.select("date", "ticker")[order]
    if MEMBER in bars.columns:
        inside = bars[MEMBER].to_numpy()[order]
        columns.keep(inside)
        keys = keys.filter(inside)
    return keys, columns


def usable_features(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    context: Context | None = None,
    dates: pl.Series | None = None,
) -> tuple[list[Feature], dict[str, str]]:
    """Part the features that the bars allow from the others.

    Parameters
    ----------
    bars
        A column that is absent or null throughout counts as lacking.
    features
        The features wanted.
    context
        Series and sectors; a series without a value on the dates of the bars counts as lacking.
    dates
        Dates of the bars, where not all of them are given; None for those of the bars.

    Returns
    -------
    tuple[list[Feature], dict[str, str]]
        Features to compute, in order, and the reason for each of the others.
    """
    known = {name for name in bars.columns if _has_values(bars[name])}
    given = known_context(context, bars["date"] if dates is None else dates)
    left_out: dict[str, str] = {}
    kept_names: set[str] = set()
    # Ticker-wise features first: the others read them, wherever they stand in the list.
    for feature in sorted(features, key=lambda item: item.scope not in ("ticker", "session")):
        missing = [name for name in feature.inputs if name not in known]
        absent = [name for name in feature.context if name not in given]
        unmet = [name for name in feature.needs if name not in kept_names]
        if missing:
            left_out[feature.name] = f"needs {', '.join(missing)}, which the bars lack"
        elif absent:
            named = context is not None and set(absent) <= set(context.series)
            why = "has no value on the dates of the bars" if named else "is not given"
            left_out[feature.name] = f"needs {', '.join(absent)}, which {why}"
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


def add_ticker_features(
    columns: FeatureColumns,
    features: Sequence[Feature],
    bars: pl.DataFrame,
    sessions: pl.DataFrame,
    places: NDArray[np.int64],
) -> None:
    """Compute ticker-wise features, writing one part while the next is computed.

    Parameters
    ----------
    columns
        Filled here.
    features
        Every feature in force; those of other scopes are left alone.
    bars
        Whole tickers, sorted by ticker and date.
    sessions
        From `src.v2.features.inputs.market_sessions`.
    places
        Row of the columns that each row of the bars belongs to.
    """
    wanted = [feature for feature in features if feature.scope == "ticker"]
    lookbacks = {feature.name: feature.lookback for feature in wanted}
    with ThreadPoolExecutor(max_workers=pl.thread_pool_size()) as pool:
        writing: list[Future[dict[str, int]]] = []
        for part in ticker_features(bars, sessions, wanted, pool):
            _finish(columns, writing)
            names = list(part.values)
            writing = [
                pool.submit(_write, columns, part, share, lookbacks, places[part.rows])
                for share in (names[first::SHARES] for first in range(SHARES))
            ]
        _finish(columns, writing)


def _write(
    columns: FeatureColumns,
    part: TickerPart,
    names: Sequence[str],
    lookbacks: dict[str, int],
    places: NDArray[np.int64],
) -> dict[str, int]:
    """Write some features of a part to their places; return how many were infinite, by name."""
    from src.v2.features.placing import place

    infinite = {}
    for name in names:
        found, column = part.values.pop(name), columns.values[name]
        kept = (found.values, found.known, found.first)
        infinite[name] = place(*kept, part.bounds, lookbacks[name], places, column)
    return infinite


def _finish(columns: FeatureColumns, writing: Sequence[Future[dict[str, int]]]) -> None:
    """Wait until a part is written, and count what was infinite."""
    for share in writing:
        for name, wrong in share.result().items():
            columns.count_infinite(name, wrong)
