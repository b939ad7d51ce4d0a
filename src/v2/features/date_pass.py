"""The second pass: features that look across the tickers of a date.

It works on whole dates, however many: no value depends on which dates are worked on together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.features.cross_section import LEAST_TICKERS
from src.v2.features.feature_columns import FeatureColumns
from src.v2.features.ranks import centred_ranks, date_blocks
from src.v2.features.registry import Feature
from src.v2.features.sector_pass import add_sector_features, sector_rows


def add_date_features(
    columns: FeatureColumns,
    features: Sequence[Feature],
    sessions: pl.DataFrame,
    dates: pl.Series,
    tickers: pl.Series | None = None,
    sectors: Mapping[str, str] | None = None,
) -> None:
    """Compute what the tickers of a date share, their ranks, and their other comparisons.

    Parameters
    ----------
    columns
        Holds the ticker-wise features, the rows sorted by date and ticker; filled here.
    features
        Every feature in force; those of scope ticker are read only.
    sessions
        From `src.v2.features.inputs.market_sessions`, with the series of context: all
        sessions, also those before the rows.
    dates
        Date of each row, each with all its tickers.
    tickers, sectors
        Ticker of each row, and sector by ticker; where features need sectors.
    """
    counts = dates.rle().struct.field("len").to_numpy().astype(np.int64)
    _add_session_features(columns, features, sessions, dates.unique().sort().to_frame(), counts)
    _add_rank_features(columns, features, counts)
    _add_cross_section(columns, features, dates)
    if tickers is not None and any(item.scope in ("sector", "sector_rank") for item in features):
        add_sector_features(columns, features, sector_rows(tickers, sectors or {}, counts))


def _add_session_features(
    columns: FeatureColumns,
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
        columns.put_shared(found[item.name], counts, each)


def _add_rank_features(
    columns: FeatureColumns, features: Sequence[Feature], counts: NDArray[np.int64]
) -> None:
    """Rank ticker-wise features among the tickers of each date."""
    blocks = date_blocks(np.concatenate(([0], np.cumsum(counts))))
    wanted = [feature for feature in features if feature.scope == "rank"]

    def rank(feature: Feature) -> None:
        ranked = columns.values[feature.expression.meta.output_name()]
        centred_ranks(ranked, blocks, LEAST_TICKERS, columns.values[feature.name])

    with ThreadPoolExecutor(max_workers=pl.thread_pool_size()) as pool:
        list(pool.map(rank, wanted))


def _add_cross_section(
    columns: FeatureColumns, features: Sequence[Feature], dates: pl.Series
) -> None:
    """Compute the other features of a date's cross-section."""
    for feature in features:
        if feature.scope == "date":
            read = [columns.series(name) for name in feature.needs]
            table = pl.DataFrame([dates.set_sorted(), *read])
            found = table.select(feature.expression.over("date").alias(feature.name))
            columns.put(found.to_series())
