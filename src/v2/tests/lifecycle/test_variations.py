"""Arms out of one command line."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.errors import ConfigError
from src.v2.lifecycle.variations import (
    Arm,
    comparable,
    lay_arms,
    part_words,
    with_bare_switches,
)

ROOT = Path(__file__).parents[4]


def _load(words: Sequence[str]) -> Config:
    return load_config(words, environ={})


def _lay(*words: str, most: int = 24) -> tuple[Arm, ...]:
    return lay_arms(part_words(words), _load, most)


def test_files_and_sweeps_are_parted_from_what_holds_for_all() -> None:
    words = part_words(
        ["a.yaml", "--tickers", "A", "B", "--config", "c.yaml", "--sweep=seed=1,2", "b.yml"]
    )
    assert words.files == ("a.yaml", "b.yml")
    assert [(sweep.setting, sweep.values) for sweep in words.sweeps] == [("seed", ("1", "2"))]
    assert words.common == ("--tickers", "A", "B", "--config", "c.yaml")
    assert part_words(["b.yaml", "a.yaml", "b.yaml"]).files == ("b.yaml", "a.yaml")


def test_a_switch_may_stand_alone() -> None:
    switches = ("--x.fresh",)
    assert with_bare_switches(["--x.fresh", "--a"], switches) == ["--x.fresh", "true", "--a"]
    assert with_bare_switches(["--x.fresh", "false"], switches) == ["--x.fresh", "false"]
    assert with_bare_switches(["--x.fresh"], switches) == ["--x.fresh", "true"]


def test_make_compare_gives_the_guides_experiments_its_letters_and_then_ones_own(
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    shutil.copy(ROOT / "Makefile", tmp_path)
    own = tmp_path / "experiments" / "a try of mine.yaml"
    own.write_text("model: {max_depth: 2}\n")
    words = _made(tmp_path, "compare")[3:]
    arms = _lay(*(str(tmp_path / word) for word in words))
    names = ["default", "conservative", "optimized", "aggressive", "a try of mine"]
    assert [arm.name for arm in arms] == names
    for letter, arm in zip("ABCD", arms[1:], strict=True):
        model = arm.config.model
        expected = f"exp_{letter}_lr={model.learning_rate:g}_depth={model.max_depth}"
        assert arm.run_name == expected
        given = yaml.safe_load((tmp_path / "experiments" / f"{arm.name}.yaml").read_text())
        assert model.model_dump() | given["model"] == model.model_dump()
    assert arms[0].run_name == "exp_default_lr=0.05_depth=6"
    assert _made(tmp_path, "compare", "ARGS=--sweep seed=1,2")[3:] == ["--sweep", "seed=1,2"]
    (tmp_path / "experiments" / "optimized.yaml").unlink()
    assert not any("optimized" in word for word in _made(tmp_path, "compare"))


def _made(folder: Path, *words: str) -> list[str]:
    """Give the words of the command that make would run, as a shell parts them."""
    call = ["make", "-n", *words]
    lines = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=True).stdout
    command = lines.strip().splitlines()[-1]
    show = f'printf "%s\\n" {command}'
    parted = subprocess.run(["sh", "-c", show], cwd=folder, capture_output=True, text=True)
    return parted.stdout.splitlines()


def test_the_committed_learners_are_arms_of_their_own_type() -> None:
    files = sorted(str(path) for path in (ROOT / "experiments" / "learners").glob("*.yaml"))
    arms = _lay(*files)[1:]
    assert [arm.config.model.type for arm in arms] == ["hist_gradient_boosting", "mlp", "ridge"]
    assert [arm.name for arm in arms] == [arm.config.model.type for arm in arms]


def test_sweeps_make_their_grid_and_the_words_make_the_arm_again() -> None:
    arms = _lay("--sweep", "model.max_depth=2,3", "--sweep", "model.rate_drop=0,0.1", "--seed", "7")
    values = [(arm.config.model.max_depth, arm.config.model.rate_drop) for arm in arms[1:]]
    assert values == [(2, 0.0), (2, 0.1), (3, 0.0), (3, 0.1)]
    assert arms[2].run_name == "exp_B_depth=2_drop=0.1"
    for arm in arms:
        assert arm.config.seed == 7
        assert _load(["--seed", "7", *arm.words]).fingerprint == arm.config.fingerprint


def test_a_sweep_over_the_default_value_runs_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    arms = _lay("--sweep", "model.max_depth=3,6")
    assert [arm.name for arm in arms] == ["default", "max_depth=3"]
    assert "max_depth=6 has the settings of default" in capsys.readouterr().err


def test_the_default_is_left_out_where_nothing_is_comparable_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = _lay("--sweep", "label.forward_days=5,21,60")
    assert [arm.run_name for arm in arms] == ["exp_A_days=5", "exp_B_days=21", "exp_C_days=60"]
    assert "is left out" in capsys.readouterr().err
    assert not comparable(arms[0].config, arms[1].config)
    modes = _lay("--sweep", "label.mode=regression,classification")
    assert [arm.name for arm in modes] == ["default", "mode=classification"]
    assert comparable(modes[0].config, modes[1].config)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = []
    for depth in (2, 3):
        (tmp_path / str(depth)).mkdir()
        path = tmp_path / str(depth) / "same.yaml"
        path.write_text(f"model: {{max_depth: {depth}}}\n")
        files.append(str(path))
    with pytest.raises(ConfigError, match="called same"):
        _lay(*files)


def test_more_arms_than_allowed_are_refused_before_any_is_made() -> None:
    sweeps = [f"--sweep=seed={','.join(map(str, range(100)))}", "--sweep=label.entry_lag=1,2"]
    with pytest.raises(ConfigError, match="these are 201"):
        _lay(*sweeps)
    with pytest.raises(ConfigError, match="second time"):
        _lay("--sweep=seed=1", "--sweep=seed=2")
