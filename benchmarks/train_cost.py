"""What training costs beside the bare XGBoost fits that it holds.

    python -m benchmarks.train_cost --prices PRICES.parquet [settings of the train command]

Trains once as the train command does, without pictures, and then fits the same windows from
ready float32 arrays with nothing but ``QuantileDMatrix`` and ``xgboost.train``. Gives the
seconds of both, their ratio and the peak memory; what explains the model afterwards, its own fits
included, is no part of the ratio. Early stopping is off, so both run the
same number of rounds (100).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.measure import peak_gib, table
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress

NOT_COUNTED = ("libraries", "pictures")
EXPLANATION = (
    *("skill in detail", "importance", "interactions"),
    *("effects and stability", "cases and checks"),
)
"""Stages after the last fit of the training, which `benchmarks.report_cost` measures."""


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Run both, and give the table."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--prices", required=True)
    options, settings = parser.parse_known_args(argv)
    words = ["--data.source", "files", "--data.path", options.prices]
    words += ["--model.early-stopping-rounds", "0", "--model.n-estimators", "100", *settings]
    with tempfile.TemporaryDirectory() as scratch:
        config = load_config([*words, "--mlflow.tracking-uri", f"sqlite:///{scratch}/mlruns.db"])
        ours, peak, fits, rows, features = _train(config, Path(scratch))
        bare = _bare(config, fits)
    counted = {name: seconds for name, seconds in ours.items() if name not in NOT_COUNTED}
    whole = sum(counted.values())
    total = sum(seconds for name, seconds in counted.items() if name not in EXPLANATION)
    lines = [[name, f"{seconds:.1f}"] for name, seconds in ours.items()]
    lines += [
        ["**train, without imports, pictures and explanation**", f"**{total:.1f}**"],
        ["**bare XGBoost: `QuantileDMatrix` and `train` of the same windows**", f"**{bare:.1f}**"],
        ["**ratio**", f"**{total / bare:.2f}**"],
        ["train with the explanation", f"{whole:.1f}"],
        ["peak memory of train", f"{peak:.2f} GiB"],
    ]
    made = f"{rows:,} panel rows, {features} features, {len(fits)} fits of "
    title = f"{made}{config.model.n_estimators} rounds"
    return {"tables": [table(("stage", "seconds"), lines, title)], "sentences": []}


def _train(config: Any, scratch: Path) -> tuple[dict[str, float], float, list[Any], int, int]:
    """Train as the command does, and keep the windows that were fitted."""
    from src.v2.data.sources import load_bars
    from src.v2.ledgers import uncounted
    from src.v2.modeling.learners import xgboost_trees
    from src.v2.modeling.model_file import save_model
    from src.v2.pipeline import train_model
    from src.v2.preparation import prepare_panel
    from src.v2.tracking.runs import training_run
    from src.v2.tracking.store import prepare_store
    from src.v2.training_summary import log_mlflow_metrics

    windows: list[Any] = []
    fit = xgboost_trees.XGBoostLearner.fit

    def remember(self: Any, rows: Any, rounds: int) -> Any:
        if "final fit" not in stages.seconds:
            windows.append((self, rows.features.shape[0], rows.label, rows.weight))
        return fit(self, rows, rounds)

    xgboost_trees.XGBoostLearner.fit = remember  # type: ignore[method-assign]
    prepare_store(config.mlflow)
    stages = Stages()
    with stages.stage("bars"):
        bars, market, coverage = load_bars(config.data)
    prepared = prepare_panel(bars, market, coverage, config, stages)
    with training_run(config.mlflow, run_name="benchmark") as run:
        trained = train_model(prepared, config, stages, uncounted(), no_progress)
        with stages.stage("MLflow run"):
            folder = save_model(trained.model, trained.card, scratch / "model")
            log_mlflow_metrics(
                trained.result,
                run,
                model_folder=folder,
                pictures={},
                files={},
                runtime_sec=0.0,
            )
    peak = peak_gib()
    xgboost_trees.XGBoostLearner.fit = fit  # type: ignore[method-assign]
    panel = prepared.panel
    strided = panel.take(panel.session % trained.result.train_stride == 0)
    counts = (len(panel.session), len(panel.names))
    ready = [
        (learner, strided.features[:rows], label, weight)
        for learner, rows, label, weight in windows
    ]
    return dict(stages.seconds), peak, ready, *counts


def _bare(config: Any, fits: Sequence[Any]) -> float:
    """Fit the same windows with nothing around the fits, XGBoost drawing the rows itself."""
    import xgboost as xgb

    start = time.perf_counter()
    for learner, features, label, weight in fits:
        matrix = xgb.QuantileDMatrix(features, label, weight=weight, max_bin=config.model.max_bin)
        parameters = learner._parameters() | {"subsample": config.model.subsample}
        xgb.train(parameters, matrix, config.model.n_estimators, verbose_eval=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
