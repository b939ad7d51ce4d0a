"""The log of predictions: one Parquet file a ranking, written once and read by the monitor.

The name of a file is made of the model, the date decided on and the bars, so that the same call
made twice leaves one file. It keeps the time of the first call: a forecast does not become a
later one because it was looked at again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.errors import DataError, OmninmoError
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.walk_forward import probability_column

SCHEMA_VERSION = 1
SUFFIX = ".parquet"
KINDS: dict[str, pl.DataType | type[pl.DataType]] = {
    "schema_version": pl.Int32,
    "made_at": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "model_id": pl.String,
    "registered": pl.String,
    "version": pl.String,
    "alias": pl.String,
    "mode": pl.String,
    "forward_days": pl.Int32,
    "entry_lag": pl.Int32,
    "data_fingerprint": pl.String,
    "config_fingerprint": pl.String,
    "in_sample": pl.Boolean,
    "hindsight": pl.Boolean,
    "coverage": pl.Float64,
    "date": pl.Date,
    "rank": pl.Int32,
    "ticker": pl.String,
    "close": pl.Float64,
    "score": pl.Float64,
    "predicted_return": pl.Float64,
    "return_low": pl.Float64,
    "return_high": pl.Float64,
    "rating": pl.String,
}
"""Columns of every file; those of a classification have | p_<class> ... | besides."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A ranking as it is logged.

    Parameters
    ----------
    rows
        As `src.v2.forecasting.Forecast.rows`.
    made_at
        When it was made, with a time zone.
    data_fingerprint
        Of the bars that it was made from.
    in_sample
        Whether the model was fitted on what came after this date.
    hindsight
        Whether later bars were at hand.
    coverage
        Level of the intervals.
    registered, version, alias
        The model's name in the registry, where it came from there.
    """

    rows: pl.DataFrame
    made_at: dt.datetime
    data_fingerprint: str
    in_sample: bool
    hindsight: bool
    coverage: float
    registered: str | None = None
    version: str | None = None
    alias: str | None = None


def model_id(card: ModelCard) -> str:
    """Give 12 hex digits of what tells one training from every other."""
    told = (card.name, card.trained_at, card.data_fingerprint, card.config_fingerprint)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def append_ranking(folder: Path, card: ModelCard, ranking: Ranking) -> Path | None:
    """Write a ranking into the log, whole or not at all.

    Returns
    -------
    Path or None
        The file; None for a ranking without rows, which leaves none.

    Raises
    ------
    OmninmoError
        When the folder cannot be written.
    """
    if ranking.rows.is_empty():
        return None
    table = _table(card, ranking)
    path = folder / _file_name(card, ranking)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            first = pl.read_parquet(path, glob=False, columns=["made_at"])["made_at"].min()
            table = table.with_columns(pl.min_horizontal("made_at", pl.lit(first)))
        _write(table, path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise OmninmoError(
            f"The prediction log {folder} cannot be written: "
            f"{getattr(error, 'strerror', None) or str(error).splitlines()[0]}. Mend the folder, "
            "name another with --paths.predictions-dir, or take --predict.log false."
        ) from error
    return path


def _table(card: ModelCard, ranking: Ranking) -> pl.DataFrame:
    """Lay a ranking out as the log's columns."""
    rows = ranking.rows
    fixed = {
        "schema_version": SCHEMA_VERSION,
        "made_at": ranking.made_at.astimezone(dt.UTC),
        "model": card.name,
        "model_id": model_id(card),
        "registered": ranking.registered,
        "version": ranking.version,
        "alias": ranking.alias,
        "mode": card.mode,
        "forward_days": card.forward_days,
        "entry_lag": card.entry_lag,
        "data_fingerprint": ranking.data_fingerprint,
        "config_fingerprint": card.config_fingerprint,
        "in_sample": ranking.in_sample,
        "hindsight": ranking.hindsight,
        "coverage": None if card.classes else ranking.coverage,
    }
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(fixed.get(name))).cast(kind).alias(name)
        for name, kind in KINDS.items()
    ]
    return rows.select(*columns, *(pl.col(probability_column(name)) for name in card.classes))


def _file_name(card: ModelCard, ranking: Ranking) -> str:
    """Name a file by what makes it the same ranking."""
    day = ranking.rows["date"][0]
    told = f"{model_id(card)} {day} {ranking.data_fingerprint}"
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", card.name)[:80].lstrip(".")
    return f"{day}_{safe}_{hashlib.sha256(told.encode()).hexdigest()[:12]}{SUFFIX}"


def _write(table: pl.DataFrame, path: Path) -> None:
    """Put a finished file in place of an older one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        table.write_parquet(fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def read_log(folder: Path) -> pl.DataFrame:
    """Read every ranking of a log.

    Returns
    -------
    pl.DataFrame
        | the columns of `KINDS` | p_<class> ... |, sorted by date, model, time made and rank;
        probabilities are null in rows of models without that class. Empty without files.

    Raises
    ------
    DataError
        When a file is damaged, or of a newer schema.
    """
    parts = [pl.DataFrame(schema=KINDS)]
    for path in sorted(folder.glob(f"[!.]*{SUFFIX}")):
        try:
            part = pl.read_parquet(path, glob=False, hive_partitioning=False)
            version = part["schema_version"].max()
            if not isinstance(version, int) or version > SCHEMA_VERSION:
                raise DataError(
                    f"{path} has schema version {version!r}; this code reads up to "
                    f"{SCHEMA_VERSION}. Update omninmo."
                )
            parts.append(_typed(part))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{path} is no file of the prediction log: {str(error).splitlines()[0]}. Remove "
                "it, or name another folder with --paths.predictions-dir."
            ) from error
    log = pl.concat(parts, how="diagonal")
    return log.sort("date", "model_id", "made_at", "rank")


def _typed(part: pl.DataFrame) -> pl.DataFrame:
    """Take the log's columns and the probabilities of a file."""
    shares = [pl.col(name).cast(pl.Float64) for name in part.columns if name.startswith("p_")]
    return part.select(*(pl.col(name).cast(kind) for name, kind in KINDS.items()), *shares)


def first_rankings(log: pl.DataFrame, keys: Sequence[str] = ("model_id", "date")) -> pl.DataFrame:
    """Keep of several rankings of one model and date the one that was made first."""
    first = pl.struct("made_at", "data_fingerprint")
    return log.filter(first == first.sort_by("made_at", "data_fingerprint").first().over(*keys))
