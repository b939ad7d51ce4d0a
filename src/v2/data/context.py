"""What is known beside the bars: daily series that all tickers share, and sectors.

A series is read from a file of dates and values. Which of its values a session may show is
decided in `src.v2.features.as_of`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.v2.config import DataConfig
from src.v2.data.columns import (
    ADJUSTED,
    UNREADABLE,
    UNREADABLE_CELL,
    index_names,
    match_names,
    read_types,
)
from src.v2.data.files import find_date_index, read_table
from src.v2.data.numbers import read_numbers
from src.v2.data.sectors import load_sectors
from src.v2.errors import DataError

SECTOR = "sector"
"""What a feature names in its context where it needs sectors."""

_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the bars.

    Parameters
    ----------
    series
        | date | value | by name: sorted, one row a date, no null.
    sectors
        Sector by ticker, one for all dates: today's, where a file holds today's.
    lag
        Sessions until a value counts as known.
    max_age
        Calendar days after which the last value counts as missing.
    notes
        What was left out in reading.
    """

    series: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    sectors: Mapping[str, str] = field(default_factory=dict)
    lag: int = 0
    max_age: int = 14
    notes: tuple[str, ...] = ()

    def until(self, last: dt.date) -> Context:
        """Return what was there on a date: no later value of a series."""
        kept = {name: rows.filter(pl.col("date") <= last) for name, rows in self.series.items()}
        return dataclasses.replace(self, series=kept)


def load_context(config: DataConfig, only: Collection[str] | None = None) -> Context:
    """Read the series and the sectors that a configuration names.

    Parameters
    ----------
    config
        The section ``data``.
    only
        Names of the series to read; None for all.

    Raises
    ------
    DataError
        When a file is not there, or is not what its setting asks for.
    """
    series: dict[str, pl.DataFrame] = {}
    notes: list[str] = []
    for name, path in config.context.items():
        if only is None or name in only:
            series[name], remarks = read_series(name, path)
            notes += remarks
    sectors = load_sectors(config.sectors)
    return Context(series, sectors, config.context_lag, config.context_max_age, tuple(notes))


def read_series(name: str, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Read one series from a Parquet or CSV file.

    Parameters
    ----------
    name
        Of the series, for errors.
    path
        A file with a column of dates and one of values: the adjusted close, the close, or the
        only column of numbers.

    Returns
    -------
    tuple
        | date | value |, sorted, one row a date, without missing values; and remarks on rows
        left out because their text is no date or no number.

    Raises
    ------
    DataError
        When the file cannot be read, has no such columns, holds no value, or gives a date two
        values.
    """
    setting = f"data.context: the series {name}"
    if not path.is_file():
        raise DataError(
            f"{setting} must be a file of dates and values; {path} does not exist. Name it with "
            f"--data.context {name}=FILE."
        )
    try:
        table = read_table(path, "data.context")
        return series_of(table, path)
    except DataError as error:
        raise DataError(f"{setting} cannot be used. {error}") from error


def series_of(table: pl.DataFrame, path: Path | str) -> tuple[pl.DataFrame, list[str]]:
    """Take a series out of a table of any column names and types, as `read_series` does.

    Parameters
    ----------
    table
        A column of dates and one of values, by the names of `src.v2.data.columns`.
    path
        What it is called in errors.
    """
    names = match_names(table.columns)
    date = names.get("date") or find_date_index(table, path)
    value = names.get(ADJUSTED) or names.get("close") or _only_numbers(table, date, path)
    typed = read_types(table.select(date=date, close=value))
    known = typed.filter(pl.all_horizontal(pl.col("date", "close").is_not_null()))
    known = known.filter(pl.col("close").is_finite())
    rows = known.select("date", value="close").unique().sort("date", "value")
    if rows.is_empty():
        raise DataError(f"{path} holds no value with a date.")
    twice = rows.filter(pl.col("date").is_duplicated())
    if not twice.is_empty():
        raise DataError(
            f"A series must have one value a date; {path} has {twice['value'][0]:g} and "
            f"{twice['value'][1]:g} on {twice['date'][0]}."
        )
    return rows, _remarks(typed, path)


def _only_numbers(table: pl.DataFrame, date: str, path: Path | str) -> str:
    """Name the only column beside the dates that holds numbers."""
    rest = [name for name in table.columns if name != date]
    rest = [name for name in rest if name not in index_names(rest)]
    found = [name for name in rest if read_numbers(table[name]).count()]
    if len(found) != 1:
        shown = ", ".join(repr(name) for name in table.columns[:_NAMES_SHOWN])
        raise DataError(
            f"A series needs a column close, or one column of numbers alone; {path} has {shown}. "
            "Rename the one meant to close."
        )
    return found[0]


def _remarks(typed: pl.DataFrame, path: Path | str) -> list[str]:
    """Say how many rows hold a text that is no date or no number, and the first of them."""
    if UNREADABLE not in typed.columns:
        return []
    lost = typed.filter(pl.col(UNREADABLE).is_not_null())
    return [f"{path}: rows left out: {lost.height}, the first for {lost[UNREADABLE_CELL][0]}"]
