"""Bars of a file in, rows of the ranking out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import polars as pl

from src.v2.data.files import read_file
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

    Returns
    -------
    str
        What is left to print.

    Raises
    ------
    ConfigError
        When the ending is none of `ENDINGS`.
    OmninmoError
        When the file cannot be written.
    """
    flat = rows.with_columns(pl.col("reasons").list.join(BETWEEN_REASONS))
    if path is None:
        return flat.write_csv()
    check_ending(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".scored-", dir=path.parent)
        os.close(descriptor)
        fresh = Path(name)
        try:
            if path.suffix == ".csv":
                flat.write_csv(fresh)
            elif path.suffix == ".json":
                fresh.write_text(rows.write_json() + "\n", encoding="utf-8")
            else:
                rows.write_parquet(fresh)
            fresh.chmod(0o644)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OmninmoError(f"{path} cannot be written: {error.strerror}.") from error
    return ""


def check_ending(path: Path) -> None:
    """Refuse an ending that names no format.

    Raises
    ------
    ConfigError
        Naming those that do.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"--out must end in {', '.join(ENDINGS)}; got {path.name!r}.")
