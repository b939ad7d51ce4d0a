"""Calibration of class probabilities on earlier forecasts."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from src.v2.modeling.probabilities import (
    ProbabilityMap,
    Shares,
    apply_to_table,
    calibrate_folds,
    fit_probability_map,
)
from src.v2.tests.synthetic import weekdays

SPAN = 6
BLOCK = 40
TICKERS = 30


def _softmax(logits: Shares) -> Shares:
    raised = np.exp(logits)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _forecasts(
    rows: int, classes: int, truth_slope: float, seed: int = 0, spread: float = 1.0
) -> tuple[Shares, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Forecasts whose log-odds are 1/truth_slope times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (rows, classes))
    right = _softmax(truth_slope * logits)
    drawn = (right.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return _softmax(logits), np.minimum(drawn, classes - 1)


def _folds(count: int = 4, seed: int = 0, classes: int = 2) -> tuple[list[pl.DataFrame], list[str]]:
    days = weekdays(BLOCK * count + SPAN)
    columns = [f"p_{code}" for code in range(classes)]
    folds = []
    for number in range(count):
        shares, labels = _forecasts(BLOCK * TICKERS, classes, 0.4, seed + number)
        day = np.repeat(np.arange(BLOCK) + number * BLOCK, TICKERS)
        folds.append(
            pl.DataFrame(
                {
                    "date": [days[place] for place in day],
                    "ticker": [f"T{place:02d}" for place in range(TICKERS)] * BLOCK,
                    "score": shares @ np.arange(classes),
                    **{name: shares[:, code] for code, name in enumerate(columns)},
                    "predicted_class": shares.argmax(axis=1).astype(np.int32),
                    "label": labels.astype(np.float32),
                    "label_end": [days[place + SPAN] for place in day],
                }
            )
        )
    return folds, columns


def _starts(folds: list[pl.DataFrame]) -> list[dt.date]:
    return [min(fold["date"].to_list()) for fold in folds]


def test_two_classes_are_a_logistic_regression_on_the_log_odds() -> None:
    shares, labels = _forecasts(20_000, 2, 0.4)
    fitted = fit_probability_map(shares, labels)
    assert fitted is not None
    odds = np.log(shares[:, 1] / shares[:, 0])[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, labels)
    assert fitted.slope == pytest.approx(oracle.coef_[0, 0], abs=0.005)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(oracle.intercept_[0], abs=0.005)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_fit_is_the_top_of_the_penalised_likelihood(classes: int) -> None:
    shares, labels = _forecasts(2_000, classes, 0.4, spread=0.5)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, len(labels))
    fitted = fit_probability_map(shares, labels, weights)
    assert fitted is not None

    def height(slope: float, bias: tuple[float, ...]) -> float:
        chances = ProbabilityMap(slope, bias).apply(shares)[np.arange(len(labels)), labels]
        prior = 5 * ((slope - 1) ** 2 + sum(value**2 for value in bias))
        return float(weights / weights.mean() @ np.log(chances)) - prior

    top = height(fitted.slope, fitted.bias)
    for place in range(classes + 1):
        for step in (-0.02, 0.02):
            point = np.array([fitted.slope, *fitted.bias])
            point[place] += step
            assert height(point[0], tuple(point[1:])) < top


@pytest.mark.parametrize("classes", [2, 5])
def test_overconfident_forecasts_get_better_on_fresh_rows(classes: int) -> None:
    shares, labels = _forecasts(5_000, classes, 0.3)
    fitted = fit_probability_map(shares, labels)
    assert fitted is not None
    assert fitted.slope == pytest.approx(0.3, abs=0.06)
    fresh, outcome = _forecasts(5_000, classes, 0.3, seed=1)
    assert log_loss(outcome, fitted.apply(fresh)) < log_loss(outcome, fresh) - 0.05


@pytest.mark.parametrize("classes", [2, 5])
def test_noise_gets_no_slope_and_says_the_shares_of_the_classes(classes: int) -> None:
    rng = np.random.default_rng(3)
    shares = _softmax(rng.normal(size=(20_000, classes)))
    share = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = rng.choice(classes, 20_000, p=share)
    fitted = fit_probability_map(shares, labels)
    assert fitted is not None
    assert fitted.slope < 0.03
    came = np.bincount(labels) / len(labels)
    prior = np.tile(came, (len(labels), 1))
    assert log_loss(labels, fitted.apply(shares)) == pytest.approx(
        log_loss(labels, prior), abs=5e-4
    )


def test_forecasts_the_wrong_way_round_are_flattened_not_turned() -> None:
    shares, labels = _forecasts(5_000, 2, 0.5)
    fitted = fit_probability_map(shares[:, ::-1], labels)
    assert fitted is not None
    assert fitted.slope == 0.0
    assert np.ptp(fitted.apply(shares), axis=0).max() < 1e-12


def test_few_rows_or_a_missing_class_give_no_map() -> None:
    shares, labels = _forecasts(100, 2, 1.0)
    assert fit_probability_map(shares, labels) is not None
    assert fit_probability_map(shares[:99], labels[:99]) is None
    assert fit_probability_map(shares, np.zeros(100, dtype=np.int64)) is None
    five, codes = _forecasts(300, 5, 1.0)
    assert fit_probability_map(five, np.minimum(codes, 3)) is None


def test_forecasts_that_hardly_differ_stay_put() -> None:
    shares, labels = _forecasts(120, 2, 1.0, spread=1e-3)
    fitted = fit_probability_map(shares, labels)
    assert fitted is not None
    assert fitted.slope == pytest.approx(1.0, abs=0.01)


def test_a_sample_of_many_rows_gives_about_the_map_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares, labels = _forecasts(30_000, 2, 0.5)
    weights = np.random.default_rng(5).uniform(0.9, 1.1, len(labels))
    everything = fit_probability_map(shares, labels, weights)
    monkeypatch.setattr("src.v2.modeling.probabilities.MAX_ROWS", 10_000)
    sample = fit_probability_map(shares, labels, weights)
    assert everything is not None and sample is not None
    assert sample != everything
    assert sample == fit_probability_map(shares, labels, weights)
    assert sample.slope == pytest.approx(everything.slope, abs=0.05)


def test_rows_without_weight_do_not_count_in_a_sample_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares, labels = _forecasts(10_000, 2, 0.5)
    lies = np.random.default_rng(6).random(len(labels)) < 0.5
    labels = np.where(lies, 1 - shares.argmax(axis=1), labels)
    for limit in (20_000, 6_000):
        monkeypatch.setattr("src.v2.modeling.probabilities.MAX_ROWS", limit)
        fitted = fit_probability_map(shares, labels, np.where(lies, 0.0, 3.0))
        assert fitted is not None
        assert fitted.slope == pytest.approx(0.5, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 5), st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 1000))
def test_the_order_of_two_classes_is_kept(
    slope: float, first: float, second: float, seed: int
) -> None:
    up = np.sort(np.random.default_rng(seed).random(50))
    shares = np.column_stack([1 - up, up])
    corrected = ProbabilityMap(slope, (first, second)).apply(shares)
    assert (np.diff(corrected[:, 1]) >= 0).all()
    assert corrected.sum(axis=1) == pytest.approx(np.ones(50))


def test_an_impossible_class_stays_finite() -> None:
    corrected = ProbabilityMap(1.0, (0.0, 0.0)).apply(np.array([[0.0, 1.0]]))
    assert corrected[0].tolist() == pytest.approx([1e-6, 1 - 1e-6], abs=1e-9)


def test_no_row_of_the_fold_or_unknown_at_its_start_moves_its_map() -> None:
    folds, columns = _folds()
    starts = _starts(folds)
    clean, _ = calibrate_folds(folds, columns, starts)
    for place in range(len(folds)):
        unknown = pl.col("label_end") > starts[place]
        poisoned = [
            fold.with_columns(label=pl.when(unknown).then(1 - pl.col("label")).otherwise("label"))
            for fold in folds
        ]
        assert not poisoned[place]["label"].equals(folds[place]["label"])
        corrected, _ = calibrate_folds(poisoned, columns, starts)
        assert corrected[place].drop("label").equals(clean[place].drop("label"))
        wild = [
            fold.with_columns(
                pl.when(unknown).then(0.999 - pl.col(name) * 0.99).otherwise(name).alias(name)
                for name in columns
            )
            if number < place
            else fold
            for number, fold in enumerate(folds)
        ]
        assert calibrate_folds(wild, columns, starts)[0][place].equals(clean[place])


def test_a_label_known_at_the_start_moves_the_map() -> None:
    folds, columns = _folds(2)
    starts = _starts(folds)
    clean, _ = calibrate_folds(folds, columns, starts)
    on_the_day = pl.col("label_end") == starts[1]
    flipped = folds[0].with_columns(
        label=pl.when(on_the_day).then(1 - pl.col("label")).otherwise("label")
    )
    assert (flipped["label"] != folds[0]["label"]).sum() == TICKERS
    moved, _ = calibrate_folds([flipped, folds[1]], columns, starts)
    assert not moved[1][columns[1]].equals(clean[1][columns[1]])


@pytest.mark.parametrize("classes", [2, 5])
def test_folds_get_better_and_keep_what_is_not_a_probability(classes: int) -> None:
    folds, columns = _folds(classes=classes)
    corrected, shipped = calibrate_folds(folds, columns, _starts(folds))
    assert shipped is not None
    assert corrected[0].equals(folds[0])
    for before, after in zip(folds[1:], corrected[1:], strict=True):
        assert after.schema == before.schema
        kept = [name for name in before.columns if name not in (*columns, "predicted_class")]
        assert after.select(kept).equals(before.select(kept))
        shares = after.select(columns).to_numpy()
        assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
        assert after["predicted_class"].to_list() == shares.argmax(axis=1).tolist()
        truth = before["label"].to_numpy().astype(int)
        assert log_loss(truth, shares) < log_loss(truth, before.select(columns).to_numpy()) - 0.03


def test_the_shipped_map_is_fitted_on_every_row_with_a_label() -> None:
    folds, columns = _folds(2)
    ended = pl.col("ticker") == "T03"
    holes = [
        fold.with_columns(pl.when(~ended).then(name).alias(name) for name in ("label", "label_end"))
        for fold in folds
    ]
    corrected, shipped = calibrate_folds(holes, columns, _starts(folds))
    rows = pl.concat(folds).filter(~ended)
    expected = fit_probability_map(
        rows.select(columns).to_numpy(), rows["label"].to_numpy().astype(np.int64)
    )
    assert shipped == expected
    # Rows without an outcome are forecasts too.
    assert (corrected[1][columns[1]] != folds[1][columns[1]]).all()


def test_the_order_of_rows_does_not_matter() -> None:
    folds, columns = _folds(3)
    _, shipped = calibrate_folds(folds, columns, _starts(folds))
    mixed = [fold.sample(fraction=1.0, shuffle=True, seed=1) for fold in folds]
    assert calibrate_folds(mixed, columns, _starts(folds))[1] == shipped


def test_without_a_map_a_table_stays() -> None:
    folds, columns = _folds(1)
    assert apply_to_table(folds[0], columns, None).equals(folds[0])
    assert calibrate_folds([], columns, []) == ([], None)
