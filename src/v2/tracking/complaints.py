"""What a store complains about, as one line with the remedy."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from src.v2.console import mask_secrets
from src.v2.errors import OmninmoError, TrackingError
from src.v2.tracking.uris import StoreAddress

OFF = "or train without tracking: --mlflow.enabled false"
_OTHER_SCHEMA = re.compile(
    r"found version (\w+), but expected|Can't locate revision identified by '(\w+)'"
)


@contextlib.contextmanager
def refusals(address: StoreAddress) -> Iterator[None]:
    """Turn whatever the store refuses with into one line that names the store.

    Warnings of the libraries inside are dropped: the user cannot act on them, and where
    Python turns warnings into errors they would end the run.
    """
    try:
        with quiet_libraries():
            yield
    except OmninmoError:
        raise
    except Exception as error:
        raise TrackingError(_one_line(reason_of(error), address)) from error


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop warnings, for calls into MLflow and what it stands on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reason_of(error: BaseException) -> str:
    """Say in one line, without passwords, what a library complains about."""
    text = str(getattr(error, "message", None) or error).strip() or type(error).__name__
    lines = [line for line in text.splitlines() if not line.startswith(("[SQL", "(Background"))]
    return mask_secrets(" ".join(" ".join(lines).split())).rstrip(".")[:500]


def damaged(database: object) -> str:
    """Say that a database is beyond repair by us."""
    return (
        f"MLflow's database {database} is damaged (database disk image is malformed). "
        "Restore a copy of it, or move it aside with its -wal and -shm files "
        "so that a new one is made."
    )


def _one_line(reason: str, address: StoreAddress) -> str:
    """Say what is wrong with a store and what to do."""
    shown = address.shown
    if "disk image is malformed" in reason:
        return damaged(shown)
    schema = _OTHER_SCHEMA.search(reason)
    if schema is None:
        return (
            f"MLflow's store {shown} must be usable; got: {reason}. "
            f"Check mlflow.tracking_uri and the space and rights there, {OFF}."
        )
    found = schema[1] or schema[2]
    if _is_older(found):
        return (
            f"MLflow's store {shown} has an older database schema ({found}) than the installed "
            f"MLflow. Make a copy of it, then run `mlflow db upgrade {shown}`."
        )
    return (
        f"MLflow's store {shown} has a database schema ({found}) that the installed MLflow does "
        f"not know; a newer MLflow made it. Update mlflow, name another store, {OFF}."
    )


def _is_older(revision: str) -> bool:
    """Tell whether the installed MLflow knows a schema, and so can upgrade it."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        return False
    steps = Path(spec.origin).parent / "store" / "db_migrations" / "versions"
    return any(steps.glob(f"{revision}_*.py"))
