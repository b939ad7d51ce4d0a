"""A fit through pages on disk is the fit in memory, as far as the bins agree."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from src.v2.config import ModelConfig
from src.v2.errors import Interrupted
from src.v2.modeling.feature_rows import Matrix, StoredRows, all_rows
from src.v2.modeling.learners.base import StopRows, TrainingRows
from src.v2.modeling.learners.external_matrix import batch_edges
from src.v2.modeling.learners.linear import LinearLearner
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.scale.disk_store import DiskStore, write_block

ROWS, WIDTH, BLOCK = 6_000, 8, 900
LEARNER = XGBoostLearner(
    ModelConfig(n_estimators=60, early_stopping_rounds=5, threads=2),
    [f"f{number}" for number in range(WIDTH)],
    0,
    20.0,
    0,
)


def _rows(folder: Path, step: float, classes: int = 0) -> tuple[TrainingRows, TrainingRows]:
    """The same rows in memory and in blocks on disk; values are multiples of a step."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    values = np.round(values / step).astype(np.float32) * np.float32(step)
    signal = values[:, 0] + values[:, 1] * values[:, 2] + rng.normal(size=ROWS)
    values[rng.random(values.shape) < 0.05] = np.nan
    label = signal.astype(np.float32)
    if classes:
        label = np.digitize(signal, np.linspace(-1, 1, classes - 1)).astype(np.float32)
    weight = (rng.random(ROWS) + 0.5).astype(np.float32)
    for number, start in enumerate(range(0, ROWS, BLOCK)):
        write_block(folder, number, values[start : start + BLOCK])
    starts = np.array([*range(0, ROWS, BLOCK), ROWS])
    stored = all_rows(DiskStore(folder, starts, WIDTH))
    return TrainingRows(values, label, weight), TrainingRows(stored, label, weight)


def _take(rows: TrainingRows, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> TrainingRows:
    return rows.take(mask, rows.weight[mask])


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_with_equal_bins_the_forecasts_are_equal(tmp_path: Path, classes: int) -> None:
    memory, disk = _rows(tmp_path, 0.25, classes)
    learner = dataclasses.replace(LEARNER, classes=classes, leaf_weight=5.0)
    wanted, found = (learner.fit(rows, 15).predict(memory.features) for rows in (memory, disk))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    assert np.ptp(wanted) > 0.1


def test_with_bins_of_a_sketch_the_forecasts_are_close(tmp_path: Path) -> None:
    memory, disk = _rows(tmp_path, 1e-6)
    learner = dataclasses.replace(LEARNER, config=ModelConfig(max_bin=32, threads=2))
    wanted, found = (learner.fit(rows, 40).predict(memory.features) for rows in (memory, disk))
    assert spearmanr(wanted, found).statistic > 0.99


def test_rounds_are_chosen_alike(tmp_path: Path) -> None:
    memory, disk = _rows(tmp_path, 0.25)
    head = np.arange(ROWS) < 4_000
    (rounds, curve), (found, other) = (
        LEARNER.choose_rounds(StopRows(_take(rows, head), _take(rows, ~head)))
        for rows in (memory, disk)
    )
    assert found == rounds > 1
    np.testing.assert_allclose(other.val_loss, curve.val_loss, atol=1e-5)


def test_a_fit_leaves_no_pages_behind(tmp_path: Path) -> None:
    _, disk = _rows(tmp_path, 0.25)
    before = sorted(tmp_path.iterdir())
    LEARNER.fit(_take(disk, np.arange(ROWS) % 3 == 0), 2)
    assert sorted(tmp_path.iterdir()) == before


def test_pages_lie_beside_the_rows_while_a_fit_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xgboost as xgb

    _, disk = _rows(tmp_path, 0.25)
    seen: list[int] = []
    update = xgb.Booster.update

    def watched(booster: xgb.Booster, matrix: xgb.DMatrix, iteration: int) -> None:
        seen.append(sum(path.stat().st_size for path in tmp_path.glob("fit-*/pages-*/*")))
        update(booster, matrix, iteration)

    monkeypatch.setattr(xgb.Booster, "update", watched)
    LEARNER.fit(disk, 2)
    assert len(seen) == 2
    assert seen[0] >= ROWS * WIDTH


def test_an_error_while_rows_are_read_is_told(tmp_path: Path) -> None:
    _, disk = _rows(tmp_path, 0.25)
    (tmp_path / "block-00003.npy").unlink()
    with pytest.raises(FileNotFoundError, match="block-00003"):
        LEARNER.fit(disk, 2)


@pytest.mark.parametrize("reads", [0, 1, 6, 7, 9, 15])
def test_an_interrupt_while_rows_are_read_ends_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    _, disk = _rows(tmp_path, 0.25)
    left = iter(range(reads))
    read = StoredRows.__array__

    def interrupted(self: StoredRows, *given: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Interrupted("SIGTERM", 143)
        return read(self, *given, **named)

    monkeypatch.setattr(StoredRows, "__array__", interrupted)
    with pytest.raises(Interrupted):
        LEARNER.fit(disk, 2)
    assert not list(tmp_path.glob("fit-*"))


def test_batches_are_equal_and_no_larger_than_a_block(tmp_path: Path) -> None:
    _, disk = _rows(tmp_path, 0.25)
    for mask in (np.arange(ROWS) >= 0, np.arange(ROWS) % 5 == 0, np.arange(ROWS) < 7):
        edges = batch_edges(_take(disk, mask))
        sizes = np.diff(edges)
        assert (edges[0], edges[-1]) == (0, mask.sum())
        assert sizes.max() <= BLOCK
        assert np.ptp(sizes) <= 1
        assert len(sizes) == -(-mask.sum() // BLOCK)


def test_a_linear_model_of_rows_on_disk_is_that_of_rows_in_memory(tmp_path: Path) -> None:
    memory, disk = _rows(tmp_path, 0.25)
    split = np.arange(ROWS) < 4_000, np.arange(ROWS) >= 4_000
    features: Matrix = memory.features
    wanted, found = (LinearLearner(0).fit(rows, split).predict(features) for rows in (memory, disk))
    np.testing.assert_array_equal(found, wanted)
    assert isinstance(disk.feature_rows, StoredRows)
