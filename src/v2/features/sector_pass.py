"""Features of a ticker among those of its sector, on each date.

A sum runs over a sector's tickers in their order, one after the other, so that no value depends
on which dates are worked on together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.features.cross_section import LEAST_TICKERS
from src.v2.features.feature_columns import FeatureColumns
from src.v2.features.ranks import centred_ranks, date_blocks
from src.v2.features.registry import Feature

LEAST_IN_SECTOR = 5
"""Known tickers of a sector that a date needs for a mean or a rank."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SectorRows:
    """Rows with a known sector, date by date and sector by sector.

    Parameters
    ----------
    rows
        Their places; tickers of a sector keep their order.
    group
        For each of `rows` the number of its date and sector, from 0 without a gap.
    date
        For every row of the table the number of its date, from 0 without a gap.
    """

    rows: Places
    group: Places
    date: Places


def sector_rows(
    tickers: pl.Series, sectors: Mapping[str, str], counts: NDArray[np.int64]
) -> SectorRows:
    """Find the tickers of each sector on each date.

    Parameters
    ----------
    tickers
        Of each row, the rows sorted by date.
    sectors
        Sector by ticker; a ticker without one is in none.
    counts
        Rows of each date.
    """
    names = sorted(set(sectors.values()))
    number = {name: place for place, name in enumerate(names)}
    codes = {ticker: number[name] for ticker, name in sectors.items()}
    held = tickers.replace_strict(codes, default=-1, return_dtype=pl.Int64).to_numpy()
    date = np.repeat(np.arange(len(counts)), counts)
    key = np.where(held >= 0, date * max(len(names), 1) + held, -1)
    rows = np.argsort(key, kind="stable")[np.count_nonzero(held < 0) :]
    starts = np.diff(key[rows], prepend=-1) != 0
    return SectorRows(rows, np.cumsum(starts) - 1, date)


def add_sector_features(
    columns: FeatureColumns, features: Sequence[Feature], place: SectorRows
) -> None:
    """Compute the features of scope sector and sector_rank.

    Parameters
    ----------
    columns
        Holds the ticker-wise features, the rows sorted by date and ticker; filled here.
    features
        Every feature in force; those of other scopes are read only.
    place
        From `sector_rows`, of the same rows.
    """
    _add_means(columns, [item for item in features if item.scope == "sector"], place)
    _add_ranks(columns, [item for item in features if item.scope == "sector_rank"], place)


def _add_means(columns: FeatureColumns, wanted: Sequence[Feature], place: SectorRows) -> None:
    """Compare with the means of sector and date, the features of one column after another."""
    for needs in dict.fromkeys(item.needs for item in wanted):
        group = [item for item in wanted if item.needs == needs]
        read = {root for item in group for root in item.expression.meta.root_names()}
        table = pl.DataFrame([one for name in needs for one in _beside(columns, name, place, read)])
        for item in group:
            columns.put(table.select(item.expression.alias(item.name)).to_series())


def _beside(
    columns: FeatureColumns, name: str, place: SectorRows, read: Collection[str]
) -> list[pl.Series]:
    """Return a column and those of its means that are read, null where too few know it."""
    values = columns.values[name].astype(np.float64)
    found = {name: values}
    if f"{name}_sector" in read:
        found[f"{name}_sector"] = np.full(len(values), np.nan)
        means = _means(values[place.rows], place.group, LEAST_IN_SECTOR)
        found[f"{name}_sector"][place.rows] = means
    if f"{name}_date" in read:
        found[f"{name}_date"] = _means(values, place.date, LEAST_TICKERS)
    return [pl.Series(key, numbers, nan_to_null=True) for key, numbers in found.items()]


def _means(values: NDArray[np.float64], group: Places, least: int) -> NDArray[np.float64]:
    """Return, for each value, the mean of the known ones of its group."""
    known = ~np.isnan(values)
    groups = int(group[-1]) + 1 if len(group) else 0
    total = np.bincount(group, weights=np.where(known, values, 0.0), minlength=groups)
    count = np.bincount(group, weights=known, minlength=groups)
    mean = np.divide(total, count, out=np.full(groups, np.nan), where=count >= least)
    return np.asarray(mean[group], dtype=np.float64)


def _add_ranks(columns: FeatureColumns, wanted: Sequence[Feature], place: SectorRows) -> None:
    """Rank ticker-wise features among the tickers of each date and sector."""
    sizes = np.bincount(place.group)
    blocks = date_blocks(np.concatenate(([0], np.cumsum(sizes))))

    def rank(item: Feature) -> None:
        ranked = columns.values[item.expression.meta.output_name()][place.rows]
        found = np.empty_like(ranked)
        centred_ranks(ranked, blocks, LEAST_IN_SECTOR, found)
        columns.values[item.name][:] = np.nan
        columns.values[item.name][place.rows] = found

    with ThreadPoolExecutor(max_workers=pl.thread_pool_size()) as pool:
        list(pool.map(rank, wanted))
