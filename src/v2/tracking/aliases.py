"""Whether a local store has an alias, read without MLflow, whose import takes seconds."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from src.v2.tracking.model_version import CHAMPION
from src.v2.tracking.store import is_missing
from src.v2.tracking.uris import StoreAddress, parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

_ALIAS = "SELECT 1 FROM registered_model_aliases WHERE name = ? AND alias = ?"
_PATIENCE_SEC = 10.0


def has_champion(config: MlflowConfig) -> bool:
    """Tell whether the registered name has a champion.

    A local store is read directly; a server or a database is asked through MLflow.

    Raises
    ------
    ConfigError
        When the tracking URI names no store.
    TrackingError
        When the store cannot be reached or read, so that nobody knows.
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
            return database.execute(_ALIAS, (name, CHAMPION)).fetchone() is not None
    except sqlite3.Error as error:
        # Tables of a registry come with the first use of a store by MLflow, never later.
        return False if "no such table" in str(error) else None
