from __future__ import annotations

import csv
import json
import subprocess
import sys
import time

import pytest

from src.v2.config import MlflowConfig
from src.v2.runs import main
from src.v2.tests.tracking.conftest import ROOT
from src.v2.tests.tracking.test_query import log_three
from src.v2.tracking.query import COLUMNS, METRICS
from src.v2.tracking.runs import training_run
from src.v2.tracking.store import open_store


def test_help_answers_at_once() -> None:
    start = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-m", "src.v2.runs", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.perf_counter() - start < 3
    assert "--filter" in answer.stdout


def log_as_trained(config: MlflowConfig) -> None:
    """Runs as training and its failures leave them, with every metric of the table."""
    for number, verdict in enumerate(("no evidence", "implausible: check for leakage")):
        name = f"hist_gradient_boosting_classification_252d_20260102_03040{number}"
        with training_run(config, run_name=name, tags={"verdict": verdict}) as run:
            run.log_params({"label.mode": "classification", "label.forward_days": 252})
            run.log_metrics({metric: -1234.5678 for metric in METRICS})
    with pytest.raises(RuntimeError):
        with training_run(config, run_name="monitor\x1b[31m_1"):
            raise RuntimeError("the fit broke, " * 30)


def test_the_table_is_aligned_and_leaves_empty_columns_out(
    sqlite_store: MlflowConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    log_three(sqlite_store)
    assert main(["--tracking-uri", sqlite_store.tracking_uri]) == 0
    given = capsys.readouterr()
    head, *lines = given.out.splitlines()
    assert head.split() == [
        *("run_id", "run_name", "status", "start_time", "mode", "forward_days"),
        *("final_r2", "runtime_sec"),
    ]
    assert len(lines) == 3
    assert lines[0].index("none") == head.index("run_name")
    assert lines[1].split()[-2:] == ["0.0200", "9.5000"]
    assert given.err == "", "nothing was shortened"


@pytest.mark.parametrize("width", ["", "40", "80", "100", "120", "160"])
def test_the_table_fits_the_terminal_and_says_what_shows_the_rest(
    sqlite_store: MlflowConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: str,
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    log_as_trained(sqlite_store)
    assert main(["--tracking-uri", sqlite_store.tracking_uri]) == 0
    given = capsys.readouterr()
    head, failed, reason, *others = given.out.splitlines()
    room = max(int(width or 120), 64)
    assert max(map(len, given.out.splitlines())) <= room
    assert head.split()[:2] == ["run_id", "run_name"]
    assert {"status", "start_time"} <= set(head.split())
    assert ("verdict" in head) == (room >= 80)
    assert ("cv_rank_ic_mean" in head) == (room >= 100)
    assert "monitor[31m_1" in failed
    assert reason.split()[0] == "RuntimeError:"
    assert reason.endswith("…")
    assert [line.split()[1][:8] for line in others] == ["hist_gra"] * 2
    assert "--columns all" in given.err


def test_the_columns_asked_for_are_shown_whole(
    sqlite_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_trained(sqlite_store)
    words = ["--tracking-uri", sqlite_store.tracking_uri]
    assert main([*words, "--columns", "all"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert tuple(head.split()) == COLUMNS
    assert all(len(line.split()[0]) == 32 for line in lines)
    assert lines[0].count("the fit broke") > 20
    assert "implausible: check for leakage" in lines[1]
    assert main([*words, "--columns", "verdict,run_id", "status"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["verdict", "run_id", "status"]
    assert main([*words, "--columns", "status", "--format", "csv"]) == 0
    assert capsys.readouterr().out.split() == ["status", "FAILED", "FINISHED", "FINISHED"]
    assert main([*words, "--columns", "colour", "--format", "json"]) == 2
    given = capsys.readouterr()
    assert (given.out, given.err.count("\n")) == ("", 1)
    assert "runs.columns must be all, or some of run_id, " in given.err
    assert "got colour" in given.err


def test_a_run_that_failed_without_a_word_says_so(
    sqlite_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(sqlite_store)
    run = store.client.create_run(store.experiment_id, run_name="old")
    store.client.set_terminated(run.info.run_id, "FAILED")
    assert main(["--tracking-uri", sqlite_store.tracking_uri]) == 0
    assert capsys.readouterr().out.splitlines()[2].strip() == "no reason was kept"


def test_csv_and_json_can_be_read_by_machines(
    sqlite_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    log_three(sqlite_store)
    words = ["--tracking-uri", sqlite_store.tracking_uri, "--filter", "metrics.final_r2 > 0"]
    assert main([*words, "--format", "csv"]) == 0
    given = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert main([*words, "--format", "json"]) == 0
    same = json.loads(capsys.readouterr().out)
    assert tuple(given[0]) == tuple(same[0]) == COLUMNS
    assert given[0]["run_name"] == same[0]["run_name"] == "high"
    assert given[0]["start_time"] == same[0]["start_time"]
    assert given[0]["start_time"].endswith("Z")
    assert same[0]["final_r2"] == 0.02


def test_no_runs_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == ""
    assert main(["--format", "csv"]) == 0
    given = capsys.readouterr()
    assert given.out.strip() == ",".join(COLUMNS)
    assert "no runs yet" in given.err
    assert main(["--format", "json", "--filter", "metrics.a > 1"]) == 0
    given = capsys.readouterr()
    assert json.loads(given.out) == []
    assert "no runs that fit" in given.err


def test_an_error_is_one_line_and_code_two(sqlite_store: MlflowConfig) -> None:
    log_three(sqlite_store)
    words = ["--tracking-uri", sqlite_store.tracking_uri, "--filter", "metrics.final_r2 >> 1"]
    answer = subprocess.run(
        [sys.executable, "-m", "src.v2.runs", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: runs.filter")
    assert answer.stderr.count("\n") == 1
