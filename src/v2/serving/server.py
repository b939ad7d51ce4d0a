"""The HTTP server of a package: MLflow's own scoring server behind the guard, on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.v2.errors import OmninmoError, TrackingError
from src.v2.serving.bodies import MOST_COLUMNS
from src.v2.serving.guard import guarded
from src.v2.tracking.complaints import quiet_libraries, reason_of
from src.v2.tracking.local_server import HOST, MOST_CONNECTIONS, run_application
from src.v2.tracking.store import set_environment

if TYPE_CHECKING:
    import socket

    from src.v2.tracking.local_server import Application

WAIT_SECONDS = "300"
"""Seconds after which a request is given up, those whose ranking it waits for included."""


def scoring_application(package: Path) -> Application:
    """Load a package into MLflow's scoring server, behind `src.v2.serving.guard`.

    Raises
    ------
    OmninmoError
        When the package's model or bars cannot be used.
    TrackingError
        When MLflow cannot load it.
    """
    set_environment()
    os.environ.setdefault("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", WAIT_SECONDS)
    try:
        with quiet_libraries():
            import mlflow.pyfunc
            from mlflow.pyfunc import scoring_server

            load: Any = mlflow.pyfunc.load_model
            init: Any = scoring_server.init
            model = load(str(package))
            known = len(model.metadata.get_input_schema().input_names())
            return guarded(init(model), max(MOST_COLUMNS, known))
    except OmninmoError:
        raise
    except Exception as error:
        raise TrackingError(
            f"{package} must be a package that the installed MLflow can serve; got: "
            f"{reason_of(error)}. Build it again: python -m src.v2.serve --build-only FOLDER."
        ) from error


def serve_package(package: Path, listener: socket.socket) -> None:
    """Serve a package until interrupted."""
    application = scoring_application(package)
    port = listener.getsockname()[1]
    welcome = f"POST bars to http://{HOST}:{port}/invocations  (Ctrl-C ends it)"
    run_application(application, listener, welcome, MOST_CONNECTIONS)
