"""Bars from Parquet and CSV files, in the layouts that people have.

| layout | what a file holds |
|---|---|
| long | a row a date and ticker, with a column of tickers |
| one file a ticker | a row a date; the ticker is the file's name |
| wide | a row a date, a column of closes a ticker |
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.data.columns import ADJUSTED, index_names, match_names, read_dates, read_types
from src.v2.errors import DataError
from src.v2.records import Drop

_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz", ".tsv")
_PARQUET_MARK = b"PAR1"
_DATE_SHARE = 0.9
"""An unnamed column is one of dates when at least this share of it can be read so."""
_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class FileBars:
    """What files gave: typed bars, files of a folder that failed, and remarks."""

    bars: pl.DataFrame
    failed: tuple[Drop, ...]
    notes: tuple[str, ...]


def read_files(path: Path, own_columns: Collection[str] = ()) -> FileBars:
    """Read a file, or all Parquet and CSV files of a folder.

    Parameters
    ----------
    path
        A file, or a folder; folders inside it and other kinds of files are left alone.
    own_columns
        Further numeric columns to keep, by the file's own names.

    Returns
    -------
    FileBars
        Bars as `read_types` makes them. A file of a folder that cannot be used is a
        failed ticker; a single one is an error.

    Raises
    ------
    DataError
        When there is no such path, no file, or no file that can be used.
    """
    if not path.exists():
        raise DataError(f"data.path must be a file or a folder; {path} does not exist.")
    files = [path] if path.is_file() else _files_of(path)
    tables: list[pl.DataFrame] = []
    failed: list[Drop] = []
    notes: dict[str, int] = {}
    problems: list[DataError] = []
    for file in files:
        try:
            table, remarks = read_file(file, own_columns)
        except DataError as error:
            problems.append(error)
            failed.append(Drop(_stem(file), "its file cannot be used", 0, True, failed=True))
            continue
        tables.append(table)
        for remark in remarks:
            notes[remark] = notes.get(remark, 0) + 1
    if not tables:
        raise problems[0]
    bars = pl.concat(tables, how="diagonal") if len(tables) > 1 else tables[0]
    lacking = [name for name in own_columns if name not in bars.columns]
    if lacking:
        raise DataError(
            f"features.columns names {lacking[0]}, which {path} has no column for; "
            f"it has {_shown(_columns_of(files[0]))}."
        )
    texts = [f"{text} ({n} of {len(files)} files)" if n > 1 else text for text, n in notes.items()]
    return FileBars(bars, tuple(failed), (*texts, *(str(problem) for problem in problems)))


def read_file(path: Path, own_columns: Collection[str] = ()) -> tuple[pl.DataFrame, list[str]]:
    """Read one file into typed bars, with remarks on how it was understood.

    Raises
    ------
    DataError
        When the file cannot be read, or has no column of dates or closes.
    """
    table = read_table(path)
    if not table.height:
        raise DataError(f"{path} holds no rows.")
    names = match_names(table.columns, own_columns)
    if "date" not in names:
        names["date"] = _date_index(table, path)
    if "close" not in names and ADJUSTED not in names:
        if _is_wide(table, names, own_columns):
            return _from_wide(table, names["date"]), ["closes were read from a column a ticker"]
        raise DataError(
            f"Bars need a column close; {path} has {_shown(table.columns)}. Rename one to close."
        )
    own = [name for name in own_columns if name in table.columns]
    raw = table.select(*(pl.col(theirs).alias(ours) for ours, theirs in names.items()), pl.col(own))
    if "ticker" not in names:
        raw = raw.with_columns(ticker=pl.lit(_stem(path)))
    try:
        typed = read_types(raw, (*own, ADJUSTED))
    except DataError as error:
        raise DataError(f"{path} cannot be used. {error}") from error
    if ADJUSTED not in names:
        return typed, []
    return _adjust(typed, names[ADJUSTED])


def _adjust(typed: pl.DataFrame, name: str) -> tuple[pl.DataFrame, list[str]]:
    """Put every price on the scale of the adjusted close."""
    adjusted = pl.col(ADJUSTED)
    others = [price for price in ("open", "high", "low") if price in typed.columns]
    if "close" not in typed.columns:
        note = f"only '{name}' was there, so open, high and low, of another scale, were left out"
        bars = typed.drop(others).rename({ADJUSTED: "close"})
        return bars, [note] if others else []
    ratio = adjusted / pl.col("close")
    scaled = [(pl.col(price) * ratio).alias(price) for price in others]
    bars = typed.with_columns(*scaled, close=adjusted).drop(ADJUSTED)
    return bars, [f"prices were adjusted by '{name}'"]


def _is_wide(table: pl.DataFrame, names: dict[str, str], own: Collection[str]) -> bool:
    """Tell whether all columns but the date can only be closes of a ticker each."""
    rest = [name for name in table.columns if name != names["date"]]
    rest = [name for name in rest if name not in index_names(rest)]
    # Opendoor and Lowe's trade as OPEN and LOW.
    known = {theirs for ours, theirs in names.items() if ours != "date"}
    tickers_too = all(name in ("OPEN", "LOW") for name in known)
    numeric = all(table.schema[name].is_numeric() or table.schema[name] == pl.Null for name in rest)
    return numeric and tickers_too and len(rest) - len(known) >= 2 and not set(own) & set(rest)


def _from_wide(table: pl.DataFrame, date: str) -> pl.DataFrame:
    """Make long bars; an empty cell is no bar."""
    rest = [name for name in table.columns if name != date]
    rest = [name for name in rest if name not in index_names(rest)]
    numbers = table.select(pl.col(date).alias("date"), pl.col(rest).cast(pl.Float64))
    bars = numbers.unpivot(index="date", variable_name="ticker", value_name="close")
    return read_types(bars.filter(pl.col("close").is_not_nan()))


def _date_index(table: pl.DataFrame, path: Path) -> str:
    """Find dates that pandas saved as an index without a name."""
    for name in index_names(table.columns):
        cells = table.get_column(name)
        # Whole numbers here are row numbers.
        if cells.dtype.is_numeric() or not len(cells):
            continue
        if 1 - read_dates(cells).null_count() / len(cells) >= _DATE_SHARE:
            return name
    raise DataError(
        f"Bars need a column date; {path} has {_shown(table.columns)}. Rename one to date."
    )


def read_table(path: Path, setting: str = "data.path") -> pl.DataFrame:
    """Read a file as it is; dates and tickers of a CSV file stay text.

    Raises
    ------
    DataError
        When it cannot be read; a file of another kind is named by the setting.
    """
    name = path.name.lower()
    try:
        if name.endswith(_PARQUET):
            return pl.read_parquet(path, glob=False)
        if name.endswith(_CSV):
            with path.open("rb") as file:
                misnamed = file.read(len(_PARQUET_MARK)) == _PARQUET_MARK
            return pl.read_parquet(path, glob=False) if misnamed else _read_csv(path)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read ({_detail(error)}). Check the file.") from error
    known = ", ".join(_PARQUET + _CSV)
    what = "be a folder or end" if setting == "data.path" else "end"
    raise DataError(f"{setting} must {what} in {known}; got {path.name}.")


def _detail(error: Exception) -> str:
    """Say in one line why a file cannot be read, without advice to programmers."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    if "truncate_ragged_lines" in text:
        return "its lines have different numbers of cells"
    if isinstance(error, pl.exceptions.ComputeError) and "could not parse" in text:
        return "its cells do not fit their columns"
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return " ".join(first.split())[:200]


def _read_csv(path: Path) -> pl.DataFrame:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        head = [file.readline() for _ in range(5)]
    separator = max(",;\t|", key=head[0].count)
    # Where a semicolon separates, a comma often stands for the point.
    comma = separator == ";" and any(re.search(r"(^|;)-?\d+,\d+(;|$)", line) for line in head)
    header = pl.read_csv(
        path, separator=separator, n_rows=0, infer_schema=False, glob=False
    ).columns
    names = match_names(header)
    text = {names[ours] for ours in ("date", "ticker") if ours in names} | set(index_names(header))
    return pl.read_csv(
        path,
        separator=separator,
        decimal_comma=comma,
        glob=False,
        infer_schema_length=None,
        schema_overrides={name: pl.String for name in header if name in text},
    )


def _columns_of(path: Path) -> list[str]:
    return read_table(path).columns


def _files_of(folder: Path) -> list[Path]:
    """List the files of a folder that hold bars, by name."""
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name.lower().endswith(_PARQUET + _CSV)
        and not file.name.startswith(".")
        and file.is_file()
    )
    if not files:
        raise DataError(
            f"data.path must hold Parquet or CSV files; the folder {folder} has none of "
            f"{', '.join(_PARQUET + _CSV)}."
        )
    return files


def _stem(path: Path) -> str:
    """Name the ticker of a file: its name without the kind of file."""
    kinds = [end for end in _PARQUET + _CSV if path.name.lower().endswith(end)]
    return path.name.removesuffix(path.name[-len(kinds[0]) :]) if kinds else path.stem


def _shown(names: Collection[str]) -> str:
    listed = [repr(name) for name in list(names)[:_NAMES_SHOWN]]
    more = len(names) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")
