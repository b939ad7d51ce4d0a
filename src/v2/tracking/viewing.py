"""Which command shows what is in a store: the plain one, or one with flags that lead there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from src.v2.config_sources import load_config
from src.v2.console import mask_secrets
from src.v2.errors import ConfigError
from src.v2.tracking.uris import parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig
    from src.v2.tracking.tracked_run import TrackedRun


def how_to_see(config: MlflowConfig, run: TrackedRun) -> str:
    """Say what shows a run in a browser.

    Returns
    -------
    str
        The page of a tracking server; otherwise ``make mlflow``, or the command with the flags
        that lead to this store where the settings of a plain call lead to another one.
    """
    if parse_address(config.tracking_uri).kind == "http":
        return f"see it at: {run.page}"
    flags = flags_to(config, "tracking_uri", "experiment_name")
    command = f"python -m src.v2.runs --ui {flags}" if flags else "make mlflow"
    return f"see it with: {command}"


def registry_command(config: MlflowConfig, door: str) -> str:
    """Name the command of a door, as ``predict``, that finds the same registered model."""
    flags = flags_to(config, "tracking_uri", "registered_model_name")
    return f"python -m src.v2.{door} {flags}" if flags else f"make {door}"


def flags_to(config: MlflowConfig, *names: str) -> str:
    """Give the flags that a command needs to find the same store, experiment or model.

    Parameters
    ----------
    names
        Settings that matter to the command.

    Returns
    -------
    str
        To be pasted into a shell, passwords aside; empty where the files and variables of this
        place say the same.
    """
    try:
        plain = load_config().mlflow
    except ConfigError:
        plain = None
    flags = []
    for name in names:
        value = str(getattr(config, name))
        if name == "tracking_uri":
            value = parse_address(value).uri
        if plain is not None and value == _plain_value(plain, name):
            continue
        flags += [f"--mlflow.{name.replace('_', '-')}", mask_secrets(value)]
    return shlex.join(flags)


def _plain_value(plain: MlflowConfig, name: str) -> str:
    value = str(getattr(plain, name))
    try:
        return parse_address(value).uri if name == "tracking_uri" else value
    except ConfigError:
        return ""
