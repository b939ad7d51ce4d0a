"""No comparison and no search walks through the holdout."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.v2 import compare, tune
from src.v2.config_sources import load_config
from src.v2.errors import ConfigError
from src.v2.lifecycle.closed_holdout import refuse_moved_holdout

FILE = "validation: {holdout_share: 0.1}\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _ask(*words: str) -> None:
    refuse_moved_holdout([load_config(words)], words)


@pytest.mark.parametrize(
    "words",
    [
        ("--sweep", "validation.holdout_share=0.05,0.2"),
        ("--sweep", "model.max_depth=3,4", "--validation.holdout-share", "0.05"),
        ("moved.yaml",),
    ],
)
def test_compare_refuses_another_holdout(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moved.yaml").write_text("validation: {holdout_share: 0.05}\n")
    assert compare.main(["--force-sample", *words]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "holdout_share must stay that of config.yaml, 0.2" in said and "got 0.05" in said
    assert not (tmp_path / "ledger").exists()


def test_tune_refuses_another_holdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tune.main(["--force-sample", "--validation.holdout-share=0.05"]) == 2
    assert "got 0.05" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("OMNINMO_VALIDATION__HOLDOUT_SHARE", "0.3")
    assert tune.main(["--force-sample"]) == 2
    assert "got 0.3" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "ledger").exists()


def test_the_share_of_the_projects_own_file_holds(tmp_path: Path) -> None:
    _ask()
    (tmp_path / "config.yaml").write_text(FILE)
    _ask()
    _ask("--validation.holdout-share=0.1")
    with pytest.raises(ConfigError, match=r"config\.yaml, 0\.1, .* got 0\.2"):
        _ask("--validation.holdout-share=0.2")
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "other.yaml").write_text(
        FILE + "profiles: {live: {validation: {holdout_share: 0.3}}}"
    )
    _ask("--config", "other.yaml")
    _ask("--config=other.yaml", "--env", "live")
    with pytest.raises(ConfigError, match=r"0\.3, .* got 0\.1"):
        _ask("--config=other.yaml", "--env=live", "--validation.holdout-share=0.1")


def test_a_variation_does_not_move_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moved.yaml").write_text(FILE)
    with pytest.raises(ConfigError, match=r"0\.2, .* got 0\.1"):
        _ask("--variation", "moved.yaml")
    monkeypatch.setenv("OMNINMO_VARIATION", "moved.yaml")
    with pytest.raises(ConfigError, match=r"0\.2, .* got 0\.1"):
        _ask()
