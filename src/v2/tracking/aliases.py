"""Whether a local store has an alias, read without MLflow, whose import takes seconds."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from src.v2.errors import TrackingError
from src.v2.tracking.model_version import CHAMPION
from src.v2.tracking.store import is_missing
from src.v2.tracking.uris import StoreAddress, parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

_ALIAS = "SELECT 1 FROM registered_model_aliases WHERE name = ? AND alias = ?"
_REGISTRY = (
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name IN "
    "('registered_models', 'registered_model_tags', 'model_versions', 'model_version_tags')"
)
_PATIENCE_SEC = 10.0


def has_champion(config: MlflowConfig) -> bool:
    """Tell whether the registered name has a champion.

    A local store is read directly; a server or a database is asked through MLflow.

    Raises
    ------
    ConfigError
        When the tracking URI names no store.
    TrackingError
        When the store cannot be reached or read, or lacks the table of aliases only, so that
        nobody knows.
    """
    address = parse_address(config.tracking_uri)
    if is_missing(address):
        return False
    known = _local_answer(address, config.registered_model_name)
    if known is not None:
        return known
    from src.v2.tracking.registry import Registry

    return CHAMPION in Registry(config).aliases()


def _local_answer(address: StoreAddress, name: str) -> bool | None:
    """Look into a local store; None where only MLflow can tell."""
    if address.path is None:
        return None
    if address.kind == "folder":
        return (address.path / "models" / name / "aliases" / CHAMPION).is_file()
    uri = f"file:{quote(str(address.path))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_SEC)) as database:
            try:
                return database.execute(_ALIAS, (name, CHAMPION)).fetchone() is not None
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    return None
                if database.execute(_REGISTRY).fetchone() is None:
                    return False
    except sqlite3.Error:
        return None
    # MLflow would put an empty table in its place, and then know no champion.
    raise TrackingError(
        f"{address.shown} must have the table registered_model_aliases beside the other tables of "
        "a registry; it is missing, so that nobody knows the champion. Restore the file from a "
        "copy; a store of an old MLflow is brought up to date by `mlflow db upgrade`."
    )
