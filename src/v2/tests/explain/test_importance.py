"""Which features move the forecast, and which of them help it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.config import ExplainConfig
from src.v2.explain.blocks import date_block_bounds
from src.v2.explain.direction import explained
from src.v2.explain.importance import directions, features_for_most, importance
from src.v2.explanation_records import FamilyImportance, FeatureImportance, Importance
from src.v2.records import ShapSample
from src.v2.tests.explain.probed_runs import (
    CONSTANT,
    FAMILIES,
    MISSING,
    NAMES,
    NOISE,
    SHARED,
    SIGNAL,
    Run,
    make_run,
)

Array = np.ndarray[Any, Any]

CONFIG = ExplainConfig(permutation_rows=4000)


def found_in(run: Run, null: ShapSample | None = None, seed: int = 1) -> Importance:
    return importance(run.sample, run.fits, run.trainer, null, FAMILIES, CONFIG, seed)


@pytest.fixture(scope="module")
def planted() -> Run:
    return make_run(test_sessions=75)


@pytest.fixture(scope="module")
def found(planted: Run) -> Importance:
    return found_in(planted, planted.null())


def by_name(record: Importance) -> dict[str, FeatureImportance]:
    return {feature.name: feature for feature in record.features}


def test_the_planted_feature_is_first_and_helps(found: Importance) -> None:
    first = found.features[0]
    assert first.name == SIGNAL
    assert first.shap.low > found.features[1].shap.high
    assert first.permutation.mean == max(each.permutation.mean for each in found.features)
    assert first.permutation.low > 0
    assert first.better_than_noise
    assert first.share > 0.5
    assert first.direction == pytest.approx(1, abs=0.15)
    assert first.agreement == 1
    assert found.families[0].name == "momentum"
    assert found.families[0].permutation == first.permutation


def test_noise_is_below_the_line_and_its_loss_covers_nothing(found: Importance) -> None:
    noise = [by_name(found)[name] for name in NOISE]
    # An interval of 95% misses at times: of 36 in six fits it missed four.
    assert sum(each.permutation.low <= 0 <= each.permutation.high for each in noise) >= 4
    assert sum(each.better_than_noise is False for each in noise) >= 5
    assert set(found.noise.below) == {
        each.name for each in found.features if not each.better_than_noise
    }
    for each in found.features:
        assert each.better_than_noise == (each.probed_share > found.noise.limit)


def test_labels_that_mean_nothing_take_the_planted_share_away(found: Importance) -> None:
    first = found.features[0]
    assert first.null_share < first.share / 1.5
    assert sum(each.null_share for each in found.features) == pytest.approx(1)


def test_sizes_and_shares_are_means_of_the_sample(found: Importance, planted: Run) -> None:
    values = np.abs(explained(planted.sample).astype(np.float64))
    features = by_name(found)
    for place, name in enumerate(NAMES):
        assert features[name].shap.mean == pytest.approx(values[:, place].mean())
        assert features[name].share == pytest.approx(
            values[:, place].mean() / values.mean(axis=0).sum()
        )
    sizes = [each.shap.mean for each in found.features]
    assert sizes == sorted(sizes, reverse=True)
    number = planted.sample.rows["fold"].to_numpy()
    for place, fold in enumerate(np.unique(number)):
        part = values[number == fold].mean(axis=0)
        expected = dict(zip(NAMES, part / part.sum(), strict=True))
        for each in found.features:
            assert each.fold_shares[place] == pytest.approx(expected[each.name])


def test_intervals_draw_blocks_of_the_sample_s_own_dates(found: Importance, planted: Run) -> None:
    place = NAMES.index(SIGNAL)
    values = np.abs(explained(planted.sample)[:, [place]].astype(np.float64))
    sessions = list(planted.trainer.panel.sessions)
    session = np.array([sessions.index(date) for date in planted.sample.rows["date"]])
    # The longest test block: a model stays for all of it.
    longest = max(len(np.unique(fit.test.session)) for fit in planted.fits)
    expected = date_block_bounds(values, session, longest, 1).interval(0)
    shap = by_name(found)[SIGNAL].shap
    assert dataclasses.astuple(shap) == pytest.approx(dataclasses.astuple(expected), rel=1e-6)
    assert found.block_sessions == longest
    assert shap.windows == len(planted.fits)


def test_families_add_up_with_their_signs(found: Importance, planted: Run) -> None:
    values = explained(planted.sample).astype(np.float64)
    families = {family.name: family for family in found.families}
    assert set(families) == set(FAMILIES.values())
    for name, family in families.items():
        columns = [place for place, each in enumerate(NAMES) if FAMILIES[each] == name]
        assert family.features == len(columns)
        assert family.shap.mean == pytest.approx(np.abs(values[:, columns].sum(axis=1)).mean())
        assert (
            family.shap.mean <= sum(np.abs(values[:, column]).mean() for column in columns) + 1e-12
        )
    assert sum(family.share for family in found.families) == pytest.approx(1)
    sizes = [family.shap.mean for family in found.families]
    assert sizes == sorted(sizes, reverse=True)


def test_what_no_tree_can_use_has_no_weight_and_no_direction(found: Importance) -> None:
    for name in (CONSTANT, MISSING):
        feature = by_name(found)[name]
        assert (feature.share, feature.shap.mean, feature.shap.high) == (0, 0, 0)
        assert (feature.permutation.mean, feature.permutation.low) == (0, 0)
        assert np.isnan([feature.direction, feature.agreement]).all()
        assert feature.folds_used == 0
        assert not feature.better_than_noise


def test_direction_is_scipys_rank_correlation_averaged_over_folds(planted: Run) -> None:
    from scipy import stats

    sample, (direction, agreement, used) = planted.sample, directions(planted.sample)
    values, number = explained(sample), sample.rows["fold"].to_numpy()
    for name in (SIGNAL, *NOISE, SHARED):
        place = NAMES.index(name)
        each = []
        for fold in np.unique(number):
            rows = (number == fold) & ~np.isnan(sample.features[:, place])
            if np.ptp(values[rows, place]) > 0:
                first, second = sample.features[rows, place], values[rows, place]
                each.append(stats.spearmanr(first, second).statistic)
        assert used[place] == len(each)
        assert direction[place] == pytest.approx(np.mean(each))
        expected = np.mean(np.sign(each) == np.sign(np.mean(each)))
        assert agreement[place] == pytest.approx(expected)


def tiny_sample(features: Array, values: Array, folds: list[int]) -> ShapSample:
    rows = pl.DataFrame({"fold": folds}, schema={"fold": pl.Int32}).with_columns(
        pl.lit(dt.date(2020, 1, 1)).alias("date"), pl.lit("A").alias("ticker")
    )
    names = tuple(f"f{place}" for place in range(features.shape[1]))
    base = np.zeros((len(rows), 1))
    return ShapSample(rows, features, values[:, None, :], base, ("forecast",), names)


def test_folds_that_disagree_or_tell_nothing_are_counted() -> None:
    up, flat = np.arange(4.0), np.zeros(4)
    features = np.tile(up, 4)[:, None]
    values = np.concatenate([up, up, -up, flat])[:, None]
    direction, agreement, used = directions(
        tiny_sample(features, values, [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4)
    )
    assert used[0] == 3
    assert direction[0] == pytest.approx(1 / 3)
    assert agreement[0] == pytest.approx(2 / 3)


def test_missing_values_do_not_count_for_the_direction() -> None:
    features = np.array([[0.0], [1.0], [2.0], [np.nan], [np.nan]])
    values = np.array([[0.0], [1.0], [2.0], [50.0], [-50.0]])
    direction, agreement, _ = directions(tiny_sample(features, values, [1] * 5))
    assert (direction[0], agreement[0]) == (pytest.approx(1), 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 1000))
def test_features_for_most_are_the_fewest_that_hold_nine_tenths(
    rows: int, count: int, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, count)) ** 3
    for row, told in zip(values, features_for_most(values), strict=True):
        size = sorted(np.abs(row), reverse=True)
        expected = next(k for k in range(1, count + 1) if sum(size[:k]) >= 0.9 * sum(size) - 1e-12)
        assert told == expected


def test_counts_describe_what_was_explained_and_permuted(found: Importance, planted: Run) -> None:
    rows = planted.sample.rows
    assert (found.rows, found.dates) == (rows.height, rows["date"].n_unique())
    assert found.permuted_rows == pytest.approx(4000, rel=0.05)
    assert found.permuted_dates == pytest.approx(4000 / 24, abs=1)
    assert found.quantity == "excess return"
    assert found.measure == "rank IC"
    assert found.skill > 0.15
    assert 1 <= found.compactness <= len(NAMES)
    assert found.noise.folds[-1] == planted.fits[-1].fold.number


def test_the_seed_decides_every_number(planted: Run, found: Importance) -> None:
    again = found_in(planted, planted.null())
    assert repr(again) == repr(found)
    assert repr(found_in(planted, planted.null(), seed=2)) != repr(found)


@pytest.mark.parametrize("classes", ["binary", "rating"])
def test_classes_are_explained_by_one_signed_quantity(classes: str) -> None:
    run = make_run(24, {"mode": "classification", "classes": classes}, test_sessions=75)
    record = found_in(run)
    assert record.quantity.startswith("log-odds of")
    assert record.features[0].name == SIGNAL
    assert record.features[0].permutation.low > 0
    assert record.features[0].direction > 0.8
    assert np.isnan([each.null_share for each in record.features]).all()


@pytest.mark.parametrize("label", [{}, {"mode": "classification"}])
@pytest.mark.parametrize("tickers", [1, 5])
def test_few_tickers_are_explained_by_a_loss(tickers: int, label: dict[str, object]) -> None:
    record = found_in(make_run(tickers, label))
    assert record.measure == ("log loss" if label else "squared error")
    assert record.skill > 0
    assert len(record.features) == len(NAMES)
    assert sum(each.share for each in record.features) == pytest.approx(1)
    assert np.isfinite([each.permutation.mean for each in record.features]).all()


def test_a_model_that_never_splits_has_no_important_feature() -> None:
    run = make_run()
    weight = dataclasses.replace(run.trainer.learner, leaf_weight=1e9)  # type: ignore[type-var]
    trainer = dataclasses.replace(run.trainer, learner=weight)
    fits = tuple(
        dataclasses.replace(fit, model=trainer.fit(trainer.window(fit.fold), 3)) for fit in run.fits
    )
    flat = dataclasses.replace(run.sample, values=np.zeros_like(run.sample.values))
    record = importance(flat, fits, trainer, None, FAMILIES, CONFIG, 1)
    assert (record.compactness, record.skill, record.noise.limit) == (0, 0, 0)
    assert [each.name for each in record.features] == list(NAMES)
    assert not any(each.share for each in record.features)
    assert {each.better_than_noise for each in record.features} == {None}
    assert not any(family.share for family in record.families)


def first_rows(run: Run, count: int) -> ShapSample:
    """Keep the first rows of a sample, which are of the first fold."""
    sample = run.sample
    return dataclasses.replace(
        sample,
        rows=sample.rows[:count],
        features=sample.features[:count],
        values=sample.values[:count],
        base=sample.base[:count],
    )


def test_a_size_is_never_bounded_below_nothing(planted: Run) -> None:
    values = planted.sample.values.copy()
    values[:, 0, 0] = 0
    values[:3, 0, 0] = 1
    sample = dataclasses.replace(planted.sample, values=values)
    record = importance(sample, planted.fits, planted.trainer, None, FAMILIES, CONFIG, 1)
    shap = by_name(record)[NAMES[0]].shap
    assert shap.low == 0 < shap.mean < shap.high


def test_of_two_middle_rows_the_one_of_more_features_is_told(planted: Run) -> None:
    sample = first_rows(planted, 2)
    values = np.zeros_like(sample.values)
    values[0, 0, 1], values[1, 0, :4] = 1.0, 1.0
    sample = dataclasses.replace(sample, values=values)
    record = importance(sample, planted.fits, planted.trainer, None, FAMILIES, CONFIG, 1)
    assert record.compactness == 4


@pytest.mark.parametrize("count", [10, 20, 30, 50, 100])
@pytest.mark.parametrize("size", [0.1, 0.3, 0.7, 1.1])
def test_rounding_adds_no_feature(count: int, size: float) -> None:
    assert features_for_most(np.full((1, count), size)).tolist() == [9 * count // 10]


def test_a_single_fold_of_few_rows_is_explained_without_bounds(planted: Run) -> None:
    fit, sample = planted.fits[0], first_rows(planted, 3)
    few = fit.test.take(fit.test.session < fit.test.session[0] + 12)
    fit = dataclasses.replace(fit, test=few)
    record = importance(sample, [fit], planted.trainer, None, FAMILIES, CONFIG, 1)
    assert (record.rows, record.permuted_dates) == (3, 12)
    both: list[FeatureImportance | FamilyImportance] = [*record.features, *record.families]
    for each in both:
        assert np.isnan([each.shap.low, each.shap.high, each.permutation.low]).all()
        assert np.isfinite([each.shap.mean, each.share, each.permutation.mean]).all()
