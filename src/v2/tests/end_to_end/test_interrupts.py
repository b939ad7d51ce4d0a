"""Runs that are ended from outside, and runs at once, as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

ROOT = Path(__file__).parents[4]


def _start(place: Workplace, bars: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "src.v2.train", *place.flags(bars), *SMALL, *words]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )


def _statuses(place: Workplace) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    if experiment is None:
        return []
    runs: list[Any] = list(client.search_runs([experiment.experiment_id]))
    return [run.info.status for run in runs if "mlflow.parentRunId" not in run.data.tags]


def _wait_for_fits(place: Workplace, process: subprocess.Popen[str]) -> None:
    log = place.folder / "logs" / "train.log"
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and "fold 1:" in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"no fold was fitted: {process.communicate()}")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_run_as_killed_and_leaves_nothing_half_written(
    make_workplace: Callable[[], Workplace], number: signal.Signals, code: int
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(60, 2500, 1))
    process = _start(place, bars, "--model.n-estimators", "2000", "--model.max-depth", "9")
    _wait_for_fits(place, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, ""), err
    (line,) = err.strip().splitlines()
    assert line.startswith("error: interrupted")
    assert _statuses(place) == ["KILLED"]
    assert not list(place.folder.glob("models/*")) + list(place.folder.glob("models/.*"))
    assert not list(place.folder.glob("logs/training/*"))


def test_an_error_in_the_middle_ends_the_run_as_failed(
    make_workplace: Callable[[], Workplace],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from src.v2.modeling.learners.xgboost_trees import XGBoostLearner

    def fail(self: object, rows: object, rounds: int) -> None:
        raise RuntimeError("the fit broke")

    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 1))
    monkeypatch.setattr(XGBoostLearner, "fit", fail)
    assert place.train(bars) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: unexpected RuntimeError: the fit broke (while fitting fold 1")
    assert "the traceback is in" in line
    assert "Traceback" in (place.folder / "logs" / "train.log").read_text()
    assert _statuses(place) == ["FAILED"]


def test_two_runs_on_a_new_store_at_once_both_end_well(
    make_workplace: Callable[[], Workplace],
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 1))
    processes = [_start(place, bars, "--seed", str(seed)) for seed in (1, 2)]
    ended = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    assert _statuses(place) == ["FINISHED", "FINISHED"]
    assert len(list((place.folder / "models").iterdir())) == 2
    assert len((place.folder / "ledger" / "holdout.jsonl").read_text().splitlines()) == 2


def test_training_works_where_mlflow_is_not_installed(
    make_workplace: Callable[[], Workplace],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 1))
    assert place.train(bars, "--mlflow.enabled", "false") == 0
    capsys.readouterr()
    assert place.train(bars) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "mlflow is not installed" in line
