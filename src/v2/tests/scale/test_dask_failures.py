"""What a run does when workers die, hang or are not there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.errors import ClusterError
from src.v2.modeling.feature_rows import Matrix, StoredRows
from src.v2.modeling.walk_forward import walk_forward
from src.v2.scale import cluster as clusters
from src.v2.scale import cluster_opening, dask_engine
from src.v2.scale.cluster import Cluster
from src.v2.scale.cluster_opening import open_cluster
from src.v2.scale.dask_engine import DaskEngine
from src.v2.scale.engine import LocalEngine
from src.v2.scale.passes import DateRows, PanelPlan, date_pass
from src.v2.tests.scale.dask_clusters import (
    build,
    process_ids,
    small_bars,
    small_config,
    trainer_of,
)

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    config = small_config()
    with open_cluster(config.scale, config.model) as found:
        yield found


def kill_one(cluster: Cluster) -> None:
    """Kill the process of one worker, as a lack of memory would."""
    pids = process_ids(cluster.client)
    os.kill(pids[min(pids)], signal.SIGKILL)


def kill_when(cluster: Cluster, running: str) -> threading.Thread:
    """Kill a worker as soon as a task of that name runs on it."""

    def watch() -> None:
        while True:
            for address, keys in cluster.client.processing().items():
                if any(str(key).startswith(running) for key in keys):
                    # Into the work, not before it.
                    time.sleep(1)
                    os.kill(process_ids(cluster.client)[address], signal.SIGKILL)
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_worker_killed_during_a_fit_costs_a_try_and_no_finished_fold(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config(model={"n_estimators": 400})
    built = build(DaskEngine(cluster), small_bars(), config)
    trainer, schedule = trainer_of(built, DaskEngine(cluster), config)
    steps = walk_forward(trainer, schedule)
    first = next(steps)
    killer = kill_when(cluster, "fit_share")
    second = next(steps)
    killer.join(timeout=1)
    assert not killer.is_alive(), "the fit was over before the worker died"
    assert caplog.text.count("a fit failed, try 1 of 3") == 1
    assert (first.fold.number, second.fold.number) == (1, 2)
    # The worker came back under its name, so the second try is the first one's twin.
    undisturbed = trainer.fold(schedule.folds[1], schedule.holdout_start)
    np.testing.assert_array_equal(second.forecast, undisturbed.forecast)


def test_a_worker_killed_between_the_passes_costs_nothing_but_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, bars = small_config(), small_bars()
    monkeypatch.setattr(dask_engine, "_date_block", slow_date_block)
    killer = kill_when(cluster, "slow_date_block")
    found = build(DaskEngine(cluster), bars, config).panel
    killer.join(timeout=1)
    assert not killer.is_alive()
    local = build(LocalEngine(), bars, config).panel
    assert found.features.tobytes() == local.features.tobytes()
    assert found.keys.equals(local.keys)


def slow_date_block(pieces: list[pl.DataFrame], plan: PanelPlan) -> DateRows:
    time.sleep(2)
    return date_pass(pl.concat(pieces, rechunk=True), plan)


def test_rows_lost_with_their_worker_are_computed_again(cluster: Cluster) -> None:
    config, bars = small_config(), small_bars()
    built = build(DaskEngine(cluster), bars, config)
    before = built.panel.features.copy()
    kill_one(cluster)
    np.testing.assert_array_equal(built.panel.features, before)
    kill_one(cluster)
    np.testing.assert_array_equal(built.panel.features, before)


def test_a_fit_that_hangs_is_given_up_and_says_so(cluster: Cluster) -> None:
    config = small_config(
        scale={"attempts": 2, "time_limit_sec": 3.0}, model={"n_estimators": 100_000}
    )
    built = build(DaskEngine(cluster), small_bars(), small_config())
    impatient = Cluster(cluster.client, config.scale, None, True, cluster.size)
    trainer, schedule = trainer_of(built, DaskEngine(impatient), config)
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"2 times .* not done after 3 seconds") as raised:
        next(walk_forward(trainer, schedule))
    assert time.monotonic() - start < 120
    assert "while fitting fold 1 of 2" in raised.value.__notes__[0]
    # The workers were freed: they fit something else at once.
    trainer, schedule = trainer_of(built, DaskEngine(cluster), small_config())
    assert next(walk_forward(trainer, schedule)).train_rows > 0


def test_work_that_always_kills_its_worker_ends_in_an_error(cluster: Cluster) -> None:
    built = build(DaskEngine(cluster), small_bars(), small_config())
    stored = built.panel.feature_rows
    assert isinstance(stored, StoredRows)
    with pytest.raises(ClusterError, match=r"at work on block 0 of .* last of 3"):
        list(stored[:5].map_blocks(die))


def die(rows: Matrix) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_cluster_without_any_worker_left_is_an_error(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(DaskEngine(cluster), small_bars(), small_config())
    stored = built.panel.feature_rows
    assert isinstance(stored, StoredRows)
    monkeypatch.setattr(clusters, "RETURN_SEC", 2)
    cluster.client.cluster.scale(0)
    start = time.monotonic()
    with pytest.raises(ClusterError, match="No worker of the Dask cluster is left for block 0"):
        list(stored[:5].map_blocks(np.asarray))
    assert time.monotonic() - start < 30


def test_a_scheduler_without_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed: Any = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_opening, "CONNECT_SEC", 2)
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty:
        config = small_config(scale={"scheduler": empty.scheduler_address})
        with (
            pytest.raises(ClusterError, match=r"has no worker.*dask worker tcp"),
            open_cluster(config.scale, config.model),
        ):
            pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_command_leaves_no_worker_and_no_folder_behind(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    psutil: Any = pytest.importorskip("psutil")
    folders = ("models", "logs", "reports", "ledger")
    flags = [word for name in folders for word in (f"--paths.{name}-dir", str(tmp_path / name))]
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "src.v2.train", "--force-sample", "--scale.engine", "dask"),
            *("--mlflow.enabled", "false", *flags),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert command.stderr is not None
    assert "2 Dask workers" in command.stderr.readline()
    family = psutil.Process(command.pid).children(recursive=True)
    assert len(family) >= 2
    time.sleep(5)
    if number == signal.SIGINT:
        # A terminal sends Ctrl-C to the whole group.
        os.killpg(command.pid, number)
    else:
        command.send_signal(number)
    code = command.wait(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    rest = command.stderr.read()
    command.stderr.close()
    assert "Traceback" not in rest
    assert number == signal.SIGKILL or f"interrupted by {number.name}" in rest
    left = list(tmp_path.glob("omninmo-*"))
    assert len(left) == (1 if number == signal.SIGKILL else 0)
    # What a killed one could not remove, the next one does.
    config = small_config(scale={"workers": 1})
    with open_cluster(config.scale, config.model):
        assert len(list(tmp_path.glob("omninmo-*"))) == 1 and not any(map(Path.exists, left))
    assert not list(tmp_path.glob("omninmo-*"))


def test_a_cluster_started_as_documented_is_joined(tmp_path: Path) -> None:
    """The lines of docs/scale.md, on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dask, environ = Path(sys.executable).with_name("dask"), os.environ | {"PYTHONPATH": "."}
    address = f"tcp://127.0.0.1:{port}"
    words = [
        ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        ["worker", address, "--nworkers", "1", "--host", "127.0.0.1", "--no-dashboard"],
    ]
    logs = tmp_path / "dask.log"
    with logs.open("w") as log:
        started = [
            subprocess.Popen([dask, *each], cwd=ROOT, env=environ, stdout=log, stderr=log)
            for each in words
        ]
    try:
        config = small_config(scale={"scheduler": address})
        with open_cluster(config.scale, config.model) as cluster:
            assert len(cluster.workers()) == 1
            assert address in cluster.describe()
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
