from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.config import MlflowConfig, RunsConfig
from src.v2.errors import ConfigError, DataError
from src.v2.tracking.query import COLUMNS, experiment_id, search_runs
from src.v2.tracking.runs import training_run


def log_three(config: MlflowConfig) -> None:
    """Two runs with a holdout score and one without; each has a fold below it."""
    for name, score in (("low", -0.01), ("high", 0.02), ("none", float("nan"))):
        with training_run(config, run_name=name) as run:
            run.log_params({"label.mode": "regression", "label.forward_days": 30})
            run.log_metrics({"final_r2": score, "runtime_sec": 9.5})
            run.child("fold_1", metrics={"final_r2": 9.0})


def test_the_table_holds_the_columns_that_matter(any_store: MlflowConfig) -> None:
    log_three(any_store)
    table = search_runs(any_store, RunsConfig(order_by="metrics.final_r2 DESC"))
    assert tuple(table.columns) == COLUMNS
    assert table["run_name"].to_list() == ["high", "low", "none"]
    assert table["final_r2"].to_list() == [0.02, -0.01, None]
    assert table["mode"].unique().to_list() == ["regression"]
    assert table["forward_days"].to_list() == [30] * 3
    assert table["status"].unique().to_list() == ["FINISHED"]
    assert table["runtime_sec"].to_list() == [9.5] * 3
    age = dt.datetime.now(dt.UTC) - table["start_time"][0]
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=5)


def test_filter_order_and_number_are_obeyed(sqlite_store: MlflowConfig) -> None:
    log_three(sqlite_store)
    newest = search_runs(sqlite_store, RunsConfig(max_results=1))
    assert newest["run_name"].to_list() == ["none"]
    good = search_runs(sqlite_store, RunsConfig(filter="metrics.final_r2 > 0.01"))
    assert good["run_name"].to_list() == ["high"]
    named = search_runs(
        sqlite_store, RunsConfig(filter="params.`label.mode` = 'regression'", order_by="")
    )
    assert named.height == 3


def test_the_reason_of_a_run_that_failed_is_a_column(any_store: MlflowConfig) -> None:
    with pytest.raises(DataError):
        with training_run(any_store, run_name="r"):
            raise DataError("no bars")
    with training_run(any_store, run_name="s"):
        pass
    table = search_runs(any_store, RunsConfig(order_by="attributes.run_name"))
    assert table["end_reason"].to_list() == ["no bars", None]


def test_the_runs_of_folds_come_only_when_asked(sqlite_store: MlflowConfig) -> None:
    log_three(sqlite_store)
    assert search_runs(sqlite_store, RunsConfig()).height == 3
    everything = search_runs(sqlite_store, RunsConfig(), children=True)
    assert everything.filter(pl.col("run_name") == "fold_1").height == 3


@pytest.mark.parametrize("kind", ["sqlite:///absent.db", "file:./absent", "absent"])
def test_asking_creates_no_store(tmp_path: Path, kind: str) -> None:
    config = MlflowConfig(tracking_uri=kind)
    table = search_runs(config, RunsConfig())
    assert (table.height, tuple(table.columns)) == (0, COLUMNS)
    assert experiment_id(config) is None
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_experiment_has_no_runs(sqlite_store: MlflowConfig) -> None:
    config = sqlite_store.model_copy(update={"experiment_name": "unheard of"})
    assert search_runs(config, RunsConfig()).is_empty()
    assert experiment_id(config) is None


@pytest.mark.parametrize(
    "question",
    [
        {"filter": "metrics.final_r2 >> 3"},
        {"filter": "final r2 is good"},
        {"filter": "metrics.final_r2 > 'a'"},
        {"order_by": "final_r2"},
    ],
)
def test_a_bad_question_is_told_in_one_line(
    sqlite_store: MlflowConfig, question: dict[str, Any]
) -> None:
    with training_run(sqlite_store, run_name="r"):
        pass
    with pytest.raises(ConfigError, match=r"runs\.filter and runs\.order_by") as caught:
        search_runs(sqlite_store, RunsConfig(**question))
    assert "\n" not in str(caught.value)
    assert "parentRunId" not in str(caught.value)
    assert "--filter 'metrics.cv_r2_pooled > 0 and" in str(caught.value)
