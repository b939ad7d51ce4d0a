"""Runs whose process was killed outright: found by the next command of the same host alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.tests.tracking.conftest import ROOT, free_port
from src.v2.tracking import process, ui
from src.v2.tracking.lost_runs import end_lost_runs
from src.v2.tracking.process import (
    BOOT,
    HOST,
    MACHINE,
    PID,
    SPACE,
    START,
    is_gone,
    origin_tags,
    process_tags,
)
from src.v2.tracking.runs import training_run
from src.v2.tracking.store import open_store

ClientOf = Callable[[MlflowConfig], Any]

OPEN_RUN = """
import sys, time
from src.v2.config import MlflowConfig
from src.v2.tracking.process import origin_tags
from src.v2.tracking.runs import training_run
with training_run(MlflowConfig(tracking_uri=sys.argv[1]), run_name="lost") as run:
    tags = {"mlflow.parentRunId": run.run_id, **origin_tags()}
    run._client.create_run(run.experiment_id, tags=tags, run_name="fold_1")
    print(run.run_id, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def ended_child() -> dict[str, str]:
    """Tags of a process of this host that has ended."""
    words = "import json; from src.v2.tracking.process import process_tags as tags"
    words += "; print(json.dumps(tags()))"
    answer = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tags: dict[str, str] = json.loads(answer.stdout)
    return tags


def test_a_run_killed_outright_is_closed_by_the_next_one_and_no_sooner(
    sqlite_store: MlflowConfig, client_of: ClientOf, capsys: pytest.CaptureFixture[str]
) -> None:
    client = client_of(sqlite_store)
    lost = subprocess.Popen(
        [sys.executable, "-c", OPEN_RUN, sqlite_store.tracking_uri],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert lost.stdout is not None
    run_id = lost.stdout.readline().strip()
    try:
        with training_run(sqlite_store, run_name="while it lives"):
            pass
        assert client.get_run(run_id).info.status == "RUNNING"
        assert capsys.readouterr().err == ""
    finally:
        lost.kill()
        lost.wait()
        lost.stdout.close()
    with training_run(sqlite_store, run_name="later"):
        pass
    found = client.search_runs(["1"], filter_string="attributes.status = 'KILLED'")
    assert sorted(run.info.run_name for run in found) == ["fold_1", "lost"]
    for run in found:
        assert run.info.end_time >= run.info.start_time
        assert run.data.tags["end_reason"].startswith(f"process {lost.pid} is gone: ")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"note: 1 run whose process is gone is now KILLED in MLflow: lost ({run_id[:8]})"
    )
    with training_run(sqlite_store, run_name="once more"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("change", [{HOST: "elsewhere"}, {MACHINE: "0" * 12}, {PID: ""}, None])
def test_a_run_of_another_host_or_of_no_known_process_is_left_alone(
    sqlite_store: MlflowConfig,
    client_of: ClientOf,
    ended_child: dict[str, str],
    change: dict[str, str] | None,
) -> None:
    store = open_store(sqlite_store)
    tags = {} if change is None else ended_child | change
    run = store.client.create_run(store.experiment_id, tags=tags, run_name="theirs")
    assert end_lost_runs(store) == ""
    assert client_of(sqlite_store).get_run(run.info.run_id).info.status == "RUNNING"


def test_many_lost_runs_are_told_in_one_line(
    sqlite_store: MlflowConfig, ended_child: dict[str, str]
) -> None:
    store = open_store(sqlite_store)
    for number in range(5):
        store.client.create_run(store.experiment_id, tags=ended_child, run_name=f"r{number}")
    told = end_lost_runs(store)
    assert told.startswith("5 runs whose process is gone are now KILLED in MLflow: r4 (")
    assert told.endswith(") and 2 more")
    assert end_lost_runs(store) == ""


def test_a_run_that_may_not_be_changed_is_no_hindrance(
    sqlite_store: MlflowConfig,
    ended_child: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("PERMISSION_DENIED")

    store = open_store(sqlite_store)
    store.client.create_run(store.experiment_id, tags=ended_child, run_name="theirs")
    monkeypatch.setattr(type(store.client), "set_terminated", refuse)
    assert end_lost_runs(store) == ""
    assert "could not be marked KILLED: PERMISSION_DENIED" in caplog.text


def test_the_pages_show_no_run_as_running_whose_process_is_gone(
    sqlite_store: MlflowConfig,
    client_of: ClientOf,
    ended_child: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = open_store(sqlite_store)
    run = store.client.create_run(store.experiment_id, tags=ended_child, run_name="lost")
    for name in ("_load_application", "run_application"):
        monkeypatch.setattr(ui, name, lambda *_: None)
    ui.serve_ui(sqlite_store, free_port())
    assert client_of(sqlite_store).get_run(run.info.run_id).info.status == "KILLED"
    assert "1 run whose process is gone is now KILLED" in capsys.readouterr().out


def test_a_process_is_gone_only_where_that_is_sure(ended_child: dict[str, str]) -> None:
    here = process_tags()
    assert is_gone(ended_child, here)
    assert is_gone({**here, BOOT: "an earlier one"}, here)
    assert is_gone({**here, START: "0"}, here), "the id was given to another process"
    assert not is_gone(here, here)
    for name in (HOST, MACHINE, SPACE):
        assert not is_gone({**ended_child, name: "another"}, here), name
    for name in (HOST, PID, START, BOOT):
        assert not is_gone({key: ended_child[key] for key in ended_child if key != name}, here)
    assert not is_gone(ended_child, {})
    assert not is_gone({**ended_child, PID: "9" * 30}, here)
    assert not is_gone({**here, PID: "1", START: "0"} | {HOST: "elsewhere"}, here)


def test_a_process_that_nobody_waited_for_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = process._state_and_start(child.pid)
    assert found is not None
    tags = {**process_tags(), PID: str(child.pid), START: found[1]}
    assert not is_gone(tags, process_tags())
    child.kill()
    end = time.monotonic() + 10
    while not is_gone(tags, process_tags()) and time.monotonic() < end:
        time.sleep(0.01)
    assert is_gone(tags, process_tags())
    child.communicate()


@pytest.mark.skipif(shutil.which("ps") is None, reason="this system has no ps")
def test_systems_without_proc_ask_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "PROC", tmp_path / "absent")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here, found = process_tags(), process._state_and_start(child.pid)
    assert BOOT not in here
    assert here[PID] == str(os.getpid())
    assert found is not None
    tags = {**here, PID: str(child.pid), START: found[1]}
    assert not is_gone(tags, here)
    child.kill()
    child.communicate()
    assert is_gone(tags, here)


def test_every_run_tells_its_process(sqlite_store: MlflowConfig, client_of: ClientOf) -> None:
    with training_run(sqlite_store, run_name="r") as run:
        run.child("fold_1", metrics={})
    runs = client_of(sqlite_store).search_runs([run.experiment_id])
    assert len(runs) == 2
    for each in runs:
        assert {name: each.data.tags[name] for name in origin_tags()} == origin_tags()
        assert each.data.tags[PID] == str(os.getpid())
