"""Opening MLflow's store: its environment, its database file, its experiment.

MLflow is imported inside the functions only, after its environment is set. All of it may
run on a background thread while the main thread computes.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.v2.errors import ConfigError, TrackingError
from src.v2.tracking.complaints import OFF, quiet_libraries, refusals
from src.v2.tracking.sqlite_file import check_file, exclusive_use, is_empty, tune_connections
from src.v2.tracking.uris import StoreAddress, artifact_folder, parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

logger = logging.getLogger(__name__)

HEALTH_TIMEOUT_SEC = 5
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, slots=True)
class Store:
    """An open store and the experiment in it that runs go to."""

    address: StoreAddress
    client: Any
    experiment_id: str


def prepare_store(config: MlflowConfig) -> None:
    """Make the store ready: import MLflow, create the database and the experiment.

    Everything is done once; a second call finds it done. It may run on a background
    thread, and in several processes at once.

    Raises
    ------
    ConfigError
        When MLflow is not installed, or the URI names no store.
    TrackingError
        When the store cannot be reached or written.
    """
    if not config.enabled:
        return
    open_store(config)
    if config.log_artifacts:
        # The slow part of saving a model is this import.
        with quiet_libraries():
            importlib.import_module("mlflow.xgboost")


def open_store(config: MlflowConfig) -> Store:
    """Open the store for writing and find or create the experiment."""
    address = parse_address(config.tracking_uri)
    with refusals(address):
        client = open_client(address)
        with _exclusive(address):
            experiment_id = _experiment_id(client, address, config.experiment_name)
    return Store(address, client, experiment_id)


def open_client(address: StoreAddress) -> Any:
    """Give MLflow's client of a store; a new SQLite file gets its tables here."""
    client_class = import_mlflow(address).MlflowClient
    if address.kind == "http":
        _check_server(address)
    with _exclusive(address):
        if address.path is not None and address.kind == "sqlite":
            check_file(address.path)
            tune_connections(address.path)
        with quiet_libraries():
            return client_class(tracking_uri=address.uri, registry_uri=address.uri)


def is_missing(address: StoreAddress) -> bool:
    """Tell whether a local store was never made."""
    if address.path is None:
        return False
    return is_empty(address.path) if address.kind == "sqlite" else not address.path.is_dir()


def set_environment() -> None:
    """Set MLflow's environment where the user has not: no telemetry, no progress bars."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def import_mlflow(address: StoreAddress) -> Any:
    """Set MLflow's environment where the user has not, then import it."""
    set_environment()
    if address.kind == "folder" and "MLFLOW_ALLOW_FILE_STORE" not in os.environ:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        logger.info(
            "The tracking store %s is a folder of files, which MLflow only maintains; "
            "a script of your own needs MLFLOW_ALLOW_FILE_STORE=true to open it.",
            address.shown,
        )
    try:
        with quiet_libraries():
            import mlflow
    except ImportError as error:
        raise ConfigError(
            "mlflow.enabled is true but mlflow is not installed; "
            "install it or set mlflow.enabled: false."
        ) from error
    # Tracebacks of database errors and of interrupts would stand beside our one line.
    for name in ("mlflow.store.db.utils", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _exclusive(address: StoreAddress) -> contextlib.AbstractContextManager[None]:
    """Let one process at a time create tables and experiments in a SQLite file."""
    if address.kind != "sqlite" or address.path is None:
        return contextlib.nullcontext()
    return exclusive_use(address.path)


def _check_server(address: StoreAddress) -> None:
    """Ask the server for a sign of life before MLflow's slow retries begin."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    request: Any = http_request
    credentials: Any = get_default_host_creds
    try:
        answer = request(
            credentials(address.uri),
            "/health",
            "GET",
            max_retries=0,
            timeout=HEALTH_TIMEOUT_SEC,
            raise_on_status=False,
        )
    except Exception as error:
        raise TrackingError(
            f"The MLflow server {address.shown} must answer within {HEALTH_TIMEOUT_SEC} seconds; "
            f"it gave nothing. Start it, correct mlflow.tracking_uri, {OFF}."
        ) from error
    if answer.status_code in (401, 403):
        raise TrackingError(
            f"The MLflow server {address.shown} refuses this user (HTTP {answer.status_code}). "
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        )
    if answer.status_code >= 500:
        raise TrackingError(
            f"The MLflow server {address.shown} must be healthy; got HTTP {answer.status_code}. "
            f"Look at its log, {OFF}."
        )


def _experiment_id(client: Any, address: StoreAddress, name: str) -> str:
    """Find the experiment, or create it with an absolute place for its files."""
    found = client.get_experiment_by_name(name)
    if found is None:
        root = address.artifact_root
        place = None if root is None else artifact_folder(root, name).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except Exception:
            # Another process may have created it in between, as a server takes no lock of ours.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"The experiment {name!r} was deleted in MLflow. Restore it with `mlflow experiments "
            f"restore --experiment-id {found.experiment_id}`, or name another one: "
            "--mlflow.experiment-name NAME."
        )
    return str(found.experiment_id)
