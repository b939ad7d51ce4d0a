"""A finished run on disk: ``run.json`` and its tables, enough to write the report again.

| file | holds |
|---|---|
| run.json | every record of the run, without its tables |
| predictions.parquet | the out-of-sample forecasts |
| shap_values.parquet | explained rows: features, SHAP values, score and what came |
| portfolio.parquet, daily_rank_ic.parquet, quantile_paths.parquet | series by date |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.v2.data.writing import write_parquet
from src.v2.errors import DataError
from src.v2.page.identity import RunIdentity
from src.v2.records import ShapSample, TrainingResult
from src.v2.stored_records import decode, encode, tables_of

if TYPE_CHECKING:
    import numpy.typing as npt

SCHEMA_VERSION = 1
RECORD_NAME = "run.json"
SHAP_NAME = "shap_values.parquet"
TABLE_NAMES = {
    "predictions": "predictions.parquet",
    "evaluation.portfolio.daily": "portfolio.parquet",
    "detail.daily": "daily_rank_ic.parquet",
    "detail.quantile_paths": "quantile_paths.parquet",
}
"""File of each table, by the path of names that leads to it."""

_DAMAGES = (
    *(ValueError, TypeError, LookupError, OverflowError, RecursionError),
    pl.exceptions.PolarsError,
)
"""What reading raises where a value is of a kind that nobody wrote."""

FEATURE, SHAP, BASE = "feature:", "shap:", "base"


def save_run(result: TrainingResult, identity: RunIdentity, folder: Path) -> tuple[Path, ...]:
    """Write a run's record and tables into a folder that exists.

    Returns
    -------
    tuple
        The files written, the record last.
    """
    written = []
    for path, table in tables_of(result).items():
        if path in TABLE_NAMES:
            write_parquet(table, folder / TABLE_NAMES[path])
            written.append(folder / TABLE_NAMES[path])
    write_parquet(shap_table(result.shap, result.predictions), folder / SHAP_NAME)
    record = {
        "schema_version": SCHEMA_VERSION,
        "identity": encode(identity),
        "result": encode(result),
    }
    # ASCII alone: a text from outside may hold what UTF-8 cannot write.
    text = json.dumps(record, allow_nan=False)
    (folder / RECORD_NAME).write_text(text + "\n", encoding="utf-8")
    return (*written, folder / SHAP_NAME, folder / RECORD_NAME)


def load_run(folder: Path) -> tuple[TrainingResult, RunIdentity]:
    """Read a run back.

    Raises
    ------
    DataError
        When the folder holds no run, a damaged one, or one of another version.
    """
    record = _read_record(folder / RECORD_NAME)
    parts: dict[str, object] = {
        path: _read_table(folder / name)
        for path, name in TABLE_NAMES.items()
        if (folder / name).is_file()
    }
    try:
        plain, identity = record["result"], decode(RunIdentity, record["identity"], {})
        outputs, names = plain["shap"]["outputs"], plain["shap"]["feature_names"]
        parts["shap"] = shap_sample(_read_table(folder / SHAP_NAME), outputs, names)
        result = decode(TrainingResult, plain, parts)
        if not result.folds or result.predictions.is_empty():
            raise ValueError("no fold, or no forecast")
        return result, identity
    except _DAMAGES as error:
        raise DataError(
            f"{folder} holds a damaged run: {type(error).__name__} in {RECORD_NAME} or its tables. "
            "Fetch it again by --run, or train again."
        ) from error


def read_identity(folder: Path) -> RunIdentity:
    """Read which run a folder holds.

    Raises
    ------
    DataError
        As `load_run`.
    """
    record = _read_record(folder / RECORD_NAME)
    return decode(RunIdentity, record.get("identity"), {})


def shap_table(sample: ShapSample, predictions: pl.DataFrame) -> pl.DataFrame:
    """Lay a sample of SHAP values out as one table.

    Returns
    -------
    pl.DataFrame
        | date | ticker | fold | score | label | forward_return |, then | base[:class] | in units
        of the margin, | feature:<name> ... | and | shap:<name>[:class] ... |.
    """
    known = predictions.filter(pl.col("part") == "walk_forward").select(
        "date", "ticker", "score", "label", "forward_return"
    )
    rows = sample.rows.join(known, on=["date", "ticker"], how="left", maintain_order="left")
    ends = _ends(sample.outputs)
    columns = [pl.Series(BASE + end, sample.base[:, place]) for place, end in enumerate(ends)]
    columns += [
        pl.Series(FEATURE + name, sample.features[:, place])
        for place, name in enumerate(sample.feature_names)
    ]
    columns += [
        pl.Series(f"{SHAP}{name}{end}", sample.values[:, output, place])
        for place, name in enumerate(sample.feature_names)
        for output, end in enumerate(ends)
    ]
    return rows.hstack(columns)


def shap_sample(
    table: pl.DataFrame, outputs: Sequence[str], feature_names: Sequence[str]
) -> ShapSample:
    """Read a sample of SHAP values from its table.

    Raises
    ------
    DataError
        When a column is missing.
    """
    ends = _ends(outputs)
    try:
        values = [_matrix(table, [f"{SHAP}{name}{end}" for name in feature_names]) for end in ends]
        return ShapSample(
            table.select("date", "ticker", "fold"),
            _matrix(table, [FEATURE + name for name in feature_names]),
            np.stack(values, axis=1),
            _matrix(table, [BASE + end for end in ends]),
            tuple(outputs),
            tuple(feature_names),
        )
    except pl.exceptions.ColumnNotFoundError as error:
        raise DataError(f"{SHAP_NAME} lacks the column {error}. Train again.") from error


def _matrix(table: pl.DataFrame, columns: Sequence[str]) -> npt.NDArray[Any]:
    return table.select(columns).to_numpy(order="c")


def _ends(outputs: Sequence[str]) -> list[str]:
    """Give what is added to a column's name for each output; nothing for a single one."""
    return [""] if len(outputs) == 1 else [f":{output}" for output in outputs]


def _read_record(path: Path) -> Any:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path.parent} holds no run: {RECORD_NAME} is missing. Name a folder that a training "
            "run left in reports/."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}. Train again.") from error
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path} must have schema version {SCHEMA_VERSION}; got {version!r}. Use the version "
            "of this project that wrote it, or train again."
        )
    return record


def _read_table(path: Path) -> pl.DataFrame:
    try:
        # A folder's name may hold what a glob or a partition is written with.
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from error
