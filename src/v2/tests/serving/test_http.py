"""Real servers: this project's door, and ``mlflow models serve`` on the same package."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.tests.serving.conftest import Served
from src.v2.tests.tracking.conftest import ROOT, free_port, wait_for
from src.v2.tracking.waiting import HEAD_SECONDS

pytestmark = pytest.mark.slow


@contextmanager
def running(
    words: list[str], port: int, folder: Path, cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, and its whole process group with it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            words, cwd=cwd, stdout=out, stderr=err, start_new_session=True, env=settings
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", process)
            yield process
        finally:
            process.kill()
            process.wait()


def ask(port: int, body: Any, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=data,
        headers={"Content-Type": kind} | headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def moved(rows: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    """One bar in so many versions, no two with the same prices."""
    prices = pl.col("open", "high", "low", "close")
    return [
        rows.head(1).with_columns(prices * (1 + number / 100)).to_dicts()[0]
        for number in range(count)
    ]


def ask_slowly(port: int, body: Any) -> None:
    """Send a request in pieces, and a second one over the same connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = json.dumps(body).encode()
    for _ in range(2):
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(data)))
        connection.endheaders()
        for start in range(0, len(data), 50):
            connection.send(data[start : start + 50])
            time.sleep(0.02)
        answer = connection.getresponse()
        assert (answer.status, len(json.loads(answer.read())["predictions"])) == (200, 2)
    connection.close()


def bad_bodies(record: dict[str, Any]) -> dict[str, Any]:
    """Requests that must be refused, by what is wrong."""
    lacking = {name: value for name, value in record.items() if name != "close"}
    records = {
        "missing column": [lacking],
        "text for a number": [record | {"close": "dear"}],
        "number for a ticker": [record | {"ticker": 5}],
        "NaN": [record | {"close": float("nan")}],
        "null": [record | {"close": None}],
        "nested cell": [record | {"close": {"a": [1]}}],
        "huge number": [record | {"close": 10**400}],
        "a year before the first": [record | {"date": "0000-01-01"}],
        "empty": [],
        "unknown ticker": [record | {"ticker": "NEW"}],
        "unknown date": [record | {"date": "2035-01-05"}],
        "no date": [record | {"date": "soon"}],
        "twice": [record, record],
    }
    return {what: {"dataframe_records": rows} for what, rows in records.items()} | {
        "short history": {"dataframe_records": [record], "params": {"as_of": "2011-06-01"}},
        "parameter of another type": {"dataframe_records": [record], "params": {"as_of": [1]}},
        "no known field": {"rows": [record]},
        "a list": [record],
        "a conversation": {"messages": [{"role": "user", "content": "hello"}]},
        "no JSON": b"{close",
        "no UTF-8": b"\xff\xfe",
        "nothing": b"",
    }


def heavy_bodies(record: dict[str, Any]) -> dict[str, Any]:
    """Requests that the door refuses, and MLflow alone does not or at great cost."""
    own = [{f"c{number}": 1} for number in range(8000)]
    split = {"columns": [*record, "close"], "data": [[*record.values(), 1.0]]}
    return {
        "columns by the thousand": {"dataframe_records": own},
        "a column twice": {"dataframe_split": split},
        "true for a price": {"dataframe_records": [record | {"close": True}]},
    }


def test_idle_connections_are_closed_and_keep_nobody_out(served: Served, tmp_path: Path) -> None:
    port = free_port()
    words = [sys.executable, "-m", "src.v2.serve", *served.place.flags()]
    words += ["--model", str(served.package), "--port", str(port)]
    with running(words, port, tmp_path, ROOT), ExitStack() as idle:
        for _ in range(80):
            idle.enter_context(socket.create_connection(("127.0.0.1", port)))
        time.sleep(HEAD_SECONDS + 2)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            assert answer.status == 200


def test_the_door_answers_and_refuses_over_http(served: Served, tmp_path: Path) -> None:
    port = free_port()
    words = [sys.executable, "-m", "src.v2.serve", *served.place.flags()]
    words += ["--model", str(served.package), "--port", str(port)]
    with running(words, port, tmp_path, ROOT) as process:
        rows = served.rows("T003", "T009")
        expected = served.scorer.answer(rows)
        split = {"columns": rows.columns, "data": [list(row) for row in rows.iter_rows()]}
        for body in (
            {"dataframe_split": split},
            {"dataframe_records": rows.to_dicts()},
            {"inputs": rows.to_dicts()},
        ):
            status, answer = ask(port, body)
            assert status == 200
            found = answer["predictions"]
            assert [row["score"] for row in found] == expected["score"].to_list()
            assert [row["reasons"] for row in found] == expected["reasons"].to_list()
        status, answer = ask(port, rows.write_csv().encode(), "text/csv")
        assert (status, len(answer["predictions"])) == (200, 2)
        deep = b'{"dataframe_records":' + b"[" * 100_000
        record = rows.to_dicts()[0]
        refused = bad_bodies(record) | heavy_bodies(record) | {"nested too deeply": deep}
        for what, body in refused.items():
            status, answer = ask(port, body)
            assert status == 400, what
            assert set(answer) == {"error_code", "message"}, what
            assert 20 < len(answer["message"]) < 1100, what
            assert "Traceback" not in answer["message"], what
        assert ask(port, b"x" * 10_000_000)[0] == 413
        assert ask(port, b"x", "text/plain")[0] == 415
        assert ask(port, {}, Host="evil.example")[0] == 403
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex(("127.0.0.2", port)) != 0
        wide = ",".join(f"c{number}" for number in range(200_000)) + "\n1\n"
        assert ask(port, wide.encode(), "text/csv")[0] == 400
        truth = rows.with_columns(pl.lit(True).alias("close")).write_csv()
        assert "'close' of row 1" in ask(port, truth.encode(), "text/csv")[1]["message"]
        endless = json.dumps({"dataframe_split": split}).replace('"T003"', "1" * 5000, 1)
        assert ask(port, endless.encode())[0] == 400
        ask_slowly(port, {"dataframe_split": split})
        with ThreadPoolExecutor(20) as pool:
            bodies = [{"dataframe_records": [row]} for row in moved(rows, 20)]
            answers = list(pool.map(lambda body: ask(port, body), bodies))
        assert {status for status, _ in answers} == {200}
        assert len({answer["predictions"][0]["close"] for _, answer in answers}) == 20
        assert ask(port, {"dataframe_split": split})[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    told = (tmp_path / "err").read_text()
    assert told.endswith("stopped.\n")
    assert "Traceback" not in told
    assert f"POST bars to http://127.0.0.1:{port}/invocations" in (tmp_path / "out").read_text()


def test_mlflow_serves_the_package_by_itself(served: Served, tmp_path: Path) -> None:
    port = free_port()
    mlflow = str(Path(sys.executable).parent / "mlflow")
    words = [mlflow, "models", "serve", "-m", str(served.package), "--env-manager", "local"]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    with running(words, port, tmp_path, tmp_path) as process:
        rows = served.rows("T003")
        status, answer = ask(port, {"dataframe_records": rows.to_dicts()})
        assert status == 200
        assert answer["predictions"][0]["score"] == served.scorer.answer(rows)["score"][0]
        for what, body in bad_bodies(rows.to_dicts()[0]).items():
            status, answer = ask(port, body)
            assert status == 400, what
            assert "stack_trace" not in answer, what
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
