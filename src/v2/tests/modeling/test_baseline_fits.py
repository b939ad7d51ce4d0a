"""Linear models and permuted labels on the folds of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig, ModelConfig, ValidationConfig
from src.v2.evaluation.metrics import daily_ic
from src.v2.modeling.baseline_fits import (
    draw_partners,
    exchange_labels,
    linear_forecasts,
    permute_labels,
    permuted_fits,
)
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, forecast_table, make_trainer
from src.v2.modeling.walk_forward import walk_forward as walk
from src.v2.tests.synthetic import ragged, random_walk_bars

MODEL = ModelConfig(n_estimators=15, early_stopping_rounds=0, max_depth=3, threads=1)
RULES = ValidationConfig(test_sessions=80, min_train_sessions=200)


@dataclasses.dataclass(frozen=True)
class Run:
    trainer: Trainer
    schedule: Schedule
    fits: tuple[FoldFit, ...]

    @property
    def panel(self) -> Panel:
        return self.trainer.panel


def _run(bars: pl.DataFrame, label: Mapping[str, object] | None = None) -> Run:
    config = LabelConfig.model_validate({"forward_days": 10, **(label or {})})
    plan = plan_label(config, bars["ticker"].n_unique())
    past = pl.col("close") / pl.col("close").shift(20) - 1
    week = pl.col("close") / pl.col("close").shift(5) - 1
    features = (
        bars.sort("ticker", "date")
        .select(
            "date",
            "ticker",
            past.over("ticker").cast(pl.Float32).fill_null(float("nan")).alias("past"),
            week.over("ticker").cast(pl.Float32).fill_null(float("nan")).alias("week"),
        )
        .sort("date", "ticker")
    )
    panel, _ = build_panel(bars, features, plan, 10)
    schedule = schedule_folds(panel.sessions, RULES, config.span)
    trainer = make_trainer(panel, plan, MODEL, RULES, 1)
    return Run(trainer, schedule, tuple(walk(trainer, schedule)))


@pytest.fixture(scope="module")
def planted() -> Run:
    return _run(random_walk_bars(24, 640, signal=0.004))


@pytest.fixture(scope="module")
def uneven() -> Run:
    return _run(ragged(random_walk_bars(25, 640)))


def _table(fits: tuple[FoldFit, ...], run: Run) -> pl.DataFrame:
    return pl.concat(
        forecast_table(fit.test, fit.forecast, run.trainer.plan, fold=fit.fold.number, part="x")
        for fit in fits
    )


def _rank_ic(table: pl.DataFrame) -> float:
    return float(daily_ic(table)["rank_ic"].to_numpy().mean())


@pytest.mark.parametrize(
    "label",
    [
        {},
        {"target": "rank"},
        {"target": "return"},
        {"mode": "classification"},
        {"mode": "classification", "classes": "rating"},
    ],
)
def test_linear_forecasts_are_of_the_rows_of_the_folds_and_find_a_signal(
    label: dict[str, object],
) -> None:
    run = _run(random_walk_bars(24, 640, signal=0.004), label)
    table = linear_forecasts(run.trainer, run.schedule, run.fits)
    model = _table(run.fits, run)
    assert table.select("date", "ticker", "fold", "label").equals(
        model.select("date", "ticker", "fold", "label")
    )
    assert set(model.columns) - set(table.columns) == set()
    assert ("prediction" in table.columns) == (not run.trainer.plan.classes)
    assert _rank_ic(table) > 0.15
    if "prediction" in table.columns:
        assert table["prediction"].is_finite().all()


def test_a_linear_fit_sees_no_label_that_is_not_known_at_the_fold_s_start(planted: Run) -> None:
    fold = planted.schedule.folds[-1]
    late = planted.panel.label_end > fold.known_by
    seen = fold.test_start + 40
    later = planted.panel.session >= seen
    keys = planted.panel.keys.with_columns(
        pl.when(pl.Series(late)).then(1e3).otherwise(name).cast(pl.Float32).alias(name)
        for name in ("label", "forward_return")
    )
    features = planted.panel.features.copy()
    features[later] = 1e9
    panel = dataclasses.replace(planted.panel, keys=keys, feature_rows=features)
    poisoned = make_trainer(panel, planted.trainer.plan, MODEL, RULES, 1)
    clean = linear_forecasts(planted.trainer, planted.schedule, planted.fits)
    other = linear_forecasts(poisoned, planted.schedule, planted.fits)
    last = pl.col("fold") == fold.number
    np.testing.assert_array_equal(other.filter(last)["score"], clean.filter(last)["score"])

    known = dataclasses.replace(
        planted.panel, keys=keys, label_end=np.where(late, np.int32(0), planted.panel.label_end)
    )
    leaking = make_trainer(known, planted.trainer.plan, MODEL, RULES, 1)
    leaked = linear_forecasts(leaking, planted.schedule, planted.fits)
    assert not leaked.filter(last)["score"].equals(clean.filter(last)["score"])


def test_a_long_window_is_fitted_on_spaced_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(random_walk_bars(24, 640, signal=0.004), {"mode": "classification"})
    monkeypatch.setattr("src.v2.modeling.baseline_fits.MOST_ROWS", 1500)
    thinned = linear_forecasts(run.trainer, run.schedule, run.fits)
    monkeypatch.undo()
    whole = linear_forecasts(run.trainer, run.schedule, run.fits)
    assert not thinned["score"].equals(whole["score"])
    assert thinned.select(pl.corr("score", whole["score"])).item() > 0.8


def test_a_permuted_row_holds_the_label_of_its_partner_on_its_date(uneven: Run) -> None:
    panel = uneven.panel
    permuted = permute_labels(panel, 7)
    partners = draw_partners(panel, 7)
    assert all(taker != giver for taker, giver in partners.items())
    assert sorted(partners) == sorted(partners.values()) == np.unique(panel.ticker).tolist()
    columns = ("label", "forward_return", "label_end")
    code = pl.Series(panel.ticker)
    own = panel.keys.select("date", code.alias("code"), *columns)
    mine = code.replace_strict(partners, return_dtype=pl.Int32)
    expected = panel.keys.select("date", mine.alias("code")).join(
        own, on=["date", "code"], how="left", maintain_order="left"
    )
    assert permuted.keys.select(columns).equals(expected.select(columns))
    assert permuted.keys.drop(columns).equals(panel.keys.drop(columns))
    sessions = pl.Series(permuted.sessions)
    ends = pl.Series(permuted.label_end)
    known = ends >= 0
    assert known.equals(permuted.keys["label_end"].is_not_null())
    assert sessions.gather(ends.filter(known)).equals(
        permuted.keys["label_end"].drop_nulls(), check_names=False
    )


def test_permuted_labels_are_the_same_on_each_date_but_for_those_lost(uneven: Run) -> None:
    panel = uneven.panel
    permuted = permute_labels(panel, 0)
    before, after = (
        table.keys.select("date", "label", "forward_return").drop_nulls().with_columns(n=1)
        for table in (panel, permuted)
    )
    count = before.group_by("date", "label", "forward_return").agg(pl.col("n").sum())
    kept = after.group_by("date", "label", "forward_return").agg(pl.col("n").sum())
    both = kept.join(count, on=["date", "label", "forward_return"], how="left")
    assert (both["n"] <= both["n_right"]).all()
    assert after.height > 0.9 * before.height
    rng = np.random.default_rng(0)
    codes = np.unique(panel.ticker)
    cycle = rng.permutation(codes)
    careless = exchange_labels(panel, dict(zip(cycle, np.roll(cycle, 1), strict=True)))
    assert after.height > (careless.label_end >= 0).sum()


def test_full_coverage_loses_no_label_and_the_seed_decides(planted: Run) -> None:
    panel = planted.panel
    permuted = permute_labels(panel, 0)
    assert (permuted.label_end >= 0).sum() == (panel.label_end >= 0).sum()
    assert permuted.keys.equals(permute_labels(panel, 0).keys)
    draws = [draw_partners(panel, seed) for seed in range(30)]
    assert len({tuple(draw.values()) for draw in draws}) == 30
    given = [{draw[taker] for draw in draws} for taker in draws[0]]
    assert min(len(givers) for givers in given) > 10


def test_a_single_ticker_has_nobody_to_exchange_with() -> None:
    run = _run(random_walk_bars(1, 640))
    with pytest.raises(ValueError, match="single"):
        permute_labels(run.panel, 0)
    assert permuted_fits(run.trainer, run.schedule, run.fits, None, 0) == ()


def test_permuted_fits_copy_the_folds_and_share_the_features(uneven: Run) -> None:
    fits = permuted_fits(uneven.trainer, uneven.schedule, uneven.fits, None, 3)
    count = len(uneven.fits)
    assert [fit.fold.number for fit in fits] == [(count + 1) // 2, count]
    for fit in fits:
        real = uneven.fits[fit.fold.number - 1]
        assert fit.model.rounds == real.model.rounds
        assert fit.curve is None
        assert fit.test.features is real.test.features
        assert fit.test.keys.select("date", "ticker").equals(
            real.test.keys.select("date", "ticker")
        )
        assert len(fit.forecast) == len(real.forecast)
        assert fit.train_rows > 0.85 * real.train_rows
        assert (fit.test.label_end <= uneven.schedule.holdout_start).all()
    chosen = permuted_fits(uneven.trainer, uneven.schedule, uneven.fits, [1], 3)
    assert [fit.fold.number for fit in chosen] == [1]


def test_nothing_is_learned_from_permuted_labels(planted: Run) -> None:
    everything = range(1, len(planted.fits) + 1)
    real = _rank_ic(_table(planted.fits, planted))
    assert real > 0.15
    null = []
    for seed in range(4):
        fits = permuted_fits(planted.trainer, planted.schedule, planted.fits, everything, seed)
        null.append(_rank_ic(_table(fits, planted)))
        for fit, original in zip(fits, planted.fits, strict=True):
            assert abs(np.corrcoef(fit.forecast, original.forecast)[0, 1]) < 0.9
    assert abs(np.mean(null)) < 0.04
    assert max(map(abs, null)) < real / 2
