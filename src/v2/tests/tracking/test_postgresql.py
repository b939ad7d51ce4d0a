"""A PostgreSQL server as the store of runs, on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.v2 import predict, promote, runs
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.tracking.conftest import ROOT, free_port, wait_for
from src.v2.tests.workplace import Workplace

pytestmark = pytest.mark.slow
OWNER = "postgres"
"""Who runs the server where the tests are run by root, whom it refuses."""


def _program(name: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, places)]))
    if found is None:
        pytest.skip(f"no PostgreSQL: {name} is not installed (apt install postgresql)")
    return found


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """Start a server of the test's own, with an empty database."""
    pytest.importorskip("psycopg", reason="no driver: pip install 'psycopg[binary]'")
    make, start = _program("initdb"), _program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="omninmo-pg-"))
    user = None
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, OWNER)
        except LookupError:
            pytest.skip(f"PostgreSQL refuses root, and there is no user {OWNER}")
        user = OWNER
    name = OWNER if user else pwd.getpwuid(os.geteuid()).pw_name
    port, data = free_port(), str(folder / "data")

    def run(*words: str) -> None:
        subprocess.run(words, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        run(make, "--pgdata", data, "--auth", "trust", "--no-sync", "--username", name)
        settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run(start, "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start")
        yield f"postgresql://{name}@127.0.0.1:{port}/postgres"
        run(start, "-D", data, "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_model_is_trained_registered_and_used_on_it(
    uri: str, make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(24, 700, 1))
    store = ("--mlflow.tracking-uri", uri)
    quick = ("--features.families", "momentum", "--validation.test-sessions", "100")
    assert place.train(bars, *store, *quick, "--register") == 0
    assert "registered as version 1 of stock_prediction" in " ".join(
        capsys.readouterr().out.split()
    )
    words = [*place.flags(), *store]
    assert promote.main([*words, "--force", "--reason", "a test"]) == 0
    champion = ["--model", "models:/stock_prediction@champion"]
    assert predict.main([*words, *champion, "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert "version 1 (champion)" in shown.err
    assert runs.main(["--tracking-uri", uri, "--filter", "metrics.verdict < 2"]) == 0
    assert "xgboost_regression_5d" in capsys.readouterr().out


def test_its_pages_are_served(uri: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "src.v2.runs", "--ui", "--port", str(port), "--tracking-uri", uri],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name"
        with urllib.request.urlopen(f"{address}?experiment_name=stock_prediction") as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
