"""The tune command, as a user types it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.v2 import tune
from src.v2.config_sources import load_config
from src.v2.lifecycle.study import SearchStudy, only_writer
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

ROOT = Path(__file__).parents[4]
QUICK = (*SMALL, "--features.families", "momentum", "--validation.test-sessions", "100")


def _words(place: Workplace, bars: Path, *words: str) -> list[str]:
    return [*place.flags(bars), *QUICK, *words]


def _trials(place: Workplace) -> list[dict[str, Any]]:
    lines = (place.folder / "ledger" / "trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_search_is_kept_goes_on_and_its_winner_can_be_trained(
    make_workplace: Callable[[], Workplace],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    place = make_workplace()
    bars = place.bars("planted", random_walk_bars(22, 1000, 3, signal=0.0015))
    # A leaf that two cannot fill: a trial with a smaller one beats this default, and it lasts.
    poor = ["--model.min-child-weight", "6000", "--tune.parameters", "min_child_weight,max_depth"]
    # Two folds of 140 sessions are kept out: fewer than 250 dates would confirm nothing.
    kept_out = ["--validation.test-sessions", "140", "--tune.confirm-folds", "2"]
    # The second trial of this seed has a quarter of the leaf.
    words = _words(place, bars, *kept_out, *poor, "--seed", "9")
    assert tune.main([*words, "--n-trials", "3"]) == 0
    (folder,) = place.folder.glob("reports/tune_*")
    first = json.loads((folder / "tuning.json").read_text())["trials"]
    assert len(first) == 3 == len(_trials(place))
    assert first[0]["point"] == {"min_child_weight": 1.0, "max_depth": 6}
    capsys.readouterr()
    assert tune.main([*words, "--n-trials", "5"]) == 0
    shown = capsys.readouterr()
    assert "3 trials of earlier calls are in" in shown.err
    assert "5 trials on" in shown.out
    printed = shown.out.splitlines()[-1].partition("train the tuned one: ")[2]
    record = json.loads((folder / "tuning.json").read_text())
    assert record["trials"][:3] == first and len(_trials(place)) == 5
    assert not (place.folder / "ledger" / "holdout.jsonl").exists()
    # Nothing is left to try; what held is trained, and else the default.
    trained: list[Any] = []
    held = {"rank_ic": 0.01}

    def train(config: Any, run_log: object) -> SimpleNamespace:
        trained.append(config)
        return SimpleNamespace(
            result=SimpleNamespace(holdout=SimpleNamespace(metrics=held)),
        )

    monkeypatch.setattr("src.v2.train.train", train)
    quiet = ["--mlflow.enabled", "false", "--tune.train-best"]
    assert tune.main([*words, "--n-trials", "5", *quiet]) == 0
    assert "holdout rank IC of the recommended one: +0.0100" in capsys.readouterr().out
    is_tuned = trained[0].fingerprint == record["config_fingerprint"]
    assert is_tuned and record["recommended"] == "tuned"
    assert record["default"]["score"] == 0.0 < record["confirmation"]["margin"]["low"]
    # The file gives the winner's settings to the bit.
    file = str(folder / "tuned.yaml")
    own = _words(place, bars, *kept_out[:2], "--seed", "9")
    config = load_config([*own, "--variation", file], environ={})
    assert config.fingerprint == record["config_fingerprint"]
    # So does the command that is printed.
    assert load_config(shlex.split(printed)[3:], environ={}).fingerprint == config.fingerprint
    assert {each["config_fingerprint"] for each in _trials(place)} >= {config.fingerprint}
    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    runs: list[Any] = list(client.search_runs([experiment.experiment_id]))
    parts = [run.data.tags["part"] for run in runs]
    assert (parts.count("tune"), parts.count("trial")) == (2, 5)
    children = [run.data for run in runs if run.data.tags["part"] == "trial"]
    assert all({"cv_rank_ic_pooled", "fold_rank_ic"} <= set(data.metrics) for data in children)
    assert all("learning_rate" in data.params for data in children)
    parent = next(run for run in runs if run.data.tags["part"] == "tune")
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert names == {"tuning.md", "tuning.json", "trials.csv", "tuned.yaml"}


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_was(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(40, 900, 1))
    words = _words(place, bars, "--mlflow.enabled", "false", "--n-trials", "2")
    slow = [*words[:-2], "--n-trials", "500"]
    process = subprocess.Popen(
        [sys.executable, "-m", "src.v2.tune", *slow],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )
    ledger = place.folder / "ledger" / "trials.jsonl"
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if ledger.exists() and len(ledger.read_text().splitlines()) > 1:
            break
        time.sleep(0.02)
    (folder,) = place.folder.glob("reports/tune_*")
    # A second writer is refused while the first is at work.
    assert tune.main(words) == 1
    assert "Another search is at work" in capsys.readouterr().err
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert tune.main(words) == 0
    assert "trials of earlier calls" in capsys.readouterr().err
    with only_writer(folder):
        ended = SearchStudy(folder / "study.db", folder.name, 1).ended()
    assert len(ended) >= 2 and not ended[0].pruned


BAD_INPUT = {
    "no such parameter": (["--tune.parameters", "depth"], "tune.parameters must be of"),
    "no fold left": (["--tune.confirm-folds", "9"], "must leave a fold to search on"),
    "one trial": (["--n-trials", "1"], "tune.n_trials"),
    "few tickers": (["--tickers", "T001", "T002", "T003"], "at least 20 tickers"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, message = BAD_INPUT[case]
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 700, 1))
    assert tune.main(_words(place, bars, *words)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("error: ") and message in line
