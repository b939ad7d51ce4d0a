from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import MlflowConfig
from src.v2.tests.tracking.conftest import CLASSES, FEATURES
from src.v2.tracking.runs import training_run
from src.v2.tracking.store import import_mlflow
from src.v2.tracking.uris import parse_address

ClientOf = Callable[[MlflowConfig], Any]


@pytest.fixture
def mlflow_at() -> Iterator[Callable[[MlflowConfig], Any]]:
    """MLflow as a user's notebook has it: with the tracking URI set for the process."""
    import mlflow

    before = mlflow.get_tracking_uri()

    def enter(config: MlflowConfig) -> Any:
        address = parse_address(config.tracking_uri)
        module = import_mlflow(address)
        module.set_tracking_uri(address.uri)
        return module

    yield enter
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_the_model_loads_by_three_addresses_and_answers_as_the_booster(
    any_store: MlflowConfig,
    mlflow_at: Callable[[MlflowConfig], Any],
    boosters: dict[str, Path],
    example: pl.DataFrame,
    kind: str,
) -> None:
    import xgboost

    rows = xgboost.DMatrix(example.to_numpy(), feature_names=list(FEATURES))
    wanted = xgboost.Booster(model_file=boosters[kind]).predict(rows)
    with training_run(any_store, run_name="r") as run:
        model_id = run.log_model(boosters[kind], example=example, classes=CLASSES[kind])
    mlflow = mlflow_at(any_store)
    frame = example.cast(pl.Float64).to_pandas()
    artifact_uri = mlflow.get_run(run.run_id).info.artifact_uri
    for uri in (f"models:/{model_id}", f"runs:/{run.run_id}/model", f"{artifact_uri}/model"):
        given = mlflow.pyfunc.load_model(uri).predict(frame)
        np.testing.assert_array_equal(given, wanted)
    if kind == "rating":
        np.testing.assert_allclose(wanted.sum(axis=1), 1, rtol=1e-5)


def test_the_model_says_what_it_takes_gives_and_needs(
    sqlite_store: MlflowConfig,
    mlflow_at: Callable[[MlflowConfig], Any],
    boosters: dict[str, Path],
    example: pl.DataFrame,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with training_run(sqlite_store, run_name="r") as run:
        model_id = run.log_model(
            boosters["rating"],
            example=example,
            classes=CLASSES["rating"],
            metadata={"forward_days": 30},
        )
    assert caplog.records == []
    model = mlflow_at(sqlite_store).pyfunc.load_model(f"models:/{model_id}")
    metadata = model.metadata
    assert metadata.get_input_schema().input_names() == list(FEATURES)
    assert {str(kind) for kind in metadata.get_input_schema().input_types()} == {"DataType.double"}
    assert metadata.get_output_schema().inputs[0].shape == (-1, 5)
    assert metadata.metadata == {"forward_days": 30, "classes": list(CLASSES["rating"])}
    assert model.input_example.shape == (3, len(FEATURES))
    folder = Path(sqlite_store.tracking_uri.removeprefix("sqlite:///")).parent
    kept = next(folder.glob("mlruns/*/models/*/artifacts"))
    needs = [line.split("==")[0] for line in (kept / "requirements.txt").read_text().split()]
    assert needs == ["mlflow", "xgboost", "pandas", "numpy"]
    assert not list(folder.rglob("*.pkl"))


def test_numbers_are_tied_to_the_model(
    any_store: MlflowConfig,
    client_of: ClientOf,
    boosters: dict[str, Path],
    example: pl.DataFrame,
) -> None:
    with training_run(any_store, run_name="r") as run:
        model_id = run.log_model(
            boosters["regression"], example=example, params={"depth": 2}, tags={"mode": "r"}
        )
        run.log_metrics({"final_r2": 0.5, "bad": float("nan")}, model_id=model_id)
    client = client_of(any_store)
    found = client.get_logged_model(model_id)
    assert found.name == "model"
    assert str(found.status) == "READY"
    assert found.params == {"depth": "2"}
    assert found.source_run_id == run.run_id
    assert [(metric.key, metric.value) for metric in found.metrics] == [("final_r2", 0.5)]
    assert [given.model_id for given in client.get_run(run.run_id).outputs.model_outputs] == [
        model_id
    ]
    best = client.search_logged_models(
        [run.experiment_id], filter_string="metrics.final_r2 > 0.4 and source_run_id != 'none'"
    )
    assert [model.model_id for model in best] == [model_id]


def test_a_damaged_booster_leaves_a_failed_model_and_its_own_error(
    sqlite_store: MlflowConfig, client_of: ClientOf, tmp_path: Path, example: pl.DataFrame
) -> None:
    from xgboost.core import XGBoostError

    (tmp_path / "bad.ubj").write_bytes(b"{}")
    with pytest.raises(XGBoostError), training_run(sqlite_store, run_name="r") as run:
        run.log_model(tmp_path / "bad.ubj", example=example)
    client = client_of(sqlite_store)
    models = client.search_logged_models([run.experiment_id])
    assert [str(model.status) for model in models] == ["FAILED"]
    assert client.get_run(run.run_id).info.status == "FAILED"
