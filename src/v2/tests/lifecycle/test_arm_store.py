"""Finished arms on disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from src.v2.config import Config
from src.v2.errors import OmninmoError
from src.v2.lifecycle.arm_store import ArmStore, arm_store
from src.v2.lifecycle.arms import ArmResult
from src.v2.lifecycle.variations import Arm
from src.v2.tests.lifecycle.made_arms import make_arm

CONFIG = Config.model_construct()
ARM = Arm("new name", "exp_new", CONFIG)


def _stored(folder: Path) -> tuple[ArmStore, ArmResult]:
    store = arm_store(folder, "d" * 32)
    result = make_arm("old name", 0.3, 1, config_fingerprint=CONFIG.fingerprint)
    with store.only_one(ARM):
        assert store.load(ARM) is None
        store.save(result)
    return store, result


def test_an_arm_comes_back_under_its_present_name(tmp_path: Path) -> None:
    store, result = _stored(tmp_path)
    again = store.load(ARM)
    assert again is not None
    assert (again.name, again.run_name) == ("new name", "exp_new")
    assert_frame_equal(again.predictions, result.predictions)
    assert again.settings == result.settings
    assert again.metrics["cv_rank_ic_mean"] == 0.3
    assert again.metrics["cv_r2_pooled"] != again.metrics["cv_r2_pooled"]
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == [CONFIG.fingerprint]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _older(path: Path) -> None:
    record = json.loads((path.parent / "arm.json").read_text())
    record["versions"] = {"xgboost": "0.1"}
    (path.parent / "arm.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("arm.json", _cut, "is damaged"),
        ("predictions.parquet", _cut, "is damaged"),
        ("predictions.parquet", Path.unlink, "is damaged"),
        ("arm.json", _older, ""),
    ],
)
def test_an_arm_that_is_damaged_or_of_other_versions_is_run_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    harm: Callable[[Path], None],
    said: str,
) -> None:
    store, result = _stored(tmp_path)
    harm(store.folder / CONFIG.fingerprint / name)
    assert store.load(ARM) is None
    assert said in capsys.readouterr().err
    store.save(result)
    assert store.load(ARM) is not None


def test_a_second_comparison_waits_for_the_arm_and_finds_it(tmp_path: Path) -> None:
    store = arm_store(tmp_path, "d" * 32)
    found: list[ArmResult | None] = []

    def wait() -> None:
        with store.only_one(ARM):
            found.append(store.load(ARM))

    with store.only_one(ARM):
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.3)
        assert other.is_alive() and not found
        store.save(make_arm("x", 0.3, 1, config_fingerprint=CONFIG.fingerprint))
    other.join(30)
    assert found[0] is not None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = arm_store(tmp_path / "file", "d" * 32)
    with pytest.raises(OmninmoError, match="reports-dir"), store.only_one(ARM):
        raise AssertionError
