from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import ConfigError, Interrupted
from src.v2.tests.tracking.conftest import ROOT, free_port, wait_for
from src.v2.tracking import ui


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The pages of a store that did not exist before; Ctrl-C ends them at the end."""
    folder = tmp_path_factory.mktemp("ui")
    port = free_port()
    words = ["--ui", "--port", str(port), "--tracking-uri", f"sqlite:///{folder}/mlruns.db"]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "src.v2.runs", *words],
            cwd=ROOT,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield folder, port
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()
            process.wait()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert (folder / "err").read_text().endswith("stopped.\n")
    assert "Traceback" not in (folder / "err").read_text()


def status(port: int, path: str, **more: Any) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", **more)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_pages_are_served_and_the_dangerous_paths_are_not(served: tuple[Path, int]) -> None:
    folder, port = served
    assert status(port, "/") == 200
    assert status(port, "/ajax-api/2.0/mlflow/experiments/get?experiment_id=1") == 200
    for method, path in (
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/providers"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("POST", "/ajax-api/3.0/mlflow/%61ssistant/message"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("GET", "/ajax-api/3.0/jobs/1"),
        ("POST", "/gateway/any/mlflow/invocations"),
        ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("GET", "/ajax-api/3.0/mlflow/scorers/list"),
        ("POST", "/ajax-api/3.0/mlflow/issues/invoke"),
        ("POST", "/api/3.0/mlflow/prompt-optimization/jobs"),
        ("POST", "/ajax-api/3.0/mlflow/prompt-optimization/jobs/search"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("POST", "/ajax-api/2.0/mlflow/webhooks/1/test"),
    ):
        data = b"{}" if method != "GET" else None
        assert status(port, path, method=method, data=data) == 404, path
    assert status(port, "/ajax-api/3.0/mlflow/gateway/secrets/list") == 501
    assert status(port, "/", headers={"Host": "evil.example"}) == 403
    assert (folder / "mlruns.db").is_file()
    page = f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning"
    assert f"Open {page}" in (folder / "out").read_text()


def test_the_pages_listen_on_this_machine_only(served: tuple[Path, int]) -> None:
    _, port = served
    with socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex(("127.0.0.2", port)) != 0


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"{port} is in use.*make mlflow PORT={port + 1}"):
            ui.serve_ui(MlflowConfig(), port)
    assert list(tmp_path.iterdir()) == []


def test_a_tracking_server_shows_its_own_address(
    http_store: MlflowConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    ui.serve_ui(http_store, 5000)
    assert f"Open {http_store.tracking_uri}" in capsys.readouterr().out


@pytest.mark.parametrize("error", [Interrupted("SIGINT", 130), KeyboardInterrupt()])
def test_ctrl_c_is_a_calm_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    monkeypatch.setattr(ui, "open_store", raiser(error))
    ui.serve_ui(MlflowConfig(), free_port())
    assert capsys.readouterr().err == "stopped.\n"


def test_other_signals_keep_their_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "open_store", raiser(Interrupted("SIGTERM", 143)))
    with pytest.raises(Interrupted, match="SIGTERM"):
        ui.serve_ui(MlflowConfig(), free_port())


def raiser(error: BaseException) -> Callable[[object], None]:
    def fail(_: object) -> None:
        raise error

    return fail


def test_a_web_socket_on_a_shut_path_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    async def never(*_: Any) -> None:
        raise AssertionError

    scope = {"type": "websocket", "path": "/gateway/x"}
    answer: Any = ui.shut_paths(never)(scope, receive, send)
    asyncio.run(answer)
    assert [message["type"] for message in sent] == ["websocket.close"]
