"""The reliability diagram shows the numbers of its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from src.v2.evaluation_records import CalibrationBin, ClassSkill, Interval
from src.v2.figures.calibration import calibration_curve
from src.v2.figures.style import save_png

pytestmark = pytest.mark.filterwarnings("error")

NAN = float("nan")
CURVE = tuple(
    CalibrationBin(
        0.1 * place + 0.02, 0.25 + 0.05 * place, 0.2 + 0.05 * place, 0.32 + 0.05 * place, 100
    )
    for place in range(10)
)


def _skill(curve: tuple[CalibrationBin, ...] = CURVE, classes: int = 2) -> ClassSkill:
    interval = Interval(0.01, -0.01, 0.03, 20)
    confusion = tuple((10,) * classes for _ in range(classes))
    return ClassSkill(
        *(0.5, interval, 0.69, interval, 0.123, 0.023, interval, 0.52, 0.51, 0.5, 0.51, 0.02),
        confusion,
        curve,
    )


def _said(figure: Figure) -> str:
    text = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_points_and_bars_are_those_of_the_record() -> None:
    figure = calibration_curve(_skill(), "up")
    axes: Any = figure.axes[0]
    marks, _, bars = axes.containers[0]
    assert marks.get_xdata().tolist() == pytest.approx([part.predicted for part in CURVE])
    assert marks.get_ydata().tolist() == pytest.approx([part.observed for part in CURVE])
    ends = np.array(bars[0].get_segments())[:, :, 1]
    assert ends[:, 0].tolist() == pytest.approx([part.low for part in CURVE])
    assert ends[:, 1].tolist() == pytest.approx([part.high for part in CURVE])
    low, high = axes.get_ylim()
    assert low < ends.min() and high > ends.max()
    diagonal = axes.lines[0]
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist()
    share = sum(part.observed * part.rows for part in CURVE) / sum(part.rows for part in CURVE)
    assert axes.lines[1].get_ydata()[0] == pytest.approx(share)


def test_texts_tell_the_error_beside_its_null_and_both_ends() -> None:
    said = _said(calibration_curve(_skill(), "up"))
    assert "Do probabilities mean what they say?" in said
    assert "by 12.3 points on average, more than chance explains: right ones miss by up to" in said
    assert "up to 2.3, 95% of the time" in said
    assert "For P(up), the lowest group says 2.0% and 25.0% came, the highest 92.0% and" in said
    assert "1,000 out-of-sample rows of the walk-forward in 10 groups" in said
    calm = _said(calibration_curve(replace(_skill(), ece=0.0004), "up"))
    assert "by 0.04 points on average, no more than chance: right ones" in calm


def test_five_classes_name_the_highest_and_say_that_the_error_is_of_all() -> None:
    figure = calibration_curve(_skill(classes=5), "Strong Buy")
    said = _said(figure)
    assert "points on average over the 5 classes, more than" in said
    assert "For P(Strong Buy)" in said
    assert "Strong" in figure.axes[0].get_ylabel() and "Strong" in figure.axes[1].get_xlabel()


def test_the_histogram_holds_the_rows_of_each_group() -> None:
    figure = calibration_curve(_skill(), "up")
    axes: Any = figure.axes[1]
    heights, edges, _ = axes.patches[0].get_data()
    assert (heights * np.diff(edges)).tolist() == pytest.approx([part.rows for part in CURVE])
    assert all(
        low <= part.predicted <= high
        for low, high, part in zip(edges[:-1], edges[1:], CURVE, strict=True)
    )
    assert axes.get_xlim()[0] <= edges[0] and axes.get_xlim()[1] >= edges[-1]
    assert edges[0] >= 0 and edges[-1] <= 1


def test_too_few_dates_draw_points_without_bars() -> None:
    curve = tuple(replace(part, low=NAN, high=NAN) for part in CURVE)
    figure = calibration_curve(replace(_skill(curve), ece_null=NAN), "up")
    said = _said(figure)
    assert "too few dates to tell that from chance" in said
    assert "Without intervals" in said and "95%" not in said
    bars: Any = figure.axes[0].containers[0]
    ends = np.array(bars[2][0].get_segments())[:, :, 1]
    assert np.ptp(ends, axis=1).max() == 0


def test_equal_forecasts_are_one_point() -> None:
    figure = calibration_curve(_skill((CalibrationBin(0.5, 0.5, 0.45, 0.55, 40),)), "up")
    assert "Every row has about the same P(up)" in _said(figure)
    assert "groups" not in _said(figure)


def test_hostile_names_are_drawn_and_bytes_repeat(tmp_path: Path) -> None:
    for number, name in enumerate(("a b$", "$\\frac{", "a" * 300, "")):
        first = save_png(calibration_curve(_skill(), name), tmp_path / f"a{number}.png")
        second = save_png(calibration_curve(_skill(), name), tmp_path / f"b{number}.png")
        assert first.read_bytes() == second.read_bytes()
