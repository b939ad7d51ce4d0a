"""Training with a panel on disk: the same panel, no file left, and never all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2 import api
from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.data.bars import clean_bars
from src.v2.explain import drift, drift_reference, feeds, noise_probes
from src.v2.ledgers import uncounted
from src.v2.modeling import baseline_fits
from src.v2.modeling.feature_rows import StoredRows
from src.v2.pipeline import train_model
from src.v2.preparation import Prepared, prepare_panel
from src.v2.scale.engine import Engine
from src.v2.scale.opening import open_engine
from src.v2.tests.evaluation.leakage.planted import coverage_of
from src.v2.tests.synthetic import ragged, random_walk_bars
from src.v2.tests.workplace import Workplace

BLOCK = 10_000


def _config(mode: str, scratch: Path, label: dict[str, Any] | None = None) -> Config:
    overlay = {
        "features": {"families": ["momentum", "market", "cross_section"]},
        "label": {"forward_days": 5} | (label or {}),
        "model": {"n_estimators": 12, "early_stopping_rounds": 4, "min_rounds": 1, "threads": 2},
        "validation": {"test_sessions": 160},
        "evaluation": {"permutations": 999},
        "explain": {
            "shap_rows": 120,
            "dependence_features": 1,
            "permutation_rows": 300,
            "interaction_rows": 20,
        },
        "scale": {"mode": mode, "rows_at_once": BLOCK},
        "paths": {"scratch_dir": str(scratch)},
    }
    return load_config((), environ={}, overlay=overlay, files=False)


def _prepare(bars: pl.DataFrame, config: Config, engine: Engine | None = None) -> Prepared:
    return prepare_panel(bars, None, coverage_of(bars), config, Stages(), None, engine)


def test_what_is_prepared_is_equal_but_for_where_it_lies(tmp_path: Path) -> None:
    bars = ragged(random_walk_bars(24, 900, 1))
    config = _config("external", tmp_path)
    wanted = _prepare(bars, _config("memory", tmp_path))
    with open_engine(config, Stages()) as engine:
        found = _prepare(bars, config, engine)
        assert isinstance(found.panel.feature_rows, StoredRows)
        np.testing.assert_array_equal(
            found.panel.features.view(np.uint32), wanted.panel.features.view(np.uint32)
        )
        (scratch,) = tmp_path.glob("run-*")
        blocks = len(list((scratch / "blocks").iterdir()))
        assert found.place is not None
        assert f"{blocks} blocks" in found.place and str(scratch) in found.place
    assert found.panel.keys.equals(wanted.panel.keys)
    for name in ("schedule", "plan", "features", "stretched", "coverage", "universe"):
        assert getattr(found, name) == getattr(wanted, name)
    assert wanted.place is None
    assert not list(tmp_path.glob("run-*"))


def test_where_the_panel_lies_makes_no_other_configuration(tmp_path: Path) -> None:
    external, memory = (_config(mode, tmp_path) for mode in ("external", "memory"))
    assert external.fingerprint == memory.fingerprint
    dask = load_config((), environ={}, overlay={"scale": {"engine": "dask"}}, files=False)
    assert dask.fingerprint != load_config((), environ={}, files=False).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("label", [{}, {"mode": "classification"}], ids=["return", "classes"])
def test_a_training_on_disk_never_holds_all_rows_and_gives_nearly_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: dict[str, Any]
) -> None:
    bars = ragged(random_walk_bars(40, 1300, 2, signal=0.0005))
    bars, _ = clean_bars(bars, 252, 1.0)
    # Few rows are asked for where a limit says so, so that any larger read is a leak.
    for module in (baseline_fits, noise_probes, drift, drift_reference, feeds):
        monkeypatch.setattr(module, "MOST_ROWS", 3_000)
    largest = _watch_reads(monkeypatch)
    results = []
    for mode in ("memory", "external"):
        config = _config(mode, tmp_path, label)
        with open_engine(config, Stages()) as engine:
            prepared = _prepare(bars, config, engine)
            rows = len(prepared.panel.session)
            results.append(train_model(prepared, config, Stages(), uncounted(), no_progress).result)
    assert 0 < max(largest) <= BLOCK + 40 < rows / 3
    memory, external = results
    assert external.training_rows == memory.training_rows
    assert [fold.train_rows for fold in external.folds] == [
        fold.train_rows for fold in memory.folds
    ]
    keys = ["date", "ticker", "label", "forward_return", "expanding_mean", "label_end"]
    assert external.predictions.select(keys).equals(memory.predictions.select(keys))
    wanted, found = (result.predictions["score"].to_numpy() for result in results)
    assert np.corrcoef(wanted, found)[0, 1] > 0.95
    assert not list(tmp_path.glob("run-*"))


def _watch_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many numbers each read of a store brings into memory, in rows of all features."""
    found: list[int] = []
    read = StoredRows._read

    def watched(self: StoredRows, work: Any, width: int) -> Any:
        found.append(len(self) * width // self.store.width)
        return read(self, work, width)

    monkeypatch.setattr(StoredRows, "_read", watched)
    return found


@pytest.mark.slow
def test_the_train_command_says_where_the_panel_lay(
    make_workplace: Callable[[], Workplace], capsys: pytest.CaptureFixture[str]
) -> None:
    place = make_workplace()
    bars = place.bars("noise", random_walk_bars(24, 1100, 11, ohlcv=True))
    scratch = place.folder / "scratch"
    words = ["--scale.mode", "external", "--scale.rows-at-once", "10000"]
    assert place.train(bars, *words, "--paths.scratch-dir", str(scratch)) == 0
    shown = capsys.readouterr().out
    assert "panel: on disk while the run lasted: 3 blocks" in shown
    assert not list(scratch.glob("run-*"))


@pytest.mark.slow
def test_a_notebook_may_put_its_panel_on_disk(tmp_path: Path) -> None:
    settings = _config("external", tmp_path).model_dump(
        mode="json", include={"features", "label", "model", "validation", "explain", "scale"}
    )
    settings["paths"] = {"scratch_dir": str(tmp_path)}
    trained = api.train(random_walk_bars(24, 900, 1), settings)
    assert trained.result.settings["scale"]["mode"] == "external"
    assert not list(tmp_path.glob("run-*"))
