"""``python -m src.v2.train``: bars in, a model, its summary and its MLflow run out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config, MlflowConfig
from src.v2.config_sources import load_config, refuse_unread_path
from src.v2.console import (
    RunLog,
    Stages,
    log_to,
    progress_bar,
    run_command,
    show_note,
)
from src.v2.errors import ConfigError, OmninmoError, TrackingError

if TYPE_CHECKING:
    from src.v2.pipeline import Trained
    from src.v2.preparation import Prepared
    from src.v2.records import Coverage
    from src.v2.run_files import Written
    from src.v2.tracking.runs import TrackedRun

ABOUT = """\
Train on daily bars: purged walk-forward, executive summary, MLflow run.

  python -m src.v2.train --force-sample
  python -m src.v2.train --mode classification --forward-days 60
  python -m src.v2.train --data.source files --data.path prices.parquet --tickers AAPL MSFT

--force-sample uses the bundled sample; -y replaces an existing --model-path; --register makes
the model a version in MLflow's registry, with the alias challenger.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 when the run is done and logged."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, about=ABOUT)
    refuse_unread_path(config)
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
    with ExitStack() as stack:
        return _train(config, run_log, stack)


def _train(config: Config, run_log: RunLog, stack: ExitStack) -> Trained:
    """Train; what must be closed in every case is left to the stack."""
    started = time.perf_counter()
    now = dt.datetime.now().astimezone()
    stages = Stages(live=True)
    _check_folders(config)
    store = _StorePreparation(config.mlflow)
    with stages.stage("libraries"):
        from src.v2.data.context import load_context
        from src.v2.data.sources import load_bars
        from src.v2.modeling.learners.xgboost_trees import check_device
        from src.v2.preparation import prepare_panel
        from src.v2.scale.opening import open_engine
    check_device(config.model)
    engine = stack.enter_context(open_engine(config, stages))
    with stages.stage("bars"):
        context = load_context(config.data)
        bars, market, coverage = load_bars(
            config.data, tuple(config.features.columns), config.paths.bars_dir, progress_bar
        )
    for note in context.notes:
        show_note(note)
    unknown = [ticker for ticker in coverage.tickers if ticker not in context.sectors]
    if config.data.sectors is not None and unknown:
        show_note(
            f"data.sectors knows no sector of {len(unknown)} of {len(coverage.tickers)} tickers."
        )
    prepared = prepare_panel(bars, market, coverage, config, stages, context, engine, progress_bar)
    with stages.stage("waiting for MLflow"):
        store.wait()
    return _train_prepared(prepared, config, stages, run_log, now, started)


def _train_prepared(
    prepared: Prepared,
    config: Config,
    stages: Stages,
    run_log: RunLog,
    now: dt.datetime,
    started: float,
) -> Trained:
    """Train on a panel, and write everything down."""
    from src.v2.ledgers import counted
    from src.v2.page.identity import RunIdentity
    from src.v2.pipeline import train_model
    from src.v2.run_files import planned_name, write_files
    from src.v2.tracking.runs import training_run

    coverage = prepared.coverage
    tags = _tags(config, coverage, now)
    with training_run(config.mlflow, run_name=_run_name(config, coverage, now), tags=tags) as run:
        trained = train_model(prepared, config, stages, counted(config, coverage), progress_bar)
        card = dataclasses.replace(trained.card, git_commit=tags.get("git_commit"))
        trained = dataclasses.replace(trained, card=card)
        identity = RunIdentity(
            planned_name(config, trained.card),
            run.run_id or None,
            now,
            tags.get("git_commit"),
            trained.card.versions,
        )
        written = write_files(config, trained, identity, stages)
        problem: OmninmoError | None = _log(trained, run, run_log, written, stages, started)
        registered = ""
        if problem is None and config.mlflow.register_model:
            registered, problem = _register(config, trained, run.run_id, written)
        if problem is not None:
            # Shown here, since the summary of a finished training is worth more than the error.
            _print(trained, written, "not logged in full, see the error below", prepared.place)
            raise problem
    _print(trained, written, _run_line(config, run) + registered, prepared.place)
    return trained


def _log(
    trained: Trained,
    run: TrackedRun,
    run_log: RunLog,
    written: Written,
    stages: Stages,
    started: float,
) -> TrackingError | None:
    """Log the run; a store that fails now is given back, since the results are safe on disk."""
    from src.v2.training_summary import log_mlflow_metrics

    saved = f"the model is saved in {written.model}, the summary in {written.summary}"
    try:
        with stages.stage("MLflow run"):
            log_mlflow_metrics(
                trained.result,
                run,
                model_folder=written.model,
                pictures=written.pictures,
                files=written.files,
                runtime_sec=time.perf_counter() - started,
            )
            run.log_text(run_log.text(), "logs/train.log")
    except TrackingError as error:
        error.add_note(saved)
        return error
    except BaseException as error:
        error.add_note(saved)
        raise
    return None


def _register(
    config: Config, trained: Trained, run_id: str, written: Written
) -> tuple[str, OmninmoError | None]:
    """Register the model as challenger; give the words for the summary, or what went wrong."""
    from src.v2.lifecycle.registration import register_challenger
    from src.v2.tracking.viewing import registry_command

    try:
        version = register_challenger(config, run_id, trained.card)
    except OmninmoError as error:
        error.add_note(f"the model is saved in {written.model}, its run {run_id} is logged")
        return "", error
    name = config.mlflow.registered_model_name
    ask = registry_command(config.mlflow, "promote")
    return f"; registered as version {version.version} of {name}, challenger: {ask}", None


def _print(trained: Trained, written: Written, run_line: str, place: str | None) -> None:
    from src.v2.training_summary import print_summary

    print_summary(
        trained.result,
        model_path=written.model,
        report_path=written.page,
        run_line=run_line,
        panel_line=place,
    )


def _check_folders(config: Config) -> None:
    """Refuse now what would be refused after minutes of work."""
    _refuse_taken_model_path(config)
    paths = config.paths
    for flag, folder in (
        ("models-dir", paths.models_dir),
        ("reports-dir", paths.reports_dir),
        ("ledger-dir", paths.ledger_dir),
        ("logs-dir", paths.logs_dir / "training"),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OmninmoError(
                f"The folder {folder} cannot be written: {error.strerror}. Mend it, or name "
                f"another with --paths.{flag}."
            ) from error


def _refuse_taken_model_path(config: Config) -> None:
    path = config.paths.model_path
    if path is not None and path.exists() and not config.paths.overwrite:
        raise ConfigError(f"The model path {path} exists. Choose another, or replace it with -y.")


def _run_name(config: Config, coverage: Coverage, now: dt.datetime) -> str:
    return config.mlflow.run_name.format(
        model_type=config.model.type,
        mode=config.label.mode,
        forward_days=config.label.forward_days,
        dataset_name=coverage.dataset_name,
        run_timestamp=f"{now:%Y%m%d_%H%M%S}",
        env=config.env,
    )


def _tags(config: Config, coverage: Coverage, now: dt.datetime) -> dict[str, str]:
    """Tags that runs are found by."""
    from src.v2.modeling.learners.kinds import KINDS
    from src.v2.tracking.git import git_tags

    tags = git_tags(Path(__file__).resolve().parents[2]) if config.mlflow.enabled else {}
    return tags | {
        "model_type": config.model.type,
        "framework": KINDS[config.model.type].framework,
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
    from src.v2.tracking.viewing import how_to_see

    return (
        f"run {run.run_id} of experiment {run.experiment_id} ({config.mlflow.experiment_name}) in "
        f"{run.tracking_uri}; {how_to_see(config.mlflow, run)}"
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
