"""One ticker's bars in one Parquet file, with what was asked for.

A file is written whole or not at all, and carries a digest: a file that was cut, changed
or exchanged is found out when it is read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.v2.data.columns import NUMBERS, SCHEMA
from src.v2.data.writing import write_parquet
from src.v2.errors import OmninmoError

SUFFIX = ".parquet"
TEMPORARY = ".tmp-"
"""Start of the name of a file that is being written."""
_KEY = "omninmo"
_SCHEMA_VERSION = 1
_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
_DEVICES = (
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{name}{n}" for name in ("COM", "LPT") for n in range(10)),
)
"""Names that some systems keep for devices, whatever follows the first dot."""
_LONGEST = 100


class DamagedFile(OmninmoError):
    """A file of the store is cut, changed, of another ticker or of a newer program."""


@dataclass(frozen=True, slots=True)
class StoredBars:
    """Bars of one ticker, and the question that they answer.

    Parameters
    ----------
    bars
        | date | ticker | open | high | low | close | volume |, as Yahoo gave them.
    asked_from
        First date asked for; the bars may begin later. None: as early as there is any.
    asked_to
        Last date asked for.
    asked_on
        The newest finished date when it was asked.
    """

    bars: pl.DataFrame
    asked_from: dt.date | None
    asked_to: dt.date
    asked_on: dt.date

    @property
    def first(self) -> dt.date:
        """Date of the first bar."""
        return self._date("min")

    @property
    def last(self) -> dt.date:
        """Date of the last bar."""
        return self._date("max")

    def _date(self, end: str) -> dt.date:
        day = getattr(self.bars.get_column("date"), end)()
        assert isinstance(day, dt.date)
        return day


def file_name(ticker: str) -> str:
    """Name a ticker's file: safe for any ticker, and different also where case is ignored.

    Capital letters, digits, ``-`` and inner points stand for themselves, every other
    byte is ``_`` and two hexadecimal digits; a long name is cut and ends in a hash.

    Examples
    --------
    >>> [file_name(name) for name in ("BRK-B", "7203.T", "^GSPC", "a/b")]
    ['BRK-B.parquet', '7203.T.parquet', '_5eGSPC.parquet', '_61_2f_62.parquet']
    """
    device = ticker.partition(".")[0] in _DEVICES
    parts = []
    for place, letter in enumerate(ticker):
        plain = letter in _PLAIN or (letter == "." and place)
        if plain and not (device and not place):
            parts.append(letter)
        else:
            parts += [f"_{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass")]
    name = "".join(parts) or "_"
    if len(name) > _LONGEST:
        whole = hashlib.sha256(ticker.encode("utf-8", "surrogatepass")).hexdigest()
        # Two underscores follow each other in no other name.
        name = f"{name[: _LONGEST // 2]}__{whole[:32]}"
    return name + SUFFIX


def write_bars(folder: Path, ticker: str, stored: StoredBars) -> None:
    """Write a ticker's file; a kill at any moment leaves the old file or the new one.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    content = {
        "schema_version": _SCHEMA_VERSION,
        "ticker": ticker,
        "asked_from": stored.asked_from and stored.asked_from.isoformat(),
        "asked_to": stored.asked_to.isoformat(),
        "asked_on": stored.asked_on.isoformat(),
        "digest": _digest(stored.bars),
    }
    target = folder / file_name(ticker)
    temporary = folder / f"{TEMPORARY}{os.getpid()}-{target.name}"
    try:
        write_parquet(stored.bars.drop("ticker"), temporary, {_KEY: json.dumps(content)})
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_bars(folder: Path, ticker: str) -> StoredBars | None:
    """Read a ticker's file; None when there is none.

    Raises
    ------
    DamagedFile
        When the file cannot be trusted, saying why.
    """
    path = folder / file_name(ticker)
    try:
        # Once: the bars and the facts must be of one file, also when it is replaced.
        content = path.read_bytes()
        facts = pl.read_parquet_metadata(io.BytesIO(content)).get(_KEY, "{}")
        bars = pl.read_parquet(content)
    except FileNotFoundError:
        return None
    # A cut or changed file surfaces as whatever its parser stumbles over.
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise DamagedFile("its file cannot be read") from error
    try:
        return _checked(ticker, bars, json.loads(facts))
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DamagedFile("its file is not one of this store") from error


def _checked(ticker: str, bars: pl.DataFrame, facts: Mapping[str, Any]) -> StoredBars:
    """Put a file's parts together, if they are what was once written."""
    if facts["schema_version"] != _SCHEMA_VERSION:
        raise DamagedFile("its file is of another version of this program")
    if facts["ticker"] != ticker:
        raise DamagedFile("its file is that of another ticker")
    bars = bars.select(pl.col("date"), pl.lit(ticker).alias("ticker"), pl.col(NUMBERS))
    if bars.schema != SCHEMA or not bars.height or _digest(bars) != facts["digest"]:
        raise DamagedFile("its file was changed")
    start = facts["asked_from"]
    return StoredBars(
        bars,
        dt.date.fromisoformat(start) if start else None,
        dt.date.fromisoformat(facts["asked_to"]),
        dt.date.fromisoformat(facts["asked_on"]),
    )


def _digest(bars: pl.DataFrame) -> str:
    """Hash the values of a ticker's bars, bit by bit, and which are missing."""
    digest = hashlib.blake2b(digest_size=16)
    days = bars.get_column("date").to_physical().to_numpy()
    digest.update(np.ascontiguousarray(days, "<i4").data)
    for name in NUMBERS:
        column = bars.get_column(name)
        if column.null_count():
            digest.update(column.is_null().to_numpy().tobytes())
            column = column.fill_null(0.0)
        digest.update(np.ascontiguousarray(column.to_numpy(), "<f8").data)
    return digest.hexdigest()
