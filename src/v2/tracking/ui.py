"""MLflow's web pages for the configured store, on this machine only.

The server runs inside this process: one process, which ends when it is interrupted. Of what
MLflow 3 serves beside the pages, the assistant (it can run shell commands for whoever
reaches the port), the job runner, the AI gateway, webhooks and whatever calls a language
model are shut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.errors import TrackingError
from src.v2.tracking.complaints import quiet_libraries, reason_of
from src.v2.tracking.local_server import (
    HOST,
    Application,
    Receive,
    Scope,
    Send,
    bind_port,
    ended_by_the_user,
    run_application,
    say,
)
from src.v2.tracking.lost_runs import end_lost_runs
from src.v2.tracking.query import experiment_id
from src.v2.tracking.store import open_store
from src.v2.tracking.uris import StoreAddress, parse_address, without_user

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

SHUT = (
    "/ajax-api/3.0/mlflow/assistant",
    "/ajax-api/3.0/mlflow/genai",
    "/ajax-api/3.0/mlflow/issues",
    "/ajax-api/3.0/mlflow/scorer",
    "/ajax-api/3.0/jobs",
    "/ajax-api/2.0/mlflow/gateway-proxy",
    "/ajax-api/2.0/mlflow/webhooks",
    "/api/2.0/mlflow/webhooks",
    "/gateway",
)
"""Beginnings of the paths that are answered with 404."""

SHUT_ANYWHERE = "/prompt-optimization"
"""Part of a path that is answered with 404."""


def serve_ui(config: MlflowConfig, port: int) -> None:
    """Serve MLflow's pages until interrupted; an absent store is created first.

    Ctrl-C is how one stops a server, so that it ends this in peace; other signals go on up.
    For a tracking server its own address is shown instead.

    Raises
    ------
    ConfigError
        When the port is taken.
    TrackingError
        When the store cannot be reached, or this MLflow cannot be served.
    """
    address = parse_address(config.tracking_uri)
    if address.kind == "http":
        page = _page(without_user(address.uri).rstrip("/"), experiment_id(config))
        say(f"The tracking server shows its runs itself. Open {page}")
        return
    listener = bind_port(port, "runs.port", "make mlflow")
    with listener, ended_by_the_user():
        say("Starting MLflow's pages, a few seconds ...")
        store = open_store(config)
        ended = end_lost_runs(store)
        if ended:
            say(f"{ended[0].upper()}{ended[1:]}.")
        page = _page(f"http://{HOST}:{port}", store.experiment_id)
        run_application(_load_application(address), listener, f"Open {page}  (Ctrl-C ends it)")


def _load_application(address: StoreAddress) -> Application:
    """Load MLflow's server for a store, with what is not needed switched off."""
    root = address.artifact_root or address.path or Path("mlruns").absolute()
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = address.uri
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = root.as_uri()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.environ["MLFLOW_ENABLE_AI_GATEWAY"] = "false"
    os.environ["MLFLOW_ENABLE_REMOTE_ASSISTANT"] = "false"
    try:
        # MLflow guards its pages only where a server module is loaded before it.
        import uvicorn  # noqa: F401

        with quiet_libraries():
            from mlflow.server.fastapi_app import app
    except Exception as error:
        raise TrackingError(
            f"MLflow's pages must be servable by the installed version; got: {reason_of(error)}. "
            "Install the versions of requirements.lock."
        ) from error
    return shut_paths(app)


def shut_paths(application: Application) -> Application:
    """Answer the paths of `SHUT`, and `SHUT_ANYWHERE`, before the application sees them."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if path.startswith(SHUT) or SHUT_ANYWHERE in path:
            await _refuse(scope, send)
        else:
            await application(scope, receive, send)

    return guarded


async def _refuse(scope: Scope, send: Send) -> None:
    """Refuse a request or a socket."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Switched off in omninmo."})


def _page(server: str, experiment: str | None) -> str:
    """Name the page of the experiment's runs; MLflow's own choice may be that of traces."""
    if not experiment:
        return server
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"
