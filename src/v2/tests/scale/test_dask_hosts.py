"""A cluster whose scheduler and workers are hosts of their own, with a network between them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.v2.scale.cluster_opening import open_cluster
from src.v2.scale.dask_engine import DaskEngine
from src.v2.scale.engine import LocalEngine
from src.v2.tests.scale.dask_clusters import build, small_bars, small_config, trainer_of

ROOT = Path(__file__).parents[4]
NET = f"10.{os.getpid() % 200 + 20}.77"
BRIDGE = f"onb{os.getpid()}"
DASK = (sys.executable, "-m", "dask")

connect: Any = import_module("distributed").Client

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("ip") is None or not hasattr(os, "getuid") or os.getuid() != 0,
        reason="hosts are network namespaces, which need root and iproute2",
    ),
]


def _ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no network namespaces here: ip {words}: {done.stderr.strip()}")


def _remove(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Make three hosts on one bridge: their names, of addresses 11, 12 and 13."""
    names = [f"onh{number}-{os.getpid()}" for number in (1, 2, 3)]
    with ExitStack() as stack:
        _ip(f"link add {BRIDGE} type bridge")
        stack.callback(_remove, "link", "del", BRIDGE)
        _ip(f"addr add {NET}.1/24 dev {BRIDGE}")
        _ip(f"link set {BRIDGE} up")
        for number, name in enumerate(names, start=1):
            port = f"onv{number}-{os.getpid()}"
            _ip(f"netns add {name}")
            stack.callback(_remove, "netns", "del", name)
            _ip(f"link add {port} type veth peer name eth0 netns {name}")
            _ip(f"link set {port} master {BRIDGE} up")
            _ip(f"-n {name} addr add {NET}.1{number}/24 dev eth0")
            _ip(f"-n {name} link set eth0 up")
            _ip(f"-n {name} link set lo up")
        yield names


@pytest.fixture
def scheduler(hosts: list[str]) -> Iterator[str]:
    """Start a scheduler on the first host and a worker on each of the others."""
    address = f"tcp://{NET}.11:8786"
    first, *others = hosts
    calls: list[tuple[str, tuple[str, ...]]] = [(first, ("scheduler", "--host", f"{NET}.11"))]
    calls += [(name, ("worker", address, "--nworkers", "1", "--nthreads", "1")) for name in others]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            ["ip", "netns", "exec", name, *DASK, *words],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, words in calls
    ]
    try:
        with connect(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


def test_hosts_that_meet_over_a_network_fit_the_model_of_one_machine(scheduler: str) -> None:
    config = small_config(scale={"scheduler": scheduler, "workers": 2})
    local = build(LocalEngine(), small_bars(), config)
    plain, schedule = trainer_of(local, LocalEngine(), config)
    with open_cluster(config.scale, config.model) as cluster:
        places = {address.rpartition(":")[0] for address in cluster.workers()}
        assert places == {f"tcp://{NET}.12", f"tcp://{NET}.13"}
        engine = DaskEngine(cluster)
        there = build(engine, small_bars(), config)
        ours, _ = trainer_of(there, engine, config)
        fold = schedule.folds[-1]
        here, found = (trainer.fold(fold, schedule.holdout_start) for trainer in (plain, ours))
        np.testing.assert_allclose(found.forecast, here.forecast, rtol=0, atol=1e-6)
        assert np.ptp(here.forecast) > 1e-3
