"""The pictures of the explanation show the numbers of their records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure
from scipy import stats

from src.v2.case_records import Case
from src.v2.evaluation_records import Interval
from src.v2.explain.direction import explained
from src.v2.explanation_records import Interactions, NoiseKind
from src.v2.figures.beeswarm import beeswarm, shown_range, swarm
from src.v2.figures.drivers import (
    family_columns,
    null_shares,
    probe_ranking,
    top_features,
)
from src.v2.figures.effects import dependence, group_medians, shown_values, spread_levels
from src.v2.figures.heatmap import draw_cells
from src.v2.figures.interactions import interaction_matrix
from src.v2.figures.marks import text_on
from src.v2.figures.point_cloud import FACE, ranks
from src.v2.figures.stability import cohort_shares, directions, fold_shares, fold_taus
from src.v2.figures.style import BLUE, PAPER, VERMILION, bare_figure, figure_svg, look
from src.v2.figures.waterfall import waterfall
from src.v2.records import TrainingResult
from src.v2.tests.results import make_result

pytestmark = pytest.mark.filterwarnings("error")

NAN = float("nan")
UNKNOWN = Interval(NAN, NAN, NAN, 0)
PICTURES: dict[str, Callable[[TrainingResult], Any]] = {
    "top": lambda run: top_features(run.explanation.importance),
    "families": lambda run: family_columns(run.explanation.importance),
    "probes": lambda run: probe_ranking(run.explanation.importance),
    "null": lambda run: null_shares(run.explanation.importance.features),
    "swarm": lambda run: beeswarm(
        run.shap,
        [each.name for each in run.explanation.importance.features],
        run.explanation.importance.quantity,
    ),
    "dependence": lambda run: dependence(
        run.shap, run.explanation.effects[0], run.explanation.importance.quantity
    ),
    "levels": lambda run: dependence(
        run.shap, run.explanation.effects[2], run.explanation.importance.quantity
    ),
    "matrix": lambda run: interaction_matrix(
        run.explanation.interactions, run.explanation.importance.quantity
    ),
    "folds": lambda run: fold_shares(
        run.explanation.importance.features, run.explanation.agreement.folds
    ),
    "taus": lambda run: fold_taus(run.explanation.agreement),
    "directions": lambda run: directions(run.explanation.importance.features),
    "cohorts": lambda run: cohort_shares(
        run.explanation.agreement.cohorts, run.explanation.agreement.top
    ),
    "waterfall": lambda run: waterfall(
        run.explanation.cases[0], run.explanation.importance.quantity
    ),
}
LIMITS = {"swarm": 120_000}
"""Most bytes of a picture, where they are not 40,000."""

floats = st.floats(-5, 5).map(lambda value: round(value, 1))
columns_of = hnp.arrays(np.float64, st.integers(1, 60), elements=floats)


@pytest.fixture(scope="module")
def run() -> TrainingResult:
    return make_result(rows=2000, missing=0.05)


def axes_of(figure: Figure) -> list[Any]:
    return list(figure.axes)


def points(axes: Any) -> np.ndarray:
    """Every point that is drawn as pixels."""
    clouds = [cloud for cloud in axes.collections if cloud.get_rasterized()]
    return np.concatenate([np.asarray(cloud.get_offsets()) for cloud in clouds])


def svg_of(name: str, run: TrainingResult) -> str:
    with look():
        return figure_svg(PICTURES[name](run), name)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_drawn_alike_twice(name: str, run: TrainingResult) -> None:
    drawn = svg_of(name, run)
    assert len(drawn.encode()) < LIMITS.get(name, 40_000)
    assert drawn == svg_of(name, run)


@pytest.mark.parametrize("kind", ["binary", "rating"])
def test_every_picture_can_be_drawn_of_classes(kind: str) -> None:
    run = make_result(kind, rows=60, missing=0.1)
    for name in PICTURES:
        assert PICTURES[name](run).axes


@given(columns_of)
def test_ranks_are_those_of_scipy(values: np.ndarray) -> None:
    found = ranks(values)
    if np.ptp(values) == 0:
        assert (found == 0.5).all()
        return
    np.testing.assert_allclose(found, (stats.rankdata(values) - 1) / (len(values) - 1))


@given(columns_of, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_points_of_a_swarm_never_share_a_place_nor_leave_their_row(
    effect: np.ndarray, seed: int
) -> None:
    rank = np.random.default_rng(seed).random(len(effect))
    heights = swarm(effect, rank, -5.0, 5.0)
    assert np.abs(heights).max() <= 0.42 + 1e-9
    places = {(round(x, 6), round(y, 9)) for x, y in zip(effect, heights, strict=True)}
    assert len(places) == len(effect)


@given(columns_of, st.randoms(use_true_random=False))
def test_a_swarm_does_not_depend_on_the_order_of_its_points(effect: np.ndarray, rng: Any) -> None:
    rank = np.arange(len(effect), dtype=np.float64)
    order = np.array(rng.sample(range(len(effect)), len(effect)))
    shuffled = swarm(effect[order], rank[order], -5.0, 5.0)
    np.testing.assert_array_equal(shuffled, swarm(effect, rank, -5.0, 5.0)[order])


def test_a_swarm_is_thickest_where_most_points_are() -> None:
    effect = np.repeat([0.0, 1.0], [90, 10])
    heights = swarm(effect, np.zeros(100), 0.0, 2.0)
    assert np.ptp(heights[:90]) / np.ptp(heights[90:]) == pytest.approx(89 / 9)


def test_the_swarm_shows_every_contribution_of_the_leading_features(run: TrainingResult) -> None:
    names = [each.name for each in run.explanation.importance.features][:20]
    axes = PICTURES["swarm"](run).axes[0]
    drawn = points(axes)
    effect = 100 * explained(run.shap)[:, [run.shap.feature_names.index(each) for each in names]]
    np.testing.assert_allclose(np.sort(drawn[:, 0]), np.sort(effect.ravel()), atol=1e-12)
    for row in (0, 7, 19):
        inside = np.abs(drawn[:, 1] - row) < 0.5
        np.testing.assert_allclose(np.sort(drawn[inside, 0]), np.sort(effect[:, row]), atol=1e-12)
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert same_color(axes.get_facecolor(), FACE)


def test_missing_values_are_rings_in_the_swarm(run: TrainingResult) -> None:
    rings, filled = PICTURES["swarm"](run).axes[0].collections[:2]
    names = [each.name for each in run.explanation.importance.features][:20]
    columns = [run.shap.feature_names.index(name) for name in names]
    lost = int(np.isnan(run.shap.features[:, columns]).sum())
    assert len(rings.get_offsets()) == lost
    assert len(filled.get_offsets()) == 2000 * 20 - lost
    assert not len(rings.get_facecolor())


def test_a_far_point_stands_at_the_border_of_the_swarm() -> None:
    values = np.append(np.linspace(-1, 1, 9999), 50.0)
    low, high = shown_range(values)
    assert low == pytest.approx(-1, abs=0.01)
    assert high == pytest.approx(1, abs=0.01)
    assert shown_range(values[:-1]) == (-1.0, 1.0)
    assert shown_range(np.empty((0, 3))) == (-1.0, 1.0)


def test_importance_is_drawn_at_its_numbers(run: TrainingResult) -> None:
    importance = run.explanation.importance
    left, right = PICTURES["top"](run).axes
    shown = importance.features[:20]
    widths = [bar.get_width() for bar in left.patches]
    np.testing.assert_allclose(widths, [100 * each.shap.mean for each in shown])
    for axes, column, factor in ((left, "shap", 100.0), (right, "permutation", 1.0)):
        means, ends = _dots(axes)
        found: list[Interval] = [getattr(each, column) for each in shown]
        np.testing.assert_allclose(means, [factor * each.mean for each in found])
        np.testing.assert_allclose(
            ends, [(factor * each.low, factor * each.high) for each in found]
        )


def test_features_no_better_than_noise_are_hollow_and_all_are_filled_without_a_line(
    run: TrainingResult,
) -> None:
    importance = run.explanation.importance
    left = PICTURES["top"](run).axes[0]
    for bar, feature in zip(left.patches, importance.features, strict=False):
        assert (bar.get_facecolor()[3] > 0) == feature.better_than_noise
    assert {each.better_than_noise for each in importance.features} == {True, False}
    features = [dataclasses.replace(each, better_than_noise=None) for each in importance.features]
    free = dataclasses.replace(importance, features=tuple(features))
    assert all(bar.get_facecolor()[3] > 0 for bar in axes_of(top_features(free))[0].patches)


def test_losses_are_drawn_in_percent(run: TrainingResult) -> None:
    importance = dataclasses.replace(run.explanation.importance, measure="squared error")
    right = axes_of(top_features(importance))[1]
    means, _ = _dots(right)
    assert means[0] == pytest.approx(100 * importance.features[0].permutation.mean)
    assert right.get_xlabel() == "Permutation drop:\nrise of squared error"


def test_families_are_drawn_at_their_numbers(run: TrainingResult) -> None:
    left, right = PICTURES["families"](run).axes
    families = run.explanation.importance.families
    np.testing.assert_allclose(_dots(left)[0], [100 * each.shap.mean for each in families])
    np.testing.assert_allclose(_dots(right)[0], [each.permutation.mean for each in families])


def test_a_probe_stands_between_the_features_that_it_parts(run: TrainingResult) -> None:
    importance = run.explanation.importance
    axes = PICTURES["probes"](run).axes[0]
    falling: Any = axes.lines[0].get_ydata()
    np.testing.assert_allclose(falling, [100 * each.probed_share for each in importance.features])
    kinds = {kind.name: kind for kind in importance.noise.kinds}
    marks = {
        str(line.get_label()): np.ravel(line.get_data())
        for line in axes.lines
        if line.get_label() in kinds
    }
    assert list(marks) == list(kinds)
    bars = [bar.get_segments()[0] for bar in axes.collections]
    for (name, kind), bar in zip(kinds.items(), bars, strict=True):
        above = sum(each.probed_share > kind.high for each in importance.features)
        np.testing.assert_allclose(marks[name], [above + 0.5, 100 * kind.high])
        np.testing.assert_allclose(bar[:, 1], [100 * kind.low, 100 * kind.high])
    dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [100 * importance.noise.limit]


def test_shares_on_permuted_labels_are_drawn_beside_the_real_ones(run: TrainingResult) -> None:
    features = list(run.explanation.importance.features)
    features[3] = dataclasses.replace(features[3], null_share=NAN)
    axes = axes_of(null_shares(features))[0]
    drawn = np.concatenate([np.column_stack(line.get_data()) for line in axes.lines[1:]])
    expected = [(100 * e.null_share, 100 * e.share) for e in features if e is not features[3]]
    np.testing.assert_allclose(
        drawn[np.argsort(-drawn[:, 1])], sorted(expected, key=lambda e: -e[1])
    )


def test_the_effect_is_drawn_over_the_points_it_explains(run: TrainingResult) -> None:
    effect = run.explanation.effects[0]
    axes = PICTURES["dependence"](run).axes[0]
    line = axes.lines[-2]
    np.testing.assert_allclose(line.get_data()[0], effect.edges)
    np.testing.assert_allclose(line.get_data()[1], 100 * np.array(effect.effect))
    band = axes.collections[-1].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(100 * min(effect.low))
    assert band[:, 1].max() == pytest.approx(100 * max(effect.high))
    column = run.shap.feature_names.index(effect.feature)
    rows = {
        (round(float(x), 6), round(float(y), 9))
        for x, y in zip(
            run.shap.features[:, column], 100 * explained(run.shap)[:, column], strict=True
        )
    }
    drawn = points(axes)
    assert 700 < len(drawn) <= 1500
    assert {(round(x, 6), round(y, 9)) for x, y in drawn.tolist()} <= rows


def test_the_axis_of_an_effect_is_cut_to_the_middle_of_many_values() -> None:
    values = np.append(np.arange(1000.0), [np.nan, 1e6])
    low, high = shown_values(values)
    assert 9 < low < 11
    assert 988 < high < 992
    assert shown_values(np.array([np.nan])) == (0.0, 1.0)


def test_few_values_are_spread_without_being_mixed(run: TrainingResult) -> None:
    values = np.repeat([0.0, 1.0, 3.0], 40)
    moved = spread_levels(values, np.zeros(120), np.linspace(0, 1, 120))
    np.testing.assert_allclose(moved, values, atol=0.25)
    assert len(np.unique(moved)) == 120
    many = np.arange(30.0)
    np.testing.assert_array_equal(spread_levels(many, many, many), many)


@given(columns_of)
def test_medians_are_those_of_each_value_where_values_are_few(values: np.ndarray) -> None:
    few = np.round(values / 2.5)
    effect = np.arange(len(values), dtype=np.float64)
    middle, median = group_medians(np.append(few, np.nan), np.append(effect, 1e9))
    levels = [level for level in np.unique(few) if (few == level).sum() >= 5]
    np.testing.assert_array_equal(middle, levels)
    np.testing.assert_array_equal(median, [np.median(effect[few == level]) for level in levels])


def test_the_matrix_shows_each_pair_once_without_main_effects(run: TrainingResult) -> None:
    found = run.explanation.interactions
    axes = PICTURES["matrix"](run).axes[0]
    cells = np.ma.filled(_cells(axes), np.nan)
    strengths = 1e4 * np.array(found.matrix)
    for row, column in np.ndindex(cells.shape):
        if row >= column:
            assert cells[row, column] == pytest.approx(strengths[row + 1, column])
        else:
            assert np.isnan(cells[row, column])
    assert len(axes.texts) == len(found.names) * (len(found.names) - 1) // 2


def test_numbers_of_pairs_fit_their_cells_in_any_unit(run: TrainingResult) -> None:
    found = run.explanation.interactions
    axes = axes_of(interaction_matrix(found, "log-odds of up"))[0]
    strengths = 1e3 * np.array(found.matrix)
    assert axes.texts[0].get_text() == f"{strengths[1, 0]:.3f}"
    assert max(len(text.get_text()) for text in axes.texts) <= 5


def test_shares_of_folds_and_cohorts_are_the_shades_of_their_cells(run: TrainingResult) -> None:
    features, agreement = run.explanation.importance.features, run.explanation.agreement
    expected = [[100 * share for share in each.fold_shares] for each in features[:12]]
    np.testing.assert_allclose(_cells(PICTURES["folds"](run).axes[0]), expected)
    left, right = PICTURES["cohorts"](run).axes[:2]
    expected = [[100 * share for share in each.shares] for each in agreement.cohorts]
    np.testing.assert_allclose(_cells(left), expected)
    np.testing.assert_allclose(_dots(right)[0], [each.rank_ic.mean for each in agreement.cohorts])


def test_taus_are_drawn_once_for_each_two_folds(run: TrainingResult) -> None:
    axes = PICTURES["taus"](run).axes[0]
    taus = np.array(run.explanation.agreement.kendall)
    drawn = [text.get_text() for text in axes.texts]
    below = [(row, column) for row in range(1, 8) for column in range(row)]
    assert drawn == [f"{taus[place]:.2f}" for place in below]


def test_a_direction_is_filled_only_where_all_folds_agree(run: TrainingResult) -> None:
    features = list(run.explanation.importance.features[:4])
    features[0] = dataclasses.replace(features[0], direction=0.4, agreement=1.0)
    features[3] = dataclasses.replace(features[3], direction=0.2, agreement=1.0, folds_used=3)
    features[1] = dataclasses.replace(features[1], direction=-0.4, agreement=0.75)
    features[2] = dataclasses.replace(features[2], direction=NAN, agreement=NAN)
    axes = axes_of(directions(features))[0]
    filled, hollow = axes.lines[1:3]
    assert to_hex(filled.get_markerfacecolor()).upper() == BLUE.upper()
    assert to_hex(hollow.get_markerfacecolor()).upper() == PAPER.upper()
    np.testing.assert_allclose(np.ravel(filled.get_data()), [0.4, 0.0])
    np.testing.assert_allclose(np.column_stack(hollow.get_data())[[0, 2]], [[-0.4, 1], [0.2, 3]])
    texts = ["100% of 8", "75% of 8", "–", "100% of 3"]
    assert [text.get_text() for text in axes.texts][:4] == texts


@pytest.mark.parametrize("colors", ["cividis", "PuOr"])
def test_texts_in_cells_can_be_read(colors: str) -> None:
    from matplotlib import colormaps

    axes = bare_figure(4.6, 3).add_subplot()
    cells = np.linspace(-1, 1, 12).reshape(3, 4)
    draw_cells(axes, cells, lambda value: f"{value:.1f}", low=-1, high=1, colors=colors)
    for text, value in zip(axes.texts, cells.ravel(), strict=True):
        assert text.get_color() == text_on(colormaps[colors]((value + 1) / 2))


def test_a_missing_cell_is_a_dash_and_many_cells_have_no_numbers() -> None:
    axes = bare_figure(4.6, 3).add_subplot()
    draw_cells(axes, np.array([[NAN, 1.0]]), str, low=0, high=1)
    assert [text.get_text() for text in axes.texts] == ["–", "1.0"]
    axes = bare_figure(4.6, 3).add_subplot()
    draw_cells(axes, np.ones((20, 20)), str, low=1, high=1)
    assert not axes.texts


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=8),
    st.floats(-0.05, 0.05),
    st.floats(-0.01, 0.01),
)
@settings(max_examples=10, deadline=None)
def test_a_waterfall_runs_from_start_to_forecast(
    sizes: list[float], base: float, rest: float
) -> None:
    case = make_result(rows=50).explanation.cases[0]
    parts = tuple(
        dataclasses.replace(case.parts[0], contribution=size, feature=f"f{place}")
        for place, size in enumerate(sizes)
    )
    total = base + sum(sizes) + rest
    case = dataclasses.replace(case, parts=parts, base=base, rest=rest, total=total)
    _check_waterfall(case)


def _check_waterfall(case: Case) -> None:
    axes = axes_of(waterfall(case, "excess return"))[0]
    at = 100 * case.base
    for bar, size in zip(
        axes.patches, [*(p.contribution for p in case.parts), case.rest], strict=True
    ):
        assert bar.get_x() == pytest.approx(at, abs=1e-9)
        assert bar.get_width() == pytest.approx(100 * size, abs=1e-9)
        assert same_color(bar.get_facecolor(), BLUE if size >= 0 else VERMILION)
        at += 100 * size
    assert at == pytest.approx(100 * case.total, abs=1e-9)
    assert np.ravel(axes.lines[1].get_xdata())[0] == pytest.approx(at, abs=1e-9)


def test_numbers_of_a_waterfall_have_signs_and_missing_values_a_word(run: TrainingResult) -> None:
    case = run.explanation.cases[0]
    parts = (dataclasses.replace(case.parts[0], value=NAN, contribution=-0.0123), *case.parts[1:])
    axes = axes_of(waterfall(dataclasses.replace(case, parts=parts), "excess return"))[0]
    assert axes.texts[0].get_text() == "−1.2"
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "start"
    assert labels[1].endswith(" = missing")
    assert labels[-2:] == ["all other features", "forecast"]


def test_unknown_numbers_are_left_out_of_every_picture(run: TrainingResult) -> None:
    importance, agreement = run.explanation.importance, run.explanation.agreement
    features = tuple(
        dataclasses.replace(
            each, permutation=UNKNOWN, null_share=NAN, direction=NAN, agreement=NAN,
            fold_shares=(NAN,), share=NAN, probed_share=NAN, folds_used=0,
            shap=Interval(each.shap.mean, NAN, NAN, 1),
            better_than_noise=False,
        )
        for each in importance.features[:2]
    )  # fmt: skip
    unknown = NoiseKind("one a row", NAN, NAN, NAN, NAN)
    noise = dataclasses.replace(importance.noise, kinds=(unknown,), limit=NAN)
    families = (dataclasses.replace(importance.families[0], permutation=UNKNOWN),)
    bare = dataclasses.replace(importance, features=features, noise=noise, families=families)
    cohort = dataclasses.replace(agreement.cohorts[0], rank_ic=UNKNOWN, shares=(NAN, NAN))
    empty = dataclasses.replace(run.explanation.effects[0], low=(NAN,) * 21, high=(NAN,) * 21)
    one_fold = dataclasses.replace(agreement, folds=(1, 2), kendall=((1.0, NAN), (NAN, 1.0)))
    lost = run.shap.features.copy()
    lost[:, 0] = np.nan
    sample = dataclasses.replace(run.shap, features=lost)
    figures = (
        top_features(bare),
        family_columns(bare),
        probe_ranking(bare),
        null_shares(features),
        fold_shares(features, (1,)),
        directions(features),
        cohort_shares([cohort], ("a", "b")),
        fold_taus(one_fold),
        dependence(run.shap, dataclasses.replace(empty, partner=""), "excess return"),
        dependence(sample, empty, "excess return"),
        beeswarm(sample, [sample.feature_names[0]], "excess return"),
        interaction_matrix(
            Interactions(9, 0.0, ("a", "b"), ((0.0, 0.0), (0.0, 0.0)), ()), "log-odds of up"
        ),
    )
    for figure in figures:
        with look():
            figure_svg(figure, "x")


def test_a_constant_feature_and_equal_contributions_can_be_drawn(run: TrainingResult) -> None:
    values, features = run.shap.values.copy(), run.shap.features.copy()
    values[:], features[:, 0] = 0.0, 3.0
    sample = dataclasses.replace(run.shap, values=values, features=features)
    names = [each.name for each in run.explanation.importance.features]
    with look():
        figure_svg(beeswarm(sample, names[:1], "excess return"), "x")
        figure_svg(dependence(sample, run.explanation.effects[0], "excess return"), "x")


def test_names_from_outside_are_only_text() -> None:
    hostile = ("$\\frac{1}{0}$", "<b>&amp;", "{0}{x}", "_nul\x00", "long_" * 40)
    run = make_result(names=(*hostile, *make_result().features.names[5:]), rows=50)
    for name in PICTURES:
        drawn = svg_of(name, run)
        assert "<b>" not in drawn
        assert "\x00" not in drawn
    assert "$\\frac{1}{0}$" in svg_of("top", run)


def _dots(axes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means with intervals as drawn, from the top, and their ends."""
    found = []
    for container in axes.containers:
        if not hasattr(container, "has_xerr"):
            continue
        line, _, bars = container.lines
        segments = bars[0].get_segments()
        for x, y, segment in zip(*line.get_data(), segments, strict=True):
            found.append((float(y), float(x), *np.asarray(segment)[:, 0].tolist()))
    table = np.array(sorted(found))
    return table[:, 1], table[:, 2:]


def _cells(axes: Any) -> Any:
    """Numbers of the cells, by row and column."""
    mesh = next(each for each in axes.collections if hasattr(each, "get_coordinates"))
    shape = tuple(side - 1 for side in mesh.get_coordinates().shape[:2])
    return mesh.get_array().reshape(shape)
