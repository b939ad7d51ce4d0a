"""The log of predictions: one Parquet file a ranking, written once and read by the monitor.

The name of a file is made of the model, its aliases, the date decided on and the bars, so that the
same call made twice leaves one file. It keeps the time of the first call: a forecast does not
become a later one because it was looked at again, and a model does not become a champion before it
was one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.data.writing import write_parquet
from src.v2.errors import DataError, OmninmoError
from src.v2.lifecycle.ranking_flaws import find_flaw
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.walk_forward import probability_column

SCHEMA_VERSION = 2
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
    "chosen": pl.String,
    "roles": pl.String,
    "promised_rank_ic": pl.Float64,
    "promised_low": pl.Float64,
    "promised_high": pl.Float64,
    "promised_dates": pl.Float64,
}
"""Columns of every file; those of a classification have | p_<class> ... | besides."""

SINCE_2 = ("chosen", "roles", *(name for name in KINDS if name.startswith("promised_")))
"""Columns that files of schema version 1 lack."""

PROMISE = {
    "promised_rank_ic": "cv_rank_ic_pooled",
    "promised_low": "cv_rank_ic_low",
    "promised_high": "cv_rank_ic_high",
    "promised_dates": "cv_dates",
}
"""What the walk-forward showed, by the score of the card."""


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
        The model's name in the registry, where it came from there, and the alias it was asked by.
    roles
        Every alias that the version has.
    chosen
        Whether it was named, or is the champion or the newest folder.
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
    roles: tuple[str, ...] = ()
    chosen: str | None = None


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
    DataError
        When the file of the same call, made before, is damaged.
    """
    if ranking.rows.is_empty():
        return None
    table = _table(card, ranking)
    path = folder / _file_name(card, ranking)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            first = _read(path) if path.is_file() else None
            if first is None:
                _write(table, path)
            elif not ranking.hindsight:
                _write(table.with_columns(pl.lit(first["made_at"].min()).alias("made_at")), path)
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
        "chosen": ranking.chosen,
        "roles": " ".join(ranking.roles) if ranking.registered else None,
        **{name: card.out_of_sample.get(score) for name, score in PROMISE.items()},
    }
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(fixed.get(name))).cast(kind).alias(name)
        for name, kind in KINDS.items()
    ]
    return rows.select(*columns, *(pl.col(probability_column(name)) for name in card.classes))


def _file_name(card: ModelCard, ranking: Ranking) -> str:
    """Name a file by what makes it the same ranking."""
    day = ranking.rows["date"][0]
    told = " ".join((model_id(card), str(day), ranking.data_fingerprint, *ranking.roles))
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", card.name)[:80].lstrip(".")
    return f"{day}_{safe}_{hashlib.sha256(told.encode()).hexdigest()[:12]}{SUFFIX}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock, and remove what a killed process left half written."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f".*{SUFFIX}.*.part"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _write(table: pl.DataFrame, path: Path) -> None:
    """Put a finished file in place of an older one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_parquet(table, fresh)
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
        When a file is damaged, of a newer schema, or no regular file.
    """
    parts = [_read(path) for path in sorted(folder.glob(f"[!.]*{SUFFIX}"))]
    log = pl.concat([pl.DataFrame(schema=KINDS), *parts], how="diagonal")
    return log.sort("date", "model_id", "made_at", "rank")


def _read(path: Path) -> pl.DataFrame:
    """Read one file, or refuse it by name."""
    if not path.is_file():
        # A pipe would be waited for without end.
        raise _refused(path, "it is not a regular file")
    try:
        part = pl.read_parquet(path, glob=False, hive_partitioning=False)
        version = part["schema_version"].max()
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise DataError(
                f"{path} has schema version {version!r}; this code reads up to "
                f"{SCHEMA_VERSION}. Update omninmo."
            )
        part = _typed(part, SINCE_2 if version == 1 else ())
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _refused(path, str(error).splitlines()[0]) from error
    flaw = find_flaw(part)
    if flaw is not None:
        raise _refused(path, f"it is damaged, {flaw}")
    return part


def _refused(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is no file of the prediction log: {why}. Remove it, or name another folder with "
        "--paths.predictions-dir."
    )


def _typed(part: pl.DataFrame, may_lack: Sequence[str]) -> pl.DataFrame:
    """Take the log's columns and the probabilities of a file."""
    shares = [pl.col(name).cast(pl.Float64) for name in part.columns if name.startswith("p_")]
    names = [name for name in KINDS if name in part.columns or name not in may_lack]
    return part.select(*(pl.col(name).cast(KINDS[name]) for name in names), *shares)


def first_rankings(log: pl.DataFrame, keys: Sequence[str] = ("model_id", "date")) -> pl.DataFrame:
    """Keep of several rankings of one model and date the one that was made first."""
    first = pl.struct("made_at", "data_fingerprint")
    return log.filter(first == first.sort_by("made_at", "data_fingerprint").first().over(*keys))


def rows_as(log: pl.DataFrame, registered: str, alias: str) -> pl.DataFrame:
    """Keep the rankings that versions of a registered name made while they had an alias.

    Files of schema version 1 tell only the alias that a version was asked by.
    """
    had = pl.coalesce("roles", "alias").fill_null("").str.split(" ").list.contains(alias)
    return log.filter((pl.col("registered") == registered) & had)
