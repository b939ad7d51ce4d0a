"""The registry in real stores: versions, aliases, and the folders that they deliver."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import ConfigError, ModelError, TrackingError
from src.v2.modeling.learners.xgboost_trees import BOOSTER_NAME
from src.v2.modeling.model_file import CARD_NAME, package_hash, read_card
from src.v2.tests.tracking.conftest import free_port
from src.v2.tests.tracking.registered import CARD, log_model_run
from src.v2.tracking.package_cache import PACKAGE_TAG
from src.v2.tracking.registry import CHALLENGER, CHAMPION, Registry, resolve
from src.v2.tracking.runs import training_run
from src.v2.tracking.store import open_store

CHAMPION_URI = "models:/stock_prediction@champion"
ClientOf = Callable[[MlflowConfig], Any]
LogRun = Callable[..., str]


@pytest.fixture
def log_run(boosters: dict[str, Path]) -> LogRun:
    def log(config: MlflowConfig, **changes: Any) -> str:
        return log_model_run(config, boosters["regression"], **changes)

    return log


@pytest.fixture
def two_versions(sqlite_store: MlflowConfig, log_run: LogRun) -> Registry:
    """Versions 1 (champion) and 2 (challenger)."""
    runs = [log_run(sqlite_store), log_run(sqlite_store, rounds=4)]
    registry = Registry(sqlite_store)
    for run_id in runs:
        registry.register(run_id, {"verdict": "evidence"}, "as *trained*")
    registry.set_alias(CHAMPION, 1)
    registry.set_alias(CHALLENGER, 2)
    return registry


def test_what_was_registered_comes_back_whole_by_every_name(
    any_store: MlflowConfig, boosters: dict[str, Path], example: pl.DataFrame, tmp_path: Path
) -> None:
    config = any_store.model_copy(update={"registered_model_name": f"m {tmp_path.name}"})
    run_id = log_model_run(config, boosters["regression"], example)
    made = Registry(config).register(run_id, {"verdict": "evidence"}, "# A page")
    registry = Registry(config)
    registry.set_alias(CHAMPION, made.version)
    assert (made.version, made.run_id, made.description) == (1, run_id, "# A page")
    for end in ("@champion", "/1", "/latest"):
        found = resolve(config, f"models:/{config.registered_model_name}{end}", tmp_path / "cache")
        assert found.version.aliases == (CHAMPION,)
        assert found.version.tags["verdict"] == "evidence"
        assert read_card(found.folder) == CARD
        assert (found.folder / BOOSTER_NAME).read_bytes() == boosters["regression"].read_bytes()
        assert package_hash(found.folder) == made.tags[PACKAGE_TAG]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_run_registered_twice_is_one_version(two_versions: Registry) -> None:
    first = two_versions.by_number(1)
    assert two_versions.register(first.run_id, {}, "") == first
    assert [item.version for item in two_versions.versions()] == [2, 1]


def test_an_alias_moves_in_one_step_and_can_be_taken_away(two_versions: Registry) -> None:
    two_versions.set_alias(CHAMPION, 2)
    assert two_versions.aliases() == {CHAMPION: 2, CHALLENGER: 2}
    assert two_versions.by_alias(CHAMPION).aliases == (CHALLENGER, CHAMPION)
    two_versions.drop_alias(CHALLENGER)
    assert two_versions.aliases() == {CHAMPION: 2}


def test_a_forced_version_says_by_whom_when_and_why(two_versions: Registry) -> None:
    assert two_versions.by_number(2).forced == ""
    words = {"forced": "true", "forced_by": "ann", "forced_at": "2026-01-02", "forced_reason": "x"}
    two_versions.set_tags(2, words)
    assert two_versions.by_number(2).forced == "forced by ann at 2026-01-02: x"


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("models:/stock_prediction", ConfigError, "models:/NAME@ALIAS, models:/NAME/VERSION"),
        ("models:/m-0123456789abcdef", ConfigError, "models:/NAME@ALIAS"),
        ("models:/stock_prediction@hero", ModelError, r"no alias|has the alias 'hero'.*2 \(chal"),
        ("models:/stock_prediction/7", ModelError, r"no version 7 .*2 \(challenger\), 1 \(champ"),
        ("models:/others@champion", ModelError, "No model is registered as 'others'.*--register"),
    ],
)
def test_what_is_not_there_is_named_with_the_remedy(
    two_versions: Registry,
    sqlite_store: MlflowConfig,
    tmp_path: Path,
    uri: str,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        resolve(sqlite_store, uri, tmp_path / "cache")


def test_a_store_that_was_never_made_is_not_created(tmp_path: Path) -> None:
    config = MlflowConfig(tracking_uri=f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(ModelError, match=r"No model is registered .*--register"):
        resolve(config, CHAMPION_URI, tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    config = MlflowConfig(tracking_uri=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TrackingError, match=r"The MLflow server http://127.0.0.1.* gave nothing"):
        resolve(config, CHAMPION_URI, tmp_path / "cache")


def test_a_run_without_a_model_and_a_run_that_is_not_there_cannot_be_registered(
    sqlite_store: MlflowConfig, boosters: dict[str, Path], example: pl.DataFrame
) -> None:
    open_store(sqlite_store)
    registry = Registry(sqlite_store)
    assert registry.versions() == () and registry.aliases() == {}
    with training_run(sqlite_store, run_name="bare") as run:
        run.log_model(boosters["regression"], example=example)
    with pytest.raises(ModelError, match=r"keeps no model that can be registered.*--register"):
        registry.register(run.run_id, {}, "")
    with pytest.raises(ModelError, match=r"has no run 'f{32}'"):
        registry.register("f" * 32, {}, "")


def _stored(config: MlflowConfig, name: str) -> Path:
    """The file of the logged model of version 1, in the store."""
    root = Path(config.tracking_uri.removeprefix("sqlite:///")).parent
    source = Registry(config).by_number(1).tags["model_id"]
    (found,) = root.rglob(f"{source}/artifacts/{name}")
    return found


def test_a_model_changed_in_the_store_is_refused_and_nothing_is_kept(
    two_versions: Registry, sqlite_store: MlflowConfig, tmp_path: Path
) -> None:
    card = _stored(sqlite_store, CARD_NAME)
    card.write_text(card.read_text().replace("evidence", "Evidence"))
    with pytest.raises(ModelError, match=r"version 1 .* was changed or damaged since"):
        resolve(sqlite_store, CHAMPION_URI, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_model_removed_from_the_store_is_named(
    two_versions: Registry, sqlite_store: MlflowConfig, tmp_path: Path
) -> None:
    _stored(sqlite_store, BOOSTER_NAME).unlink()
    with pytest.raises(ModelError, match=r"does not give model\.ubj of version 1"):
        resolve(sqlite_store, CHAMPION_URI, tmp_path / "cache")


def test_a_damaged_cache_is_filled_again(
    two_versions: Registry, sqlite_store: MlflowConfig, tmp_path: Path
) -> None:
    folder = resolve(sqlite_store, CHAMPION_URI, tmp_path / "cache").folder
    before = package_hash(folder)
    (folder / BOOSTER_NAME).write_bytes(b"garbage")
    assert resolve(sqlite_store, CHAMPION_URI, tmp_path / "cache").folder == folder
    assert package_hash(folder) == before


def test_a_version_made_by_other_hands_has_no_hash_and_is_refused(
    two_versions: Registry, sqlite_store: MlflowConfig, client_of: ClientOf, tmp_path: Path
) -> None:
    source = str(_stored(sqlite_store, BOOSTER_NAME).parent)
    client_of(sqlite_store).create_model_version("stock_prediction", source)
    with pytest.raises(ModelError, match="it cannot be verified"):
        resolve(sqlite_store, "models:/stock_prediction/3", tmp_path / "cache")


def test_mlflow_itself_loads_a_version_by_its_alias(
    sqlite_store: MlflowConfig, boosters: dict[str, Path], example: pl.DataFrame
) -> None:
    import mlflow
    import xgboost

    run_id = log_model_run(sqlite_store, boosters["regression"], example)
    registry = Registry(sqlite_store)
    registry.set_alias(CHAMPION, registry.register(run_id, {}, "").version)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(sqlite_store.tracking_uri)
    try:
        given = mlflow.pyfunc.load_model(CHAMPION_URI).predict(example.cast(pl.Float64).to_pandas())
    finally:
        mlflow.set_tracking_uri(before)
    rows = xgboost.DMatrix(example.to_numpy(), feature_names=example.columns)
    wanted = xgboost.Booster(model_file=boosters["regression"]).predict(rows)
    np.testing.assert_array_equal(given, wanted)


def test_the_pages_of_mlflow_show_version_aliases_and_description(
    http_store: MlflowConfig, log_run: LogRun
) -> None:
    config = http_store.model_copy(update={"registered_model_name": "shown"})
    registry = _challenger_of(config, log_run(config))
    base = f"{http_store.tracking_uri}/ajax-api/2.0/mlflow"
    # What the pages ask for: the model with its aliases, and a version with its text and tags.
    model = _answer(f"{base}/registered-models/get?name=shown")["registered_model"]
    assert model["aliases"] == [{"alias": CHALLENGER, "version": "1"}]
    version = _answer(f"{base}/model-versions/get?name=shown&version=1")["model_version"]
    assert version["description"] == "**Verdict: evidence**"
    assert {"key": "verdict", "value": "evidence"} in version["tags"]
    assert version["run_id"] == registry.by_number(1).run_id
    assert version["status"] == "READY"


def _challenger_of(config: MlflowConfig, run_id: str) -> Registry:
    registry = Registry(config)
    registry.register(run_id, {"verdict": "evidence"}, "**Verdict: evidence**")
    registry.set_alias(CHALLENGER, 1)
    return registry


def _answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())
