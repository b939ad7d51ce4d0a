"""The set of pictures of a run: names, bytes, failures, and what drawing leaves behind."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import polars as pl
import pytest

from src.v2.figures import training
from src.v2.figures.training import training_figures, write_training_figures
from src.v2.records import TrainingResult

Maker = Callable[..., TrainingResult]

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_the_set_is_complete_and_repeats_to_the_byte(
    kind: str, result_of: Maker, tmp_path: Path
) -> None:
    result = result_of(kind, count=8, rows=120, missing=0.2)
    first = write_training_figures(result, tmp_path / "a", dependence_features=2)
    np.random.seed(99)
    second = write_training_figures(result, tmp_path / "b", dependence_features=2)
    assert not first.failed
    names = [path.name for path in first.paths]
    forecast = "forecast_against_actual" if kind == "regression" else "confusion_matrix"
    assert names[:2] == ["feature_importance.png", "shap_summary.png"]
    judged = [] if kind == "regression" else ["calibration.png"]
    expected = [f"{forecast}.png", *judged, "portfolio.png", "learning_curve.png"]
    assert names[4:] == expected
    top = np.abs(result.shap.values).mean(axis=0).sum(axis=0).argsort()[::-1][:2]
    expected = [f"shap_dependence_{result.shap.feature_names[place]}.png" for place in top]
    assert names[2:4] == expected
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(names)
    for one, other in zip(first.paths, second.paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
        width, height = struct.unpack(">II", one.read_bytes()[16:24])
        assert 700 < width < 1500
        assert 400 < height < 1500


def test_drawing_leaves_no_trace(result_of: Maker, tmp_path: Path) -> None:
    from matplotlib import pyplot

    matplotlib.use("agg")
    mine = [pyplot.figure(), pyplot.figure()]
    pyplot.figure(mine[0])
    settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    try:
        write_training_figures(result_of("rating", count=6, rows=100), tmp_path)
        assert np.array_equal(np.random.get_state()[1], before)
        assert pyplot.get_fignums() == [figure.number for figure in mine]
        assert pyplot.gcf() is mine[0]
        assert dict(matplotlib.rcParams) == settings
        assert matplotlib.get_backend() == backend
    finally:
        pyplot.close("all")


def test_pyplot_makes_no_figure(result_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    def window(*_: object, **__: object) -> None:
        raise AssertionError("pyplot was asked for a figure")

    monkeypatch.setattr(pyplot, "new_figure_manager", window)
    for draw in training_figures(result_of(count=4, rows=60), 1).values():
        draw()
    assert not pyplot.get_fignums()


def test_the_users_own_look_changes_nothing(result_of: Maker, tmp_path: Path) -> None:
    result = result_of(count=6, rows=100)
    plain = write_training_figures(result, tmp_path / "a", 1)
    odd: Any = {
        "font.size": 20,
        "axes.facecolor": "black",
        "savefig.bbox": "tight",
        "axes.grid": True,
    }
    with matplotlib.rc_context(odd):
        styled = write_training_figures(result, tmp_path / "b", 1)
    for one, other in zip(plain.paths, styled.paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_hostile_feature_names(result_of: Maker, tmp_path: Path) -> None:
    names = ("../x", "a b$", "A-B$", "$\\frac{", "_hidden", "名", "x\ny", "a" * 300, "a b%", "")
    result = result_of(names=names, rows=80)
    written = write_training_figures(result, tmp_path / "deep", dependence_features=len(names))
    assert not written.failed
    assert len({path.name.casefold() for path in written.paths}) == len(names) + 5
    assert all(path.parent == tmp_path / "deep" for path in written.paths)
    files = {path.name for path in (tmp_path / "deep").iterdir()}
    assert "shap_dependence_.._x.png" in files
    assert {"shap_dependence_a_b_.png", "shap_dependence_a_b__2.png"} <= files
    assert all(set(name) <= set(SAFE) for name in files)


SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"


def test_a_failing_picture_is_named_and_the_others_are_drawn(
    result_of: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(training, "shap_summary", broken)
    with caplog.at_level(logging.WARNING):
        written = write_training_figures(result_of(count=6, rows=100), tmp_path, 1)
    assert dict(written.failed) == {"shap_summary.png": "RuntimeError: no ink"}
    assert "shap_summary.png" in caplog.text
    assert len(written.paths) == 5


def test_a_run_without_shap_rows_or_curve_has_fewer_pictures(result_of: Maker) -> None:
    result = result_of(count=6, rows=100)
    shap = result.shap
    empty = replace(shap, features=shap.features[:0], values=shap.values[:0], base=shap.base[:0])
    names = list(training_figures(replace(result, shap=empty, curve=None)))
    expected = ["feature_importance.png", "forecast_against_actual.png", "portfolio.png"]
    assert names == expected


def test_the_holdout_is_not_drawn(result_of: Maker, tmp_path: Path) -> None:
    result = result_of("binary", count=6, rows=100)
    rows = result.predictions
    changed = rows.with_columns(
        predicted_class=pl.when(pl.col("part") == "holdout").then(0).otherwise("predicted_class")
    )
    one = write_training_figures(result, tmp_path / "a", 1)
    two = write_training_figures(replace(result, predictions=changed), tmp_path / "b", 1)
    assert [p.read_bytes() for p in one.paths] == [p.read_bytes() for p in two.paths]
