"""Linear learners: against slow references, and what they do with awkward rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.base import TrainingRows
from src.v2.modeling.learners.kinds import PENALTIES
from src.v2.modeling.learners.linear import (
    USUAL_PENALTY,
    LinearLearner,
    Split,
    learn_scaling,
)
from src.v2.modeling.learners.logistic import LogisticPath, softmax


def _rows(count: int = 900, classes: int = 0, seed: int = 0, signal: float = 0.5) -> TrainingRows:
    rng = np.random.default_rng(seed)
    features = rng.standard_t(3, size=(count, 5)) * [1, 10, 0.01, 1, 3] + [0, 1000, 0, 5, -2]
    hidden = signal * (features[:, 0] + features[:, 2] * 100) + rng.normal(size=count)
    features[rng.random(features.shape) < 0.1] = np.nan
    cuts = [0.5] if classes == 2 else [0.1, 0.3, 0.6, 0.85]
    label = np.digitize(hidden, np.quantile(hidden, cuts)) if classes else hidden
    weight = rng.uniform(0.2, 2, count)
    return TrainingRows(
        features.astype(np.float32), label.astype(np.float32), weight.astype(np.float32)
    )


def _split(count: int) -> Split:
    place = np.arange(count)
    return place < count // 2, place >= 2 * count // 3


def _slowly_scaled(features: Matrix) -> npt.NDArray[np.float64]:
    """Standardise column by column, by the plain definition."""
    wide = features.astype(np.float64)
    columns = []
    for column in wide.T:
        known = column[~np.isnan(column)]
        scaled = (column - known.mean()) / known.std()
        columns.append(np.clip(np.where(np.isnan(column), 0, scaled), -4, 4))
    return np.column_stack(columns)


def _slow_ridge(
    scaled: npt.NDArray[np.float64], rows: TrainingRows, penalty: float
) -> npt.NDArray[np.float64]:
    """Weighted ridge by least squares on stacked rows; coefficients, then the intercept."""
    weight = rows.weight.astype(np.float64)
    weight = weight / weight.sum()
    width = scaled.shape[1]
    stacked = np.column_stack([scaled, np.ones(len(scaled))]) * np.sqrt(weight)[:, None]
    shrink = np.sqrt(penalty) * np.eye(width, width + 1)
    target = np.concatenate([rows.label * np.sqrt(weight), np.zeros(width)])
    solution: npt.NDArray[np.float64] = np.linalg.lstsq(np.vstack([stacked, shrink]), target)[0]
    return solution


def test_ridge_equals_least_squares_on_stacked_rows() -> None:
    rows = _rows(20_000)
    model = LinearLearner(0).fit(rows)
    scaled = _slowly_scaled(rows.features)
    slow = _slow_ridge(scaled, rows, USUAL_PENALTY)
    np.testing.assert_allclose(model.coefficients[:, 0], slow[:-1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        model.predict(rows.features), scaled @ slow[:-1] + slow[-1], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("signal", [0.0, 0.05, 1.0])
def test_the_penalty_is_the_one_that_serves_the_tail_best(signal: float) -> None:
    rows = _rows(12_000, signal=signal)
    fit, tail = _split(12_000)
    scaled = _slowly_scaled(rows.features)
    losses = []
    for penalty in PENALTIES:
        slow = _slow_ridge(scaled[fit], rows.take(fit, rows.weight[fit]), penalty)
        errors = rows.label[tail] - scaled[tail] @ slow[:-1] - slow[-1]
        losses.append(np.average(errors**2, weights=rows.weight[tail]))
    model = LinearLearner(0).fit(rows, (fit, tail))
    assert model.penalty == PENALTIES[int(np.argmin(losses))]
    whole = _slow_ridge(scaled, rows, model.penalty)
    np.testing.assert_allclose(model.coefficients[:, 0], whole[:-1], rtol=1e-3, atol=1e-6)


def test_the_penalty_is_strong_for_noise_and_weak_for_a_signal() -> None:
    for classes in (0, 2, 5):
        noise = LinearLearner(classes).fit(_rows(900, classes, signal=0.0), _split(900))
        signal = LinearLearner(classes).fit(_rows(900, classes, signal=1.0), _split(900))
        assert noise.penalty > 1 > signal.penalty


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("penalty", [10.0, 1.0, 0.1])
@pytest.mark.parametrize("signal", [0.05, 0.5])
def test_logistic_agrees_with_sklearn(classes: int, penalty: float, signal: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = _rows(2000, classes, signal=signal)
    scaled = learn_scaling(rows.features).apply(rows.features)
    label = rows.label.astype(np.int64)
    path = LogisticPath(scaled, label, rows.weight, classes)
    coefficients, intercept = path.fit(penalty)
    # Two classes have one line in sklearn: half of its square stands on each of ours.
    strength = penalty * rows.weight.sum() / (4 if classes == 2 else classes)
    oracle = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-9)
    oracle.fit(scaled.astype(np.float64), label, rows.weight.astype(np.float64))
    np.testing.assert_allclose(
        softmax(scaled @ coefficients + intercept), oracle.predict_proba(scaled), atol=5e-4
    )


def test_a_fit_does_not_depend_on_the_penalties_before_it() -> None:
    rows = _rows(1500, 5)
    scaled = learn_scaling(rows.features).apply(rows.features)
    label = rows.label.astype(np.int64)
    path = LogisticPath(scaled, label, rows.weight, 5)
    for penalty in PENALTIES[:3]:
        warm = path.fit(penalty)
    cold = LogisticPath(scaled, label, rows.weight, 5).fit(PENALTIES[2])
    np.testing.assert_allclose(warm[0], cold[0], atol=2e-4)


def test_a_strong_signal_lowers_the_loss_at_every_penalty() -> None:
    rng = np.random.default_rng(0)
    scaled = rng.normal(size=(2000, 3)).astype(np.float32)
    label = np.digitize(3 * scaled[:, 0] + 0.5 * rng.normal(size=2000), [-4, -2, 2, 4])
    path = LogisticPath(scaled, label, np.ones(2000, np.float32), 5)
    for penalty in PENALTIES:
        coefficients, intercept = path.fit(penalty)
        shares = softmax(scaled @ coefficients + intercept)
    assert (shares.argmax(axis=1) == label).mean() > 0.8


@pytest.mark.parametrize(("classes", "shape"), [(0, (300,)), (2, (300,)), (5, (300, 5))])
def test_forecasts_have_the_shapes_of_the_trees(classes: int, shape: tuple[int, ...]) -> None:
    rows = _rows(300, classes)
    forecast = LinearLearner(classes).fit(rows).predict(rows.features)
    assert forecast.shape == shape
    assert forecast.dtype == np.float32
    if classes:
        up = forecast if classes == 2 else forecast @ np.arange(5)
        assert np.corrcoef(up, rows.label)[0, 1] > 0.3


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_features_without_a_value_or_a_change_add_nothing(classes: int) -> None:
    rows = _rows(600, classes)
    idle = np.column_stack([np.full(600, np.nan), np.full(600, 123456.7), np.zeros(600)])
    wider = TrainingRows(
        np.hstack([rows.features, idle.astype(np.float32)]), rows.label, rows.weight
    )
    plain, wide = LinearLearner(classes).fit(rows), LinearLearner(classes).fit(wider)
    np.testing.assert_allclose(
        wide.predict(wider.features), plain.predict(rows.features), atol=1e-4
    )
    unseen = wider.features.copy()
    unseen[:, -3:] = 1e9
    np.testing.assert_array_equal(wide.predict(unseen), wide.predict(wider.features))


def test_an_outlier_counts_as_four_deviations() -> None:
    rows = _rows(900)
    model = LinearLearner(0).fit(rows)
    far, farther = np.full((1, 5), 1e6, np.float32), np.full((1, 5), 1e12, np.float32)
    assert model.predict(far) == model.predict(farther)
    bound = 4 * np.abs(model.coefficients).sum()
    assert abs(float(model.predict(far)[0]) - model.intercept[0]) <= bound * (1 + 1e-6)


def test_a_class_that_no_row_has_gets_no_chance() -> None:
    rows = _rows(600, 5)
    some = rows.label != 3
    model = LinearLearner(5).fit(rows.take(some, rows.weight[some]))
    forecast = model.predict(rows.features)
    assert (forecast[:, 3] == 0).all()
    np.testing.assert_allclose(forecast.sum(axis=1), 1, rtol=1e-5)
    single = rows.label == 2
    one = LinearLearner(5).fit(rows.take(single, rows.weight[single]))
    assert (one.predict(rows.features)[:, 2] == 1).all()


def test_means_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(20_000, 1)) + 5000).astype(np.float32)
    scaled = learn_scaling(features).apply(features)
    assert scaled.mean() == pytest.approx(0, abs=1e-3)
    assert scaled.std() == pytest.approx(1, abs=1e-3)
