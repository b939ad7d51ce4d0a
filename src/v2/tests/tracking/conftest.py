"""Real stores: a SQLite file made once and copied, a folder of files, a server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import MlflowConfig
from src.v2.tracking.store import open_client
from src.v2.tracking.uris import parse_address

ROOT = Path(__file__).resolve().parents[4]
FEATURES = ("momentum_21", "volatility_63", "rank_5")
CLASSES = {"regression": (), "binary": ("down", "up"), "rating": ("SS", "S", "H", "B", "SB")}
_OBJECTIVES: dict[str, dict[str, Any]] = {
    "regression": {"objective": "reg:squarederror"},
    "binary": {"objective": "binary:logistic"},
    "rating": {"objective": "multi:softprob", "num_class": 5},
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in a folder of the test's own, and put MLflow's environment back."""
    before = {name: value for name, value in os.environ.items() if "MLFLOW" in name}
    monkeypatch.chdir(tmp_path)
    yield
    for name in [name for name in os.environ if "MLFLOW" in name]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a run, made once."""
    path = tmp_path_factory.mktemp("template") / "mlruns.db"
    open_client(parse_address(f"sqlite:///{path}"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def sqlite_store(empty_database: Path, tmp_path: Path) -> MlflowConfig:
    shutil.copy(empty_database, tmp_path / "mlruns.db")
    return MlflowConfig(tracking_uri=f"sqlite:///{tmp_path / 'mlruns.db'}")


@pytest.fixture
def folder_store(tmp_path: Path) -> MlflowConfig:
    return MlflowConfig(tracking_uri=f"file:{tmp_path / 'mlruns'}")


@pytest.fixture(scope="session")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server that also keeps the files, over HTTP."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    words = ["server", "--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    words += ["--artifacts-destination", str(folder / "files"), "--workers", "1"]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    quiet = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            env={**os.environ, **quiet},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def http_store(server_uri: str) -> MlflowConfig:
    return MlflowConfig(tracking_uri=server_uri)


@pytest.fixture(params=["sqlite", "folder", "http"])
def any_store(request: pytest.FixtureRequest) -> MlflowConfig:
    """Each kind of store in turn, with an experiment of the test's own."""
    store: MlflowConfig = request.getfixturevalue(f"{request.param}_store")
    return store.model_copy(update={"experiment_name": f"experiment of {request.node.name}"})


@pytest.fixture(scope="session")
def boosters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny fitted booster of each kind, as a file."""
    import xgboost

    folder = tmp_path_factory.mktemp("boosters")
    generator = np.random.default_rng(7)
    rows = generator.normal(size=(200, len(FEATURES))).astype(np.float32)
    labels = {
        "regression": rows[:, 0],
        "binary": (rows[:, 0] > 0).astype(float),
        "rating": np.digitize(rows[:, 0], [-1, -0.3, 0.3, 1]).astype(float),
    }
    for kind, label in labels.items():
        data = xgboost.DMatrix(rows, label, feature_names=list(FEATURES))
        booster = xgboost.train({**_OBJECTIVES[kind], "max_depth": 2, "seed": 1}, data, 5)
        booster.save_model(folder / f"{kind}.ubj")
    return {kind: folder / f"{kind}.ubj" for kind in labels}


@pytest.fixture(scope="session")
def example() -> pl.DataFrame:
    """Rows to score, one of them with a missing feature."""
    rows = np.random.default_rng(8).normal(size=(10, len(FEATURES))).astype(np.float32)
    rows[1, 2] = np.nan
    return pl.DataFrame(rows, schema=list(FEATURES))


@pytest.fixture
def client_of() -> Callable[[MlflowConfig], Any]:
    """MLflow's own client of a store, to read back what was written."""
    return lambda config: open_client(parse_address(config.tracking_uri))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    """Wait until a server answers; a server that ended is an error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer in {seconds} seconds")
