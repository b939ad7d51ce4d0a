"""The entry points of MLproject, by which `mlflow run` calls the commands."""

from __future__ import annotations

import glob
import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.v2.tests.tracking.conftest import ROOT
from src.v2.tests.workplace import SMALL, Workplace

PYTHON = ".venv/bin/python"
ENTRIES: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "MLproject").read_text())[
    "entry_points"
]


def test_the_entry_points_are_there() -> None:
    assert set(ENTRIES) == {"main", "sample", "compare", "tune", "predict"}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_point_names_a_command_and_flags_that_it_has(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    python, dash, module, *words = shlex.split(ENTRIES[name]["command"])
    assert (python, dash) == (PYTHON, "-m")
    # As the shell does; then a flag that no command has, so that nothing else begins.
    words = [found for word in words for found in (sorted(glob.glob(word)) or [word])]
    assert not any("*" in word for word in words)
    main: Any = importlib.import_module(module).main
    assert main([*words, "--no-such-flag", "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--no-such-flag" in line
    assert all(word not in line for word in words)


@pytest.mark.slow
def test_mlflow_runs_the_sample_with_parameters_as_flags(tmp_path: Path) -> None:
    if not (ROOT / PYTHON).exists():
        pytest.skip(f"no {PYTHON}: make setup")
    place = Workplace(tmp_path)
    flags = [*place.flags(), *SMALL, "--features.families", "momentum"]
    flags += ["--validation.test-sessions", "1000"]
    pairs = zip(flags[::2], flags[1::2], strict=True)
    given = {name.removeprefix("--"): value for name, value in pairs}
    words = [word for name, value in given.items() for word in ("-P", f"{name}={value}")]
    quiet = {"MLFLOW_TRACKING_URI": place.store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = ["mlflow", "run", str(ROOT), "--env-manager", "local", "-e", "sample", *words]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | quiet,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "5-session forward return" in done.stdout
    assert place.summary()["data_coverage"]["dataset_name"]
    assert len(list((tmp_path / "models").glob("st_predictor_regression_*"))) == 1
