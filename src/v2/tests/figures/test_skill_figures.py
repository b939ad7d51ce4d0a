"""The page's pictures of skill, null test and errors draw the numbers of their records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.v2.detail_records import ForecastBin, MonthSkill, QuantileReturn
from src.v2.evaluation.sharpe import drawdowns
from src.v2.evaluation_records import Interval, NullBin
from src.v2.figures.calibration import calibration_curve, reliability
from src.v2.figures.errors import forecast_bins, regime_errors, regime_skill
from src.v2.figures.forecasts import confusion_cells
from src.v2.figures.interval_rows import interval_rows
from src.v2.figures.marks import ON_DARK, ON_LIGHT, date_ticks, spread, text_on, thinned
from src.v2.figures.null_test import null_histogram
from src.v2.figures.portfolio import book_growth, equity_curve
from src.v2.figures.skill_lasting import rank_ic_decay, ranking_memory
from src.v2.figures.skill_quantiles import quantile_paths, quantile_returns
from src.v2.figures.skill_time import month_grid, monthly_rank_ic, rolling_year
from src.v2.figures.style import (
    BLUE,
    FAINT,
    INK,
    PAPER,
    QUIET,
    VERMILION,
    bare_figure,
    figure_svg,
    look,
)
from src.v2.records import TrainingResult
from src.v2.tests.evaluations import make_portfolio

Maker = Callable[..., TrainingResult]
Draw = Callable[[], Figure]

pytestmark = pytest.mark.filterwarnings("error")

NAN = float("nan")
UNSURE = Interval(0.01, NAN, NAN, 0)
NOTHING = Interval(NAN, NAN, NAN, 0)


@pytest.fixture(scope="module")
def result(result_of: Maker) -> TrainingResult:
    return result_of()


def every_figure(result: TrainingResult, rating: TrainingResult) -> dict[str, Draw]:
    detail, evaluation = result.detail, result.evaluation
    ranking, portfolio, classes = (
        evaluation.ranking,
        evaluation.portfolio,
        rating.evaluation.classes,
    )
    assert ranking is not None
    assert portfolio is not None
    assert classes is not None
    rows = [(rule.name, rule.rank_ic) for rule in evaluation.baselines]
    return {
        "months": lambda: monthly_rank_ic(detail.months),
        "grid": lambda: month_grid(detail.months),
        "decay": lambda: rank_ic_decay(detail.decay, 30),
        "memory": lambda: ranking_memory(detail.memory),
        "quantiles": lambda: quantile_returns(detail.quantiles),
        "paths": lambda: quantile_paths(detail.quantile_paths),
        "books": lambda: book_growth(portfolio),
        "null": lambda: null_histogram(ranking.null, 0.02),
        "rows": lambda: interval_rows(rows, "IC", first_stands_out=True, mark=(0.04, "here")),
        "bins": lambda: forecast_bins(detail.bins),
        "regimes": lambda: regime_skill(detail.regimes),
        "sizes": lambda: regime_errors(detail.regimes),
        "reliability": lambda: reliability(classes, "Strong Buy"),
        "confusion": lambda: confusion_cells(np.array(classes.confusion), rating.classes),
    }


def bar_heights(axes: Axes, container: int = 0) -> list[float]:
    patches: Any = axes.containers[container]
    return [bar.get_height() for bar in patches]


def error_bars(container: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give the points of an error bar and the ends of its bars, lowest first."""
    _, _, (lines,) = container.lines
    return container.lines[0].get_xydata(), np.array(lines.get_segments())


def test_every_picture_repeats_to_the_byte_and_fits_the_page(
    result: TrainingResult, result_of: Maker
) -> None:
    figures = every_figure(result, result_of("rating"))
    own = {INK, QUIET, FAINT, PAPER}
    for name, draw in figures.items():
        first, second = draw(), draw()
        svg = figure_svg(first, name)
        assert svg == figure_svg(second, name), name
        assert first.get_figwidth() in (4.6, 7.2), name
        assert not first.texts, name
        assert any(color.lower() in svg for color in own), name
        # Neither text nor line may leave the picture.
        box = first.get_tightbbox()
        assert box.x0 > -0.05, name
        assert box.x1 < first.get_figwidth() + 0.05, name


def test_no_text_overlaps_another_in_any_picture(result: TrainingResult, result_of: Maker) -> None:
    for name, draw in every_figure(result, result_of("rating")).items():
        figure = draw()
        with look():
            figure.draw_without_rendering()
            for axes in figure.axes:
                for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
                    boxes = [each.get_window_extent() for each in labels if each.get_text()]
                    assert not any(one.overlaps(other) for one, other in pairwise(boxes)), name


def test_months_are_bars_and_the_year_is_a_slow_mean(result: TrainingResult) -> None:
    months = result.detail.months
    axes = monthly_rank_ic(months).axes[0]
    assert bar_heights(axes) == [each.rank_ic for each in months]
    bars: Any = axes.containers[0]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    np.testing.assert_allclose(centres, [each.year + (each.month - 0.5) / 12 for each in months])
    line: Any = axes.lines[0].get_ydata()
    daily = result.detail.daily
    for place in range(11, len(months)):
        last = dt.date(months[place].year, months[place].month, 28) + dt.timedelta(days=4)
        end = last.replace(day=1)
        start = end.replace(year=end.year - 1)
        year = daily.filter((pl.col("date") >= start) & (pl.col("date") < end))
        assert line[place] == pytest.approx(year["rank_ic"].mean())
    assert np.isnan(line[:11]).all()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(1, 23), st.floats(-0.5, 0.5) | st.just(float("nan"))
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda each: each[0],
    )
)
def test_the_mean_of_twelve_months_skips_what_is_missing(
    drawn: list[tuple[int, int, float]],
) -> None:
    drawn.sort()
    months = [
        MonthSkill(2000 + place // 12, place % 12 + 1, dates, value)
        for place, dates, value in drawn
    ]
    means = rolling_year(months)
    for (place, _, _), mean in zip(drawn, means, strict=True):
        days = [
            value
            for other, dates, value in drawn
            for _ in range(dates)
            if place - 12 < other <= place and not np.isnan(value)
        ]
        if place - drawn[0][0] < 11 or not days:
            assert np.isnan(mean)
        else:
            assert mean == pytest.approx(np.mean(days), abs=1e-12)


def test_the_grid_puts_each_month_into_its_cell_and_leaves_gaps_empty() -> None:
    months = (
        MonthSkill(2018, 3, 20, 0.1),
        MonthSkill(2020, 12, 20, -0.2),
        MonthSkill(2020, 1, 3, NAN),
    )
    axes = month_grid(months).axes[0]
    mesh: Any = axes.collections[0]
    cells = mesh.get_array().filled(np.nan).reshape(2, 12)
    assert cells[0, 2] == 0.1
    assert cells[1, 11] == -0.2
    assert np.isfinite(cells).sum() == 2
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2018", "2020"]
    assert {text.get_text(): text.get_position() for text in axes.texts} == {
        "+0.10": (2.5, 0.5),
        "−0.20": (11.5, 1.5),
    }
    assert mesh.get_clim() == (-0.2, 0.2)


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_the_text_of_a_cell_has_the_better_contrast(color: tuple[float, float, float]) -> None:
    def luminance(rgb: tuple[float, ...]) -> float:
        red, green, blue = (
            each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in rgb
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: float, other: float) -> float:
        return (max(one, other) + 0.05) / (min(one, other) + 0.05)

    fill = luminance(color)
    light, dark = (
        contrast(fill, luminance(matplotlib.colors.to_rgb(each))) for each in (ON_LIGHT, ON_DARK)
    )
    chosen = light if text_on(color) == ON_LIGHT else dark
    assert chosen > 0.9 * max(light, dark)
    assert chosen >= 4.0


@settings(max_examples=60)
@given(st.lists(st.floats(-10, 10), max_size=8), st.floats(0.01, 2))
def test_labels_are_moved_apart_in_their_order(values: list[float], gap: float) -> None:
    moved = spread(values, gap)
    order = np.argsort(values, kind="stable")
    steps = np.diff(np.array(moved)[order])
    assert (steps >= gap - 1e-9).all()
    assert np.sum(moved) == pytest.approx(np.sum(values), abs=1e-6)
    if len(values) > 1 and (np.diff(np.sort(values)) >= gap).all():
        assert moved == pytest.approx(values)


def test_decay_draws_each_interval_and_marks_its_own_horizon(result: TrainingResult) -> None:
    decay = result.detail.decay
    axes = rank_ic_decay(decay, 30).axes[0]
    drawn = {}
    for container in axes.containers:
        points, bars = error_bars(container)
        for (x, y), bar in zip(points, bars, strict=True):
            drawn[round(x)] = (y, *bar[:, 1])
    for place, each in enumerate(decay):
        bounds = (each.rank_ic.mean, each.rank_ic.low, each.rank_ic.high)
        assert drawn[place] == pytest.approx(bounds)
    containers: list[Any] = list(axes.containers)
    own = containers[1].lines[0]
    assert own.get_marker() == "D"
    assert decay[round(own.get_xdata()[0])].horizon == 30
    assert len(rank_ic_decay(decay, 7).axes[0].containers) == 1


def test_memory_draws_both_shares_with_marks_of_their_own(result: TrainingResult) -> None:
    memory = result.detail.memory
    lines: Any = ranking_memory(memory).axes[0].lines
    alike, left = lines
    np.testing.assert_allclose(alike.get_ydata(), [100 * each.autocorrelation for each in memory])
    np.testing.assert_allclose(left.get_ydata(), [100 * each.leavers for each in memory])
    assert alike.get_marker() != left.get_marker()
    assert alike.get_linestyle() != left.get_linestyle()
    worse = tuple(replace(each, autocorrelation=-0.5) for each in memory)
    assert ranking_memory(worse).axes[0].get_ylim()[0] < -50


def test_quantiles_draw_means_and_bounds_in_percent(result: TrainingResult) -> None:
    quantiles = result.detail.quantiles
    axes = quantile_returns(quantiles).axes[0]
    assert bar_heights(axes) == pytest.approx([100 * each.excess.mean for each in quantiles])
    bars: Any = axes.collections[0]
    for segment, each in zip(bars.get_segments(), quantiles, strict=True):
        assert segment[:, 1] == pytest.approx([100 * each.excess.low, 100 * each.excess.high])
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["1\nlowest", "2", "3", "4", "5\nhighest"]


def test_paths_are_told_apart_by_dashes_and_by_names_at_their_end(result: TrainingResult) -> None:
    paths = result.detail.quantile_paths
    axes = quantile_paths(paths).axes[0]
    for line, name in zip(axes.lines, ["q1", "q2", "q3", "q4", "q5"], strict=False):
        np.testing.assert_allclose(line.get_ydata(), 100 * paths[name].to_numpy())  # type: ignore[arg-type]
    lines = axes.lines[:5]
    assert len({line.get_color() for line in lines}) == 5
    dashes: list[Any] = [line._dash_pattern for line in lines]  # type: ignore[attr-defined]
    assert len({str(each) for each in dashes}) == 5
    assert [text.get_text() for text in axes.texts] == ["1 lowest", "2", "3", "4", "5 highest"]
    heights = [text.xy[1] for text in axes.texts]  # type: ignore[attr-defined]
    ends = [100 * paths[f"q{place}"][-1] for place in range(1, 6)]
    assert list(np.argsort(heights)) == list(np.argsort(ends))


def test_paths_without_any_return_have_no_name(result: TrainingResult) -> None:
    paths = result.detail.quantile_paths.with_columns(q2=pl.lit(None, dtype=pl.Float64))
    names = [text.get_text() for text in quantile_paths(paths).axes[0].texts]
    assert names == ["1 lowest", "3", "4", "5 highest"]


def test_the_books_of_the_page_are_those_of_the_picture(result: TrainingResult) -> None:
    portfolio = result.evaluation.portfolio
    assert portfolio is not None
    for bare, framed in zip(book_growth(portfolio).axes, equity_curve(portfolio).axes, strict=True):
        lines: list[Any] = [*zip(bare.lines, framed.lines, strict=True)]
        for one, other in lines:
            np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


@settings(max_examples=60)
@given(
    st.lists(st.floats(-9, 9) | st.just(float("nan")), min_size=1, max_size=60), st.integers(3, 30)
)
def test_a_thinned_line_keeps_its_ends_and_its_extremes(drawn: list[float], most: int) -> None:
    values = np.array(drawn)
    kept = thinned(values, most)
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert len(kept) <= most + 2
    if np.isfinite(values).any():
        assert np.nanmax(values[kept]) == np.nanmax(values)
        assert np.nanmin(values[kept]) == np.nanmin(values)


def test_long_histories_make_small_pictures_that_hold_the_deepest_fall() -> None:
    portfolio = make_portfolio(4000)
    figure = book_growth(portfolio)
    assert len(figure_svg(figure, "long")) < 250_000
    falls: Any = figure.axes[1].lines[0].get_ydata()
    deepest = drawdowns(portfolio.daily["long_short"].to_numpy()).max()
    assert falls.min() == pytest.approx(-100 * deepest)
    wealth: Any = figure.axes[0].lines[0].get_ydata()
    assert wealth[-1] == pytest.approx((1 + portfolio.daily["long_short"]).product())


def test_the_histogram_draws_every_bin_and_hatches_what_reaches_the_model() -> None:
    null = tuple(NullBin(0.01 * place, 0.01 * (place + 1), 10 + place) for place in range(-3, 4))
    axes = null_histogram(null, 0.015).axes[0]
    bars: list[Any] = list(axes.patches)
    drawn = sorted((bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars)
    expected = [(each.low, each.high - each.low, each.count) for each in null]
    np.testing.assert_allclose(drawn, expected)
    hatched = sorted(bar.get_x() for bar in bars if bar.get_hatch())
    assert hatched == pytest.approx([0.02, 0.03])
    lines: list[Any] = [line.get_xdata() for line in axes.lines]
    assert [0.015, 0.015] in [list(line) for line in lines]
    assert axes.texts[0].get_text() == "this model +0.0150"


def test_a_model_beyond_all_of_luck_stays_in_sight() -> None:
    null = (NullBin(-0.01, 0.0, 50), NullBin(0.0, 0.01, 50))
    axes = null_histogram(null, 0.2).axes[0]
    assert axes.get_xlim()[1] > 0.2
    assert not any(bar.get_hatch() for bar in axes.patches)


def test_rows_draw_bounds_beside_zero_and_set_the_model_apart() -> None:
    rows = (("model", Interval(0.03, 0.01, 0.05, 9)), ("rule", Interval(0.02, -0.01, 0.04, 9)))
    axes = interval_rows(
        rows, "IC", first_stands_out=True, percent=True, mark=(0.04, "least")
    ).axes[0]
    model, rule = axes.containers
    for place, (container, (_, interval)) in enumerate(zip((model, rule), rows, strict=True)):
        points, bars = error_bars(container)
        assert points[0] == pytest.approx((100 * interval.mean, place))
        assert bars[0][:, 0] == pytest.approx((100 * interval.low, 100 * interval.high))
    shapes: list[Any] = [container.lines[0] for container in (model, rule)]  # type: ignore[attr-defined]
    assert [shape.get_marker() for shape in shapes] == ["D", "o"]
    assert [shape.get_color() for shape in shapes] == [VERMILION, BLUE]
    assert axes.texts[0].get_text() == "least"
    assert axes.yaxis_inverted()


def test_forecasts_stand_over_returns_beside_the_line_of_equality(result: TrainingResult) -> None:
    bins = result.detail.bins
    axes = forecast_bins(bins).axes[0]
    points, bars = error_bars(axes.containers[0])
    np.testing.assert_allclose(points, [(100 * b.forecast, 100 * b.realised.mean) for b in bins])
    np.testing.assert_allclose(
        bars[:, :, 1], [(100 * b.realised.low, 100 * b.realised.high) for b in bins]
    )
    diagonal: Any = axes.lines[0].get_xydata()
    np.testing.assert_array_equal(diagonal[:, 0], diagonal[:, 1])


def test_states_of_the_market_draw_skill_and_errors(result: TrainingResult) -> None:
    regimes = result.detail.regimes
    axes = regime_skill(regimes).axes[0]
    points, bars = error_bars(axes.containers[0])
    np.testing.assert_allclose(points[:, 1], [each.rank_ic.mean for each in regimes])
    np.testing.assert_allclose(
        bars[:, :, 1], [(each.rank_ic.low, each.rank_ic.high) for each in regimes]
    )
    assert axes.get_xticklabels()[2].get_text() == "stormy\n20% to 25%"
    axes = regime_errors(regimes).axes[0]
    assert bar_heights(axes) == pytest.approx([100 * each.rmse for each in regimes])
    bias: Any = axes.lines[0].get_ydata()
    assert bias == pytest.approx([100 * each.bias for each in regimes])
    unknown = tuple(replace(each, low=NAN) for each in regimes)
    assert regime_skill(unknown).axes[0].get_xticklabels()[0].get_text() == "calm"


def test_numbers_without_intervals_are_drawn_alone(result: TrainingResult) -> None:
    detail = result.detail
    bare = [QuantileReturn(place, 5, UNSURE) for place in range(1, 6)]
    for figure in (
        rank_ic_decay([replace(each, rank_ic=UNSURE) for each in detail.decay], 30),
        quantile_returns(bare),
        interval_rows((("a", UNSURE), ("b", NOTHING)), "IC", mark=(NAN, "nowhere")),
        forecast_bins([ForecastBin(0.01 * place, UNSURE, 5) for place in range(3)]),
        regime_skill([replace(each, rank_ic=UNSURE) for each in detail.regimes]),
    ):
        svg = figure_svg(figure, "bare")
        assert "nowhere" not in svg
        for axes in figure.axes:
            for container in axes.containers:
                if hasattr(container, "has_yerr"):
                    segments: Any = container.lines[2][0].get_segments()  # type: ignore[attr-defined]
                    assert all(not np.isfinite(part).all() or len(part) < 2 for part in segments)


def test_pictures_of_nothing_known_do_not_fail(result: TrainingResult) -> None:
    detail = result.detail
    for draw in (
        lambda: monthly_rank_ic([MonthSkill(2020, 5, 0, NAN)]),
        lambda: month_grid([MonthSkill(2020, 5, 0, NAN)]),
        lambda: month_grid([MonthSkill(2020, 5, 3, 0.0)]),
        lambda: rank_ic_decay([replace(detail.decay[0], rank_ic=NOTHING)]),
        lambda: ranking_memory([replace(detail.memory[0], autocorrelation=NAN, leavers=NAN)]),
        lambda: quantile_returns([QuantileReturn(1, 0, NOTHING)]),
        lambda: quantile_paths(detail.quantile_paths.head(1)),
        lambda: null_histogram((NullBin(0.0, 0.0, 5),), NAN),
        lambda: interval_rows((("a", NOTHING),), "IC"),
        lambda: forecast_bins([ForecastBin(0.0, UNSURE, 1)]),
        lambda: regime_errors([replace(detail.regimes[0], rmse=0.0, bias=0.0)]),
    ):
        assert figure_svg(draw(), "nothing")  # type: ignore[no-untyped-call]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 15_000))
def test_dates_are_few_for_any_length(days: int) -> None:
    first = dt.date(2000, 1, 31)
    with look():
        figure = bare_figure(4.6, 1.0)
        axes = figure.add_subplot()
        axes.set_xlim(first, first + dt.timedelta(days=days + 1))  # type: ignore[arg-type]
        date_ticks(axes)
        ticks = axes.get_xticks()
    assert 2 <= len(ticks) <= 10


def test_reliability_draws_the_curve_of_the_framed_picture(result_of: Maker) -> None:
    classes = result_of("binary").evaluation.classes
    assert classes is not None
    bare, framed = reliability(classes, "up"), calibration_curve(classes, "up")
    assert [len(axes.lines) for axes in bare.axes] == [len(axes.lines) for axes in framed.axes]
    points, _ = error_bars(bare.axes[0].containers[0])
    expected = [(part.predicted, part.observed) for part in classes.curve]
    np.testing.assert_allclose(points, expected)


def test_confusion_cells_hold_shares_and_rows() -> None:
    counts = np.array([[30, 10], [5, 55]])
    axes = confusion_cells(counts, ("down", "up")).axes[0]
    assert [text.get_text() for text in axes.texts] == [
        *("75%", "30", "25%", "10"),
        *("8.3%", "5", "92%", "55"),
    ]
    assert {text.get_color() for text in axes.texts} <= {ON_LIGHT, ON_DARK}
    image: Any = axes.images[0].get_array()
    np.testing.assert_allclose(image, counts / [[40], [60]])


def test_hostile_names_are_only_text() -> None:
    names = ("<script>alert(1)</script>", "$\\frac{", "a\nb\x00", "x" * 300, "")
    rows = [(name, Interval(0.01, 0.0, 0.02, 9)) for name in names]
    figure = interval_rows(rows, "IC")
    drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert drawn[0].startswith("<script>")
    assert all(len(name) <= 26 and name.isprintable() for name in drawn)
    svg = figure_svg(figure, "names")
    assert "<script" not in svg
    assert "$\\frac{" in svg
    cells = confusion_cells(np.ones((5, 5), dtype=np.int64), names)
    assert "<script" not in figure_svg(cells, "cells")
