"""Whether there is a champion: what a direct look at a store says is what MLflow says."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import TrackingError
from src.v2.tests.tracking.conftest import free_port
from src.v2.tracking.aliases import has_champion
from src.v2.tracking.registry import CHALLENGER, CHAMPION, Registry


def test_a_champion_is_seen_as_soon_as_it_is_there_and_no_longer(
    any_store: MlflowConfig, client_of: Callable[[MlflowConfig], Any], tmp_path: Path
) -> None:
    store = any_store.model_copy(update={"registered_model_name": f"ours {tmp_path.name}"})
    name = store.registered_model_name
    other = store.model_copy(update={"registered_model_name": f"{name} too"})
    assert not has_champion(store)
    client = client_of(store)
    client.create_registered_model(name)
    client.create_model_version(name, "s3://nowhere/model")
    registry = Registry(store)
    for alias, expected in ((CHALLENGER, False), (CHAMPION, True)):
        registry.set_alias(alias, 1)
        assert has_champion(store) is (CHAMPION in registry.aliases()) is expected
    assert not has_champion(other)
    registry.drop_alias(CHAMPION)
    assert not has_champion(store)


def test_a_store_that_was_never_made_is_not_made_by_asking(tmp_path: Path) -> None:
    for uri in (f"sqlite:///{tmp_path / 'none.db'}", str(tmp_path / "none")):
        assert not has_champion(MlflowConfig(tracking_uri=uri))
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_other_tables_has_no_champion(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "50% of it?.db")) as database:
        database.execute("CREATE TABLE experiments (name TEXT)")
    assert not has_champion(MlflowConfig(tracking_uri=f"sqlite:///{tmp_path / '50% of it?.db'}"))


def test_a_registry_that_lost_its_table_of_aliases_is_an_error_not_a_no(tmp_path: Path) -> None:
    path = tmp_path / "mlruns.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE registered_models (name TEXT)")
    with pytest.raises(TrackingError, match=r"table registered_model_aliases .* is missing"):
        has_champion(MlflowConfig(tracking_uri=f"sqlite:///{path}"))


def test_a_store_that_cannot_be_read_is_an_error_not_a_no(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database at all, and long enough to be looked at")
    down = f"http://127.0.0.1:{free_port()}"
    for uri, words in (
        (f"sqlite:///{tmp_path / 'broken.db'}", "must be a SQLite"),
        (down, "answer"),
    ):
        with pytest.raises(TrackingError, match=words):
            has_champion(MlflowConfig(tracking_uri=uri))
