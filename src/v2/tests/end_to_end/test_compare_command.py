"""The compare command, as a user types it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest

from src.v2 import compare
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

ROOT = Path(__file__).parents[4]
QUICK = (*SMALL, "--features.families", "momentum", "--validation.test-sessions", "150")


def _words(place: Workplace, bars: Path, *words: str) -> list[str]:
    return [*words, *place.flags(bars), *QUICK]


def _variation(place: Workplace, name: str, text: str) -> str:
    path = place.folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def _records(place: Workplace) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in place.folder.glob("reports/*/*.json")]


def _trials(place: Workplace) -> list[dict[str, Any]]:
    lines = (place.folder / "ledger" / "trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def compared(make_workplace: Callable[[], Workplace]) -> Workplace:
    """Three arms on a planted momentum, compared once, and again with one arm more."""
    place = make_workplace()
    place.bars("planted", random_walk_bars(24, 700, 3, signal=0.0025))
    _variation(place, "useless", "model: {min_child_weight: 1e9}")
    _variation(place, "deep", "model: {max_depth: 8, learning_rate: 0.1}")
    return place


def test_arms_are_compared_kept_logged_and_counted(
    compared: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    place, bars = compared, compared.folder / "planted.parquet"
    files = [str(place.folder / f"{name}.yaml") for name in ("useless", "deep")]
    assert compare.main(_words(place, bars, *files)) == 0
    first = capsys.readouterr()
    assert "comparison of 3 arms" in first.out and "keep default" in first.out
    assert first.err == ""
    (record,) = _records(place)
    arms = {arm["name"]: arm for arm in record["arms"]}
    assert list(arms) == ["default", "useless", "deep"]
    assert arms["useless"]["arm_margin_high"] < 0 < arms["default"]["common_rank_ic_low"]
    assert len(_trials(place)) == 3
    assert not (place.folder / "ledger" / "holdout.jsonl").exists()
    assert not (place.folder / "models").exists()
    # One arm more: the others are read, and the table stands beside the older one.
    began = sorted(place.folder.glob("reports/compare_*/*/arm.json"))
    stamps = [path.stat().st_mtime_ns for path in began]
    assert compare.main(_words(place, bars, files[0], "--sweep", "model.max_depth=2")) == 0
    again = capsys.readouterr()
    assert "1 of 2 arms were finished before" in again.err and "default" in again.err
    assert [path.stat().st_mtime_ns for path in began] == stamps
    assert len(_trials(place)) == 4 and len(_records(place)) == 2
    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    runs: list[Any] = list(client.search_runs([experiment.experiment_id]))
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.data.tags["part"] for run in parents] == ["compare", "compare"]
    assert all("| arm |" in run.data.tags["mlflow.note.content"] for run in parents)
    artifacts = {item.path for item in client.list_artifacts(parents[1].info.run_id)}
    assert artifacts == {"comparison.md", "comparison.csv", "comparison.json"}
    below = {run.info.run_name: run for run in runs if run not in parents}
    # The address names the arms of the first comparison.
    address = unquote(first.out.split("side by side: ")[1].split()[0])
    named = json.loads(address.partition("runs=")[2].partition("&")[0])
    mine = [run for run in below.values() if run.info.run_id in named]
    assert len(named) == 3 and len(mine) >= 2
    assert f'&experiments=["{experiment.experiment_id}"]&' in address
    assert {"exp_default_lr=0.05_depth=6", "exp_B_lr=0.1_depth=8"} <= set(below)
    deep = below["exp_B_lr=0.1_depth=8"].data
    assert deep.params["learning_rate"] == "0.1" and deep.params["forward_days"] == "5"
    assert {"cv_rank_ic_pooled", "cv_r2_mean", "arm_margin", "val_loss"} <= set(deep.metrics)


def test_the_recommended_arm_is_trained_when_asked(
    compared: Workplace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[Any] = []
    monkeypatch.setattr("src.v2.train.train", lambda config, run_log: trained.append(config))
    place, bars = compared, compared.folder / "planted.parquet"
    # Here the default is the useless one, and what sweeps away its leaf is far better.
    words = _words(place, bars, "--sweep", "model.learning_rate=0.1", "--mlflow.enabled", "false")
    words += ["--model.max-depth", "2"]
    poor = place.folder / "poor.yaml"
    poor.write_text("model: {min_child_weight: 1e9, max_depth: 2}")
    better = str(_variation(place, "better", "model: {min_child_weight: 20}"))
    assert compare.main([better, *words, "--config", str(poor), "--compare.train-best"]) == 0
    assert "Recommended: better learning_rate=0.1" in capsys.readouterr().out
    (config,) = trained
    assert (config.model.min_child_weight, config.model.learning_rate) == (20.0, 0.1)
    assert compare.main([better, *words, "--config", str(poor)]) == 0
    out = capsys.readouterr().out
    assert len(trained) == 1 and f"--variation '{better}' --model.learning-rate=0.1" in out


@pytest.mark.slow
def test_an_arm_has_the_scores_of_a_training_with_its_settings(
    compared: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place, bars = compared, compared.folder / "planted.parquet"
    deep = str(place.folder / "deep.yaml")
    assert compare.main(_words(place, bars, deep)) == 0
    before = _trials(place)
    record = next(each for each in _records(place) if len(each["arms"]) == 2)
    if {arm["name"] for arm in record["arms"]} != {"default", "deep"}:
        record = next(
            each
            for each in _records(place)
            if {arm["name"] for arm in each["arms"]} == {"default", "deep"}
        )
    metrics = next(arm for arm in record["arms"] if arm["name"] == "deep")["metrics"]
    words = ["--features.families", "momentum", "--validation.test-sessions", "150"]
    assert place.train(bars, *words, "--variation", deep, "--mlflow.enabled", "false") == 0
    trained = place.summary()["metrics"]
    capsys.readouterr()
    for key in ("cv_rank_ic_mean", "cv_rank_ic_pooled", "cv_r2_pooled", "cv_hit_rate_pooled"):
        assert metrics[key] == pytest.approx(trained[key], rel=1e-12), key
    assert metrics["book_long_short_sharpe"] == pytest.approx(trained["book_long_short_sharpe"])
    # The training is the same trial: the log has no new line, and the verdict knows the others.
    assert _trials(place) == before
    assert trained["trials"] == len({each["config_fingerprint"] for each in before})


def test_a_sweep_of_horizons_ranks_nothing_across_them(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(21, 700, 5))
    words = ["--sweep", "label.forward_days=2,3", "--sweep=label.mode=regression,classification"]
    own = [word for word in QUICK if word not in ("--forward-days", "5")]
    flags = [*place.flags(bars), *own, "--mlflow.enabled", "false"]
    assert compare.main([*words, *flags, "--compare.train-best"]) == 0
    shown = capsys.readouterr()
    assert "which no test ranks" in shown.out
    assert "nothing is trained" in shown.err and "the default forecasts something" in shown.err
    (record,) = _records(place)
    assert [len(group["standings"]) for group in record["groups"]] == [2, 2]
    assert record["recommended"] is None
    (table,) = place.folder.glob("reports/*/*.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["label.forward_days"] for row in rows] == ["2", "2", "3", "3"]
    assert rows[1]["name"] == "forward_days=2 mode=classification"


@pytest.mark.slow
def test_a_killed_comparison_keeps_its_finished_arms(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(40, 900, 1))
    common = [*place.flags(bars), "--features.families", "momentum", "--mlflow.enabled", "false"]
    common += ["--forward-days", "5", "--model.early-stopping-rounds", "0"]
    common += ["--validation.test-sessions", "150"]
    words = ["--sweep", "model.n_estimators=50000", *common]
    process = subprocess.Popen(
        [sys.executable, "-m", "src.v2.compare", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if list(place.folder.glob("reports/compare_*/*/arm.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, ""), err
    (arm,) = place.folder.glob("reports/compare_*/*/arm.json")
    assert pl.read_parquet(arm.parent / "predictions.parquet").height > 0
    assert not list(place.folder.glob("reports/compare_*/.arm-*"))
    assert compare.main(["--sweep", "model.n_estimators=20", *common]) == 0
    assert "1 of 2 arms were finished before" in capsys.readouterr().err


BAD_INPUT = {
    "nothing to compare": ([], "There is nothing to compare"),
    "no such setting": (["--sweep", "model.depth=3"], "--sweep must name a setting"),
    "no value": (["--sweep", "model.max_depth="], "--sweep must name a setting"),
    "no number decided": (["--sweep", "runs.port=1,2"], "--sweep must name a setting"),
    "a wrong value": (["--sweep", "model.max_depth=0,3"], "model.max_depth"),
    "swept and given": (["--sweep", "label.forward_days=5,9"], "is swept and given a second time"),
    "too many": (
        ["--sweep", "seed=1,2,3", "--compare.max-arms", "3"],
        "compare.max_arms allows 3",
    ),
    "a missing file": (["nowhere.yaml"], "nowhere.yaml does not exist"),
    "a wrong arm is named": (
        ["--sweep", "model.max_depth=0,3"],
        "(in the arm max_depth=0)",
    ),
    "a variation": (["--variation", "a.yaml"], "without --variation"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line(
    compared: Workplace, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, message = BAD_INPUT[case]
    assert compare.main(_words(compared, compared.folder / "planted.parquet", *words)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_what_is_wrong_in_a_file_names_its_arm(
    compared: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place, bars = compared, compared.folder / "planted.parquet"
    good = _variation(place, "good", "model: {max_depth: 3}")
    wrong = _variation(place, "wrong", "model: {depht: 3}")
    assert compare.main(_words(place, bars, good, wrong)) == 2
    line = capsys.readouterr().err.strip()
    assert "model.depht is no setting" in line and line.endswith("(in the arm wrong)")


def test_an_arm_that_is_read_counts_in_the_log_of_this_call_too(
    compared: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place, bars = compared, compared.folder / "planted.parquet"
    own = ["--mlflow.enabled", "false", "--sweep", "model.max_depth=1,2"]
    assert compare.main(_words(place, bars, *own)) == 0
    wanted = {each["config_fingerprint"]: each for each in _trials(place)}
    capsys.readouterr()
    other = place.folder / "other ledger"
    words = [*_words(place, bars, *own), "--paths.ledger-dir", str(other)]
    for _ in range(2):
        assert compare.main(words) == 0
        shown = capsys.readouterr()
        assert "3 of 3 arms were finished before" in shown.err
        assert "trial log: 3 configurations" in shown.out and "p below 0.017" in shown.out
    found = [json.loads(line) for line in (other / "trials.jsonl").read_text().splitlines()]
    assert len(found) == 3
    for each in found:
        same = wanted[each["config_fingerprint"]]
        assert each | {"tried_at": same["tried_at"]} == same
    assert not (other / "holdout.jsonl").exists()


@pytest.mark.slow
def test_the_holdout_opens_once_and_for_the_chosen_arm_alone(
    compared: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place, bars = compared, compared.folder / "planted.parquet"
    ledger = place.folder / "chosen"
    poor = place.folder / "none.yaml"
    poor.write_text("model: {min_child_weight: 1e9, max_depth: 2}")
    better = _variation(place, "leafy", "model: {min_child_weight: 20, learning_rate: 0.1}")
    words = _words(place, bars, better, "--config", str(poor), "--mlflow.enabled", "false")
    words += ["--paths.ledger-dir", str(ledger)]
    assert compare.main(words) == 0
    assert not (ledger / "holdout.jsonl").exists()
    for _ in range(2):
        assert compare.main([*words, "--compare.train-best"]) == 0
        assert "Recommended: leafy" in capsys.readouterr().out
        (line,) = (ledger / "holdout.jsonl").read_text().splitlines()
        record = max(place.folder.glob("reports/*/comparison_*.json"), key=_written)
        (chosen,) = (arm for arm in json.loads(record.read_text())["arms"] if arm["recommended"])
        assert json.loads(line)["config_fingerprint"] == chosen["config_fingerprint"]
        assert len((ledger / "trials.jsonl").read_text().splitlines()) == 2


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
