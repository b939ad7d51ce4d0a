"""The sector of each ticker, from a CSV file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.v2.errors import DataError


def load_sectors(path: Path | None) -> dict[str, str]:
    """Read which sector each ticker belongs to.

    Parameters
    ----------
    path
        A CSV file with the columns ticker (or symbol) and sector, in any case, and any others;
        None for none.

    Returns
    -------
    dict
        Sector by ticker; rows without either are left out, and the last one of a ticker holds.

    Raises
    ------
    DataError
        When the file is not there or lacks a column.
    """
    if path is None:
        return {}
    try:
        table = pl.read_csv(path, infer_schema_length=0)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"data.sectors must be a CSV file of ticker and sector; {path} cannot be read as one."
        ) from error
    names = {name.strip().lower(): name for name in table.columns}
    ticker = names.get("ticker", names.get("symbol"))
    if ticker is None or "sector" not in names:
        raise DataError(
            f"data.sectors must have the columns ticker and sector; {path} has "
            f"{', '.join(table.columns[:12])}."
        )
    rows = table.select(
        pl.col(ticker).str.strip_chars(), pl.col(names["sector"]).str.strip_chars()
    ).drop_nulls()
    return dict(rows.iter_rows())
