"""Models on disk: whole or not at all, and nothing but data."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

from src.v2.api import load
from src.v2.config import ModelConfig, ModelType
from src.v2.errors import ConfigError, ModelError
from src.v2.modeling.intervals import IntervalLevel, ReturnIntervals
from src.v2.modeling.learners.base import TrainingRows
from src.v2.modeling.learners.kinds import KINDS
from src.v2.modeling.learners.making import make_learner
from src.v2.modeling.learners.xgboost_trees import (
    BOOSTER_NAME,
    XGBoostLearner,
    XGBoostModel,
    load_xgboost,
)
from src.v2.modeling.model_card import ModelCard, model_name
from src.v2.modeling.model_file import (
    CARD_NAME,
    DRIFT_NAME,
    newest_model,
    package_hash,
    read_card,
    read_drift_reference,
    save_model,
)
from src.v2.modeling.shown_return import RankMap

CARD = ModelCard(
    name="m",
    mode="regression",
    learner="xgboost",
    features=("a", "b"),
    target="rank",
    label_rule="rank",
    classes=(),
    forward_days=30,
    entry_lag=1,
    rounds=5,
    trained_at="2024-01-01T00:00:00+00:00",
    train_first="2010-01-01",
    train_last="2020-01-01",
    training_rows=100,
    tickers=("A", "B"),
    expanding_mean=0.01,
    rank_map=RankMap((-0.5, 0.5), (-0.1, 0.1)),
    min_history=126,
    with_market=False,
    data={"source": "sample"},
    feature_settings={"families": ["momentum"]},
    module_hashes={},
    data_fingerprint="d",
    config_fingerprint="c",
    out_of_sample={"cv_rank_ic_pooled": 0.01},
    intervals=ReturnIntervals(
        300, 10, 200, (IntervalLevel(0.8, 1.3, 0.81, 0.7, 0.9), IntervalLevel(0.95, *[None] * 4))
    ),
    label_settings={"rating_thresholds": [-0.1, -0.05, 0.05, 0.1]},
)


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 2)).astype(np.float32)
    label = (features[:, 0] > 0).astype(np.float32)
    return TrainingRows(features, label, np.ones(200, dtype=np.float32))


@pytest.fixture(scope="module")
def model(rows: TrainingRows) -> XGBoostModel:
    learner = XGBoostLearner(ModelConfig(threads=1), ("a", "b"), 0, 1.0, 0)
    fitted = learner.fit(rows, 5)
    assert isinstance(fitted, XGBoostModel)
    return fitted


def test_a_saved_model_comes_back_as_it_was(
    tmp_path: Path, model: XGBoostModel, rows: TrainingRows
) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    assert read_card(path) == CARD
    back = load_xgboost(path / BOOSTER_NAME)
    assert np.array_equal(back.predict(rows.features), model.predict(rows.features))
    assert sorted(file.name for file in path.iterdir()) == [CARD_NAME, BOOSTER_NAME]


def test_an_existing_path_is_replaced_only_when_told(tmp_path: Path, model: XGBoostModel) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    with pytest.raises(ConfigError, match=r"exists. Choose another, or replace it with -y"):
        save_model(model, CARD, path)
    save_model(model, dataclasses.replace(CARD, rounds=7), path, overwrite=True)
    assert read_card(path).rounds == 7


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path, model: XGBoostModel) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="is no model folder"):
        save_model(model, CARD, precious, overwrite=True)
    assert (precious / "thesis.txt").exists()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    class Failing(XGBoostModel):
        def save(self, path: Path) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_model(Failing(None, 0), CARD, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_card_from_before_the_code_was_kept_is_still_read(
    tmp_path: Path, model: XGBoostModel
) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    card = json.loads((path / CARD_NAME).read_text()) | {"schema_version": 2}
    for name in ("code_hash", "feature_check", "git_commit"):
        del card[name]
    (path / CARD_NAME).write_text(json.dumps(card))
    assert read_card(path) == dataclasses.replace(CARD, schema_version=2)


def test_the_hash_of_a_model_folder_changes_with_either_file(
    tmp_path: Path, model: XGBoostModel
) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    hashes = {package_hash(path)}
    for name in (CARD_NAME, BOOSTER_NAME):
        (path / name).write_bytes((path / name).read_bytes() + b" ")
        hashes.add(package_hash(path))
    (path / BOOSTER_NAME).unlink()
    assert package_hash(path) is None
    assert len(hashes) == 3 and None not in hashes


def test_a_newer_schema_is_refused(tmp_path: Path, model: XGBoostModel) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    card = json.loads((path / CARD_NAME).read_text())
    (path / CARD_NAME).write_text(json.dumps(card | {"schema_version": 99}))
    with pytest.raises(ModelError, match="schema version 99; this code reads up to 3"):
        read_card(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}'])
def test_a_damaged_card_is_refused(tmp_path: Path, model: XGBoostModel, text: str) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    (path / CARD_NAME).write_text(text)
    with pytest.raises(ModelError, match=r"damaged|lacks"):
        read_card(path)


@pytest.mark.parametrize(
    "change",
    [
        {"data": None},
        {"feature_settings": "all"},
        {"expanding_mean": "much"},
        {"target": "nope"},
        {"trained_at": 5},
        {"rank_map": 3},
    ],
)
def test_a_card_with_a_wrong_value_is_refused(
    tmp_path: Path, model: XGBoostModel, change: dict[str, object]
) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    card = json.loads((path / CARD_NAME).read_text())
    (path / CARD_NAME).write_text(json.dumps(card | change))
    with pytest.raises(ModelError, match="lacks what a model card holds"):
        read_card(path)


def test_a_damaged_card_does_not_hide_a_good_model(tmp_path: Path, model: XGBoostModel) -> None:
    save_model(model, CARD, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / CARD_NAME).write_text("{}")
    assert newest_model(tmp_path).name == "good"


def test_a_damaged_booster_is_refused(tmp_path: Path, model: XGBoostModel) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    (path / BOOSTER_NAME).write_bytes(b"not a model")
    with pytest.raises(ModelError, match="is no XGBoost model"):
        load_xgboost(path / BOOSTER_NAME)


def test_the_newest_model_is_the_one_trained_last(tmp_path: Path, model: XGBoostModel) -> None:
    with pytest.raises(ModelError, match="holds no model yet"):
        newest_model(tmp_path)
    for name, year in (("a", 2024), ("c", 2023), ("b", 2025)):
        when = dt.datetime(year, 1, 1, tzinfo=dt.UTC).isoformat()
        save_model(model, dataclasses.replace(CARD, trained_at=when), tmp_path / name)
    assert newest_model(tmp_path).name == "b"
    assert model_name("classification", dt.datetime(2024, 5, 6)) == (
        "st_predictor_classification_20240506_000000"
    )


def test_a_drift_reference_lies_beside_the_model_and_its_damage_is_named(
    model: XGBoostModel, tmp_path: Path
) -> None:
    reference = pl.DataFrame({"feature": ["a"], "importance": [1.0]})
    path = save_model(model, CARD, tmp_path / "m", drift_reference=reference)
    found = read_drift_reference(path)
    assert found is not None and found.equals(reference)
    assert read_card(path) == CARD
    (path / DRIFT_NAME).write_bytes(b"half")
    with pytest.raises(ModelError, match="is damaged"):
        read_drift_reference(path)
    (path / DRIFT_NAME).unlink()
    assert read_drift_reference(path) is None


@pytest.mark.parametrize("kind", get_args(ModelType))
def test_another_models_bytes_under_a_card_are_refused(
    kind: str, tmp_path: Path, rows: TrainingRows
) -> None:
    config = ModelConfig(type=kind, threads=1, batch_size=50)
    learner = make_learner(config, ("a", "b"), 0, 1.0, 0)
    card = dataclasses.replace(CARD, learner=kind)
    first, second = (
        save_model(learner.fit(rows, rounds), card, tmp_path / str(rounds)) for rounds in (2, 3)
    )
    model, _ = load(first)
    assert np.array_equal(model.predict(rows.features), learner.fit(rows, 2).predict(rows.features))
    for name in KINDS[kind].files:
        shutil.copyfile(second / name, first / name)
    with pytest.raises(ModelError, match=r"is not the file that card\.json was written for"):
        load(first)


def test_a_card_from_before_the_hashes_were_kept_is_still_loaded(
    tmp_path: Path, model: XGBoostModel
) -> None:
    path = save_model(model, CARD, tmp_path / "m")
    card = json.loads((path / CARD_NAME).read_text())
    assert set(card.pop("model_hashes")) == {BOOSTER_NAME}
    (path / CARD_NAME).write_text(json.dumps(card))
    assert load(path)[0].rounds == 5


def test_a_card_of_another_kind_of_model_is_refused(tmp_path: Path, rows: TrainingRows) -> None:
    learner = make_learner(ModelConfig(type="ridge"), ("a", "b"), 0, 1.0, 0)
    path = save_model(
        learner.fit(rows, 2), dataclasses.replace(CARD, learner="mlp"), tmp_path / "m"
    )
    with pytest.raises(ModelError, match="holds no mlp model"):
        load(path)
