"""Each picture shows the numbers of its record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from src.v2.errors import NotEnoughData
from src.v2.figures.binned import bin_by_forecast, half_width
from src.v2.figures.forecasts import confusion_matrix, forecast_against_actual
from src.v2.figures.importance import feature_importance
from src.v2.figures.learning import learning_curve, loss_name
from src.v2.figures.shap_base import Unit, features_by_shap, shap_unit
from src.v2.figures.shap_dependence import shap_dependence
from src.v2.figures.shap_plots import shap_summary
from src.v2.figures.style import percent, save_png
from src.v2.modeling.learners.kinds import KINDS
from src.v2.records import LearningCurve, TrainingResult

Array = np.ndarray[Any, Any]
Maker = Callable[..., TrainingResult]

pytestmark = pytest.mark.filterwarnings("error")


def points(collection: Any) -> Array:
    """Return where a collection's markers lie."""
    return np.ma.asarray(collection.get_offsets())


def texts(figure: Figure) -> str:
    """Join a figure's title, answer and small print."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_importance_shows_the_shares_in_order(result_of: Maker) -> None:
    result = result_of(count=40)
    folds = [fold.importance for fold in result.folds]
    figure = feature_importance(result.importance, folds, result.features.families)
    axes: Any = figure.axes[0]
    shares = sorted(result.importance.values(), reverse=True)
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], shares[:20])
    assert axes.yaxis_inverted()
    first = axes.get_yticklabels()[0].get_text()
    assert first.split() == [
        max(result.importance, key=result.importance.__getitem__),
        percent(shares[0]),
    ]
    said = texts(figure)
    assert "Which features does the model use most?" in said
    assert f"top 5 of 40 features hold {percent(sum(shares[:5]))} of" in said
    assert "8 folds, each counting the same" in said
    assert "no proof that a feature is useful" in said
    dots = points(axes.collections[0])[:, 0]
    name = first.split()[0]
    np.testing.assert_allclose(dots, np.array([fold[name] for fold in folds]))


def test_importance_of_one_feature_without_family_or_folds(tmp_path: Path) -> None:
    figure = feature_importance({"alone": 1.0}, [], {})
    assert "top 1 of 1 features hold 100%" in texts(figure)
    save_png(figure, tmp_path / "one.png")


def test_summary_orders_by_mean_absolute_value(result_of: Maker) -> None:
    result = result_of(count=30)
    unit = shap_unit("regression", "excess", ("forecast",))
    figure = shap_summary(result.shap, unit)
    axes: Any = figure.axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()][::-1]
    assert shown == features_by_shap(result.shap)[:20]
    assert axes.get_xlabel() == "SHAP value (percentage points of excess return)"
    place = result.shap.feature_names.index(shown[0])
    mean = 100 * np.abs(result.shap.values[:, 0, place]).mean()
    assert f"{shown[0]} moves it most, by {mean:.2g} points on average" in texts(figure)
    assert "out-of-sample rows, each explained by its own fold's model" in texts(figure)
    drawn = np.concatenate([points(dots)[:, 0] for dots in axes.collections[-2:]])
    expected = 100 * result.shap.values[:, 0, place]
    np.testing.assert_allclose(np.sort(drawn), np.sort(expected))


def test_summary_of_classes_explains_the_highest(result_of: Maker) -> None:
    shap = result_of("rating", count=6).shap
    figure = shap_summary(shap, shap_unit("classification", "rating", shap.outputs))
    bars: Any = figure.axes[0]
    swarm = figure.axes[1]
    assert [label.get_text() for label in bars.get_yticklabels()] == features_by_shap(shap)
    widths = np.array([bar.get_width() for bar in bars.patches]).reshape(5, 6)
    order = [shap.feature_names.index(name) for name in features_by_shap(shap)]
    np.testing.assert_allclose(widths, np.abs(shap.values).mean(axis=0)[:, order])
    assert "Strong Buy" in swarm.get_xlabel()


def test_dependence_draws_every_row_once(result_of: Maker) -> None:
    shap = result_of(count=10, missing=0.3).shap
    feature = features_by_shap(shap)[0]
    place = shap.feature_names.index(feature)
    figure = shap_dependence(shap, feature, Unit("points", 100.0))
    axes: Any = figure.axes[0]
    drawn = sum(int(np.ma.count(points(dots)[:, 1])) for dots in axes.collections)
    value = shap.features[:, place]
    partner = figure.axes[1].get_ylabel()
    lost = np.isnan(shap.features[:, shap.feature_names.index(partner)])
    assert drawn >= (~np.isnan(value) & ~lost).sum() + (~np.isnan(value) & lost).sum()
    assert axes.get_xlabel() == feature
    assert axes.get_ylabel() == "SHAP value (points)"
    assert f"{percent(float(np.isnan(value).mean()))} of the rows miss the feature" in texts(figure)


@pytest.mark.parametrize("kind", ["rank", "binary", "far apart", "continuous", "tail"])
def test_dependence_axis_and_bars_stay_with_the_data(kind: str, result_of: Maker) -> None:
    shap = result_of(count=6, rows=500, missing=0.1).shap
    rng = np.random.default_rng(3)
    shap.features[:, 0] = {
        "rank": rng.integers(1, 21, 500) / 20,
        "binary": rng.integers(0, 2, 500),
        "far apart": 100 * rng.integers(0, 3, 500),
        "continuous": rng.normal(size=500),
        "tail": np.exp(3 * rng.normal(size=500)),
    }[kind]
    figure = shap_dependence(shap, shap.feature_names[0])
    axes: Any = figure.axes[0]
    value = shap.features[:, 0].astype(float)
    low, high = axes.get_xlim()
    span = np.ptp(value)
    assert low >= value.min() - 0.14 * span and high <= value.max() + 0.14 * span
    bars = axes.patches
    slack = 1e-9 * span
    assert all(low <= bar.get_x() + slack for bar in bars)
    assert all(bar.get_x() + bar.get_width() <= high + slack for bar in bars)
    assert max(bar.get_height() for bar in bars) < 0.2
    heights = np.array([bar.get_height() for bar in bars])
    if kind in ("continuous", "tail"):
        assert len(bars) == 50
        return
    counts = np.unique(value, return_counts=True)[1]
    np.testing.assert_allclose(heights / heights.sum(), counts / counts.sum())
    drawn = np.ma.concatenate([points(dots)[:, 0] for dots in axes.collections])
    assert drawn.min() >= low and drawn.max() <= high


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_constant_or_missing_feature_is_drawn(
    value: float, result_of: Maker, tmp_path: Path
) -> None:
    shap = result_of(count=3, rows=60).shap
    shap.features[:, 0] = value
    shap.values[:, :, 1] = 0
    save_png(shap_summary(shap), tmp_path / "summary.png")
    for name in shap.feature_names:
        save_png(shap_dependence(shap, name), tmp_path / "one.png")


@pytest.mark.parametrize(
    ("mode", "target", "outputs", "name", "factor"),
    [
        ("regression", "return", ("y",), "percentage points of forward return", 100.0),
        ("regression", "rank", ("y",), "rank within the date", 1.0),
        ("classification", "binary", ("up",), "log-odds of up", 1.0),
        ("classification", "rating", ("Sell", "Buy"), "log-odds score of Buy", 1.0),
    ],
)
def test_units(mode: str, target: str, outputs: tuple[str, ...], name: str, factor: float) -> None:
    unit = shap_unit(mode, target, outputs)  # type: ignore[arg-type]
    assert (unit.name, unit.factor) == (name, factor)


def test_confusion_counts_and_shares() -> None:
    labels, forecasts = np.array([0, 0, 0, 0, 1, 1, 2.0]), np.array([0, 0, 1, 2, 1, 1, 0])
    figure = confusion_matrix(labels, forecasts, ("low", "mid", "high"))
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells[:6] == ["50%", "2", "25%", "1", "25%", "1"]
    assert cells[-6:] == ["100%", "1", "0.0%", "0", "0.0%", "0"]
    said = texts(figure)
    assert "57.1% of the forecasts are right" in said
    assert "would be right in 57.1%" in said
    assert "71% are at most one class off" in said
    assert "7 out-of-sample rows" in said


def test_groups_and_slope_against_a_plain_reference(result_of: Maker) -> None:
    rows = result_of().predictions
    binned = bin_by_forecast(rows, "prediction", "forward_return")
    x, y = rows["prediction"].to_numpy(), rows["forward_return"].to_numpy()
    order = np.argsort(x)
    means = [y[part].mean() for part in np.array_split(order, 10)]
    np.testing.assert_allclose(binned.actual, means, atol=2e-4)
    assert binned.slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert (binned.rows, binned.span, binned.blocks) == (8000, 31, 13)


def test_the_interval_covers_despite_overlap() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        shock = np.repeat(rng.normal(size=30), 20)
        block = np.repeat(np.arange(30), 20)
        y = shock + 0.1 * rng.normal(size=600)
        hits += int(abs(y.mean()) < half_width(y - y.mean(), block, 600))
    assert 270 <= hits <= 297


def test_forecast_picture_says_the_slope(result_of: Maker) -> None:
    rows = result_of().predictions
    binned = bin_by_forecast(rows, "prediction", "forward_return")
    figure = forecast_against_actual(rows)
    said = texts(figure)
    assert f"changed by +{binned.slope:.2f} points" in said
    assert f"{binned.blocks} blocks of 31 sessions" in said
    axes: Any = figure.axes[0]
    x, y = axes.containers[0].lines[0].get_data()
    np.testing.assert_allclose(x, 100 * binned.forecast)
    np.testing.assert_allclose(y, 100 * binned.actual)


def test_forecasts_that_are_all_alike_or_absent(result_of: Maker, tmp_path: Path) -> None:
    rows = result_of(days=40).predictions
    save_png(forecast_against_actual(rows.with_columns(prediction=0.01)), tmp_path / "flat.png")
    with pytest.raises(NotEnoughData, match="got 0"):
        forecast_against_actual(rows.with_columns(prediction=pl.lit(None, pl.Float64)))


def test_learning_curve_names_the_best_round(tmp_path: Path) -> None:
    curve = LearningCurve((1.0, 0.8, 0.6, 0.5), (1.0, 0.9, 0.95, 1.1))
    figure = learning_curve(curve, 3)
    assert "lowest after 2 of 4 rounds, 10.0% below that of the first" in texts(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), curve.val_loss)
    assert re.search("final model has 3", texts(figure))
    bare = learning_curve(LearningCurve((1.0, 0.9), ()), 2)
    assert "No rows were held back" in texts(bare)
    save_png(bare, tmp_path / "bare.png")


def test_learning_curve_names_the_loss_and_explains_a_higher_training_loss() -> None:
    assert loss_name("regression", ()) == "RMSE of the label"
    assert loss_name("classification", ("down", "up")) == "Log loss"
    assert loss_name("classification", ("a", "b", "c")) == "Log loss over 3 classes"
    above = learning_curve(LearningCurve((1.0, 0.9), (0.8, 0.7)), 2, "RMSE")
    assert above.axes[0].get_ylabel() == "RMSE"
    assert "quieter dates are easier" in texts(above)
    below = learning_curve(LearningCurve((1.0, 0.9), (1.1, 1.0)), 2, "RMSE")
    assert "quieter dates" not in texts(below)


def test_a_failed_write_leaves_no_file(result_of: Maker, tmp_path: Path) -> None:
    figure = learning_curve(LearningCurve((1.0,), (1.0,)), 1)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match="taken"):
        save_png(figure, tmp_path / "taken.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


def test_a_lines_curve_is_told_in_penalties() -> None:
    curve = LearningCurve((0.4, 0.3, 0.2), (0.5, 0.4, 0.6))
    figure = learning_curve(curve, 2, "RMSE", KINDS["ridge"].steps)
    said = texts(figure)
    assert "lowest under a penalty of 10, 33.3% below the highest" in said
    assert "final model has a penalty of 10" in said and "ound" not in said.replace("bound", "")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "10", "1"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_importance_names_what_its_shares_are_of(kind: str) -> None:
    figure = feature_importance({"a": 0.6, "b": 0.4}, [], {}, KINDS[kind])
    assert f"hold 100% of {KINDS[kind].importance}; a alone" in texts(figure)
    assert figure.axes[0].get_xlabel() == f"Share of {KINDS[kind].importance}"
    assert ("tree" in texts(figure)) == (kind in ("xgboost", "hist_gradient_boosting"))
