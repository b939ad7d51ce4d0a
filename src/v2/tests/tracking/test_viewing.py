"""The command that is said to show a run, or to find a model, really leads there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from src.v2.config import MlflowConfig
from src.v2.config_sources import load_config
from src.v2.tracking.runs import training_run
from src.v2.tracking.uris import parse_address
from src.v2.tracking.viewing import flags_to, how_to_see, registry_command

NAMES = ("tracking_uri", "experiment_name", "registered_model_name")


def test_the_store_of_a_plain_call_needs_no_flags(tmp_path: Path) -> None:
    assert flags_to(load_config().mlflow, *NAMES) == ""
    assert flags_to(MlflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlruns.db"), *NAMES) == ""
    assert registry_command(MlflowConfig(), "predict") == "make predict"


@pytest.mark.parametrize("uri", ["sqlite:///other place/it's $HOME.db", "folder of files"])
def test_flags_lead_to_the_same_store_when_they_are_pasted(uri: str) -> None:
    there = MlflowConfig(
        tracking_uri=uri, experiment_name="mine & yours", registered_model_name="a b"
    )
    found = load_config(shlex.split(flags_to(there, *NAMES))).mlflow
    assert parse_address(found.tracking_uri) == parse_address(uri)
    assert (found.experiment_name, found.registered_model_name) == ("mine & yours", "a b")
    command = registry_command(there, "promote")
    assert command.startswith("python -m src.v2.promote --mlflow.tracking-uri ")
    assert "experiment" not in command


def test_files_and_variables_of_the_place_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("mlflow: {tracking_uri: 'sqlite:///own.db'}\n")
    assert flags_to(MlflowConfig(tracking_uri="sqlite:///own.db"), *NAMES) == ""
    assert "mlruns.db" in flags_to(MlflowConfig(), *NAMES)
    monkeypatch.setenv("OMNINMO_MLFLOW__TRACKING_URI", "sqlite:///mlruns.db")
    assert flags_to(MlflowConfig(), *NAMES) == ""


def test_settings_that_do_not_load_are_no_error_here(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mlflow: {tracking_urk: x}\n")
    assert "mlruns.db" in flags_to(MlflowConfig(), "tracking_uri")


def test_no_password_is_printed() -> None:
    shown = flags_to(MlflowConfig(tracking_uri="postgresql://ann:secret@host/db"), *NAMES)
    assert "secret" not in shown and "host/db" in shown


def test_a_server_shows_its_runs_itself_and_a_file_needs_the_command(
    sqlite_store: MlflowConfig, http_store: MlflowConfig
) -> None:
    with training_run(http_store, run_name="r") as run:
        assert how_to_see(http_store, run) == f"see it at: {run.page}"
        assert run.page.startswith(http_store.tracking_uri)
    with training_run(sqlite_store, run_name="r") as run:
        assert how_to_see(sqlite_store, run) == "see it with: make mlflow"
        elsewhere = sqlite_store.model_copy(update={"tracking_uri": "sqlite:///else.db"})
        assert "python -m src.v2.runs --ui --mlflow.tracking-uri" in how_to_see(elsewhere, run)
