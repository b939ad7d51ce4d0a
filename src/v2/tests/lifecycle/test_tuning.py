"""A search on the earlier folds, and what it may know."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.v2.config import Config, DataConfig, PathsConfig, ScaleConfig, ValidationConfig
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.errors import ConfigError, OmninmoError
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import Interval
from src.v2.lifecycle.arms import run_arm
from src.v2.lifecycle.bench import Bench
from src.v2.lifecycle.search_space import own_point, search_space
from src.v2.lifecycle.study import OpenTrial, SearchStudy
from src.v2.lifecycle.trial_walks import part_folds, walk_scored
from src.v2.lifecycle.tuning import conclude, search
from src.v2.lifecycle.tuning_text import tuning_sentences
from src.v2.lifecycle.variations import Arm
from src.v2.modeling.folds import Fold
from src.v2.preparation import Prepared, prepare_panel
from src.v2.stored_records import encode
from src.v2.tests.evaluation.leakage.planted import coverage_of
from src.v2.tests.synthetic import random_walk_bars, weekdays

FOLDS = tuple(Fold(number, 0, number * 10, number * 10 + 10, number * 10) for number in range(1, 8))


def _config(folder: Path, **tune: object) -> Config:
    settings = {
        "label": {"forward_days": 5},
        "features": {"families": ["momentum"]},
        "validation": {"test_sessions": 100},
        "model": {"n_estimators": 15, "min_rounds": 1, "early_stopping_rounds": 5},
        "tune": {"parameters": ["max_depth", "min_child_weight"], **tune},
        "paths": {"ledger_dir": str(folder / "ledger")},
    }
    return load_config((), environ={}, overlay=settings, files=False)


def _prepare(bars: pl.DataFrame, config: Config) -> Prepared:
    return prepare_panel(bars, None, coverage_of(bars), config, Stages())


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return random_walk_bars(22, 800, 4, signal=0.002).sort("ticker", "date")


def test_the_last_third_of_the_folds_confirms() -> None:
    assert [len(part_folds(FOLDS[:n], None).confirming) for n in (2, 3, 5, 7)] == [1, 1, 2, 2]
    parted = part_folds(FOLDS, 3)
    assert (*parted.searched, *parted.confirming) == FOLDS and len(parted.confirming) == 3
    with pytest.raises(ConfigError, match="must leave a fold"):
        part_folds(FOLDS, 7)


def test_a_search_sees_nothing_of_the_confirming_folds(bars: pl.DataFrame, tmp_path: Path) -> None:
    config = _config(tmp_path)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    start = prepared.panel.sessions[folds.confirming[0].test_start]
    known_by = folds.confirming[0].test_start

    def walk(own: Prepared) -> pl.DataFrame:
        tables, _, _ = walk_scored(own, config, folds.searched, known_by, lambda *_: False)
        return pl.concat(tables)

    seen = walk(prepared)
    assert seen.filter(pl.col("label_end") > start).is_empty()
    assert seen.filter(pl.col("label_end") == start).height > 0
    noise = np.random.default_rng(9).uniform(0.5, 2.0, bars.height)
    later = pl.when(pl.col("date") > start).then(pl.col("close") * noise).otherwise("close")
    other = _prepare(bars.with_columns(later.alias("close")), config)
    assert_frame_equal(walk(other), seen)


def test_folds_of_a_trial_are_those_of_an_arm(bars: pl.DataFrame, tmp_path: Path) -> None:
    config = _config(tmp_path)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    arm = run_arm(Arm("a", "a", config), prepared, no_progress)
    tables, _, _ = walk_scored(prepared, config, folds.confirming, None, lambda *_: False)
    numbers = [fold.number for fold in folds.confirming]
    same = arm.predictions.filter(pl.col("fold").is_in(numbers))
    columns = ["date", "ticker", "score", "forward_return"]
    assert_frame_equal(pl.concat(tables).select(columns), same.select(columns))


def test_what_is_hopeless_ends_after_the_fold_that_showed_it(
    bars: pl.DataFrame, tmp_path: Path
) -> None:
    config = _config(tmp_path)
    prepared = _prepare(bars, config)
    asked: list[tuple[int, float]] = []

    def stop(place: int, score: float) -> bool:
        asked.append((place, score))
        return place == 1

    folds = prepared.schedule.folds
    tables, rounds, pruned = walk_scored(prepared, config, folds, None, stop)
    assert (len(tables), len(rounds), pruned) == (2, 2, True)
    assert asked[1][1] == pytest.approx(daily_ic(pl.concat(tables))["rank_ic"].mean())
    assert not walk_scored(prepared, config, folds[:2], None, stop)[2]


def test_a_trial_that_was_given_up_counts_without_a_sharpe_ratio(
    bars: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, n_trials=2)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    space = search_space(config)
    study = SearchStudy(tmp_path / "study.db", "s", 1)
    monkeypatch.setattr(OpenTrial, "is_hopeless", lambda self, *_: self.trial.number == 1)
    walked, given_up = search(study, space, prepared, config, folds)
    assert not walked.pruned and given_up.pruned
    lines = [json.loads(x) for x in (tmp_path / "ledger" / "trials.jsonl").read_text().splitlines()]
    assert [line["sharpe"] is None for line in lines] == [False, True]
    assert all(line["rank_ic"] is not None for line in lines)


def test_the_winner_is_confirmed_on_dates_that_no_trial_saw(tmp_path: Path) -> None:
    bars = random_walk_bars(22, 1000, 4, signal=0.002)
    config = _config(tmp_path, n_trials=3, confirm_folds=2)
    rules = ValidationConfig(test_sessions=140)
    config = config.model_copy(update={"validation": rules})
    # A leaf that the rows do not fill: the default ranks nothing, and a quarter of it does.
    model = config.model.model_copy(update={"min_child_weight": 8_000.0, "max_depth": 2})
    config = config.model_copy(update={"model": model})
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, 2)
    space = search_space(config)
    study = SearchStudy(tmp_path / "study.db", "s", 1)
    study.enqueue({"max_depth": 3, "min_child_weight": 0.25})
    runs = list(search(study, space, prepared, config, folds))
    assert len(runs) == 3 and runs[1].config.fingerprint == config.fingerprint
    tuned = conclude(study, space, prepared, config, folds)
    assert tuned.default.point == own_point(config, space)
    assert tuned.best.score == max(trial.score for trial in tuned.trials)
    lines = (tmp_path / "ledger" / "trials.jsonl").read_text().splitlines()
    assert len(lines) == len({run.config.fingerprint for run in runs})
    assert tuned.default.score == 0.0 < tuned.best.score
    assert tuned.confirmation is not None
    tables, _, _ = walk_scored(prepared, tuned.config, folds.confirming, None, lambda *_: False)
    margin = daily_ic(pl.concat(tables).drop_nulls(["forward_return"]))["rank_ic"].to_numpy()
    expected = ewc_interval(margin, 5)
    assert tuned.confirmation.winner.mean == pytest.approx(expected.mean)
    assert tuned.confirmation.default.mean == 0.0
    assert tuned.confirmation.margin.mean == pytest.approx(expected.mean)
    first = weekdays(1000)[folds.confirming[0].test_start]
    assert pl.concat(tables).filter(pl.col("date") < first).is_empty()
    assert tuned.confirmation.dates == len(margin) >= 250
    assert tuned.recommended == (tuned.confirmation.test.p < 0.05)
    assert tuning_sentences(tuned)[-1].startswith("It ")
    # The same winner again is the same look at these dates, and no trial counts twice.
    (tmp_path / "ledger" / "trials.jsonl").rename(tmp_path / "old.jsonl")
    assert not list(search(study, space, prepared, config, folds))
    again = conclude(study, space, prepared, config, folds)
    assert again.confirmation == tuned.confirmation and tuned.confirmation.looks == 1
    anew = [json.loads(line) for line in lines]
    kept = (tmp_path / "ledger" / "trials.jsonl").read_text().splitlines()
    for trial, other in zip(map(json.loads, kept), anew, strict=True):
        assert trial | {"tried_at": ""} == other | {"tried_at": ""}


def test_a_search_on_disk_is_nearly_that_in_memory(bars: pl.DataFrame, tmp_path: Path) -> None:
    bars.write_parquet(tmp_path / "bars.parquet")
    found = []
    modes: tuple[Literal["memory", "external"], ...] = ("memory", "external")
    for mode in modes:
        config = _config(tmp_path, n_trials=2)
        changes = {
            "data": DataConfig(source="files", path=tmp_path / "bars.parquet"),
            "scale": ScaleConfig(mode=mode, rows_at_once=10_000),
            "paths": PathsConfig(ledger_dir=tmp_path / mode, scratch_dir=tmp_path / "scratch"),
            "model": config.model.model_copy(update={"early_stopping_rounds": 0}),
        }
        config = config.model_copy(update=changes)
        with Bench(Stages(), no_progress) as bench:
            prepared = bench.prepare(config)
            assert (prepared.place is not None) == (mode == "external")
            folds = part_folds(prepared.schedule.folds, None)
            space = search_space(config)
            study = SearchStudy(tmp_path / f"{mode}.db", "s", 1)
            assert len(list(search(study, space, prepared, config, folds))) == 2
            found.append(conclude(study, space, prepared, config, folds))
    assert not list(tmp_path.glob("scratch/run-*"))
    for memory, disk in zip(found[0].trials, found[1].trials, strict=True):
        assert memory.facts["config_fingerprint"] == disk.facts["config_fingerprint"]
        assert memory.score == pytest.approx(disk.score, abs=0.03)


def test_a_leak_on_the_searched_folds_is_not_recommended(
    bars: pl.DataFrame, tmp_path: Path
) -> None:
    config = _config(tmp_path, n_trials=2)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    space = search_space(config)
    study = SearchStudy(tmp_path / "study.db", "s", 1)
    study.enqueue(own_point(config, space))
    for score, low in ((0.0, -0.1), (0.6, 0.5)):
        with study.trial(space) as opened:
            facts = {"rank_ic": encode(Interval(score, low, score, 60)), "dates": 300}
            study.end(opened, score, facts, pruned=False)
    check = conclude(study, space, prepared, config, folds).confirmation
    assert check is not None and check.winner.mean < 0.2
    assert check.finding == "implausible"


def test_dates_that_confirm_are_those_known_before_the_holdout(
    bars: pl.DataFrame, tmp_path: Path
) -> None:
    config = _config(tmp_path)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, 2)
    tables, _, _ = walk_scored(prepared, config, folds.confirming, None, lambda *_: False)
    dates = pl.concat(tables).drop_nulls(["forward_return"])["date"].n_unique()
    assert folds.confirming_dates(prepared.schedule, config.label.span) == dates


def test_a_study_that_goes_on_draws_other_points_and_keeps_what_was_cut_off(
    tmp_path: Path,
) -> None:
    space = search_space(_config(tmp_path))
    points = []
    for call in range(2):
        study = SearchStudy(tmp_path / "study.db", "s", 7)
        for _ in range(3):
            with study.trial(space) as opened:
                opened.is_hopeless(0, 0.1)
                study.end(opened, 0.1, {"call": call}, pruned=False)
                points.append(tuple(opened.point.values()))
    assert len(set(points)) == 6
    assert [trial.facts["call"] for trial in study.ended()] == [0, 0, 0, 1, 1, 1]
    with pytest.raises(KeyError), study.trial(space) as opened:
        lost = opened.point
        raise KeyError
    with study.trial(space) as again:
        assert again.point == lost
        study.end(again, 0.2, {}, pruned=False)
    assert len(study.ended()) == 7


def test_a_damaged_study_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(OmninmoError, match="remove it to begin again"):
        SearchStudy(tmp_path / "study.db", "s", 1)


def _trials_of_an_earlier_call(folder: Path) -> tuple[Path, Config]:
    config = _config(folder)
    space, path = search_space(config), folder / "study.db"
    study = SearchStudy(path, "s", 1)
    for score in (0.1, 0.2):
        with study.trial(space) as opened:
            opened.is_hopeless(0, score)
            study.end(opened, score, {"rounds": 5, "dates": 300}, pruned=False)
    return path, config


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trial_user_attributes SET value_json = '{{'",
        "UPDATE trial_values SET value = 'much'",
        "UPDATE trials SET state = 'ODD'",
        "UPDATE trial_params SET distribution_json = '{}'",
    ],
)
def test_a_study_with_cells_that_no_search_wrote_is_told_in_one_line(
    tmp_path: Path, damage: str
) -> None:
    path, _ = _trials_of_an_earlier_call(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(damage)
        database.commit()
    with pytest.raises(OmninmoError, match=r"study\.db cannot be used: .* remove it to begin"):
        SearchStudy(path, "s", 1).ended()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trial_params SET param_name = 'gamma' WHERE param_name = 'max_depth'",
        "UPDATE trial_params SET param_value = 1e9 WHERE param_name = 'max_depth'",
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'trial', '[1]')",
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'rank_ic', '7')",
    ],
)
def test_a_trial_of_another_search_is_refused_before_a_new_one_is_made(
    bars: pl.DataFrame, tmp_path: Path, damage: str
) -> None:
    path, config = _trials_of_an_earlier_call(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(damage)
        database.commit()
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    study = SearchStudy(path, "s", 1)
    with pytest.raises(OmninmoError, match=r"study\.db cannot be used: .* remove it to begin"):
        next(search(study, search_space(config), prepared, config, folds))
    assert len(study.ended()) == 2


def test_a_study_that_another_program_holds_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, config = _trials_of_an_earlier_call(tmp_path)
    monkeypatch.setattr("src.v2.lifecycle.study.PATIENCE_SEC", 0.1)
    study, held = SearchStudy(path, "s", 1), "is held by another program"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OmninmoError, match=held):
            SearchStudy(path, "s", 1)
        with pytest.raises(OmninmoError, match=held), study.trial(search_space(config)):
            pass
    assert len(SearchStudy(path, "s", 1).ended()) == 2


def test_importance_names_the_parameter_that_decides(tmp_path: Path) -> None:
    space = search_space(_config(tmp_path))
    study = SearchStudy(tmp_path / "study.db", "s", 3)
    assert study.importance(0) == {}
    for _ in range(14):
        with study.trial(space) as opened:
            depth = opened.point["max_depth"]
            assert depth is not None
            study.end(opened, float(depth), {}, pruned=False)
    found = study.importance(0)
    assert next(iter(found)) == "max_depth" and found["max_depth"] > 0.8


def test_every_key_of_a_search_is_described(bars: pl.DataFrame, tmp_path: Path) -> None:
    from src.v2.evaluation.catalogue import COMPARISON_KEYS, KEYS
    from src.v2.lifecycle.tuning_runs import trial_metrics
    from src.v2.lifecycle.tuning_text import tuning_metrics

    config = _config(tmp_path, n_trials=2)
    prepared = _prepare(bars, config)
    folds = part_folds(prepared.schedule.folds, None)
    space = search_space(config)
    study = SearchStudy(tmp_path / "study.db", "s", 1)
    runs = list(search(study, space, prepared, config, folds))
    tuned = conclude(study, space, prepared, config, folds)
    keys = {*tuning_metrics(tuned), *trial_metrics(runs[0]), "importance_max_depth"}
    known = (*COMPARISON_KEYS, *KEYS)
    assert [key for key in keys if not any(entry.matches(key) for entry in known)] == []
