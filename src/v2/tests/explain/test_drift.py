"""The stability index against a plain count, and drift that is planted."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.explain import drift
from src.v2.explain.drift import feature_drift, sorted_psi
from src.v2.explanation_records import Drift
from src.v2.modeling.panel import Panel
from src.v2.tests.explain.probed_runs import CONSTANT, MISSING, NAMES, NOISE, Run, make_run

Values = list[float]

FINITE = st.integers(-300, 300).map(lambda number: number / 4)
COLUMN = st.lists(FINITE | st.just(math.nan), min_size=1, max_size=80)
FEW_VALUES = st.lists(st.sampled_from([0.0, 1.0, 2.0, math.nan]), min_size=1, max_size=80)


def _sorted(values: Values) -> np.ndarray:
    return np.sort(np.array(values, dtype=np.float32))


def _psi(train: Values, test: Values) -> float:
    return sorted_psi(_sorted(train), _sorted(test))


def _slow_psi(train: Values, test: Values) -> float:
    """Count each value into bins that are named by the training values, one by one."""
    known = sorted(value for value in train if not math.isnan(value))
    deciles = [known[math.ceil(place * len(known) / 10) - 1] for place in range(1, 10) if known]
    often = {value for value, times in Counter(deciles).items() if times > 1}
    edges = sorted(set(deciles))

    def place(value: float) -> object:
        if math.isnan(value):
            return "missing"
        if value in often:
            return value
        above = [edge for edge in edges if edge >= value]
        return ("up to", above[0]) if above else "beyond"

    bins: set[object] = {"missing", "beyond", *often, *(("up to", edge) for edge in edges)}
    total = 0.0
    before, after = (Counter(map(place, values)) for values in (train, test))
    for name in bins:
        if not before[name] + after[name]:
            continue
        p = max(before[name], 0.5) / len(train)
        q = max(after[name], 0.5) / len(test)
        total += (q - p) * math.log(q / p)
    return total


@settings(max_examples=150, deadline=None)
@given(COLUMN | FEW_VALUES, COLUMN | FEW_VALUES)
def test_the_index_is_that_of_a_plain_count(train: Values, test: Values) -> None:
    assert _psi(train, test) == pytest.approx(_slow_psi(train, test), rel=1e-9, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(COLUMN | FEW_VALUES, COLUMN | FEW_VALUES)
def test_the_index_is_never_negative_and_follows_rising_maps(train: Values, test: Values) -> None:
    index = _psi(train, test)
    assert index >= 0 and math.isfinite(index)
    assert _psi(train, train) == 0
    double = _psi([4 * value for value in train], [4 * value for value in test])
    assert double == pytest.approx(index)


def test_shares_of_a_shifted_normal_give_the_index_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=200_000), rng.normal(0.5, 1, 200_000)
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    p = np.full(10, 0.1)
    q = np.diff(stats.norm.cdf([-np.inf, *edges, np.inf], loc=0.5))
    expected = ((q - p) * np.log(q / p)).sum()
    assert _psi(train.tolist(), test.tolist()) == pytest.approx(expected, rel=0.03)


def test_rows_of_one_distribution_give_about_bins_over_rows() -> None:
    rng = np.random.default_rng(1)
    found = [_psi(*rng.normal(size=(2, 500)).tolist()) for _ in range(200)]
    # The sum of squares of 9 free shares, over each side's 500 rows.
    assert np.mean(found) == pytest.approx(9 * (1 / 500 + 1 / 500), rel=0.15)


@pytest.mark.parametrize("ones", [0.03, 0.5, 0.97])
def test_a_feature_of_two_values_is_compared_value_by_value(ones: float) -> None:
    train = [float(place < round(1000 * ones)) for place in range(1000)]
    test = [float(place < round(1000 * (1 - ones))) for place in range(1000)]
    expected = 2 * (1 - 2 * ones) * math.log((1 - ones) / ones)
    assert _psi(train, test) == pytest.approx(expected, abs=1e-9)


def test_constant_missing_and_vanishing_features_have_finite_indices() -> None:
    nothing, zeros, ones = [math.nan] * 50, [0.0] * 50, [1.0] * 50
    assert _psi(nothing, nothing) == _psi(zeros, zeros) == 0
    for train, test in ((zeros, ones), (zeros, nothing), (nothing, zeros), (ones, zeros)):
        assert 4 < _psi(train, test) < 10
    assert _psi(zeros, zeros[:1]) == 0
    assert _psi(zeros[:40] + nothing[:10], zeros[:10] + nothing[:40]) == pytest.approx(
        0.6 * math.log(4) * 2
    )


def _moved(run: Run, fold: int, change: dict[str, np.ndarray | float]) -> Run:
    """Set features of a fold's test rows."""
    fits = list(run.fits)
    test = fits[fold].test
    features = test.features.copy()
    for name, values in change.items():
        features[:, NAMES.index(name)] = values
    fits[fold] = dataclasses.replace(
        fits[fold], test=dataclasses.replace(test, feature_rows=features)
    )
    return dataclasses.replace(run, fits=tuple(fits))


def _by_name(found: tuple[Drift, ...]) -> dict[str, Drift]:
    return {each.feature: each for each in found}


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


def test_steady_features_stay_and_planted_drift_is_found_in_its_fold(run: Run) -> None:
    steady = feature_drift(run.trainer, run.fits)
    assert {each.feature for each in steady} == set(NAMES)
    values = [each.psi for each in steady]
    assert values == sorted(values, reverse=True)
    found = _by_name(steady)
    assert found[CONSTANT].psi == found[MISSING].psi == 0
    assert all(found[name].psi < 0.05 for name in NOISE)
    gone = np.full(len(run.fits[1].test.session), np.nan, dtype=np.float32)
    other = _moved(run, 1, {NOISE[2]: 3.0, NOISE[4]: gone, CONSTANT: 2.0})
    moved = _by_name(feature_drift(other.trainer, other.fits))
    number = run.fits[1].fold.number
    for name in (NOISE[2], NOISE[4], CONSTANT):
        assert moved[name].fold == number and moved[name].psi > 1
    for name in set(NAMES) - {NOISE[2], NOISE[4], CONSTANT}:
        assert moved[name] == found[name]
    for name in (NOISE[2], NOISE[4], CONSTANT):
        assert moved[name].within == found[name].within < 0.25


def test_thinned_rows_spread_over_all_dates_and_find_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _by_name(feature_drift(run.trainer, run.fits))
    monkeypatch.setattr(drift, "MOST_ROWS", 400)
    thin = _by_name(feature_drift(run.trainer, run.fits))
    again = _by_name(feature_drift(run.trainer, run.fits))
    assert thin == again
    assert thin != whole
    for name in NOISE:
        assert abs(thin[name].psi - whole[name].psi) < 0.15
    late = run.fits[0].test
    half = late.session > np.median(late.session)
    values = np.where(half, 5.0, late.features[:, NAMES.index(NOISE[0])])
    other = _moved(run, 0, {NOISE[0]: values})
    assert _by_name(feature_drift(other.trainer, other.fits))[NOISE[0]].psi > 0.5


def test_folds_without_test_rows_are_left_out(run: Run) -> None:
    empty = run.fits[0].test.between(0, 0)
    assert isinstance(empty, Panel) and not len(empty.session)
    fits = [dataclasses.replace(run.fits[0], test=empty), run.fits[1]]
    found = feature_drift(run.trainer, fits)
    assert {each.fold for each in found} == {run.fits[1].fold.number}
    assert feature_drift(run.trainer, fits[:1]) == ()


def _persistent(run: Run, seed: int) -> Run:
    """Give all rows features that wander about 0 for a hundred sessions, the same for a date."""
    panel = run.trainer.panel
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(int(panel.session.max()) + 1, len(NAMES)))
    wandering = np.zeros_like(steps)
    for place in range(1, len(steps)):
        wandering[place] = 0.99 * wandering[place - 1] + steps[place]

    def wander(rows: Panel) -> Panel:
        return dataclasses.replace(rows, feature_rows=wandering[rows.session].astype(np.float32))

    fits = tuple(dataclasses.replace(fit, test=wander(fit.test)) for fit in run.fits)
    trainer = dataclasses.replace(
        run.trainer, panel=wander(panel), strided=wander(run.trainer.strided)
    )
    return dataclasses.replace(run, trainer=trainer, fits=fits)


def test_steady_but_persistent_features_differ_as_much_inside_the_training_rows(run: Run) -> None:
    worlds = [_persistent(run, seed) for seed in range(5)]
    found = [each for world in worlds for each in feature_drift(world.trainer, world.fits)]
    moved = [each.psi > 0.25 for each in found]
    within = [each.within > 0.25 for each in found if math.isfinite(each.within)]
    # All of them look as if they had drifted, and would anywhere else.
    assert np.mean(moved) > 0.8
    assert np.mean(within) > 0.8


def test_the_block_inside_is_as_long_as_the_test_and_held_against_the_rest(run: Run) -> None:
    found: dict[str, float] = {}
    for place, fit in enumerate(run.fits):
        window = run.trainer.window(fit.fold)
        first, last = int(window.session.min()), int(window.session.max())
        length = int(fit.test.session.max() - fit.test.session.min()) + 1
        if last + 1 - first < 2 * length:
            continue
        share = (place + 1) * 0.6180339887498949 % 1
        start = first + round(share * (last + 1 - first - length))
        inside = np.array([start <= each < start + length for each in window.session])
        assert first <= start and start + length - 1 <= last
        for column, name in enumerate(NAMES):
            values = window.features[:, column]
            index = _slow_psi(values[~inside].tolist(), values[inside].tolist())
            found[name] = max(found.get(name, 0.0), index)
    assert found
    for name, each in _by_name(feature_drift(run.trainer, run.fits)).items():
        assert each.within == pytest.approx(found[name], rel=1e-6, abs=1e-9)


def test_a_window_without_two_blocks_has_no_index_inside(run: Run) -> None:
    fit = run.fits[0]
    window = run.trainer.window(fit.fold)
    half = (int(window.session.max()) - int(window.session.min()) + 1) // 2 + 1
    last = int(fit.test.session[-1])
    sessions = np.where(np.arange(len(fit.test.session)) == 0, last - half, last)
    long = dataclasses.replace(fit, test=dataclasses.replace(fit.test, session=sessions))
    assert all(math.isnan(each.within) for each in feature_drift(run.trainer, [long]))
