"""The line that features without meaning reach."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import xgboost
from scipy import stats

from src.v2.config import ExplainConfig
from src.v2.explain import noise_probes
from src.v2.explain.direction import signed_values
from src.v2.explain.noise_probes import (
    DRAWS,
    KINDS,
    Chance,
    draw_chance,
    fit_with_chance,
    noise_line,
)
from src.v2.explanation_records import NoiseLine
from src.v2.modeling.learners import xgboost_trees
from src.v2.modeling.learners.xgboost_shap import explain_rows
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, forecast_table
from src.v2.tests.explain.fitted_folds import booster_of
from src.v2.tests.explain.probed_runs import NAMES, SHARED, SIGNAL, Run, make_run

CONFIG = ExplainConfig(permutation_rows=2000)
COLUMNS = len(KINDS) * DRAWS


@pytest.fixture(scope="module")
def planted() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def probed(planted: Run) -> FoldFit:
    return fit_with_chance(planted.fits[-1], planted.trainer, chance(planted))


def chance(run: Run, seed: int = 1) -> Chance:
    return draw_chance(run.trainer.panel, run.trainer.plan.config.span, seed)


def line(
    run: Run, seed: int = 1, order: tuple[str, ...] = NAMES
) -> tuple[NoiseLine, dict[str, float]]:
    found, shares = noise_line(run.sample, run.fits, run.trainer, order, CONFIG, seed)
    return found, dict(shares)


def fitted_window(
    run: Run, trainer: Trainer, fit: FoldFit, monkeypatch: pytest.MonkeyPatch
) -> Panel:
    """Keep what the extra fit is given."""
    given: list[Panel] = []
    plain = Trainer.fit

    def keep(self: Trainer, window: Panel, rounds: int) -> object:
        given.append(window)
        return plain(self, window, rounds)

    monkeypatch.setattr(Trainer, "fit", keep)
    fit_with_chance(fit, trainer, chance(run))
    monkeypatch.undo()
    return given[0]


def of_kind(features: np.ndarray, kind: str) -> np.ndarray:
    start = features.shape[1] - COLUMNS + KINDS.index(kind) * DRAWS
    return features[:, start : start + DRAWS]


def test_the_columns_follow_the_features_and_differ_by_row_ticker_and_date(
    probed: FoldFit,
) -> None:
    features = probed.test.features
    assert features.shape[1] == len(NAMES) + COLUMNS
    keys = probed.test.keys.select("date", "ticker")
    rows, tickers, dates = keys.height, keys["ticker"].n_unique(), keys["date"].n_unique()
    counts = {"one a row": rows, "one a ticker": tickers, "one a date": dates}
    for kind, count in counts.items():
        for column in of_kind(features, kind).T:
            assert len(np.unique(column)) == count
    for name in ("ticker", "date"):
        values = keys.with_columns(pl.Series("v", of_kind(features, f"one a {name}")[:, 2]))
        assert values.group_by(name).agg(pl.col("v").n_unique())["v"].max() == 1
    each = of_kind(features, "one a row")
    assert each.mean() == pytest.approx(0, abs=0.05)
    assert each.std() == pytest.approx(1, abs=0.05)
    correlation = np.corrcoef(features[:, -COLUMNS:].T) - np.eye(COLUMNS)
    assert np.abs(correlation).max() < 0.9


def test_a_slow_walk_keeps_its_variance_and_halves_its_memory_in_a_span_or_a_year() -> None:
    run = make_run()
    span = run.trainer.plan.config.span
    panel = dataclasses.replace(
        run.trainer.panel,
        sessions=tuple(range(3000)),  # type: ignore[arg-type]
        ticker=np.arange(400, dtype=np.int32),
    )
    walks = draw_chance(panel, span, 3).walks
    assert walks.shape == (3000, 400, DRAWS)
    np.testing.assert_allclose(walks[[0, 700, -1]].std(axis=1), 1, atol=0.15)
    for draw in range(DRAWS):
        half = 252 if draw % 2 == 0 else span
        before, after = walks[:-half, :, draw].ravel(), walks[half:, :, draw].ravel()
        assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.5, abs=0.05)
    assert abs(np.corrcoef(walks[:, 0, 0], walks[:, 1, 0])[0, 1]) < 0.9
    assert stats.kstest(walks[-1, :, 0], "norm").pvalue > 0.001


def test_the_extra_fit_sees_the_rows_of_the_fold_and_the_same_lasting_values(
    planted: Run, probed: FoldFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, fit = planted.trainer, planted.fits[-1]
    window, real = fitted_window(planted, trainer, fit, monkeypatch), trainer.window(fit.fold)
    np.testing.assert_array_equal(window.features[:, : len(NAMES)], real.features)
    assert window.keys.equals(real.keys)
    assert probed.train_rows == fit.train_rows
    assert probed.model.rounds == fit.model.rounds
    trained, tested = (of_kind(p.features, "one a ticker") for p in (window, probed.test))
    by_ticker = dict(zip(window.ticker, trained[:, 0], strict=True))
    assert [by_ticker[code] for code in probed.test.ticker] == tested[:, 0].tolist()
    walks = chance(planted).walks
    for panel in (window, probed.test):
        np.testing.assert_array_equal(
            of_kind(panel.features, "a slow walk a ticker"), walks[panel.session, panel.ticker]
        )
    by_row = [of_kind(p.features, "one a row")[:1000, 0] for p in (window, probed.test)]
    assert abs(np.corrcoef(by_row[0], by_row[1])[0, 1]) < 0.2


def test_a_long_window_is_fitted_on_spaced_dates_of_the_same_purged_rows(
    planted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, fit = planted.trainer, planted.fits[-1]
    real = trainer.window(fit.fold)
    monkeypatch.setattr(noise_probes, "MOST_ROWS", 2000)
    found = fit_with_chance(fit, trainer, chance(planted))
    assert 1800 < found.train_rows <= 2000 < fit.train_rows
    assert 1800 < len(found.test.session) <= 2000 < len(fit.test.session)
    window = fitted_window(planted, trainer, fit, pytest.MonkeyPatch())
    assert set(window.session) <= set(real.session)
    per_date = np.bincount(window.session)
    assert set(per_date[per_date > 0]) == {24}
    gaps = np.diff(np.searchsorted(np.unique(real.session), np.unique(window.session)))
    assert gaps.max() - gaps.min() <= 1
    assert window.label_end.max() <= fit.fold.known_by
    learner = trainer.learner
    assert isinstance(learner, XGBoostLearner)
    kept = found.train_rows / fit.train_rows
    config = json.loads(booster_of(found.model).save_config())
    weight = config["learner"]["gradient_booster"]["tree_train_param"]["min_child_weight"]
    assert float(weight) == pytest.approx(kept * learner.leaf_weight, rel=1e-4)


def test_a_spaced_date_gives_no_row_whose_label_is_open(
    planted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    strided = planted.trainer.strided
    end = np.where(strided.ticker % 2 == 0, strided.label_end, np.int32(-1))
    part = dataclasses.replace(strided, label_end=end)
    trainer = dataclasses.replace(planted.trainer, strided=part)
    monkeypatch.setattr(noise_probes, "MOST_ROWS", 2000)
    window = fitted_window(planted, trainer, planted.fits[-1], pytest.MonkeyPatch())
    assert 1800 < len(window.session) <= 2000
    assert (window.ticker % 2 == 0).all()


def test_shares_are_means_over_the_fits_of_xgboosts_contributions_on_the_explained_rows(
    planted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, np.ndarray]] = []
    plain = explain_rows

    def keep(booster: object, matrix: np.ndarray, *rest: object) -> object:
        asked.append((booster, matrix))
        return plain(booster, matrix, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(xgboost_trees, "explain_rows", keep)
    found, shares = line(planted)
    numbers = [fit.fold.number for fit in planted.fits]
    assert found.folds == (numbers[0], numbers[(len(numbers) - 1) // 2], numbers[-1])
    assert found.draws == COLUMNS == 20
    each = []
    for number, (booster, matrix) in zip(found.folds, asked, strict=True):
        assert len(matrix) == planted.sample.rows.filter(pl.col("fold") == number).height
        names = [str(column) for column in range(matrix.shape[1])]
        data = xgboost.DMatrix(matrix, feature_names=names)
        parts = booster.predict(data, pred_contribs=True)[:, :-1]  # type: ignore[attr-defined]
        size = np.abs(parts).mean(axis=0)
        each.append(size / size.sum())
    expected = np.mean(each, axis=0)
    np.testing.assert_allclose(list(shares.values()), expected[: len(NAMES)], rtol=1e-4, atol=1e-9)
    reached = expected[len(NAMES) :].reshape(len(KINDS), DRAWS)
    for kind, row in zip(found.kinds, reached, strict=True):
        assert (kind.mean, kind.low, kind.high) == pytest.approx(
            (row.mean(), row.min(), row.max()), rel=1e-4
        )
    assert tuple(kind.name for kind in found.kinds) == KINDS
    assert found.limit == max(kind.high for kind in found.kinds) > 0


def test_features_up_to_the_line_are_below_it_in_their_order(planted: Run) -> None:
    found, shares = line(planted, order=NAMES[::-1])
    assert found.below == tuple(name for name in NAMES[::-1] if shares[name] <= found.limit)
    assert SIGNAL not in found.below
    assert len(found.below) > 3


def test_lasting_chance_reaches_more_than_chance_of_a_row(planted: Run) -> None:
    kinds = {kind.name: kind for kind in line(planted)[0].kinds}
    assert kinds["one a ticker"].mean > kinds["one a row"].mean


def test_permuting_a_column_of_chance_costs_little_beside_the_skill(planted: Run) -> None:
    assert max(abs(kind.drop) for kind in line(planted)[0].kinds) < 0.05


def test_the_line_hardly_depends_on_the_seed_of_the_chance(planted: Run) -> None:
    above = [len(NAMES) - len(line(planted, seed)[0].below) for seed in range(4)]
    assert max(above) - min(above) <= 2


def test_one_explained_fold_gives_one_extra_fit(planted: Run) -> None:
    first = planted.sample.rows["fold"].to_numpy() == planted.fits[0].fold.number
    sample = dataclasses.replace(
        planted.sample,
        rows=planted.sample.rows.filter(first),
        features=planted.sample.features[first],
        values=planted.sample.values[first],
        base=planted.sample.base[first],
    )
    found, _ = noise_line(sample, planted.fits, planted.trainer, NAMES, CONFIG, 1)
    assert found.folds == (planted.fits[0].fold.number,)


def test_where_no_column_of_chance_is_used_no_feature_is_below_a_line(planted: Run) -> None:
    learner = planted.trainer.learner
    assert isinstance(learner, XGBoostLearner)
    heavy = dataclasses.replace(learner, leaf_weight=1e9)
    trainer = dataclasses.replace(planted.trainer, learner=heavy)
    found, shares = noise_line(planted.sample, planted.fits, trainer, NAMES, CONFIG, 1)
    assert (found.limit, found.below) == (0, ())
    assert set(shares.values()) == {0}


def test_the_seed_decides_and_nothing_of_the_run_changes(planted: Run) -> None:
    trainer = planted.trainer
    before = trainer.panel.features.tobytes(), trainer.strided.features.tobytes()
    names = trainer.panel.names
    first, second = line(planted), line(planted)
    assert first == second
    assert line(planted, seed=2)[0].kinds != first[0].kinds
    assert (trainer.panel.features.tobytes(), trainer.strided.features.tobytes()) == before
    assert trainer.panel.names == names
    assert planted.fits[-1].test.names == names


@pytest.mark.parametrize("label", [{"mode": "classification"}, {"target": "rank"}])
def test_a_feature_named_as_a_probe_is_no_trouble(label: dict[str, object]) -> None:
    run = make_run(24, label)
    assert SHARED in KINDS
    assert 0 < line(run)[0].limit < 0.5


@pytest.mark.parametrize("classes", [None, "rating"])
def test_a_single_ticker_has_no_noise_by_ticker(classes: str | None) -> None:
    label = {"mode": "classification", "classes": classes} if classes else {}
    found, _ = line(make_run(1, label))
    kinds = {kind.name: kind for kind in found.kinds}
    assert kinds["one a ticker"].high == kinds["one a ticker"].drop == 0
    assert found.limit == max(kind.high for kind in found.kinds)


def test_five_classes_are_explained_by_the_highest_over_the_lowest() -> None:
    run = make_run(24, {"mode": "classification", "classes": "rating"})
    first = run.sample.rows["fold"].to_numpy() == run.fits[0].fold.number
    rows = run.sample.rows.filter(first)
    sample = dataclasses.replace(run.sample, rows=rows)
    _, shares = noise_line(sample, run.fits[:1], run.trainer, NAMES, CONFIG, 1)
    drawn = chance(run)
    fit = fit_with_chance(run.fits[0], run.trainer, drawn)
    keys = run.fits[0].test.keys.select("date", "ticker")
    told = keys.join(rows, on=["date", "ticker"], how="left", maintain_order="left")
    panel = drawn.append(run.fits[0].test.take(told["fold"].is_not_null().to_numpy()), 5)
    matrix = xgboost.DMatrix(panel.features, feature_names=list(panel.names))
    parts = booster_of(fit.model).predict(matrix, pred_contribs=True)[..., :-1]
    size = np.abs(signed_values(parts)).mean(axis=0)
    expected = (size / size.sum())[: len(NAMES)]
    np.testing.assert_allclose(list(shares.values()), expected, rtol=1e-4, atol=1e-9)


def test_the_probed_fit_forecasts_like_the_real_one(planted: Run, probed: FoldFit) -> None:
    fit, plan = planted.fits[-1], planted.trainer.plan
    first, second = (
        forecast_table(each.test, each.forecast, plan, fold=1, part="x")["score"].to_numpy()
        for each in (fit, probed)
    )
    assert np.corrcoef(first, second)[0, 1] > 0.8
