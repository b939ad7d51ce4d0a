"""The monitor through its command, on a trained model and a log made up for it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from src.v2 import monitor, predict
from src.v2.explain.feeds import KINDS
from src.v2.lifecycle.prediction_log import read_log
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import DRIFT_NAME, read_card, read_drift_reference
from src.v2.tests.lifecycle.made_up import made_log
from src.v2.tests.workplace import Workplace

OLD_IS_FINE = ("--monitor.max-age", "99999")


@dataclasses.dataclass(frozen=True)
class InUse:
    """A model in use: its card, its bars, and folders of its own."""

    place: Workplace
    model: Path
    card: ModelCard
    bars: pl.DataFrame
    folder: Path

    @property
    def reports(self) -> list[Path]:
        """Folders of reports."""
        return sorted((self.folder / "reports").glob("monitor_*"))

    def log(self, skill: float) -> None:
        """Write a log of the last 150 sessions, as one file."""
        days = self.bars["date"].unique().sort().tail(150).to_list()
        log = made_log(self.bars, self.card, skill=skill, seed=1, dates=days)
        (self.folder / "log").mkdir(exist_ok=True)
        log.write_parquet(self.folder / "log" / "made.parquet")

    def run(self, *words: str) -> int:
        """Look at the model."""
        flags = [word for word in self.place.flags() if "bars" not in word]
        flags += ["--paths.reports-dir", str(self.folder / "reports")]
        flags += ["--paths.predictions-dir", str(self.folder / "log")]
        return monitor.main([*flags, "--model", str(self.model), *words])


@pytest.fixture
def in_use(noise_workplace: Workplace, tmp_path: Path) -> InUse:
    """Take the trained regression into use."""
    (model,) = (noise_workplace.folder / "models").glob("st_predictor_regression_*")
    bars = pl.read_parquet(noise_workplace.folder / "noise.parquet")
    return InUse(noise_workplace, model, read_card(model), bars, tmp_path)


def test_training_keeps_intervals_and_what_its_features_looked_like(in_use: InUse) -> None:
    card = in_use.card
    assert card.intervals is not None
    level = card.intervals.at(0.8)
    assert level is not None and level.coverage is not None
    assert level.error is not None and level.dates is not None and level.later is not None
    assert card.labels_last is not None and card.labels_last > card.train_last
    assert abs(level.coverage - 0.8) < 0.05
    assert card.out_of_sample["cv_interval_80_held"] == level.coverage
    reference = read_drift_reference(in_use.model)
    assert reference is not None
    assert tuple(reference["feature"]) == card.features
    assert reference["importance"].sum() == pytest.approx(1.0)
    assert reference["distances"].list.len().min() == 15
    assert set(KINDS) <= set(reference.columns)
    # Of every session, though fitted on every n-th: the month stands still for 23 at most.
    stood = dict(reference.select("feature", "standstill").iter_rows())
    assert stood["market_return_20"] == 1 and 20 <= stood["month_sin"] <= 23
    assert stood["return_20"] is None
    assert (in_use.model / DRIFT_NAME).stat().st_size < 2**20


def test_a_sound_model_gives_0_and_everything_that_was_promised(
    in_use: InUse, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    in_use.log(0.05)
    assert in_use.run(*OLD_IS_FINE) == 0, capsys.readouterr()
    shown = capsys.readouterr().out
    assert "omninmo: monitor" in shown and "No alarm" in shown
    (report,) = in_use.reports
    assert sorted(path.name for path in report.iterdir()) == ["monitor.html", "monitor.json"]
    record = json.loads((report / "monitor.json").read_text())
    assert record["model"] == in_use.card.name
    outcomes = {check["name"]: check["outcome"] for check in record["checks"]}
    assert outcomes["coverage"] == outcomes["drift"] == outcomes["feeds"] == "ok"
    # The walk-forward of noise promised next to nothing, so nothing can be missed.
    assert outcomes["skill"] == "cannot tell"
    assert len(record["moves"]) == len(in_use.card.features)
    page = (report / "monitor.html").read_text()
    assert "Features of the newest quarter against training" in page
    client = MlflowClient(in_use.place.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'monitor'")
    assert run.data.tags["verdict"] == "monitor ok"
    assert run.data.metrics["monitor_alarms"] == 0
    assert run.data.metrics["monitor_rank_ic"] == record["checks"][0]["numbers"]["rank_ic"]


def test_a_model_that_turned_bad_gives_3(in_use: InUse, capsys: pytest.CaptureFixture[str]) -> None:
    in_use.log(-0.4)
    assert in_use.run(*OLD_IS_FINE, "--mlflow.enabled", "false") == 3
    assert "ALARM: skill." in capsys.readouterr().out


def test_bars_that_stay_away_give_3(in_use: InUse, capsys: pytest.CaptureFixture[str]) -> None:
    in_use.log(0.05)
    assert in_use.run("--mlflow.enabled", "false") == 3
    assert "ALARM: bars." in capsys.readouterr().out


def test_features_that_drifted_give_3(in_use: InUse, capsys: pytest.CaptureFixture[str]) -> None:
    in_use.log(0.05)
    model = in_use.folder / "model"
    shutil.copytree(in_use.model, model)
    reference = read_drift_reference(model)
    assert reference is not None
    # A reference whose bins lie elsewhere is what features that moved look like.
    top = reference.sort("importance", descending=True)["feature"].head(3).to_list()
    moved = pl.col("feature").is_in(top)
    reference.with_columns(
        *(
            pl.when(moved).then(pl.col(name).list.eval(pl.element() + 1e3)).otherwise(name)
            for name in ("cuts", "fine_cuts")
        ),
        pl.when(moved)
        .then(pl.col("distances").list.eval(0.05 + pl.element() * 1e-3))
        .otherwise("distances"),
    ).write_parquet(model / DRIFT_NAME)
    assert in_use.run(*OLD_IS_FINE, "--mlflow.enabled", "false", "--model", str(model)) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "ALARM: drift." in shown
    assert all(name in shown.replace(" ", "") for name in top)


def test_a_forecast_of_today_on_bars_of_years_ago_is_logged_and_not_called_in_time(
    in_use: InUse, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*in_use.place.flags(), "--paths.predictions-dir", str(in_use.folder / "log")]
    assert predict.main([*flags, "--model", str(in_use.model)]) == 0
    assert read_log(in_use.folder / "log").height == 24
    assert in_use.run(*OLD_IS_FINE, "--mlflow.enabled", "false") == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 date in the log, 0 of them with an outcome of 5 sessions" in shown
    assert "no outcome counts yet" in shown
    assert "Dates that do not count: 1 (made after the trade)" in shown
    assert "ALARM: predictions." in shown
    assert "the last one made in time" not in shown


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("no log", 2, "holds no prediction of st_predictor_regression_"),
        ("damaged", 2, "is no file of the prediction log"),
        ("no model", 2, "is no model folder"),
        ("no place", 1, "--paths.reports-dir"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(
    in_use: InUse, capsys: pytest.CaptureFixture[str], case: str, code: int, words: str
) -> None:
    more = ["--mlflow.enabled", "false"]
    if case != "no log":
        in_use.log(0.0)
    if case == "damaged":
        (in_use.folder / "log" / "x.parquet").write_text("x")
    if case == "no model":
        more += ["--model", str(in_use.folder)]
    if case == "no place":
        (in_use.folder / "reports").write_text("a file")
    assert in_use.run(*more) == code
    shown = capsys.readouterr()
    assert words in shown.err and shown.out == ""
    assert "Traceback" not in shown.err
    assert in_use.reports == []


def test_the_clock_of_the_log_is_that_of_the_world(in_use: InUse) -> None:
    flags = [*in_use.place.flags(), "--paths.predictions-dir", str(in_use.folder / "log")]
    before = dt.datetime.now(dt.UTC)
    assert predict.main([*flags, "--model", str(in_use.model)]) == 0
    (made,) = read_log(in_use.folder / "log")["made_at"].unique().to_list()
    assert before <= made <= dt.datetime.now(dt.UTC)
