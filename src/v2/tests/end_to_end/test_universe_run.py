"""A run on a point-in-time universe: trained, judged and predicted with its members."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from src.v2 import api, predict
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.data.sources import load_bars
from src.v2.data.universe import load_universe
from src.v2.errors import ModelError
from src.v2.ledgers import uncounted
from src.v2.modeling.model_file import save_model
from src.v2.pipeline import Trained, train_model
from src.v2.preparation import prepare_panel
from src.v2.summary_record import summary_record
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

SESSIONS = 900
QUICK = (
    *("--mlflow.enabled", "false", "--features.families", "momentum,market,cross_section"),
    *("--evaluation.permutations", "999"),
)


def write_universe(place: Workplace, bars: pl.DataFrame, *more: str) -> Path:
    """T000 leaves, T001 joins late, T002 is away for a while, T024 and T025 are not in yet."""
    days = bars["date"].unique().sort()
    first, half, late = days[0], days[450], days[700]
    lines = [f"T{number:03d},{first}," for number in range(3, 24)]
    lines += [f"T000,{first},{late}", f"T001,{half},", f"T002,{first},{half}", f"T002,{late},"]
    path = place.folder / "members.csv"
    path.write_text("\n".join(["ticker,from,to", *lines, f"LOST,{first},{half}", *more]) + "\n")
    return path


class Run(NamedTuple):
    """A trained run and what it was made of."""

    place: Workplace
    bars: pl.DataFrame
    file: Path
    members: Path
    trained: Trained
    model: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train as the command does, without its pictures and its page."""
    place = Workplace(tmp_path_factory.mktemp("a universe"))
    bars = random_walk_bars(26, SESSIONS, 12)
    file, members = place.bars("walks", bars), write_universe(place, bars)
    config = load_config((*place.flags(file), *SMALL, *QUICK, "--data.universe", str(members)))
    prepared = prepare_panel(*load_bars(config.data), config, Stages())
    trained = train_model(prepared, config, Stages(), uncounted(), no_progress)
    name = place.folder / "models" / trained.card.name
    model = save_model(trained.model, trained.card, name)
    return Run(place, bars, file, members, trained, model)


def ranked(place: Workplace, file: Path, *words: str) -> set[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert predict.main([*place.flags(file), "--format", "csv", *words]) == 0
    return {row["ticker"] for row in csv.DictReader(io.StringIO(out.getvalue()))}


def test_forecasts_are_made_and_scored_for_members_alone(
    run: Run,
) -> None:
    days, rows = run.bars["date"].unique().sort(), run.trained.result.predictions
    by_ticker = {str(name[0]): set(part["date"]) for name, part in rows.group_by("ticker")}
    assert not {"T024", "T025", "LOST"} & set(by_ticker)
    assert max(by_ticker["T000"]) <= days[700] and min(by_ticker["T001"]) >= days[450]
    assert not by_ticker["T002"] & set(days[451:700])
    left = rows.filter((pl.col("ticker") == "T000") & (pl.col("date") > days[694]))
    assert left.height == 6 and left["label"].null_count() == 0


def test_the_summary_says_what_the_universe_left_out(
    run: Run,
) -> None:
    now = dt.datetime(2026, 1, 6)
    result = run.trained.result
    record = summary_record(result, model_path=run.model, run_id=None, timestamp=now)
    record = record["data_coverage"]
    universe = record["universe"]
    assert universe["members"] == 25 and universe["without_bars"] == ["LOST"]
    assert universe["outside_tickers"] == 2
    assert universe["history_rows"] == (SESSIONS - 701) + 450 + 249
    assert universe["missing_days"] == 451
    assert record["error_tickers"] == {"LOST": "not in the file"}
    assert any("1 of 25 members have no bars at all (LOST)" in note for note in record["notes"])


def test_predict_ranks_the_members_of_the_decision(
    run: Run,
) -> None:
    place, file = run.place, run.file
    days = run.bars["date"].unique().sort()
    usual = {f"T{number:03d}" for number in range(3, 24)}
    assert ranked(place, file) == usual | {"T001", "T002"}
    assert ranked(place, file, "--as-of", str(days[440])) == usual | {"T000", "T002"}
    assert ranked(place, file, "--as-of", str(days[600])) == usual | {"T000", "T001"}
    assert ranked(place, file, "--tickers", "T001") == {"T001"}


def test_predict_ranks_who_joined_after_the_training(
    run: Run,
) -> None:
    before, day = run.members.read_text(), run.bars["date"].unique().sort()[-1]
    try:
        write_universe(run.place, run.bars, f"T024,{day},")
        found = ranked(run.place, run.file)
    finally:
        run.members.write_text(before)
    assert "T024" in found and "T025" not in found


def test_the_notebook_ranks_as_the_command_does(
    run: Run,
) -> None:
    model, card = run.trained.model, run.trained.card
    forecast = api.predict(run.bars, model, card, universe=load_universe(run.members))
    assert set(forecast.rows["ticker"]) == ranked(run.place, run.file)
    with pytest.raises(ModelError, match="trained on a point-in-time universe"):
        api.predict(run.bars, model, card)


def test_a_notebook_trains_on_the_members(
    run: Run,
) -> None:
    settings = {
        "data": {"universe": str(run.members)},
        "features": {"families": ["momentum"]},
        "label": {"forward_days": 5},
        "validation": {"test_sessions": 120},
        "model": {"n_estimators": 5, "early_stopping_rounds": 0},
        "evaluation": {"permutations": 999},
        "explain": {"shap_rows": 50, "permutation_rows": 400, "interaction_rows": 20},
    }
    result = api.train(run.bars, settings).result
    assert result.coverage.universe is not None
    assert result.coverage.universe.without_bars == ("LOST",)
    assert not set(result.predictions["ticker"]) & {"T024", "T025"}
