"""Models that are not XGBoost's, from training over the registry to a forecast."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from pydantic import ValidationError

from src.v2 import api, predict, tune
from src.v2.config import Config, MlflowConfig, ModelConfig
from src.v2.modeling.learners.kinds import KINDS, PENALTIES
from src.v2.modeling.model_file import CARD_NAME, DRIFT_NAME, package_hash, read_card
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import Workplace
from src.v2.tracking.registry import resolve

FEW = (
    *("--features.families", "momentum", "--validation.train-stride", "6"),
    *("--model.max-depth", "3", "--model.threads", "1", "--evaluation.permutations", "999"),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ridge", "hist_gradient_boosting", "mlp"])
@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_a_model_of_another_type_is_trained_registered_and_forecasts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, mode: str
) -> None:
    place = Workplace(tmp_path)
    bars = place.bars("walks", random_walk_bars(20, 700))
    words = ("--model.type", kind, "--label.mode", mode, "--model.n-estimators", "8", "--register")
    assert place.train(bars, *FEW, *words) == 0
    (folder,) = (tmp_path / "models").glob("st_predictor_*")
    assert {file.name for file in folder.iterdir()} == {CARD_NAME, DRIFT_NAME, *KINDS[kind].files}
    assert read_card(folder).learner == kind
    summary = place.summary()
    if kind == "ridge":
        assert summary["metrics"]["penalty"] in PENALTIES
        assert "converged_epoch" not in summary["metrics"]
    else:
        assert summary["metrics"]["converged_epoch"] >= 1
    assert summary["metrics"]["final_val_loss"] > 0
    capsys.readouterr()
    shown = []
    for named in (str(folder), "models:/stock_prediction@challenger"):
        assert predict.main([*place.flags(), "--model", named, "--format", "csv"]) == 0
        shown.append(list(csv.DictReader(io.StringIO(capsys.readouterr().out))))
    assert len(shown[0]) == 20
    assert [row["score"] for row in shown[0]] == [row["score"] for row in shown[1]]
    assert all(row["reasons"] for row in shown[0])
    found = resolve(
        MlflowConfig(tracking_uri=place.store), "models:/stock_prediction/1", tmp_path / "cache"
    )
    assert package_hash(found.folder) == package_hash(folder)
    model, card = api.load(found.folder)
    assert model.feature_names == card.features


@pytest.mark.parametrize(
    ("scale", "words"),
    [({"mode": "external"}, "external"), ({"engine": "dask"}, "dask")],
)
def test_rows_that_lie_elsewhere_are_for_xgboost(scale: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=f"{words}.*model.type xgboost.*got ridge"):
        Config(model={"type": "ridge"}, scale=scale)
    Config(model={"type": "xgboost"}, scale=scale)


def test_a_gpu_is_for_xgboost() -> None:
    with pytest.raises(ValidationError, match=r"cuda is for model.type xgboost; got mlp"):
        ModelConfig(type="mlp", device="cuda")


def test_another_type_is_not_tuned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Workplace(tmp_path)
    bars = place.bars("walks", random_walk_bars(3, 60))
    assert tune.main([*place.flags(bars), "--model.type", "ridge"]) == 2
    assert "model.type xgboost; got ridge" in capsys.readouterr().err
