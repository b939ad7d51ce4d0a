"""Small runs whose model can be registered."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from src.v2.config import MlflowConfig
from src.v2.modeling.learners.xgboost_trees import BOOSTER_NAME
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import CARD_NAME, package_hash, side_files
from src.v2.tests.tracking.conftest import FEATURES
from src.v2.tracking.package_cache import PACKAGE_TAG
from src.v2.tracking.runs import training_run

CARD = ModelCard(
    name="m",
    mode="regression",
    learner="xgboost",
    features=FEATURES,
    target="excess",
    label_rule="excess",
    classes=(),
    forward_days=5,
    entry_lag=1,
    rounds=5,
    trained_at="2024-01-01T00:00:00+00:00",
    train_first="2010-01-04",
    train_last="2020-01-31",
    training_rows=100,
    tickers=("A", "B"),
    expanding_mean=0.01,
    rank_map=None,
    min_history=126,
    with_market=False,
    data={"source": "sample"},
    feature_settings={"families": ["momentum"]},
    module_hashes={},
    data_fingerprint="d" * 32,
    config_fingerprint="c" * 12,
    out_of_sample={"cv_rank_ic_pooled": 0.03, "cv_rank_ic_low": 0.01, "cv_rank_ic_high": 0.05},
    verdict="evidence",
    verdict_reasons=("made up",),
)


def log_model_run(
    config: MlflowConfig, booster: Path, example: pl.DataFrame | None = None, **changes: Any
) -> str:
    """Log a run with a model folder, as training does, and give its id.

    Without an example the logged model holds nothing but that folder, which is quicker.
    """
    card = dataclasses.replace(CARD, **changes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copyfile(booster, folder / BOOSTER_NAME)
        (folder / CARD_NAME).write_text(json.dumps(dataclasses.asdict(card)))
        tags = {PACKAGE_TAG: package_hash(folder) or ""}
        with training_run(config, run_name="r") as run:
            if example is None:
                run._publish_model(run._create_model((), {}, tags), folder)
            else:
                model = folder / BOOSTER_NAME
                run.log_model(model, example=example, tags=tags, beside=side_files(folder))
    return run.run_id
