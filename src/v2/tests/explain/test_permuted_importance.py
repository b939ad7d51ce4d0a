"""What a forecast loses when features are exchanged between rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.config import LabelConfig
from src.v2.explain.blocks import date_block_bounds
from src.v2.explain.permuted_importance import Drops, permutation_drops
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.walk_forward import FoldFit
from src.v2.tests.explain.probed_runs import (
    CONSTANT,
    MISSING,
    NAMES,
    NOISE,
    SHARED,
    SIGNAL,
    Formula,
    Recorder,
    Run,
    make_fit,
    make_run,
    regression_plan,
)

Array = np.ndarray[Any, Any]

EACH = [[place] for place in range(len(NAMES))]


@pytest.fixture(scope="module")
def planted() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def drops(planted: Run) -> Drops:
    return permutation_drops(planted.fits, planted.trainer.plan, EACH, 6000, 3)


def recorded(fit: FoldFit) -> tuple[FoldFit, Recorder]:
    """Let a fit keep what it is asked."""
    recorder = Recorder(fit.model)
    return dataclasses.replace(fit, model=recorder), recorder


def grid_fit(
    dates: int,
    tickers: int,
    weights: list[float],
    *,
    seed: int = 0,
    number: int = 1,
    start: int = 0,
    copies: int = 1,
) -> FoldFit:
    """Make a fold in which every feature is distinct on every row and the last one shared."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(start, start + dates), tickers).astype(np.int32)
    ticker = np.tile(np.arange(tickers), dates).astype(np.int32)
    features = rng.permutation(dates * tickers * len(weights)).reshape(-1, len(weights))
    features[:, -1] = rng.permutation(dates + start)[session]
    names = [f"f{place}" for place in range(len(weights))]
    returns = features[:, 0].astype(np.float64)
    values = features.astype(np.float32)
    return make_fit(session, ticker, values, returns, Formula(weights, names), number=number)


def test_the_planted_feature_costs_most_and_noise_costs_nothing(drops: Drops, planted: Run) -> None:
    assert drops.measure == "rank IC"
    bounds = date_block_bounds(drops.values, drops.session, 63, 0)
    place = NAMES.index(SIGNAL)
    assert bounds.mean.argmax() == place
    assert bounds.low[place] > 0.1
    assert drops.skill > 0.15
    noise = [NAMES.index(name) for name in NOISE]
    covered = (bounds.low[noise] <= 0) & (bounds.high[noise] >= 0)
    assert covered.sum() >= len(NOISE) - 1
    assert np.abs(bounds.mean[noise]).max() < bounds.mean[place] / 10


def test_features_that_no_tree_can_use_cost_exactly_nothing(drops: Drops) -> None:
    for name in (CONSTANT, MISSING):
        assert (drops.values[:, NAMES.index(name)] == 0).all()


def test_the_seed_decides_and_the_panel_stays_as_it_is(planted: Run, drops: Drops) -> None:
    before = [fit.test.features.tobytes() for fit in planted.fits]
    again = permutation_drops(planted.fits, planted.trainer.plan, EACH, 6000, 3)
    assert [fit.test.features.tobytes() for fit in planted.fits] == before
    np.testing.assert_array_equal(again.values, drops.values)
    other = permutation_drops(planted.fits, planted.trainer.plan, EACH, 6000, 4)
    assert not np.array_equal(other.values, drops.values)


def test_rows_are_spread_over_all_test_dates_with_known_labels(planted: Run, drops: Drops) -> None:
    known = np.concatenate([fit.test.session[fit.test.label_end >= 0] for fit in planted.fits])
    assert set(drops.session) <= set(known)
    assert (np.diff(drops.session) > 0).all()
    assert 0.9 * 6000 <= drops.rows <= 6000
    gaps = np.diff(np.searchsorted(np.unique(known), drops.session))
    assert gaps.max() - gaps.min() <= 1
    whole = permutation_drops(planted.fits, planted.trainer.plan, [], 10**9, 3)
    assert whole.rows == len(known)
    assert whole.values.shape == (len(np.unique(known)), 0)


def test_a_drop_is_scipys_correlation_before_less_after_on_each_date(planted: Run) -> None:
    from scipy import stats

    fit, recorder = recorded(planted.fits[-1])
    group = NAMES.index(SIGNAL)
    found = permutation_drops([fit], planted.trainer.plan, [[group]], 1500, 1)
    plain, changed = recorder.asked
    rows = {row.tobytes(): place for place, row in enumerate(fit.test.features)}
    place = np.array([rows[row.tobytes()] for row in plain])
    returns = fit.test.keys["forward_return"].to_numpy()[place]
    session = fit.test.session[place]
    before, after = (recorder.model.predict(each) for each in (plain, changed))
    expected, skill = [], []
    for date in np.unique(session):
        day = session == date
        skill.append(stats.spearmanr(before[day], returns[day]).statistic)
        expected.append(skill[-1] - stats.spearmanr(after[day], returns[day]).statistic)
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-12)
    assert found.skill == pytest.approx(np.mean(skill))


def test_only_the_features_of_the_group_move_and_only_within_their_date() -> None:
    fit, recorder = recorded(grid_fit(15, 30, [1.0, 1.0, 1.0, 1.0]))
    permutation_drops([fit], regression_plan(), [[0], [1, 2], [3], [0]], 10_000, 1)
    plain, first, pair, shared, again = recorder.asked
    date = fit.test.session
    for changed, moved in ((first, [0]), (pair, [1, 2]), (shared, [3])):
        still = [column for column in range(4) if column not in moved]
        np.testing.assert_array_equal(changed[:, still], plain[:, still])
    np.testing.assert_array_equal(again, first)
    for changed, columns in ((first, [0]), (pair, [1, 2])):
        for day in range(15):
            old, new = plain[date == day][:, columns], changed[date == day][:, columns]
            assert not (old == new).any()
            assert sorted(map(tuple, old)) == sorted(map(tuple, new))
    assert not (shared[:, 3] == plain[:, 3]).any()
    assert sorted(shared[::30, 3]) == sorted(plain[::30, 3])
    assert (shared[:, 3].reshape(15, 30) == shared[::30, 3][:, None]).all()


def test_a_family_exchanges_what_a_date_shares_between_dates_and_the_rest_within() -> None:
    fit, recorder = recorded(grid_fit(12, 25, [1.0, 1.0, 1.0]))
    permutation_drops([fit], regression_plan(), [[1, 2]], 10_000, 1)
    plain, changed = recorder.asked
    np.testing.assert_array_equal(changed[:, 0], plain[:, 0])
    for day in range(12):
        rows = slice(25 * day, 25 * day + 25)
        assert sorted(changed[rows, 1]) == sorted(plain[rows, 1])
        assert len(set(changed[rows, 2])) == 1
        assert changed[rows, 2][0] != plain[rows, 2][0]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 25), min_size=3, max_size=12), st.integers(0, 1000))
def test_no_row_keeps_its_value_on_uneven_dates(counts: list[int], seed: int) -> None:
    counts = [*counts, 22]
    rows = sum(counts)
    session = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    ticker = np.concatenate([np.arange(count) for count in counts]).astype(np.int32)
    features = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    model = Formula([1.0, 1.0], ["f0", "f1"])
    fit, recorder = recorded(make_fit(session, ticker, features, features[:, 0] * 1.0, model))
    found = permutation_drops([fit], regression_plan(), [[1]], 10_000, seed)
    plain, changed = recorder.asked
    used = np.isin(session, found.session)
    assert found.session.tolist() == [d for d, count in enumerate(counts) if count >= 10]
    assert not (plain[:, 1] == changed[:, 1]).any()
    for day in found.session:
        here = session[used] == day
        assert sorted(plain[here, 1]) == sorted(changed[here, 1])


def test_losing_a_perfect_feature_costs_all_of_the_skill_and_noise_none() -> None:
    fit = grid_fit(200, 40, [1.0, 0.0, 0.0])
    found = permutation_drops([fit], regression_plan(), [[0], [1], [2]], 10_000, 1)
    assert found.skill == pytest.approx(1.0)
    # A row never keeps its own value, so what is left is a correlation of -1 / (n - 1).
    assert found.values[:, 0].mean() == pytest.approx(1 + 1 / 39, abs=0.03)
    assert (found.values[:, 1:] == 0).all()


def test_a_feature_without_use_is_not_forecast_again() -> None:
    fit, recorder = recorded(grid_fit(20, 30, [1.0, 0.0, 0.0]))
    permutation_drops([fit], regression_plan(), [[1], [2], [1, 2]], 10_000, 1)
    assert len(recorder.asked) == 1


def test_a_large_universe_gives_a_hundred_tickers_a_date_and_more_dates() -> None:
    fits = [grid_fit(30, 150, [1.0, 0.0], number=1)]
    fits.append(grid_fit(30, 150, [1.0, 0.0], number=2, start=30, seed=1))
    found = permutation_drops(fits, regression_plan(), [[0]], 2000, 1)
    assert (found.rows, len(found.session)) == (2000, 20)
    assert (found.session < 30).sum() == 10
    fit, recorder = recorded(fits[0])
    permutation_drops([fit], regression_plan(), [[0]], 10_000, 1)
    place = np.searchsorted(np.sort(fits[0].test.features[:, 0]), recorder.asked[0][:, 0])
    rows = np.argsort(fits[0].test.features[:, 0])[place]
    chosen = fits[0].test.ticker[rows].reshape(30, 100)
    assert all(len(set(day)) == 100 for day in chosen)
    assert len(np.unique(chosen)) == 150


def classes_plan(classes: str, tickers: int) -> LabelPlan:
    return plan_label(
        LabelConfig.model_validate(
            {"forward_days": 10, "mode": "classification", "classes": classes}
        ),
        tickers,
    )


@pytest.mark.parametrize(
    "label", [{}, {"mode": "classification"}, {"mode": "classification", "classes": "rating"}]
)
@pytest.mark.parametrize("tickers", [1, 6])
def test_few_tickers_are_judged_by_sklearns_loss(tickers: int, label: Mapping[str, object]) -> None:
    from sklearn.metrics import log_loss, mean_squared_error

    run = make_run(tickers, label)
    plan = run.trainer.plan
    fit, recorder = recorded(run.fits[-1])
    used = list(fit.model.importance())
    groups = [[NAMES.index(used[0])], EACH[NAMES.index(CONSTANT)]]
    found = permutation_drops([fit], plan, groups, 1000, 1)
    assert found.measure == ("log loss" if plan.classes else "squared error")
    plain, changed = recorder.asked
    column = groups[0][0]
    np.testing.assert_array_equal(np.sort(plain[:, column]), np.sort(changed[:, column]))
    rows = {row.tobytes(): place for place, row in enumerate(fit.test.features)}
    place = np.array([rows[row.tobytes()] for row in plain])
    labels, session = fit.test.labels()[place], fit.test.session[place]

    def losses(forecast: Array) -> list[float]:
        days = [session == date for date in np.unique(session)]
        if not plan.classes:
            return [mean_squared_error(labels[day], forecast[day]) for day in days]
        shares = np.column_stack([1 - forecast, forecast]) if forecast.ndim == 1 else forecast
        shares = shares.astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        codes = list(range(len(plan.classes)))
        return [log_loss(labels[day], shares[day], labels=codes) for day in days]

    before, after = (losses(recorder.model.predict(each)) for each in (plain, changed))
    assert found.skill == pytest.approx(np.mean(before), rel=1e-5)
    rise = (np.array(after) - before) / np.mean(before)
    np.testing.assert_allclose(found.values[:, 0], rise, atol=1e-5)
    assert (found.values[:, 1] == 0).all()


def test_a_single_ticker_exchanges_its_dates() -> None:
    rng = np.random.default_rng(0)
    session = np.arange(300, dtype=np.int32)
    values = rng.normal(size=(300, 2)).astype(np.float32)
    model = Formula([1.0, 0.0], ["f0", "f1"])
    returns = values[:, 0] + rng.normal(size=300)
    fit, recorder = recorded(make_fit(session, np.zeros(300, np.int32), values, returns, model))
    found = permutation_drops([fit], regression_plan(1), [[0], [1], [0, 1]], 10_000, 1)
    assert found.measure == "squared error"
    # Errors of variance 1 become errors of variance 1 + 2.
    assert found.values[:, 0].mean() == pytest.approx(2.0, abs=0.4)
    assert not (recorder.asked[0][:, 0] == recorder.asked[1][:, 0]).any()
    np.testing.assert_array_equal(found.values[:, 0], found.values[:, 2])


@pytest.mark.parametrize("classes", ["binary", "rating"])
def test_classes_of_a_large_universe_are_judged_by_their_ranking(classes: str) -> None:
    run = make_run(24, {"mode": "classification", "classes": classes})
    found = permutation_drops(run.fits, run.trainer.plan, EACH, 3000, 3)
    assert found.measure == "rank IC"
    assert found.values.mean(axis=0).argmax() == NAMES.index(SIGNAL)
    assert found.values.mean(axis=0).max() > 0.1


def test_dates_with_few_labels_are_left_out_and_a_universe_of_such_has_a_loss() -> None:
    full = grid_fit(20, 30, [1.0, 1.0])
    returns = full.test.keys["forward_return"].to_numpy().copy()
    returns[(full.test.session < 5) & (full.test.ticker >= 9)] = np.nan
    test = full.test
    fit = make_fit(test.session, test.ticker, test.features, returns, full.model)
    found = permutation_drops([fit], regression_plan(), [[0]], 10_000, 1)
    assert found.session.tolist() == list(range(5, 20))
    returns[test.ticker >= 9] = np.nan
    fit = make_fit(test.session, test.ticker, test.features, returns, full.model)
    found = permutation_drops([fit], regression_plan(), [[0]], 10_000, 1)
    assert (found.measure, found.rows) == ("squared error", 180)


def test_a_return_counts_only_where_its_label_is_known() -> None:
    full = grid_fit(20, 30, [1.0, 1.0])
    end = full.test.label_end.copy()
    end[full.test.session >= 15] = -1
    fit = dataclasses.replace(full, test=dataclasses.replace(full.test, label_end=end))
    found = permutation_drops([fit], regression_plan(), [[0]], 10_000, 1)
    assert found.session.tolist() == list(range(15))


def test_nineteen_tickers_are_too_few_to_rank() -> None:
    plan = regression_plan(19)
    assert (
        permutation_drops([grid_fit(9, 19, [1.0, 1.0])], plan, [[0]], 999, 1).measure != "rank IC"
    )
    assert (
        permutation_drops([grid_fit(9, 20, [1.0, 1.0])], plan, [[0]], 999, 1).measure == "rank IC"
    )


def test_a_shared_feature_stays_shared_where_dates_lack_it() -> None:
    full = grid_fit(12, 25, [1.0, 1.0])
    features = full.test.features.copy()
    features[full.test.session % 3 == 0, 1] = np.nan
    test = full.test
    returns = test.keys["forward_return"].to_numpy()
    fit, recorder = recorded(make_fit(test.session, test.ticker, features, returns, full.model))
    permutation_drops([fit], regression_plan(), [[1]], 10_000, 1)
    changed = recorder.asked[1][:, 1].reshape(12, 25)
    missing = np.isnan(changed)
    assert not np.array_equal(changed[:, 0], features[::25, 1], equal_nan=True)
    assert missing.any(axis=1).sum() == missing.all(axis=1).sum() == 4
    assert (np.ptp(changed[~missing.any(axis=1)], axis=1) == 0).all()


def test_each_fold_is_exchanged_in_its_own_way() -> None:
    plain = grid_fit(12, 25, [1.0, 1.0])
    test = dataclasses.replace(plain.test, session=plain.test.session + np.int32(12))
    later = dataclasses.replace(plain, fold=dataclasses.replace(plain.fold, number=2), test=test)
    (first, one), (second, two) = recorded(plain), recorded(later)
    permutation_drops([first, second], regression_plan(), [[0]], 10_000, 1)
    np.testing.assert_array_equal(one.asked[0], two.asked[0])
    assert not np.array_equal(one.asked[1], two.asked[1])


def test_without_a_known_label_nothing_is_told() -> None:
    full = grid_fit(20, 30, [1.0, 1.0])
    test, nothing = full.test, np.full(600, np.nan)
    fit = make_fit(test.session, test.ticker, test.features, nothing, full.model)
    found = permutation_drops([fit], regression_plan(), [[0]], 10_000, 1)
    assert (found.rows, found.values.shape, len(found.session)) == (0, (0, 1), 0)
    assert np.isnan(found.skill)


def test_a_forecast_without_error_has_nothing_to_lose_by_share() -> None:
    session = np.arange(100, dtype=np.int32)
    values = np.ones((100, 1), dtype=np.float32)
    fit = make_fit(session, np.zeros(100, np.int32), values, np.ones(100), Formula([1.0], ["f0"]))
    found = permutation_drops([fit], regression_plan(1), [[0]], 10_000, 1)
    assert found.skill == 0
    assert (found.values == 0).all()


def test_the_shared_feature_is_exchanged_between_dates_of_a_real_run(planted: Run) -> None:
    place = NAMES.index(SHARED)
    fit, recorder = recorded(planted.fits[-1])
    if SHARED not in fit.model.importance():
        pytest.skip("no tree of this fold uses it")
    permutation_drops([fit], planted.trainer.plan, [[place]], 1500, 1)
    plain, changed = recorder.asked
    pairs = set(zip(plain[:, place], changed[:, place], strict=True))
    assert len(pairs) == len(set(plain[:, place])) == len(set(changed[:, place]))


def test_no_rows_are_refused(planted: Run) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        permutation_drops(planted.fits, planted.trainer.plan, EACH, 0, 1)
