"""Finished arms on disk, so that a comparison goes on where it was ended.

``reports/compare_<data>/<configuration>/`` holds ``arm.json``, every record of the arm, and
``predictions.parquet``, its forecasts. A folder is put in place whole, or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from src.v2.console import show_note, signals_deferred
from src.v2.data.writing import write_parquet
from src.v2.errors import DataError, OmninmoError
from src.v2.evaluation import journal
from src.v2.lifecycle.arms import ArmResult
from src.v2.lifecycle.variations import Arm
from src.v2.modeling.model_card import installed_versions
from src.v2.stored_records import decode, encode

SCHEMA_VERSION = 2
RECORD_NAME = "arm.json"
TABLE_NAME = "predictions.parquet"
SHORT = 12
"""Digits of a data fingerprint in a folder's name."""


@dataclass(frozen=True, slots=True)
class ArmStore:
    """The arms of one set of bars."""

    folder: Path
    data_fingerprint: str

    @contextlib.contextmanager
    def only_one(self, arm: Arm) -> Iterator[None]:
        """Hold other comparisons back from the same arm; they wait, then find it finished."""
        with contextlib.ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path = self.folder / f".{arm.config.fingerprint}.lock"
                held.enter_context(journal.locked(path))
            except OSError as error:
                raise _refused(self.folder, error) from error
            yield

    def load(self, arm: Arm) -> ArmResult | None:
        """Read a finished arm under its present name.

        Returns
        -------
        ArmResult or None
            None where it never finished, was run by other versions of the libraries or on
            other bars, or is damaged, which is said aloud.
        """
        folder = self.folder / arm.config.fingerprint
        if not folder.is_dir():
            return None
        try:
            record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
            if record["schema_version"] != SCHEMA_VERSION:
                return None
            if record["versions"] != installed_versions():
                return None
            table = pl.read_parquet(folder / TABLE_NAME, glob=False, hive_partitioning=False)
            result = decode(ArmResult, record["arm"], {"predictions": table})
        except (OSError, ValueError, LookupError, TypeError, DataError, pl.exceptions.PolarsError):
            show_note(f"the finished arm in {folder} is damaged, and is run again.")
            return None
        if result.data_fingerprint != self.data_fingerprint:
            return None
        return replace(result, name=arm.name, run_name=arm.run_name)

    def save(self, result: ArmResult) -> Path:
        """Put a finished arm in place, over an older one.

        Raises
        ------
        OmninmoError
            When the folder cannot be written.
        """
        target = self.folder / result.config_fingerprint
        record = {
            "schema_version": SCHEMA_VERSION,
            "versions": installed_versions(),
            "arm": encode(result),
        }
        fresh: Path | None = None
        try:
            fresh = Path(tempfile.mkdtemp(prefix=".arm-", dir=self.folder))
            write_parquet(result.predictions, fresh / TABLE_NAME)
            text = json.dumps(record, allow_nan=False)
            (fresh / RECORD_NAME).write_text(text + "\n", encoding="utf-8")
            fresh.chmod(0o755)
            with signals_deferred():
                shutil.rmtree(target, ignore_errors=True)
                os.replace(fresh, target)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _refused(self.folder, error) from error
        finally:
            if fresh is not None:
                shutil.rmtree(fresh, ignore_errors=True)
        return target


def arm_store(reports: Path, data_fingerprint: str) -> ArmStore:
    """Give the arms of one set of bars below a folder of reports."""
    return ArmStore(reports / f"compare_{data_fingerprint[:SHORT]}", data_fingerprint)


def _refused(folder: Path, error: Exception) -> OmninmoError:
    detail = getattr(error, "strerror", None) or error
    return OmninmoError(
        f"The arms cannot be written to {folder}: {detail}. Mend the folder, or name another with "
        "--paths.reports-dir."
    )
