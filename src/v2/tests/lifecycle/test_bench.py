"""Panels that arms share: on disk as in memory, and under another label without new features."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.errors import NotEnoughData
from src.v2.lifecycle.arms import run_arm
from src.v2.lifecycle.bench import Bench
from src.v2.lifecycle.variations import Arm
from src.v2.modeling.feature_rows import StoredRows
from src.v2.preparation import Prepared
from src.v2.tests.synthetic import ragged, random_walk_bars


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars of tickers that start late, stop early, halt and leave the universe."""
    place = tmp_path_factory.mktemp("bars")
    bars = ragged(random_walk_bars(24, 900, 1, signal=0.002))
    bars.write_parquet(place / "bars.parquet")
    names = bars["ticker"].unique().sort().to_list()
    last = bars["date"].unique().sort()[600]
    lines = [f"{name},2010-01-01,{last if name == names[0] else ''}" for name in names]
    (place / "members.csv").write_text("\n".join(["ticker,from,to", *lines]) + "\n")
    return place


def _config(folder: Path, label: dict[str, Any], **sections: dict[str, Any]) -> Config:
    overlay: dict[str, Any] = {
        "data": {
            "source": "files",
            "path": str(folder / "bars.parquet"),
            "min_history": 200,
            "max_dropped_share": 1.0,
        }
        | sections.pop("data", {}),
        "features": {"families": ["momentum", "market", "cross_section"]},
        "label": {"forward_days": 5} | label,
        "model": {"n_estimators": 12, "early_stopping_rounds": 4, "min_rounds": 1, "threads": 2},
        "validation": {"test_sessions": 160},
        "paths": {"scratch_dir": str(folder / "scratch"), "bars_dir": str(folder / "store")},
    }
    return load_config((), environ={}, overlay=overlay | sections, files=False)


def _bench(stages: Stages | None = None) -> Bench:
    return Bench(stages or Stages(), no_progress)


def _assert_equal(found: Prepared, wanted: Prepared) -> None:
    assert found.panel.keys.schema == wanted.panel.keys.schema
    assert found.panel.keys.equals(wanted.panel.keys)
    for name in ("session", "label_end", "ticker", "bar"):
        some, other = getattr(found.panel, name), getattr(wanted.panel, name)
        assert some.dtype == other.dtype
        np.testing.assert_array_equal(some, other, err_msg=name)
    bits, others = (each.panel.features.view(np.uint32) for each in (found, wanted))
    np.testing.assert_array_equal(bits, others)
    same = {field.name for field in dataclasses.fields(Prepared)} - {"panel", "engine", "place"}
    for name in same - {"closes", "context"}:
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.closes.equals(wanted.closes)
    assert (found.panel.names, found.panel.sessions) == (wanted.panel.names, wanted.panel.sessions)


LABELS: dict[str, dict[str, Any]] = {
    "a longer horizon": {"forward_days": 21},
    "a later trade": {"entry_lag": 3},
    "ranks": {"target": "rank"},
    "raw returns": {"target": "return"},
    "two classes": {"mode": "classification"},
    "five classes": {"mode": "classification", "classes": "rating", "forward_days": 2},
}


@pytest.mark.parametrize("mode", ["memory", "external"])
@pytest.mark.parametrize("members", [False, True], ids=["all", "members"])
def test_another_label_on_the_same_features_is_a_fresh_build_to_the_bit(
    folder: Path, mode: str, members: bool
) -> None:
    data = {"universe": str(folder / "members.csv")} if members else {}
    scale = {"mode": mode, "rows_at_once": 10_000}
    stages = Stages()
    with _bench(stages) as bench:
        first = bench.prepare(_config(folder, {}, data=data, scale=scale))
        assert first.stretched > 0
        rows = first.panel.feature_rows
        computed = stages.seconds["features"]
        for label in LABELS.values():
            config = _config(folder, label, data=data, scale=scale)
            found = bench.prepare(config)
            assert found.panel.feature_rows is rows
            assert isinstance(rows, StoredRows) == (mode == "external")
            with _bench() as fresh:
                _assert_equal(found, fresh.prepare(_config(folder, label, data=data)))
        assert stages.seconds["features"] == computed
    assert not list(folder.glob("scratch/run-*"))


def test_other_features_or_bars_are_a_panel_of_their_own_and_one_lies_on_disk(
    folder: Path,
) -> None:
    scale = {"mode": "external", "rows_at_once": 10_000}
    changes: list[dict[str, Any]] = [
        {"features": {"families": ["momentum"]}},
        {"features": {"families": ["momentum"], "min_history": 300}},
        {"data": {"start": "2010-06-01"}},
        {},
    ]
    with _bench() as bench:
        for change in changes:
            config = _config(folder, {}, scale=scale, **change)
            found = bench.prepare(config)
            assert bench.prepare(config) is found
            assert len(list(folder.glob("scratch/run-*"))) == 1
            with _bench() as fresh:
                _assert_equal(found, fresh.prepare(_config(folder, {}, **change)))
    assert not list(folder.glob("scratch/run-*"))


def test_how_rows_are_fitted_makes_no_other_panel(folder: Path) -> None:
    with _bench() as bench:
        found = bench.prepare(_config(folder, {}))
        rules = {"validation": {"test_sessions": 160, "half_life_sessions": 300}}
        assert bench.prepare(_config(folder, {}, model={"max_depth": 2}, **rules)) is found
        other = bench.prepare(_config(folder, {}, validation={"test_sessions": 200}))
        assert other.panel.feature_rows is found.panel.feature_rows
        assert other.schedule != found.schedule


def test_a_label_that_does_not_fit_the_bars_is_refused_as_by_a_fresh_build(folder: Path) -> None:
    with _bench() as bench:
        kept = bench.prepare(_config(folder, {}))
        config = _config(folder, {"forward_days": 200})
        with pytest.raises(NotEnoughData) as found:
            bench.prepare(config)
        with pytest.raises(NotEnoughData) as wanted, _bench() as fresh:
            fresh.prepare(config)
        assert str(found.value) == str(wanted.value)
        assert bench.prepare(_config(folder, {})) is kept


def test_an_arm_on_disk_is_nearly_that_in_memory(folder: Path) -> None:
    found = {}
    for mode in ("memory", "external"):
        config = _config(folder, {}, scale={"mode": mode, "rows_at_once": 10_000})
        with _bench() as bench:
            found[mode] = run_arm(Arm("a", "a", config), bench.prepare(config), no_progress)
    memory, external = found["memory"], found["external"]
    assert external.config_fingerprint == memory.config_fingerprint
    columns = [name for name in memory.predictions.columns if name not in ("score", "prediction")]
    assert external.predictions.select(columns).equals(memory.predictions.select(columns))
    wanted, score = (result.predictions["score"].to_numpy() for result in (memory, external))
    assert np.corrcoef(wanted, score)[0, 1] > 0.95
    assert abs(external.trial.rank_ic - memory.trial.rank_ic) < 0.02
    assert not list(folder.glob("scratch/run-*"))


@pytest.mark.slow
def test_an_arm_on_a_cluster_is_nearly_the_local_one_under_either_label(folder: Path) -> None:
    exact = {"n_estimators": 20, "early_stopping_rounds": 0, "subsample": 1.0, "threads": 1}
    engines: list[dict[str, Any]] = [
        {"engine": "local"},
        {"engine": "dask", "workers": 2, "rows_at_once": 10_000},
    ]
    results: list[list[pl.DataFrame]] = []
    for scale in engines:
        with _bench() as bench:
            tables = []
            for label in ({}, {"mode": "classification"}):
                config = _config(folder, label, model=exact, scale=scale)
                prepared = bench.prepare(config)
                tables.append(run_arm(Arm("a", "a", config), prepared, no_progress).predictions)
            results.append(tables)
    for local, ours in zip(*results, strict=True):
        keys = ["date", "ticker", "label", "forward_return", "label_end"]
        assert ours.select(keys).equals(local.select(keys))
        for fold in local["fold"].unique():
            there, here = (
                table.filter(pl.col("fold") == fold)["score"].rank().to_numpy()
                for table in (local, ours)
            )
            assert np.corrcoef(there, here)[0, 1] >= 0.99
