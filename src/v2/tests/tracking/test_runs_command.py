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
from src.v2.tests.tracking.test_query import COLUMNS, log_three


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


def test_the_table_is_aligned_and_leaves_empty_columns_out(
    sqlite_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    log_three(sqlite_store)
    assert main(["--tracking-uri", sqlite_store.tracking_uri]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        *("run_id", "run_name", "status", "start_time", "mode", "forward_days"),
        *("final_r2", "runtime_sec"),
    ]
    assert len(lines) == 3
    assert lines[0].index("none") == head.index("run_name")
    assert lines[1].split()[-2:] == ["0.0200", "9.5000"]


def test_csv_and_json_can_be_read_by_machines(
    sqlite_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    log_three(sqlite_store)
    words = ["--tracking-uri", sqlite_store.tracking_uri, "--filter", "metrics.final_r2 > 0"]
    assert main([*words, "--format", "csv"]) == 0
    given = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert main([*words, "--format", "json"]) == 0
    same = json.loads(capsys.readouterr().out)
    assert list(given[0]) == list(same[0]) == COLUMNS
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
