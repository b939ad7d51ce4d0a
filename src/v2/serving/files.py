"""Bars of a file in, rows of the ranking out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import polars as pl

from src.v2.data.files import read_file
from src.v2.data.writing import write_parquet
from src.v2.errors import ConfigError, DataError, OmninmoError
from src.v2.serving.reference import Reference, own_columns

BETWEEN_REASONS = "; "
ENDINGS = (".csv", ".json", ".parquet")


def read_rows(path: Path, reference: Reference) -> pl.DataFrame:
    """Read bars of any layout of `src.v2.data.files`, as rows of a request.

    Raises
    ------
    DataError
        When the file is not there or cannot be read, or a cell of it is no date or number.
    """
    if not path.is_file():
        raise DataError(f"--score must be a file of bars; {path} is none.")
    typed, _ = read_file(path, own_columns(reference))
    return typed.with_columns(pl.col("date").dt.to_string("%Y-%m-%d"))


def write_rows(rows: pl.DataFrame, path: Path | None) -> str:
    """Write rows by the ending of a path; without one give them as CSV text.

    Parameters
    ----------
    rows
        From `src.v2.serving.answers.Scorer.answer`.
    path
        One that `check_target` lets pass.

    Returns
    -------
    str
        What is left to print.

    Raises
    ------
    OmninmoError
        When the file cannot be written.
    """
    flat = rows.with_columns(pl.col("reasons").list.join(BETWEEN_REASONS))
    if path is None:
        return flat.write_csv()
    try:
        descriptor, name = tempfile.mkstemp(prefix=".scored-", dir=path.parent)
        os.close(descriptor)
        fresh = Path(name)
        try:
            if path.suffix == ".csv":
                fresh.write_text(flat.write_csv(), encoding="utf-8")
            elif path.suffix == ".json":
                fresh.write_text(rows.write_json() + "\n", encoding="utf-8")
            else:
                write_parquet(rows, fresh)
            fresh.chmod(0o644)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OmninmoError(
            f"{path} cannot be written: {error.strerror}. Mend its folder, or name another file "
            "with --out."
        ) from error
    return ""


def check_target(path: Path, given: Path) -> None:
    """Refuse a file for the answers before they are computed.

    Parameters
    ----------
    given
        The file of bars, which is not replaced.

    Raises
    ------
    ConfigError
        When its ending names no format, its folder is missing, or it is the given file, a folder
        or a pipe.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"--out must end in {', '.join(ENDINGS)}; got {path.name!r}.")
    if not path.parent.is_dir():
        raise ConfigError(
            f"--out must lie in a folder that exists; {path.parent} is none. Make it, or name "
            "another file."
        )
    if path.exists() and (not path.is_file() or (given.exists() and path.samefile(given))):
        what = "the file of bars itself" if path.is_file() else "no regular file"
        raise ConfigError(f"--out must name a file to write; {path} is {what}. Name another.")
