"""``python -m src.v2.train``: bars in, a model, its summary and its MLflow run out."""

from __future__ import annotations

import datetime as dt
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config, MlflowConfig
from src.v2.config_sources import load_config
from src.v2.console import (
    RunLog,
    Stages,
    log_to,
    progress_bar,
    run_command,
    show_note,
)
from src.v2.errors import ConfigError, TrackingError

if TYPE_CHECKING:
    from src.v2.pipeline import OpenHoldout, Trained
    from src.v2.records import Coverage
    from src.v2.tracking.runs import TrackedRun

ABOUT = """\
Train on daily bars: purged walk-forward, executive summary, MLflow run.

  python -m src.v2.train --force-sample
  python -m src.v2.train --mode classification --forward-days 60
  python -m src.v2.train --data.source files --data.path prices.parquet --tickers AAPL MSFT

--force-sample uses the bundled sample; -y replaces an existing --model-path.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when the run is done and logged."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, about=ABOUT)
    with log_to(config.paths.logs_dir) as run_log:
        train(config, run_log)
    return 0


def train(config: Config, run_log: RunLog) -> Trained:
    """Train as configured, and write everything down.

    Raises
    ------
    OmninmoError
        Saying what stands in the way; nothing half-written is left behind.
    """
    started = time.perf_counter()
    now = dt.datetime.now().astimezone()
    stages = Stages()
    _refuse_taken_model_path(config)
    store = _StorePreparation(config.mlflow)
    with stages.stage("libraries"):
        from src.v2 import pipeline
        from src.v2.data.sources import load_bars
        from src.v2.modeling.learners.xgboost_trees import check_device
    check_device(config.model)
    with stages.stage("bars"):
        bars, market, coverage = load_bars(config.data, tuple(config.features.columns))
    prepared = pipeline.prepare_panel(bars, market, config, stages)
    with stages.stage("waiting for MLflow"):
        store.wait()
    from src.v2.tracking.runs import training_run

    tags = _tags(config, coverage, now)
    with training_run(config.mlflow, run_name=_run_name(config, coverage, now), tags=tags) as run:
        trained = pipeline.train_model(
            prepared, coverage, config, stages, _ledger(config, coverage), progress_bar
        )
        model_path = _save_model(config, trained)
        problem = _write_down(config, trained, run, run_log, model_path, stages, now, started)
        from src.v2.training_summary import print_summary

        print_summary(trained.result, model_path=model_path, run_line=_run_line(config, run))
        if problem is not None:
            raise problem
    return trained


def _write_down(
    config: Config,
    trained: Trained,
    run: TrackedRun,
    run_log: RunLog,
    model_path: Path,
    stages: Stages,
    now: dt.datetime,
    started: float,
) -> TrackingError | None:
    """Write pictures, summary and MLflow run; a store that fails now is reported, not fatal."""
    from src.v2.figures.training import write_training_figures
    from src.v2.modeling.model_file import CARD_NAME, MODEL_NAME
    from src.v2.summary_record import summary_record, write_summary
    from src.v2.training_summary import log_mlflow_metrics

    result = trained.result
    folder = config.paths.reports_dir / model_path.name
    with stages.stage("pictures"):
        drawn = write_training_figures(result, folder, config.explain.dependence_features)
    for name, reason in drawn.failed.items():
        show_note(f"the picture {name} could not be drawn: {reason}")
    predictions = folder / "predictions.parquet"
    result.predictions.write_parquet(predictions)
    record = summary_record(result, model_path=model_path, run_id=run.run_id or None, timestamp=now)
    summary = write_summary(record, config.paths.logs_dir, now)
    files = {
        "predictions.parquet": predictions,
        CARD_NAME: model_path / CARD_NAME,
        summary.name: summary,
    }
    try:
        with stages.stage("MLflow run"):
            log_mlflow_metrics(
                result,
                run,
                model_folder=model_path,
                booster_name=MODEL_NAME,
                pictures={path.name: path for path in drawn.paths},
                files=files,
                runtime_sec=time.perf_counter() - started,
            )
            run.log_text(run_log.text(), "logs/train.log")
    except TrackingError as error:
        error.add_note(f"the model is saved in {model_path}, the summary in {summary}")
        return error
    return None


def _save_model(config: Config, trained: Trained) -> Path:
    from src.v2.modeling.model_file import save_model

    named = config.paths.model_path
    path = named or _free_path(config.paths.models_dir / trained.card.name)
    return save_model(trained.model, trained.card, path, overwrite=config.paths.overwrite)


def _free_path(path: Path) -> Path:
    """Add a number where another run took the name in the same second."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return free


def _refuse_taken_model_path(config: Config) -> None:
    """Refuse now what would be refused after minutes of work."""
    path = config.paths.model_path
    if path is not None and path.exists() and not config.paths.overwrite:
        raise ConfigError(f"The model path {path} exists. Choose another, or replace it with -y.")


def _ledger(config: Config, coverage: Coverage) -> OpenHoldout:
    """Give the function that writes the opening of the holdout down."""
    from src.v2.evaluation.ledger import record_opening, universe_id

    def open_holdout(first: dt.date, last: dt.date) -> int:
        return record_opening(
            config.paths.ledger_dir,
            universe=universe_id(coverage.dataset_name, coverage.tickers),
            first=first,
            last=last,
            data_fingerprint=coverage.fingerprint,
            config_fingerprint=config.fingerprint,
        )

    return open_holdout


def _run_name(config: Config, coverage: Coverage, now: dt.datetime) -> str:
    return config.mlflow.run_name.format(
        model_type=config.model.learner,
        mode=config.label.mode,
        forward_days=config.label.forward_days,
        dataset_name=coverage.dataset_name,
        run_timestamp=f"{now:%Y%m%d_%H%M%S}",
        env=config.env,
    )


def _tags(config: Config, coverage: Coverage, now: dt.datetime) -> dict[str, str]:
    """Tags that runs are found by."""
    from src.v2.tracking.git import git_tags

    tags = git_tags(Path(__file__).resolve().parents[2]) if config.mlflow.enabled else {}
    return tags | {
        "model_type": config.model.learner,
        "framework": "xgboost",
        "mode": config.label.mode,
        "env": config.env,
        "dataset_name": coverage.dataset_name,
        "data_source": config.data.source,
        "data_fingerprint": coverage.fingerprint,
        "config_fingerprint": config.fingerprint,
        "run_timestamp": now.isoformat(timespec="seconds"),
    }


def _run_line(config: Config, run: TrackedRun) -> str:
    if not config.mlflow.enabled:
        return "not logged: mlflow.enabled is false"
    return (
        f"run {run.run_id} of experiment {run.experiment_id} ({config.mlflow.experiment_name}) in "
        f"{run.tracking_uri}; see it with: make mlflow"
    )


class _StorePreparation:
    """Opens MLflow's store beside the computation, since its import takes seconds."""

    def __init__(self, config: MlflowConfig) -> None:
        self._problem: BaseException | None = None
        self._config = config
        self._thread = threading.Thread(target=self._prepare, daemon=True)
        if config.enabled:
            self._thread.start()

    def wait(self) -> None:
        """Wait until the store is open; its problem is raised here."""
        if self._config.enabled:
            self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _prepare(self) -> None:
        try:
            from src.v2.tracking.store import prepare_store

            prepare_store(self._config)
        except BaseException as error:
            self._problem = error


if __name__ == "__main__":
    sys.exit(main())
