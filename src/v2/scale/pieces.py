"""What lies between the two passes: Parquet files by year, one a chunk of tickers."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl

ROWS_OF_A_GROUP = 16_384
"""Rows of a Parquet row group: a block of dates skips the groups of other dates."""


def write_pieces(table: pl.DataFrame, folder: Path, number: int) -> None:
    """Write what the first pass made of a chunk, a file a year.

    Parameters
    ----------
    table
        With | date |, in any order.
    folder
        Of all pieces.
    number
        Of the chunk.
    """
    table = table.sort("date", "ticker")
    years = table["date"].dt.year().rle().struct.unnest()
    start = 0
    for length, year in years.iter_rows():
        place = _year_folder(folder, year)
        place.mkdir(parents=True, exist_ok=True)
        table[start : start + length].write_parquet(
            place / f"{number:05d}.parquet", compression="lz4", row_group_size=ROWS_OF_A_GROUP
        )
        start += length


def read_pieces(folder: Path, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Read the rows of all tickers from one date to another, both included, in no order."""
    pieces = [
        piece
        for year in range(first.year, last.year + 1)
        for piece in sorted(_year_folder(folder, year).glob("*.parquet"))
    ]
    inside = pl.col("date").is_between(first, last)
    return pl.scan_parquet(pieces, glob=False, hive_partitioning=False).filter(inside).collect()


def drop_years(folder: Path, before: int) -> None:
    """Remove the pieces of the years before one, which nobody reads again."""
    for place in folder.glob("year=*"):
        if int(place.name.removeprefix("year=")) < before:
            shutil.rmtree(place)


def _year_folder(folder: Path, year: int) -> Path:
    """Name the folder of a year."""
    return folder / f"year={year}"
