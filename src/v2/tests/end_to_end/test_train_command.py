"""The train, predict and runs commands, as a user types them."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2 import predict, runs, train
from src.v2.tests.synthetic import random_walk_bars, weekdays
from src.v2.tests.workplace import SMALL, Workplace

GUIDE_REGRESSION = (
    *(
        f"cv_{key}_{end}"
        for key in ("rmse", "r2", "mae", "ic", "rank_ic")
        for end in ("mean", "std")
    ),
    *("cv_hit_rate_mean", "cv_hit_rate_std", "final_rmse", "final_r2", "final_mae", "final_ic"),
    *("final_rank_ic", "test_mse", "test_rmse", "test_r2", "test_mae", "feature_stability"),
    *("processed_tickers_count", "skipped_tickers_count", "error_tickers_count"),
    *("total_samples", "training_samples", "feature_count", "final_train_loss"),
    *("final_val_loss", "converged_epoch", "runtime_sec", "train_loss", "val_loss"),
)
GUIDE_CLASSIFICATION = (
    *("cv_accuracy_mean", "cv_accuracy_std", "final_accuracy", "final_balanced_accuracy"),
    *("final_mcc", "final_log_loss", "final_auc", "accuracy", "precision", "recall"),
    *("cv_ic_mean", "cv_rank_ic_mean", "cv_hit_rate_mean", "feature_stability", "converged_epoch"),
)
TAGS = (
    *("model_type", "framework", "mode", "env", "dataset_name", "data_source"),
    *("data_fingerprint", "config_fingerprint", "run_timestamp"),
)


def _runs(place: Workplace, mode: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.mode = '{mode}'")
    return list(found)


@pytest.mark.parametrize(
    ("mode", "keys", "picture"),
    [
        ("regression", GUIDE_REGRESSION, "forecast_against_actual.png"),
        ("classification", GUIDE_CLASSIFICATION, "confusion_matrix.png"),
    ],
)
def test_a_run_holds_everything_that_the_guides_name(
    noise_workplace: Workplace, mode: str, keys: tuple[str, ...], picture: str
) -> None:
    from mlflow import MlflowClient

    (run,) = _runs(noise_workplace, mode)
    assert run.info.status == "FINISHED"
    assert sorted(set(keys) - set(run.data.metrics)) == []
    assert sorted(set(TAGS) - set(run.data.tags)) == []
    params = run.data.params
    assert (params["mode"], params["forward_days"], params["max_depth"]) == (mode, "5", "6")
    client = MlflowClient(noise_workplace.store)
    run_id = run.info.run_id
    artifacts = {item.path for item in client.list_artifacts(run_id)}
    expected = {"feature_importance.png", "shap_summary.png", "model", "configs", "logs", picture}
    expected |= {"predictions.parquet", "folds.json", "sample_predictions.csv", "card.json"}
    assert sorted(expected - artifacts) == []
    assert any(name.startswith("shap_dependence_") for name in artifacts)
    children = client.search_runs(
        [run.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{run_id}'",
    )
    folds = noise_workplace.summary()["cross_validation"]["folds"]
    assert len(children) == len(folds)
    assert all(child.info.status == "FINISHED" for child in children)
    assert all("train_loss" in child.data.metrics for child in children)


def test_the_console_the_json_and_mlflow_agree(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(24, 1000, 12))
    assert place.train(bars) == 0
    shown = capsys.readouterr()
    (run,) = _runs(place, "regression")
    record = place.summary()
    logged = run.data.metrics
    for key, value in record["metrics"].items():
        assert (key in logged) == (value is not None), key
        if value is not None:
            assert logged[key] == pytest.approx(value, rel=1e-12), key
    for section in ("Data coverage", "Model performance", "Feature analysis", "MLflow"):
        assert section in shown.out
    assert run.info.run_id in shown.out
    assert f"{record['metrics']['cv_rank_ic_pooled']:+.4f}" in shown.out
    assert f"{record['metrics']['cv_r2_zero_pooled']:+.2%}" in shown.out
    assert f"{record['metrics']['cv_r2_mean_zero_pooled']:+.2%}" in shown.out
    assert "top features by mean |SHAP| of" in shown.out
    moving = list(record["feature_analysis"]["moving_features"])
    listed = re.findall(r"^ +\d+\. +(\S+) +\d", shown.out, re.MULTILINE)
    assert listed == moving
    (page,) = (place.folder / "reports").glob("*/report.json")
    told = json.loads(page.read_text())["explanation"]["importance"]["features"]
    assert [feature["name"] for feature in told[:10]] == moving
    assert record["feature_analysis"]["top_features_by"] == "the trees' gain"
    assert len(record["feature_analysis"]["top_features"]) == 10
    assert f"{record['metrics']['final_r2_mean_zero']:+.2%}" in shown.out
    assert "features left out for want of" in shown.out and "volume" in shown.out
    assert shown.err == ""


def test_predictions_alone_rebuild_the_metrics(noise_workplace: Workplace) -> None:
    from src.v2.config import LabelConfig
    from src.v2.evaluation.scores import score_block
    from src.v2.modeling.labels import plan_label

    (report,) = (noise_workplace.folder / "reports").glob("st_predictor_regression_*")
    table = pl.read_parquet(report / "predictions.parquet")
    (run,) = _runs(noise_workplace, "regression")
    plan = plan_label(LabelConfig(forward_days=5), 24)
    for part, prefix, end in (("walk_forward", "cv_", "_pooled"), ("holdout", "final_", "")):
        scores = score_block(table.filter(pl.col("part") == part), plan, ())
        for key, value in scores.items():
            if f"{prefix}{key}{end}" in run.data.metrics:
                assert run.data.metrics[f"{prefix}{key}{end}"] == pytest.approx(value)


def test_predict_ranks_the_latest_date_in_every_format(
    noise_workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = noise_workplace.folder / "noise.parquet"
    last = pl.read_parquet(bars)["date"].max()
    (model,) = (noise_workplace.folder / "models").glob("st_predictor_regression_*")
    words = [*noise_workplace.flags(), "--model", str(model)]
    assert predict.main([*words, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 24
    assert {row["date"] for row in rows} == {str(last)}
    assert [int(row["rank"]) for row in rows] == list(range(1, 25))
    assert {row["in_sample"] for row in rows} == {"false"}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert predict.main([*words, "--format", "json", "--tickers", "T003", "T007"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    everything = {row["ticker"]: row for row in rows}
    assert {row["ticker"] for row in chosen} == {"T003", "T007"}
    for row in chosen:
        assert row["predicted_return"] == float(everything[row["ticker"]]["predicted_return"])
        assert row["rank"] == int(everything[row["ticker"]]["rank"])
    assert predict.main(words) == 0
    table = capsys.readouterr()
    assert "5-session forecasts of" in table.out
    assert "days old" in table.err


def test_predict_by_the_newest_model_gives_probabilities_and_withholds_ratings(
    noise_workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main([*noise_workplace.flags(), "--format", "json"]) == 0
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert {row["rating"] for row in rows} == {"no evidence"}
    assert "verdict: no evidence; ratings are withheld" in shown.err
    assert all(row["p_up"] + row["p_down"] == pytest.approx(1.0) for row in rows)


def test_predict_as_of_an_earlier_date_sees_nothing_later(
    noise_workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = (noise_workplace.folder / "models").glob("st_predictor_regression_*")
    day = weekdays(1100)[1000]
    words = [*noise_workplace.flags(), "--model", str(model), "--format", "json"]
    assert predict.main([*words, "--as-of", str(day)]) == 0
    shown = capsys.readouterr()
    before = json.loads(shown.out)
    assert "in-sample: the model was fitted on what came after this date" in shown.err
    assert all(row["in_sample"] for row in before)
    table = pl.read_parquet(noise_workplace.folder / "noise.parquet")
    cut = noise_workplace.bars("cut", table.filter(pl.col("date") <= day))
    assert predict.main([*words, "--data.path", str(cut), "--data.source", "files"]) == 0
    assert json.loads(capsys.readouterr().out) == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--tickers", "NOPE"], 2, "does not know NOPE"),
        (["--max-age", "3"], 2, "--max-age allows 3"),
        (["--as-of", "1990-01-01"], 2, "must not be before the first bar"),
        (["--model", "nowhere"], 2, "nowhere is no model folder"),
        (["--data.source", "sample"], 2, "not in the sample: T000, T001"),
    ],
)
def test_predict_refuses_in_one_line(
    noise_workplace: Workplace,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    assert predict.main([*noise_workplace.flags(), *words]) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_runs_lists_what_was_trained(
    noise_workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--tracking-uri", noise_workplace.store, "--format", "json"]
    assert runs.main(words) == 0
    rows = json.loads(capsys.readouterr().out)
    # Other tests may have left runs of commands that train nothing.
    assert {row["mode"] for row in rows} >= {"regression", "classification"}
    for least, modes in ((0.7, set()), (-9, {"regression"})):
        assert runs.main([*words, "--filter", f"metrics.cv_r2_pooled > {least}"]) == 0
        assert {row["mode"] for row in json.loads(capsys.readouterr().out)} == modes


BAD_INPUT = {
    "missing file": (["--data.path", "nowhere.parquet"], 2, "nowhere.parquet"),
    "wrong key": (["--model.depth", "3"], 2, "--model.depth is no flag"),
    "wrong value": (["--model.max-depth", "zero"], 2, "model.max_depth"),
    "horizon beyond the data": (["--forward-days", "5000"], 2, "The walk-forward needs"),
    "too short a history": (["--start", "2013-06-01"], 2, "history"),
    "unknown ticker": (["--tickers", "NOPE"], 2, "NOPE"),
    "unknown family": (["--features.families", "astrology"], 2, "features.families"),
    "unknown own file": (["--features.modules", "nowhere.py"], 2, "nowhere.py"),
    "comparison of few": (
        ["--tickers", "T001", "T002", "--label.target", "rank"],
        2,
        "at least 20",
    ),
    "window of no use": (["--validation.max-train-sessions", "200"], 2, "needs scheme rolling"),
    "unwritable logs": (["--paths.logs-dir", "/proc/nowhere"], 1, "cannot be written"),
    "store out of reach": (["--mlflow.tracking-uri", "http://127.0.0.1:9"], 1, "127.0.0.1:9"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing_behind(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, code, message = BAD_INPUT[case]
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 1))
    assert train.main([*place.flags(bars), *SMALL, *words]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not list(place.folder.glob("models/*")) and not list(place.folder.glob("ledger/*"))
    assert not list(place.folder.glob("reports/*"))


def test_a_taken_model_path_is_refused_before_any_work(
    noise_workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = (noise_workplace.folder / "models").glob("st_predictor_regression_*")
    bars = noise_workplace.folder / "noise.parquet"
    assert noise_workplace.train(bars, "--model-path", str(model)) == 2
    assert "replace it with -y" in capsys.readouterr().err


def test_training_without_mlflow_keeps_model_and_summary(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("few", random_walk_bars(12, 900, 2))
    target = place.folder / "my model"
    words = ["--mlflow.enabled", "false", "--model-path", str(target)]
    assert place.train(bars, *words) == 0
    out = capsys.readouterr().out
    assert "not logged: mlflow.enabled is false" in out
    assert "too few to compare with each other" in out
    assert not (place.folder / "mlruns.db").exists()
    assert (target / "model.ubj").exists()
    assert place.summary()["run_id"] is None


def test_a_ticker_that_is_unfit_is_counted_and_named(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    table = random_walk_bars(22, 900, 3)
    short = pl.col("ticker") == "T001"
    late = pl.col("date") > weekdays(900)[800]
    broken = (pl.col("ticker") == "T002") & (pl.col("date") == dt.date(2011, 3, 1))
    table = table.filter(~short | late).with_columns(
        pl.when(broken).then(-1.0).otherwise("close").alias("close")
    )
    assert place.train(place.bars("odd", table), "--mlflow.enabled", "false") == 0
    out = capsys.readouterr().out
    assert "21 tickers processed, 1 skipped, 0 failed" in out
    assert "T001" in out and "T002" in out
    record = place.summary()["data_coverage"]
    assert list(record["skipped_tickers"]) == ["T001"]
    assert record["dropped_rows"][0]["ticker"] == "T002"


@pytest.mark.slow
def test_five_classes_by_quintile(make_workplace: Callable[[], Workplace]) -> None:
    place = make_workplace()
    bars = place.bars("rated", random_walk_bars(25, 900, 4))
    words = ["--mode", "classification", "--label.classes", "rating", "--mlflow.enabled", "false"]
    assert place.train(bars, "--label.classes", "rating") == 2
    assert place.train(bars, *words) == 0
    (report,) = (place.folder / "reports").iterdir()
    names = {path.name for path in report.iterdir()}
    assert {"confusion_matrix.png", "shap_summary.png"} <= names
    table = pl.read_parquet(report / "predictions.parquet")
    shares = table.select(pl.sum_horizontal(r for r in table.columns if r.startswith("p_")))
    assert shares.to_series().to_list() == pytest.approx([1.0] * table.height, abs=1e-5)


def _own_module(folder: Path, shift: int) -> Path:
    own = folder / "my features.py"
    own.write_text(
        "import polars as pl\n"
        "from src.v2.features.registry import Feature\n\n"
        "print('a line that belongs on no standard output')\n\n"
        "def features():\n"
        f"    move = pl.col('close') / pl.col('close').shift({shift}) - 1\n"
        "    return [Feature('my_return_3', 'mine', move, ('close',), 3, 'Own.', 'own')]\n"
    )
    return own


def test_an_own_feature_that_looks_ahead_is_refused_by_name(
    make_workplace: Callable[[], Workplace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 5))
    own = _own_module(tmp_path, -3)
    assert place.train(bars, "--features.modules", str(own), "--mlflow.enabled", "false") == 2
    assert "'my_return_3' looks ahead" in capsys.readouterr().err


def test_a_users_own_feature_is_used(
    make_workplace: Callable[[], Workplace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = _own_module(tmp_path, 3)
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(20, 900, 5))
    words = ["--features.modules", str(own), "--features.families", "momentum"]
    assert place.train(bars, *words, "--mlflow.enabled", "false") == 0
    (model,) = (place.folder / "models").iterdir()
    assert "my_return_3" in json.loads((model / "card.json").read_text())["features"]
    capsys.readouterr()
    words = [*place.flags(), "--format", "json"]
    assert predict.main(words) == 2
    assert "A model folder may not make code run" in capsys.readouterr().err
    words += ["--features.modules", str(own)]
    assert predict.main(words) == 0
    assert len(json.loads(capsys.readouterr().out)) == 20
    own.write_text(own.read_text() + "# changed\n")
    assert predict.main(words) == 2
    assert "missing or has changed since" in capsys.readouterr().err


def test_a_password_of_the_store_is_in_no_artifact(
    make_workplace: Callable[[], Workplace],
) -> None:
    from mlflow import MlflowClient

    from src.v2 import api
    from src.v2.config import MlflowConfig
    from src.v2.modeling.model_file import save_model
    from src.v2.tracking.runs import training_run
    from src.v2.training_summary import log_mlflow_metrics

    place = make_workplace()
    settings = {
        "label": {"forward_days": 5},
        "model": {"n_estimators": 5},
        "validation": {"test_sessions": 120},
    }
    trained = api.train(random_walk_bars(20, 900, 6), settings)
    secret = {"mlflow": {"tracking_uri": "http://ann:s3cret@host:5000"}}
    result = dataclasses.replace(trained.result, settings={**trained.result.settings, **secret})
    folder = save_model(trained.model, trained.card, place.folder / "m")
    with training_run(MlflowConfig(tracking_uri=place.store), run_name="r") as run:
        log_mlflow_metrics(
            result,
            run,
            model_folder=folder,
            pictures={},
            files={},
            runtime_sec=0.0,
        )
    local = Path(MlflowClient(place.store).download_artifacts(run.run_id, "configs"))
    text = (local / "effective_app_config.yaml").read_text()
    assert "forward_days: 5" in text
    assert "http://***@host:5000" in text and "s3cret" not in text
