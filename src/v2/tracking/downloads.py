"""Files of a run, fetched from the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.errors import DataError
from src.v2.tracking.complaints import refusals
from src.v2.tracking.store import is_missing, open_client
from src.v2.tracking.uris import parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def download_files(
    config: MlflowConfig, run_id: str, names: Sequence[str], folder: Path
) -> tuple[Path, ...]:
    """Fetch those of the named files that a run keeps.

    Parameters
    ----------
    names
        Artifact paths at the top of the run.
    folder
        Where they are put; it exists.

    Returns
    -------
    tuple
        The local files.

    Raises
    ------
    DataError
        When the store holds no such run, or the run none of the files.
    TrackingError
        When the store cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    address = parse_address(config.tracking_uri)
    if is_missing(address):
        raise DataError(f"MLflow's store {address.shown} holds no run yet. make train adds one.")
    with refusals(address):
        client = open_client(address)
        try:
            client.get_run(run_id)
        except MlflowException as error:
            if getattr(error, "error_code", "") not in _UNKNOWN:
                raise
            raise DataError(
                f"MLflow's store {address.shown} has no run {run_id[:64]!r}. List its runs with "
                "make runs."
            ) from error
        there = {item.path for item in client.list_artifacts(run_id)}
        kept = [name for name in names if name in there]
        if not kept:
            raise DataError(
                f"The run {run_id} keeps none of {', '.join(names)}: it was logged by another "
                "version, without files, or did not finish."
            )
        return tuple(Path(client.download_artifacts(run_id, name, str(folder))) for name in kept)
