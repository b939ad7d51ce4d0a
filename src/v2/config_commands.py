"""Settings of single commands, of MLflow, of where the work is done and results go."""

from __future__ import annotations

import datetime as dt
import string
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from src.v2.config_types import Names, Section


class MlflowConfig(Section):
    """Where runs are kept."""

    enabled: bool = Field(True, description="log the run to MLflow")
    tracking_uri: str = Field("sqlite:///mlruns.db", description="MLflow's store")
    experiment_name: str = Field(
        "stock_prediction", min_length=1, description="MLflow experiment of the runs"
    )
    run_name: str = Field(
        "{model_type}_{mode}_{forward_days}d_{run_timestamp}",
        description="template: model_type, mode, forward_days, dataset_name, run_timestamp, env",
    )
    log_artifacts: bool = Field(True, description="keep files and the model with the run")
    registered_model_name: str = Field(
        "stock_prediction",
        pattern=r"^[\w -]+$",
        description="name that versions are registered under; one for each horizon and universe",
    )
    register_model: bool = Field(
        False, description="register the trained model as a version, with the alias challenger"
    )

    @model_validator(mode="after")
    def _registers_what_is_kept(self) -> MlflowConfig:
        if self.register_model and not (self.enabled and self.log_artifacts):
            raise ValueError(
                "register_model needs enabled and log_artifacts, since a version is a model that "
                f"a run keeps; got enabled {self.enabled}, log_artifacts {self.log_artifacts}"
            )
        return self

    @field_validator("run_name")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        fields = ("model_type", "mode", "forward_days", "dataset_name", "run_timestamp", "env")
        try:
            parts = list(string.Formatter().parse(value))
        except ValueError:
            parts = [("", "?", "", None)]
        if any(name is not None and (name not in fields or form) for _, name, form, _ in parts):
            raise ValueError(f"must be a template of {', '.join(fields)} in braces")
        return value


class PredictConfig(Section):
    """What the predict command shows."""

    model: str | None = Field(
        None,
        description="model folder, models:/name@alias, models:/name/3, champion or newest; "
        "empty: the champion, or the newest where none was promoted",
    )
    tickers: Names = Field((), description="show only these; all of the universe are ranked")
    format: Literal["table", "csv", "json"] = Field("table", description="what is printed")
    as_of: dt.date | None = Field(None, description="rank the last session up to this date")
    max_age: int | None = Field(None, ge=0, description="oldest bars allowed, in calendar days")
    coverage: float = Field(
        0.8, gt=0, lt=1, description="level of the intervals: 0.5, 0.8, 0.9 or 0.95"
    )
    log: bool = Field(True, description="add the ranking to the log in paths.predictions_dir")


class MonitorConfig(Section):
    """What the monitor command looks at, and what makes it raise an alarm."""

    model: str | None = Field(
        None,
        description="model folder, models:/name@alias, models:/name/3, champion or newest; "
        "empty: the champion, or the newest where none was promoted",
    )
    alarm_rate: float = Field(
        0.01, gt=0, le=0.1, description="chance of each alarm, at one look, where nothing is wrong"
    )
    sessions: int | None = Field(
        None,
        ge=1,
        description="newest sessions whose predictions are scored; empty: 504, and at least 14 "
        "horizons",
    )
    max_age: int = Field(7, ge=0, description="oldest bars without an alarm, in calendar days")
    max_missing: int = Field(5, ge=0, description="most sessions in a row without a prediction")
    psi: float = Field(0.25, gt=0, description="stability index that a drifted feature exceeds")
    importance: float = Field(
        0.01, ge=0, le=1, description="least share of gain of a feature whose drift is an alarm"
    )


class ServeConfig(Section):
    """Which model answers requests, and where."""

    model: str | None = Field(
        None,
        description="model folder, models:/name@alias, models:/name/3, champion, newest, or a "
        "built package; empty: the champion, or the newest where none was promoted",
    )
    port: int = Field(5001, ge=1, le=65535, description="port on 127.0.0.1")
    build_only: Path | None = Field(
        None, description="write the package to this folder, and serve nothing"
    )
    score: Path | None = Field(None, description="file of bars to score, instead of serving")
    out: Path | None = Field(
        None, description="file for the scores: .csv, .json or .parquet; empty: CSV on stdout"
    )
    as_of: dt.date | None = Field(None, description="with score: decision date; empty: the last")

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> ServeConfig:
        if self.score is not None and self.build_only is not None:
            raise ValueError("score and build_only exclude each other; got both")
        if self.score is None and (self.out is not None or self.as_of is not None):
            raise ValueError("out and as_of need score, a file of bars; got none")
        return self


class RunsConfig(Section):
    """What the runs command shows."""

    columns: Names = Field(
        (), description="columns, or all; empty: those that fit the terminal, all as csv or json"
    )
    filter: str = Field("", description='MLflow filter, as "metrics.cv_r2_pooled > 0"')
    format: Literal["table", "csv", "json"] = Field("table", description="what is printed")
    order_by: str = Field("attributes.start_time DESC", description="MLflow order")
    max_results: int = Field(20, ge=1, description="most runs shown")
    ui: bool = Field(False, description="serve MLflow's UI on 127.0.0.1 instead")
    port: int = Field(5000, ge=1, le=65535, description="port of the UI")


class ReportConfig(Section):
    """Which run's report is written again."""

    run: str | None = Field(None, description="run id in MLflow; empty: a run on this disk")
    folder: Path | None = Field(None, description="folder of the run; empty: the newest")
    open: bool = Field(False, description="show the page in the browser")


class PromoteConfig(Section):
    """Which registered model is put to use, and what it takes."""

    version: int | None = Field(None, ge=1, description="version; empty: the challenger")
    run: str | None = Field(None, description="run id in MLflow to register as challenger first")
    audit: bool = Field(False, description="audit the version's own settings first, where needed")
    refresh: bool = Field(
        False, description="the champion's own settings on later bars need only be no worse"
    )
    max_age: int = Field(30, ge=0, description="calendar days after which its bars get a note")
    force: bool = Field(False, description="promote although a check says no; needs a reason")
    reason: str = Field("", description="why, kept in ledger/promotions.jsonl and with the version")
    rollback: bool = Field(False, description="put the previous champion to use again")
    list: bool = Field(False, description="list the registered versions instead")
    format: Literal["table", "csv", "json"] = Field("table", description="csv is for the list")

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> PromoteConfig:
        if self.force and not self.reason.strip():
            raise ValueError('force needs a reason, as --reason "the audit is running"; got none')
        if sum((self.rollback, self.list, self.version is not None, self.run is not None)) > 1:
            raise ValueError("version, run, rollback and list exclude each other; got several")
        return self


class FetchConfig(Section):
    """How the fetch command fills the store of bars."""

    format: Literal["table", "csv", "json"] = Field("table", description="table of what is stored")
    full: bool = Field(False, description="ask for the whole history of every ticker again")


class CompareConfig(Section):
    """How configurations are compared on the same folds."""

    max_arms: int = Field(24, ge=2, description="most configurations at once, the default included")
    fresh: bool = Field(False, description="run finished arms again instead of reading them")
    train_best: bool = Field(
        False, description="train the recommended one afterwards, which opens the holdout"
    )


class TuneConfig(Section):
    """How hyperparameters are searched for."""

    n_trials: int = Field(30, ge=2, description="trials of the study, earlier calls included")
    timeout: float | None = Field(
        None, gt=0, description="seconds after which no trial is started; empty: no limit"
    )
    parameters: Names = Field(
        (), description="what is searched, as learning_rate,max_depth; empty: everything known"
    )
    confirm_folds: int | None = Field(
        None, ge=1, description="last folds kept out of the search; empty: a third of them"
    )
    train_best: bool = Field(
        False, description="train the recommended one afterwards, which opens the holdout"
    )


class ScaleConfig(Section):
    """Where the panel lies, and where the work is done."""

    mode: Literal["memory", "external"] = Field(
        "memory", description="panel in memory, or on disk in blocks of dates"
    )
    engine: Literal["local", "dask"] = Field(
        "local", description="work in this process, or on the workers of a Dask cluster"
    )
    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ucx)://\S+:\d+$",
        description="address of a Dask scheduler, tcp://host:8786; empty: workers here",
    )
    workers: int | None = Field(
        None, ge=1, description="worker processes of engine dask without a scheduler; empty: 2"
    )
    rows_at_once: int = Field(
        1_000_000, ge=10_000, description="rows of a chunk of tickers and of a block of dates"
    )
    attempts: int = Field(3, ge=1, description="tries of a fold when workers are lost")
    time_limit_sec: float = Field(
        3600.0, gt=0, description="seconds after which a try on the cluster is given up"
    )


class PathsConfig(Section):
    """Where results are written."""

    models_dir: Path = Field(Path("models"), description="folder of trained models")
    logs_dir: Path = Field(Path("logs"), description="folder of logs and summaries")
    reports_dir: Path = Field(Path("reports"), description="folder of reports")
    ledger_dir: Path = Field(
        Path("ledger"), description="folder of what was tried, scored and promoted"
    )
    bars_dir: Path = Field(Path("bars"), description="folder of bars fetched from Yahoo")
    predictions_dir: Path = Field(
        Path("predictions"), description="log of predictions, which the monitor reads"
    )
    scratch_dir: Path = Field(
        Path("scratch"), description="blocks of scale.mode external, removed after the run"
    )
    model_path: Path | None = Field(None, description="folder of the model; empty: a new name")
    overwrite: bool = Field(False, description="replace model_path when it exists")
