"""Which model a command takes when none is named."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.v2.config import Config, MlflowConfig, PathsConfig
from src.v2.errors import ModelError, TrackingError
from src.v2.lifecycle.promotion import promote, roll_back
from src.v2.model_source import REGISTRY_CACHE, find_model
from src.v2.modeling.learners.xgboost_trees import BOOSTER_NAME
from src.v2.modeling.model_file import CARD_NAME
from src.v2.tests.lifecycle.conftest import Bench
from src.v2.tests.tracking.conftest import free_port
from src.v2.tests.tracking.registered import CARD
from src.v2.tracking.promotion_log import (
    Outcome,
    PromotionEvent,
    promotion_lock,
    record_event,
)
from src.v2.tracking.registry import CHAMPION, Registry

ROOT = Path(__file__).resolve().parents[4]


def folder(config: Config, name: str, trained_at: str, booster: Path) -> Path:
    """Put a model folder on this disk."""
    made = config.paths.models_dir / name
    made.mkdir(parents=True)
    card = dataclasses.replace(CARD, name=name, trained_at=trained_at)
    (made / CARD_NAME).write_text(json.dumps(dataclasses.asdict(card)))
    shutil.copyfile(booster, made / BOOSTER_NAME)
    return made


def test_the_champion_is_taken_and_a_newer_folder_is_told(crowned: Bench) -> None:
    config = crowned.config()
    folder(config, "older", "2023-01-01T00:00:00+00:00", crowned.booster)
    found = find_model(None, config)
    assert (found.registered, found.version, found.alias) == ("stock_prediction", "1", CHAMPION)
    assert found.chosen == "champion" and found.roles == (CHAMPION,)
    assert found.path.parent == config.paths.models_dir / REGISTRY_CACHE
    (why,) = found.notes
    assert "it is the champion in sqlite:///" in why and "since no model is named" in why
    newer = folder(config, "newer", "2025-01-01T00:00:00+00:00", crowned.booster)
    told = find_model(None, config)
    assert told.newer == newer and str(newer) in told.notes[1] and "--model newest" in told.notes[1]
    assert find_model("newest", config).path == newer
    assert find_model("newest", config).chosen == "newest"
    assert find_model(str(newer), config).notes == ()
    assert find_model("champion", config).path == found.path


def test_after_a_rollback_the_other_version_is_taken(crowned: Bench) -> None:
    crowned.version(0.4)
    registry = Registry(crowned.store)
    registry.set_alias("previous_champion", 2)
    roll_back(crowned.config())
    assert find_model(None, crowned.config()).version == "2"


def test_without_a_champion_the_newest_folder_is_taken_and_says_why(bench: Bench) -> None:
    config = bench.config()
    bench.version(0.1)
    folder(config, "older", "2023-01-01T00:00:00+00:00", bench.booster)
    newest = folder(config, "newer", "2025-01-01T00:00:00+00:00", bench.booster)
    found = find_model(None, config)
    assert (found.path, found.chosen, found.registered) == (newest, "newest", None)
    assert "has no champion of 'stock_prediction'" in found.notes[0]
    with pytest.raises(ModelError, match="has the alias 'champion'"):
        find_model("champion", config)


def test_a_champion_of_another_name_is_not_taken(crowned: Bench) -> None:
    other = crowned.store.model_copy(update={"registered_model_name": "other"})
    config = crowned.config().model_copy(update={"mlflow": other})
    newest = folder(config, "own", "2023-01-01T00:00:00+00:00", crowned.booster)
    assert find_model(None, config).path == newest


def _emptied(database: Path) -> None:
    database.write_bytes(b"")


def _without_aliases(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE registered_model_aliases")
        connection.commit()


def _alias_taken(database: Path) -> None:
    Registry(MlflowConfig(tracking_uri=f"sqlite:///{database}")).drop_alias(CHAMPION)


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (_emptied, "says that version 1 became it"),
        (Path.unlink, "says that version 1 became it"),
        (_alias_taken, "says that version 1 became it"),
        (_without_aliases, "must have the table registered_model_aliases"),
    ],
)
def test_no_other_model_takes_the_place_of_a_champion_that_its_store_lost(
    bench: Bench, lose: Callable[[Path], None], words: str
) -> None:
    config = bench.config()
    newest = folder(config, "own", "2025-01-01T00:00:00+00:00", bench.booster)
    bench.version(0.1)
    assert find_model(None, config).path == newest
    assert promote(config).outcome == "promoted"
    assert find_model(None, config).chosen == "champion"
    database = Path(bench.store.tracking_uri.removeprefix("sqlite:///"))
    lose(database)
    with pytest.raises((ModelError, TrackingError), match=words) as refused:
        find_model(None, config)
    assert str(database) in str(refused.value) and "Restore the" in str(refused.value)
    assert "no other is taken in its place" in " ".join(refused.value.__notes__)
    assert find_model("newest", config).path == newest
    assert find_model(str(newest), config).path == newest


@pytest.mark.parametrize("outcome", ["begun", "refused"])
def test_a_promotion_that_was_not_finished_asks_for_no_champion(
    bench: Bench, outcome: Outcome
) -> None:
    config = bench.config()
    newest = folder(config, "own", "2025-01-01T00:00:00+00:00", bench.booster)
    name, store = config.mlflow.registered_model_name, config.mlflow.tracking_uri
    event = PromotionEvent("promote", outcome, store, name, 1, None, False, "", "me", "now", [])
    with promotion_lock(config.paths.ledger_dir):
        record_event(config.paths.ledger_dir, event)
    done = dataclasses.replace(event, outcome="done")
    record_event(config.paths.ledger_dir, dataclasses.replace(done, name="other"))
    record_event(config.paths.ledger_dir, dataclasses.replace(done, store="sqlite:////other.db"))
    assert find_model(None, config).path == newest
    record_event(config.paths.ledger_dir, done)
    with pytest.raises(ModelError, match="must have a champion"):
        find_model(None, config)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_server_that_is_down_does_not_change_the_model(
    bench: Bench, tmp_path: Path, enabled: bool
) -> None:
    store = MlflowConfig(tracking_uri=f"http://127.0.0.1:{free_port()}", enabled=enabled)
    config = Config(mlflow=store, paths=PathsConfig(models_dir=tmp_path / "models"))
    newest = folder(config, "own", "2023-01-01T00:00:00+00:00", bench.booster)
    with pytest.raises(TrackingError, match="must answer") as refused:
        find_model(None, config)
    assert "no other is taken in its place; --model newest" in " ".join(refused.value.__notes__)
    assert find_model("newest", config).path == newest


def test_a_champion_whose_files_are_gone_is_an_error_unless_they_were_fetched(
    crowned: Bench, tmp_path: Path
) -> None:
    config = crowned.config()
    folder(config, "own", "2025-01-01T00:00:00+00:00", crowned.booster)
    version = Registry(crowned.store).by_alias(CHAMPION)
    fetched = find_model(None, config)
    client = Registry(crowned.store)._client
    kept = Path(
        client.get_model_version_download_uri(
            "stock_prediction", str(version.version)
        ).removeprefix("file://")
    )
    away = tmp_path / "away"
    kept.rename(away)
    try:
        assert find_model(None, config).path == fetched.path
        shutil.rmtree(config.paths.models_dir / REGISTRY_CACHE)
        with pytest.raises(ModelError, match="Its files were removed") as refused:
            find_model(None, config)
        assert "no other is taken in its place" in refused.value.__notes__[0]
    finally:
        away.rename(kept)


def test_a_store_without_a_champion_costs_no_import_of_mlflow(bench: Bench) -> None:
    config = bench.config()
    folder(config, "own", "2023-01-01T00:00:00+00:00", bench.booster)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from src.v2.config import Config, MlflowConfig, PathsConfig\n"
        "from src.v2.model_source import find_model\n"
        f"paths = PathsConfig(models_dir=Path({str(config.paths.models_dir)!r}))\n"
        f"for uri in ({bench.store.tracking_uri!r}, 'sqlite:////nowhere/none.db'):\n"
        "    config = Config(mlflow=MlflowConfig(tracking_uri=uri), paths=paths)\n"
        "    assert find_model(None, config).path.name == 'own'\n"
        "assert 'mlflow' not in sys.modules and 'sqlalchemy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
