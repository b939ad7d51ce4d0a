"""Bars of a few whole tickers at a time, from a table or from files larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from src.v2.data.universe import MEMBER
from src.v2.run_folders import check_space

Bars = pl.DataFrame | pl.LazyFrame
"""A table in memory, or a scan of files, as `polars.scan_parquet` gives it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What all bars hold, found in one look that keeps none of them.

    Parameters
    ----------
    tickers
        | ticker | rows | first | chunk |, sorted by ticker: the date of its first bar, or of
        its first one as a member, and the number of the chunk that it belongs to.
    dates
        | date | rows |, sorted; rows of members where they are marked, so that there may be none.
    known
        One row: each column of the bars as it is where it has a value, else null; it tells
        `src.v2.features.compute.usable_features` what the bars have.
    """

    tickers: pl.DataFrame
    dates: pl.DataFrame
    known: pl.DataFrame

    @property
    def rows(self) -> int:
        """Number of bars."""
        return int(self.tickers["rows"].sum())

    @property
    def chunks(self) -> int:
        """Number of chunks of tickers."""
        return self.tickers["chunk"].n_unique()

    @property
    def decisions(self) -> pl.Series:
        """Dates from the first one with a row of the panel on, sorted."""
        return self.dates["date"][int((self.dates["rows"] > 0).arg_max() or 0) :]


def survey_bars(bars: Bars, rows_at_once: int) -> Survey:
    """Count the bars by ticker and by date.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, more |; any order, one row a ticker and date.
    rows_at_once
        Rows of a chunk; a ticker is never parted, so that the last one may go beyond.
    """
    lazy = bars.lazy()
    schema = lazy.collect_schema()
    inside = pl.col(MEMBER) if MEMBER in schema else pl.lit(True)
    tickers = lazy.group_by("ticker").agg(
        pl.len().alias("rows"), pl.col("date").filter(inside).min().alias("first")
    )
    dates = lazy.group_by("date").agg(
        (pl.col(MEMBER).sum() if MEMBER in schema else pl.len()).alias("rows")
    )
    known = lazy.select(_any_value(name, kind).alias(name) for name, kind in schema.items())
    found = pl.collect_all([tickers, dates, known], engine="streaming")
    before = pl.col("rows").cast(pl.Int64).cum_sum() - pl.col("rows")
    chunk = (before // rows_at_once).rank("dense").cast(pl.Int64) - 1
    return Survey(
        found[0].sort("ticker").with_columns(chunk.alias("chunk")), found[1].sort("date"), found[2]
    )


def _any_value(name: str, kind: pl.DataType) -> pl.Expr:
    """Give the largest value of a column, null where it has none but nulls and NaN."""
    column = pl.col(name)
    return (column.fill_nan(None) if kind.is_float() else column).max()


class BarChunks(Protocol):
    """Gives chunk after chunk, in the order of the tickers, as often as asked."""

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Give bars of whole tickers, sorted by ticker and date."""


def chunk_bars(bars: Bars, survey: Survey, folder: Path, rows_at_once: int) -> BarChunks:
    """Make the bars readable by chunks.

    Parameters
    ----------
    bars
        As surveyed.
    survey
        Theirs.
    folder
        Where bars that lie in files are written once more, by chunks: in files of one day or
        one year each, every chunk would have to be looked for in all of them.
    rows_at_once
        Rows read at once for that.
    """
    if isinstance(bars, pl.DataFrame):
        bars = bars if bars["ticker"].is_sorted() else bars.sort("ticker", "date")
        sizes = survey.tickers.group_by("chunk", maintain_order=True).agg(pl.col("rows").sum())
        return _Slices(bars, sizes["rows"].to_list())
    _write_chunks(bars, survey, folder, rows_at_once)
    return _Files(folder, survey.chunks)


@dataclass(frozen=True, slots=True)
class _Slices:
    """Chunks of a table in memory."""

    bars: pl.DataFrame
    sizes: list[int]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        start = 0
        for size in self.sizes:
            yield self.bars[start : start + size].sort("ticker", "date")
            start += size


@dataclass(frozen=True, slots=True)
class _Files:
    """Chunks written to a folder, in some pieces each."""

    folder: Path
    chunks: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for number in range(self.chunks):
            pieces = sorted(_chunk_folder(self.folder, number).glob("*.parquet"))
            yield pl.read_parquet(pieces, glob=False).sort("ticker", "date")


def _write_chunks(bars: pl.LazyFrame, survey: Survey, folder: Path, rows_at_once: int) -> None:
    """Part the bars by chunk as they stream in."""
    width = 8 * len(bars.collect_schema())
    folder.mkdir(parents=True)
    check_space(folder, survey.rows * width, f"A copy of {survey.rows:,} bars by ticker")
    for number in range(survey.chunks):
        _chunk_folder(folder, number).mkdir()
    chunk_of = survey.tickers.select("ticker", "chunk")
    for number, batch in enumerate(
        bars.collect_batches(chunk_size=rows_at_once, engine="streaming")
    ):
        marked = batch.join(chunk_of, on="ticker", how="left", maintain_order="left")
        for (chunk,), part in marked.partition_by("chunk", as_dict=True).items():
            path = _chunk_folder(folder, int(chunk)) / f"{number:06d}.parquet"
            part.drop("chunk").write_parquet(path, compression="lz4")


def _chunk_folder(folder: Path, number: int) -> Path:
    """Name the folder of a chunk."""
    return folder / f"chunk-{number:05d}"
