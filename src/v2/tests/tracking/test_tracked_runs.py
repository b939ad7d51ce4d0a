from __future__ import annotations

import json
import logging
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import DataError, Interrupted, TrackingError
from src.v2.tracking.runs import training_run
from src.v2.tracking.tracked_run import NullRun, TrackedRun

ClientOf = Callable[[MlflowConfig], Any]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (None, "FINISHED", None),
        (ValueError("bad\nat http://ann:pw@host"), "FAILED", "ValueError: bad at http://***@host"),
        (DataError("no bars. Give some."), "FAILED", "no bars. Give some"),
        (KeyboardInterrupt(), "KILLED", "KeyboardInterrupt"),
        (Interrupted("SIGTERM", 143), "KILLED", "interrupted by SIGTERM"),
        (SystemExit(2), "KILLED", "SystemExit: 2"),
    ],
)
def test_the_status_and_the_reason_say_how_the_run_ended(
    sqlite_store: MlflowConfig,
    client_of: ClientOf,
    error: BaseException | None,
    status: str,
    reason: str | None,
) -> None:
    with pytest.raises(type(error)) if error else training_run(sqlite_store, run_name="other"):
        with training_run(sqlite_store, run_name="r") as run:
            if error:
                raise error
    found = client_of(sqlite_store).get_run(run.run_id)
    assert found.info.status == status
    assert found.info.end_time >= found.info.start_time
    assert found.data.tags.get("end_reason") == reason


def test_the_reason_holds_what_was_being_done(
    sqlite_store: MlflowConfig, client_of: ClientOf
) -> None:
    error = RuntimeError("it broke " * 200)
    with pytest.raises(RuntimeError):
        with training_run(sqlite_store, run_name="long"):
            raise error
    short = ValueError("the fit broke")
    short.add_note("while fitting fold 1")
    with pytest.raises(ValueError, match="the fit broke"):
        with training_run(sqlite_store, run_name="noted"):
            raise short
    noted, long = client_of(sqlite_store).search_runs(["1"])
    assert noted.data.tags["end_reason"] == "ValueError: the fit broke (while fitting fold 1)"
    assert len(long.data.tags["end_reason"]) == 500


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("bad"), "FAILED"), (Interrupted("SIGINT", 130), "KILLED")]
)
def test_a_child_that_breaks_off_is_not_left_running(
    sqlite_store: MlflowConfig,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with pytest.raises((TrackingError, Interrupted)):
        with training_run(sqlite_store, run_name="r") as run:
            monkeypatch.setattr(run._client, "log_batch", fail)
            run.child("fold_1", metrics={"a": 1.0})
    monkeypatch.undo()
    found = client_of(sqlite_store).search_runs([run.experiment_id])
    assert [each.info.status for each in found] == [status] * 2


@pytest.mark.parametrize("step", ["create_run", "set_terminated"])
def test_a_signal_in_a_store_call_leaves_no_run_open(
    sqlite_store: MlflowConfig,
    client_of: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    step: str,
) -> None:
    client = client_of(sqlite_store)
    real = getattr(type(client), step)

    def interrupted(*words: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        answer = real(*words, **more)
        monkeypatch.undo()
        return answer

    monkeypatch.setattr(type(client), step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        with training_run(sqlite_store, run_name="r"):
            pass
    (found,) = client.search_runs(["1"])
    assert found.info.status == "KILLED"
    assert "Traceback" not in capfd.readouterr().err


def test_trouble_at_the_end_never_hides_the_error(
    sqlite_store: MlflowConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the store is gone")

    with pytest.raises(ValueError, match="the real one"):
        with training_run(sqlite_store, run_name="r") as run:
            monkeypatch.setattr(run._client, "set_terminated", refuse)
            raise ValueError("the real one")
    assert "could not be marked FAILED: the store is gone" in caplog.text


def test_everything_logged_is_read_back(
    any_store: MlflowConfig, client_of: ClientOf, tmp_path: Path
) -> None:
    (tmp_path / "local.txt").write_text("text")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.svg").write_text("<svg/>")
    with training_run(
        any_store, run_name="r", tags={"git_commit": "abc"}, description="**note**"
    ) as run:
        run.log_params({"model.depth": 6, "tickers": ("A", "B"), "none": None, "flag": True})
        run.log_metrics({"final_r2": 0.01, "cv_rank_ic_mean": -0.02})
        run.log_curve({"train_loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, float("nan")]})
        run.set_tags({"dataset_name": "us20"})
        run.log_files(
            {
                "same/local.txt": tmp_path / "local.txt",
                "renamed.txt": tmp_path / "local.txt",
                "figures": tmp_path / "plots",
            }
        )
        run.log_text("hello", "notes/hello.txt")
        run.log_dict({"a": [1, 2]}, "config.json")
    client = client_of(any_store)
    data = client.get_run(run.run_id).data
    assert data.params == {
        "model.depth": "6",
        "tickers": "A,B",
        "none": "null",
        "flag": "true",
    }
    assert data.metrics["final_r2"] == 0.01
    assert data.metrics["cv_rank_ic_mean"] == -0.02
    assert data.tags["git_commit"] == "abc"
    assert data.tags["dataset_name"] == "us20"
    assert data.tags["mlflow.note.content"] == "**note**"
    history = client.get_metric_history(run.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert len(client.get_metric_history(run.run_id, "val_loss")) == 2
    names = {item.path for item in client.list_artifacts(run.run_id)}
    assert names == {"same", "renamed.txt", "figures", "notes", "config.json"}
    place = client.download_artifacts(run.run_id, "", str(tmp_path))
    assert Path(place, "renamed.txt").read_text() == "text"
    assert Path(place, "same/local.txt").read_text() == "text"
    assert Path(place, "figures/a.svg").read_text() == "<svg/>"
    assert json.loads(Path(place, "config.json").read_text()) == {"a": [1, 2]}


def test_children_are_finished_and_tied_to_their_parent(
    any_store: MlflowConfig, client_of: ClientOf
) -> None:
    curves = {"train_loss": [1.0 / (i + 1) for i in range(1500)], "val_loss": [2.0]}
    with training_run(any_store, run_name="r") as run:
        child = run.child(
            "fold_3",
            metrics={"rank_ic": 0.05, "r2": float("-inf")},
            curves=curves,
            params={f"p{number}": number for number in range(150)},
            tags={"fold": "3"},
        )
    client = client_of(any_store)
    found = client.get_run(child)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "fold_3"
    assert found.data.tags["mlflow.parentRunId"] == run.run_id
    assert found.data.tags["fold"] == "3"
    assert len(found.data.params) == 150
    assert found.data.metrics["rank_ic"] == 0.05
    assert "r2" not in found.data.metrics
    assert len(client.get_metric_history(child, "train_loss")) == 1500
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_nothing_is_printed(any_store: MlflowConfig, capfd: pytest.CaptureFixture[str]) -> None:
    with training_run(any_store, run_name="r") as run:
        run.child("fold_1", metrics={"rank_ic": 0.1})
    assert capfd.readouterr() == ("", "")


def test_the_dataset_is_an_input_in_the_training_context(
    any_store: MlflowConfig, client_of: ClientOf, tmp_path: Path
) -> None:
    with training_run(any_store, run_name="r") as run:
        for source in (str(tmp_path), "https://host/bars.parquet", "yahoo"):
            run.log_dataset(
                name=f"us20 from {source.partition(':')[0]}",
                source=source,
                digest="0123456789abcdef" * 3,
                columns={"close": "double", "ticker": "string"},
                counts={"rows": 5000},
            )
    inputs = client_of(any_store).get_run(run.run_id).inputs.dataset_inputs
    assert {given.dataset.source_type for given in inputs} == {"local", "http", "code"}
    for given in inputs:
        assert len(given.dataset.digest) == 36
        assert json.loads(given.dataset.profile) == {"rows": 5000}
        assert json.loads(given.dataset.schema)["mlflow_colspec"][0]["name"] == "close"
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_numbers_that_are_not_finite_are_dropped_and_counted(
    sqlite_store: MlflowConfig, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG, logger="src.v2"),
        training_run(sqlite_store, run_name="r") as run,
    ):
        run.log_metrics({"a": float("nan"), "b": float("inf"), "c": 1.0})
    assert client_of(sqlite_store).get_run(run.run_id).data.metrics == {"c": 1.0}
    assert "2 values are not finite" in caplog.text


def test_long_values_are_shortened_with_a_mark(
    sqlite_store: MlflowConfig, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    with training_run(sqlite_store, run_name="r", description="d" * 9000) as run:
        run.log_params({"tickers": ["TICKER"] * 2000})
    data = client_of(sqlite_store).get_run(run.run_id).data
    assert len(data.params["tickers"]) == 6000
    assert data.params["tickers"].endswith("… (shortened from 13999 chars)")
    assert data.tags["mlflow.note.content"].endswith("… (shortened from 9000 chars)")
    assert caplog.records == []


def test_without_artifacts_only_numbers_and_words_are_kept(
    sqlite_store: MlflowConfig, client_of: ClientOf, boosters: dict[str, Path], example: Any
) -> None:
    config = sqlite_store.model_copy(update={"log_artifacts": False})
    with training_run(config, run_name="r") as run:
        run.log_params({"a": 1})
        run.log_metrics({"b": 2.0})
        run.log_files({"a": Path("absent")})
        run.log_text("a", "a.txt")
        run.log_dict({"a": 1}, "a.json")
        assert run.log_model(boosters["regression"], example=example) is None
    client = client_of(config)
    assert client.list_artifacts(run.run_id) == []
    assert client.search_logged_models([run.experiment_id]) == []
    found = client.get_run(run.run_id).data
    assert (found.params, found.metrics) == ({"a": "1"}, {"b": 2.0})


def test_a_refusal_amid_the_run_is_one_line_and_the_run_failed(
    sqlite_store: MlflowConfig, client_of: ClientOf
) -> None:
    with pytest.raises(TrackingError, match=r"mlruns\.db must be usable") as caught:
        with training_run(sqlite_store, run_name="r") as run:
            run.log_params({"a": 1})
            run.log_params({"a": 2})
    assert "\n" not in str(caught.value)
    assert client_of(sqlite_store).get_run(run.run_id).info.status == "FAILED"


def test_a_database_gone_bad_amid_the_run_prints_no_traceback(
    sqlite_store: MlflowConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TrackingError, match="no such table"):
        with training_run(sqlite_store, run_name="r") as run:
            with sqlite3.connect(tmp_path / "mlruns.db") as connection:
                connection.execute("DROP TABLE metrics")
            connection.close()
            run.log_metrics({"a": 1.0})
    assert "Traceback" not in capfd.readouterr().err


def test_no_store_appears_in_the_working_folder(
    empty_database: Path, tmp_path: Path, boosters: dict[str, Path], example: Any
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mlruns.db").write_bytes(empty_database.read_bytes())
    config = MlflowConfig(tracking_uri=f"sqlite:///{elsewhere / 'mlruns.db'}")
    with training_run(config, run_name="r") as run:
        run.log_model(boosters["regression"], example=example)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_the_null_run_answers_to_everything_that_a_run_does() -> None:
    public = {name for name in dir(TrackedRun) if not name.startswith("_")}
    null = NullRun()
    assert all(hasattr(null, name) for name in (*public, "run_id", "experiment_id"))
    assert null.keeps_files is False
