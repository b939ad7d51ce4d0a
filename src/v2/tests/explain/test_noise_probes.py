"""The line that features without meaning reach."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import xgboost

from src.v2.config import ExplainConfig
from src.v2.explain import noise_probes
from src.v2.explain.direction import signed_values
from src.v2.explain.noise_probes import PROBES, fit_with_probes, noise_line
from src.v2.explanation_records import NoiseLine
from src.v2.modeling.learners.linear import LinearLearner
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, forecast_table
from src.v2.tests.explain.probed_runs import NAMES, NOISE, SHARED, SIGNAL, Run, make_run

CONFIG = ExplainConfig(permutation_rows=2000)


@pytest.fixture(scope="module")
def planted() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def probed(planted: Run) -> FoldFit:
    return fit_with_probes(planted.fits[-1], planted.trainer, 1)


def line(run: Run, seed: int = 1, shares: dict[str, float] | None = None) -> NoiseLine:
    known = {SIGNAL: 0.9, **dict.fromkeys(NOISE, 0.0)} if shares is None else shares
    return noise_line(run.sample, run.fits, run.trainer, known, CONFIG, seed)


def fitted_window(trainer: Trainer, fit: FoldFit, monkeypatch: pytest.MonkeyPatch) -> Panel:
    """Keep what the extra fit is given."""
    given: list[Panel] = []
    plain = Trainer.fit

    def keep(self: Trainer, window: Panel, rounds: int) -> object:
        given.append(window)
        return plain(self, window, rounds)

    monkeypatch.setattr(Trainer, "fit", keep)
    fit_with_probes(fit, trainer, 1)
    monkeypatch.undo()
    return given[0]


def test_the_probes_follow_the_features_and_differ_by_row_ticker_and_date(probed: FoldFit) -> None:
    values = probed.test.features[:, -len(PROBES) :]
    keys = probed.test.keys.select("date", "ticker").with_columns(
        pl.Series(name, values[:, place]) for place, name in enumerate(PROBES)
    )
    assert keys["one a row"].n_unique() == keys.height
    assert keys.group_by("ticker").agg(pl.col("one a ticker").n_unique())["one a ticker"].max() == 1
    assert keys["one a ticker"].n_unique() == keys["ticker"].n_unique()
    assert keys.group_by("date").agg(pl.col("one a date").n_unique())["one a date"].max() == 1
    assert keys["one a date"].n_unique() == keys["date"].n_unique()
    assert keys["one a row"].mean() == pytest.approx(0, abs=0.1)
    assert keys["one a row"].std() == pytest.approx(1, abs=0.1)


def test_the_extra_fit_sees_the_rows_of_the_fold_and_the_same_ticker_values(
    planted: Run, probed: FoldFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, fit = planted.trainer, planted.fits[-1]
    window, real = fitted_window(trainer, fit, monkeypatch), trainer.window(fit.fold)
    np.testing.assert_array_equal(window.features[:, : len(NAMES)], real.features)
    assert window.keys.equals(real.keys)
    assert probed.train_rows == fit.train_rows
    assert probed.model.rounds == fit.model.rounds
    column = len(NAMES) + PROBES.index("one a ticker")
    by_ticker = dict(zip(window.ticker, window.features[:, column], strict=True))
    tested = probed.test
    assert [by_ticker[code] for code in tested.ticker] == tested.features[:, column].tolist()
    by_row = [panel.features[:1000, len(NAMES)] for panel in (window, tested)]
    assert abs(np.corrcoef(by_row[0], by_row[1])[0, 1]) < 0.2


def test_a_long_window_is_fitted_on_spaced_dates_of_the_same_purged_rows(
    planted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, fit = planted.trainer, planted.fits[-1]
    real = trainer.window(fit.fold)
    monkeypatch.setattr(noise_probes, "MOST_ROWS", 2000)
    found = fit_with_probes(fit, trainer, 1)
    assert 1800 < found.train_rows <= 2000 < fit.train_rows
    window = fitted_window(trainer, fit, pytest.MonkeyPatch())
    assert set(window.session) <= set(real.session)
    per_date = np.bincount(window.session)
    assert set(per_date[per_date > 0]) == {24}
    gaps = np.diff(np.searchsorted(np.unique(real.session), np.unique(window.session)))
    assert gaps.max() - gaps.min() <= 1
    assert window.label_end.max() <= fit.fold.known_by
    learner = trainer.learner
    assert isinstance(learner, XGBoostLearner)
    kept = found.train_rows / fit.train_rows
    config = json.loads(found.model.booster.save_config())
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
    window = fitted_window(trainer, planted.fits[-1], pytest.MonkeyPatch())
    assert 1800 < len(window.session) <= 2000
    assert (window.ticker % 2 == 0).all()


def test_the_shares_are_those_of_xgboosts_contributions_on_the_explained_rows(
    planted: Run, probed: FoldFit
) -> None:
    found = line(planted)
    last = planted.sample.rows.filter(pl.col("fold") == planted.fits[-1].fold.number)
    assert found.fold == planted.fits[-1].fold.number
    keys = probed.test.keys.with_row_index("row")
    place = last.join(keys, on=["date", "ticker"], maintain_order="left")["row"].to_numpy()
    names = [str(column) for column in range(len(NAMES) + 3)]
    matrix = xgboost.DMatrix(probed.test.features[place], feature_names=names)
    parts = probed.model.booster.predict(matrix, pred_contribs=True)[:, :-1]
    size = np.abs(parts).mean(axis=0)
    expected = size[-3:] / size.sum()
    np.testing.assert_allclose(list(found.shares.values()), expected, rtol=1e-4)
    assert tuple(found.shares) == tuple(found.drops) == PROBES
    assert found.limit == max(found.shares.values()) > 0


def test_features_up_to_the_line_are_below_it_in_their_order(planted: Run) -> None:
    limit = line(planted).limit
    shares = {"a": 2 * limit, "b": float(np.nextafter(limit, 1)), "c": limit, "d": 0.0}
    assert line(planted, shares=shares).below == ("c", "d")


def test_permuting_a_probe_costs_little_beside_the_skill(planted: Run) -> None:
    found = line(planted)
    assert max(abs(drop) for drop in found.drops.values()) < 0.05


def test_the_seed_decides_and_nothing_of_the_run_changes(planted: Run) -> None:
    trainer = planted.trainer
    before = trainer.panel.features.tobytes(), trainer.strided.features.tobytes()
    names = trainer.panel.names
    first, second = line(planted), line(planted)
    assert first == second
    assert line(planted, seed=2).shares != first.shares
    assert (trainer.panel.features.tobytes(), trainer.strided.features.tobytes()) == before
    assert trainer.panel.names == names
    assert planted.fits[-1].test.names == names


@pytest.mark.parametrize("label", [{"mode": "classification"}, {"target": "rank"}])
def test_a_feature_named_as_a_probe_is_no_trouble(label: dict[str, object]) -> None:
    run = make_run(24, label)
    assert SHARED in PROBES
    assert 0 < line(run).limit < 0.5


@pytest.mark.parametrize("classes", [None, "rating"])
def test_a_single_ticker_has_no_noise_by_ticker(classes: str | None) -> None:
    label = {"mode": "classification", "classes": classes} if classes else {}
    found = line(make_run(1, label))
    assert found.shares["one a ticker"] == 0
    assert found.drops["one a ticker"] == 0
    assert found.limit == max(found.shares["one a row"], found.shares["one a date"])


def test_the_newest_fold_with_an_explained_row_is_taken(planted: Run) -> None:
    sample = planted.sample
    early = sample.rows["fold"].to_numpy() <= 2
    part = dataclasses.replace(
        sample, rows=sample.rows.filter(early), features=sample.features[early]
    )
    found = noise_line(part, planted.fits, planted.trainer, {}, CONFIG, 1)
    assert (found.fold, found.below) == (2, ())


def test_five_classes_are_explained_by_the_highest_over_the_lowest() -> None:
    run = make_run(24, {"mode": "classification", "classes": "rating"})
    found, fit = line(run), fit_with_probes(run.fits[-1], run.trainer, 1)
    last = run.sample.rows.filter(pl.col("fold") == found.fold)
    keys = fit.test.keys.with_row_index("row")
    place = last.join(keys, on=["date", "ticker"], maintain_order="left")["row"].to_numpy()
    matrix = xgboost.DMatrix(fit.test.features[place], feature_names=list(fit.test.names))
    parts = fit.model.booster.predict(matrix, pred_contribs=True)[..., :-1]
    size = np.abs(signed_values(parts)).mean(axis=0)
    expected = (size / size.sum())[-3:]
    np.testing.assert_allclose(list(found.shares.values()), expected, rtol=1e-4)


def test_the_probed_fit_forecasts_like_the_real_one(planted: Run, probed: FoldFit) -> None:
    fit, plan = planted.fits[-1], planted.trainer.plan
    first, second = (
        forecast_table(each.test, each.forecast, plan, fold=1, part="x")["score"].to_numpy()
        for each in (fit, probed)
    )
    assert np.corrcoef(first, second)[0, 1] > 0.8


def test_only_xgboost_is_probed(planted: Run) -> None:
    trainer = dataclasses.replace(planted.trainer, learner=LinearLearner(0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="LinearLearner"):
        fit_with_probes(planted.fits[-1], trainer, 1)
