"""A whole training on a cluster gives the tables of one on a single machine."""

from __future__ import annotations

import numpy as np
import pytest

from src.v2 import api
from src.v2.tests.scale.dask_clusters import SMALL, small_bars

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_a_training_on_a_cluster_gives_the_tables_of_a_local_one(
    mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = SMALL["model"] | {"early_stopping_rounds": 10}
    settings = SMALL | {"label": SMALL["label"] | {"mode": mode}, "model": model}
    local = api.train(small_bars(), settings | {"scale": {"engine": "local"}}).result
    ours = api.train(small_bars(), settings).result
    assert "2 Dask workers" in capsys.readouterr().err
    assert [fold.rounds for fold in ours.folds] == [fold.rounds for fold in local.folds]
    assert ours.features == local.features
    assert ours.panel_rows == local.panel_rows
    assert ours.training_rows == local.training_rows
    assert ours.predictions.columns == local.predictions.columns
    for name in ("date", "ticker", "fold", "part", "label", "forward_return", "label_end"):
        assert ours.predictions[name].equals(local.predictions[name]), name
    for fold in ours.predictions["fold"].unique():
        here, there = (
            table.filter(table["fold"] == fold)["score"].rank().to_numpy()
            for table in (local.predictions, ours.predictions)
        )
        assert np.corrcoef(here, there)[0, 1] >= 0.99
    assert ours.metrics.keys() == local.metrics.keys()
    assert abs(ours.metrics["cv_rank_ic_mean"] - local.metrics["cv_rank_ic_mean"]) <= 0.002
    assert ours.evaluation.verdict.word == local.evaluation.verdict.word
    assert ours.shap.rows.equals(local.shap.rows)
