"""The guides' own lines, run by a user's script on a store that training wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from src.v2.config import MlflowConfig
from src.v2.tests.tracking.conftest import ROOT
from src.v2.tests.workplace import Workplace
from src.v2.tracking.runs import training_run

EPOCHS = """
import mlflow
epochs, train_step, validate = 3, lambda: 0.5, lambda: 0.6

mlflow.set_tracking_uri("sqlite:///mlruns.db")
mlflow.set_experiment("Financial-forecasting-pipeline")

with mlflow.start_run(run_name="exp_B_optimized"):
    mlflow.log_params({"learning_rate": 0.01, "dropout": 0.05})
    for epoch in range(epochs):
        mlflow.log_metrics({"train_loss": train_step(), "val_loss": validate()}, step=epoch)
    mlflow.log_metrics({"test_r2": 0.01, "test_mse": 0.0049})
print(mlflow.last_active_run().data.metrics["test_r2"])
"""

BEST_RUN = """
import mlflow

mlflow.set_tracking_uri("sqlite:///mlruns.db")
experiment = mlflow.get_experiment_by_name("stock_prediction")
runs = mlflow.search_runs(experiment_ids=[experiment.experiment_id])
best_run = runs.sort_values("metrics.final_r2", ascending=False).iloc[0]
print(f"Best run: {best_run.run_id}, R²: {best_run['metrics.final_r2']}")
"""

BEST_MODEL = """
import mlflow

mlflow.set_tracking_uri("sqlite:///mlruns.db")
run_results = mlflow.search_runs(search_all_experiments=True)
best_run_artifact_uri = run_results.loc[run_results["metrics.accuracy"].idxmax(), "artifact_uri"]
best_model = mlflow.pyfunc.load_model(f"{best_run_artifact_uri}/model")
print(f"Loaded best model from artifacts location: {best_model}")
"""


def run_script(text: str, folder: Path) -> str:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    answer = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def trained(sqlite_store: MlflowConfig, boosters: dict[str, Path], example: pl.DataFrame) -> str:
    """Two training runs; gives the id of the better one."""
    for score in (-0.02, 0.01):
        with training_run(sqlite_store, run_name=f"score {score}") as run:
            model_id = run.log_model(boosters["binary"], example=example, classes=("down", "up"))
            run.log_metrics({"final_r2": score, "accuracy": 0.5 + score}, model_id=model_id)
            run.child("fold_1", metrics={"rank_ic": 0.9})
    return run.run_id


def test_own_epochs_go_into_the_same_database(sqlite_store: MlflowConfig, tmp_path: Path) -> None:
    assert run_script(EPOCHS, tmp_path) == "0.01\n"


def test_the_best_run_is_found_by_its_holdout_score(trained: str, tmp_path: Path) -> None:
    assert run_script(BEST_RUN, tmp_path) == f"Best run: {trained}, R²: 0.01\n"


def test_the_best_model_loads_from_the_files_of_its_run(trained: str, tmp_path: Path) -> None:
    assert trained in run_script(BEST_MODEL, tmp_path)


def test_the_page_names_commands_and_tests_that_exist() -> None:
    page = (ROOT / "docs" / "seeds.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", page))
    assert {"compare", "tune", "promote", "mlflow"} <= named <= targets
    modules = set(re.findall(r"python -m src\.v2\.(\w+)", page))
    assert {"runs", "predict", "monitor"} <= modules
    assert all((ROOT / "src" / "v2" / f"{name}.py").is_file() for name in modules)
    tests = re.findall(r"`([\w/]*test_\w+\.py)`", page)
    places = [ROOT / "src" / "v2" / "tests", ROOT]
    assert len(tests) > 15
    assert [name for name in tests if not any((place / name).is_file() for place in places)] == []
    for name in re.findall(r"experiments/\w+\.yaml", page):
        assert (ROOT / name).is_file(), name


def test_the_page_names_metrics_that_a_run_logs(noise_workplace: Workplace) -> None:
    from mlflow import MlflowClient

    page = (ROOT / "docs" / "seeds.md").read_text()
    table = page.partition("### Metrics and parameters")[2].partition("### What is refused")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| 0")]
    client = MlflowClient(noise_workplace.store)
    found = client.search_runs(["1"], "params.mode LIKE '%'")
    known = {name for run in found for part in vars(run.data).values() for name in part}
    ours = {name for row in rows for name in re.findall(r"`(\w+)`", row[4 - 1])}
    same = {
        name for row in rows if "same names" in row[3] for name in re.findall(r"`(\w+)`", row[2])
    }
    unknown = {name for name in (ours | same) if name not in known and not name.startswith("_")}
    assert unknown == set()
