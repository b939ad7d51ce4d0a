"""Single forecasts: which are chosen, and whether they add up."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.case_records import Case
from src.v2.config import FeaturesConfig, LabelConfig, ModelConfig, ValidationConfig
from src.v2.explain.cases import PARTS, cases
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.modeling.folds import schedule_folds
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.walk_forward import (
    FoldFit,
    Trainer,
    forecast_table,
    make_trainer,
    walk_forward,
)
from src.v2.tests.synthetic import ragged, random_walk_bars

KINDS = {
    "regression": LabelConfig(forward_days=5),
    "binary": LabelConfig(forward_days=5, mode="classification"),
    "rating": LabelConfig(forward_days=5, mode="classification", classes="rating"),
}
FEATURES = active_features(FeaturesConfig(families=("momentum", "market", "calendar")))
DOCS = {feature.name: feature.doc for feature in FEATURES}
ALL = ("best", "worst", "long", "short", "median", "latest long", "latest short")


@dataclass(frozen=True)
class World:
    """A finished walk-forward with its shipped model and its cases."""

    fits: tuple[FoldFit, ...]
    trainer: Trainer
    shipped: Any
    found: dict[str, Case]

    @property
    def panel(self) -> Panel:
        return self.trainer.panel

    def rows(self) -> pl.DataFrame:
        """Labelled rows of the walk-forward with score and outcome, less their date's means."""
        tables = [
            forecast_table(fit.test, fit.forecast, self.trainer.plan, fold=fit.fold.number, part="")
            for fit in self.fits
        ]
        score, outcome = pl.col("score"), pl.col("forward_return")
        return (
            pl.concat(
                [
                    table.select("date", "ticker", "fold", "score", "label", "forward_return")
                    for table in tables
                ]
            )
            .drop_nulls()
            .with_columns(
                above=score - score.mean().over("date"),
                won=outcome - outcome.mean().over("date"),
                stretch=(score - score.mean().over("date")) / score.std(ddof=0).over("date"),
            )
        )


@functools.cache
def world(kind: str, tickers: int = 24) -> World:
    """Walk forward over random walks, some of which start late or halt."""
    bars = random_walk_bars(tickers, 620, 5)
    if tickers >= 20:
        bars = ragged(bars, 2)
    plan = plan_label(KINDS[kind], tickers)
    table = compute_features(bars, FEATURES)
    panel, _ = build_panel(bars, table.frame, plan, 60)
    rules = ValidationConfig(test_sessions=80, min_train_sessions=200)
    model = ModelConfig(n_estimators=12, early_stopping_rounds=0, threads=1, min_child_weight=1.0)
    trainer = make_trainer(panel, plan, model, rules, 1)
    schedule = schedule_folds(list(panel.sessions), rules, plan.config.span)
    fits = tuple(walk_forward(trainer, schedule))
    shipped = trainer.fit(trainer.newest_window(schedule), 12)
    return tell(fits, trainer, shipped)


def tell(fits: tuple[FoldFit, ...], trainer: Trainer, shipped: Any) -> World:
    """Take the cases of a walk-forward."""
    found = cases(fits, trainer.panel, shipped, trainer.plan, DOCS)
    return World(fits, trainer, shipped, {case.kind: case for case in found})


def model_of(place: World, case: Case) -> Any:
    """Give the model that made a case."""
    by_fold = {fit.fold.number: fit.model for fit in place.fits}
    return by_fold.get(case.fold, place.shipped)


def features_of(place: World, case: Case) -> Any:
    """Give the row of a case, found by its date and ticker."""
    keys = place.panel.keys
    mask = (keys["date"] == case.date) & (keys["ticker"] == case.ticker)
    return place.panel.features[mask.to_numpy()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_chosen_rows_are_those_of_a_slow_search(kind: str) -> None:
    place = world(kind)
    assert tuple(place.found) == ALL
    rows = place.rows().with_columns(gain=pl.col("above") * pl.col("won"))
    last = rows.filter(pl.col("fold") == rows["fold"].max())
    final = last.filter(pl.col("date") == last["date"].max())
    middle = final.with_columns(off=(pl.col("score") - final["score"].median()).abs())
    wanted = {
        "best": rows.sort("gain")[-1],
        "worst": rows.sort("gain")[0],
        "long": last.sort("stretch")[-1],
        "short": last.sort("stretch")[0],
        "median": middle.sort("off", "ticker")[0],
    }
    for name, row in wanted.items():
        case = place.found[name]
        assert (case.date, case.ticker, case.fold) == row.select("date", "ticker", "fold").row(0)
        assert case.score == row["score"][0]
        assert case.realised == row["forward_return"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_date_is_ranked_by_the_shipped_model(kind: str) -> None:
    place = world(kind)
    top, bottom = place.found["latest long"], place.found["latest short"]
    assert top.date == bottom.date == place.panel.sessions[-1]
    assert top.fold == bottom.fold == 0
    assert top.rank == 1 and bottom.rank == bottom.tickers == top.tickers
    assert np.isnan(top.realised) and np.isnan(bottom.realised)
    assert top.score > bottom.score


@pytest.mark.parametrize("kind", KINDS)
def test_parts_and_rest_add_up_to_what_the_model_forecast(kind: str) -> None:
    place = world(kind)
    for case in place.found.values():
        parts = [part.contribution for part in case.parts]
        assert case.base + sum(parts) + case.rest == pytest.approx(case.total, abs=1e-12)
        forecast = model_of(place, case).predict(features_of(place, case))[0]
        if kind == "regression":
            assert case.total == pytest.approx(case.score, abs=1e-6)
            assert case.total == pytest.approx(forecast, abs=1e-6)
        elif kind == "binary":
            assert case.total == pytest.approx(np.log(forecast / (1 - forecast)), abs=1e-5)
            assert forecast == pytest.approx(case.score)
        else:
            odds = np.log(forecast)
            expected = (2 * (odds[4] - odds[0]) + odds[3] - odds[1]) / 3
            assert case.total == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_those_of_the_tree_explainer(kind: str) -> None:
    shap = pytest.importorskip("shap")
    place = world(kind)
    for case in place.found.values():
        row = features_of(place, case)
        values = shap.TreeExplainer(model_of(place, case).booster).shap_values(row)
        expected = values[0]
        if values.ndim == 3:
            expected = (values[0] * np.array([-2, -1, 0, 1, 2])).sum(axis=1) / 3
        order = np.argsort(-np.abs(expected), kind="stable")
        found = {part.feature: part.contribution for part in case.parts}
        assert len(case.parts) == PARTS
        for column in order[:5]:
            assert found[place.panel.names[column]] == pytest.approx(expected[column], abs=1e-6)
        size = -np.sort(-np.abs(expected))
        most = int(np.searchsorted(np.cumsum(size), 0.9 * size.sum()) + 1)
        assert case.compactness == most


def test_values_and_places_are_those_of_the_panel() -> None:
    place = world("regression")
    scope = {feature.name: feature.scope for feature in FEATURES}
    frame = place.panel.keys.select("date", "ticker").hstack(
        pl.DataFrame(place.panel.features, schema=list(place.panel.names), nan_to_null=True)
    )
    seen = set()
    for case in place.found.values():
        date = frame.filter(pl.col("date") == case.date)
        for part in case.parts:
            (value,) = date.filter(pl.col("ticker") == case.ticker)[part.feature].to_list()
            if value is None:
                assert np.isnan(part.value) and np.isnan(part.place)
                continue
            others = date[part.feature].drop_nulls()
            if scope[part.feature] == "session":
                earlier = frame.filter(pl.col("date") < case.date).unique("date")
                others = earlier[part.feature].drop_nulls()
            seen.add(scope[part.feature])
            expected = ((others < value).sum() + (others == value).sum() / 2) / len(others)
            assert part.value == pytest.approx(value)
            assert part.place == pytest.approx(expected)
            assert part.reason.split(": ")[1] == f"{part.contribution:+.2%}"
    assert seen == {"session", "ticker"}


def test_ranks_are_places_in_the_scores_of_the_date() -> None:
    place = world("regression")
    for name in ("best", "worst", "long", "short", "median"):
        case = place.found[name]
        (fit,) = (fit for fit in place.fits if fit.fold.number == case.fold)
        scores = fit.forecast[(fit.test.keys["date"] == case.date).to_numpy()]
        assert case.tickers == len(scores)
        assert case.rank == 1 + int((scores > np.float32(case.score)).sum())


def test_no_row_is_shown_twice() -> None:
    for kind in KINDS:
        shown = [(case.date, case.ticker) for case in world(kind).found.values()]
        assert len(set(shown)) == len(shown)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_a_small_universe_is_judged_by_scores_and_returns_themselves(kind: str) -> None:
    place = world(kind, 3)
    rows = place.rows()
    centred = rows["score"] - (0.5 if kind == "binary" else 0.0)
    gain = (centred * rows["forward_return"]).to_numpy()
    case = place.found["best"]
    row = rows[int(gain.argmax())]
    assert (case.date, case.ticker) == row.select("date", "ticker").row(0)
    assert all(
        "of 3 tickers" in part.reason or "dates" in part.reason or "Decided" in part.reason
        for part in case.parts
        if not np.isnan(part.value)
    )


def test_a_single_ticker_is_compared_with_its_own_past() -> None:
    place = world("regression", 1)
    assert set(place.found) == set(ALL) - {"latest short"}
    for case in place.found.values():
        assert case.rank == case.tickers == 1
        said = [part.reason for part in case.parts if not np.isnan(part.value)]
        assert all("earlier dates" in reason or "Decided" in reason for reason in said)


def test_a_constant_model_and_missing_features_are_told_too() -> None:
    place = world("regression")
    panel = place.panel
    empty = np.full_like(panel.features, np.nan)
    bare = replace(panel, feature_rows=empty)
    fits = tuple(
        replace(
            fit,
            test=replace(fit.test, feature_rows=np.full_like(fit.test.features, np.nan)),
            forecast=fit.model.predict(np.full_like(fit.test.features, np.nan)),
        )
        for fit in place.fits
    )
    trainer = replace(place.trainer, panel=bare)
    blind = tell(fits, trainer, place.shipped)
    assert tuple(blind.found) == ALL
    for case in blind.found.values():
        assert case.total == pytest.approx(case.score, abs=1e-6)
        assert all(part.reason.split(":")[0].endswith("missing") for part in case.parts)
        assert all(np.isnan(part.place) for part in case.parts)


def test_folds_without_an_outcome_leave_only_the_newest_date() -> None:
    place = world("regression")
    fits = tuple(
        replace(
            fit,
            test=replace(fit.test, keys=fit.test.keys.with_columns(label=pl.lit(None, pl.Float32))),
        )
        for fit in place.fits
    )
    assert tuple(tell(fits, place.trainer, place.shipped).found) == ("latest long", "latest short")


def levelled(place: World, dates: int) -> World:
    """Give all tickers one score on the last dates of the last fold."""
    fit = place.fits[-1]
    sessions = np.unique(fit.test.session)[-dates:]
    forecast = np.where(np.isin(fit.test.session, sessions), np.float32(9), fit.forecast)
    return tell((*place.fits[:-1], replace(fit, forecast=forecast)), place.trainer, place.shipped)


def test_dates_on_which_all_scores_are_equal_are_no_case_of_a_ranking() -> None:
    place = world("regression")
    level = levelled(place, 5)
    sessions = np.unique(place.fits[-1].test.session)
    days = {place.panel.sessions[each] for each in sessions[-5:]}
    assert place.found["median"].date in days
    for name in ("long", "short", "median"):
        case = level.found[name]
        assert case.fold == place.fits[-1].fold.number and case.date not in days
    assert level.found["median"].date == place.panel.sessions[sessions[-6]]


def test_a_model_without_any_ranking_still_has_its_cases_and_says_that_all_are_level() -> None:
    place = world("regression")
    fits = tuple(replace(fit, forecast=np.zeros_like(fit.forecast)) for fit in place.fits)
    found = tell(fits, place.trainer, place.shipped).found
    assert tuple(found) == ALL
    for name in ("long", "short", "median"):
        assert found[name].level == found[name].tickers - 1 > 0
        assert found[name].above == 0


def test_tickers_with_the_same_score_are_counted() -> None:
    place = world("regression")
    for case in place.found.values():
        rows = place.panel if case.fold == 0 else place.fits[case.fold - 1].test
        assert case.fold in (0, place.fits[case.fold - 1].fold.number)
        today = rows.features[(rows.keys["date"] == case.date).to_numpy()]
        scores = model_of(place, case).predict(today)
        assert case.level == int((scores == np.float32(case.score)).sum()) - 1


@pytest.mark.parametrize("tickers", [24, 3])
def test_a_case_says_how_far_its_score_is_from_neither_long_nor_short(tickers: int) -> None:
    place = world("binary", tickers)
    rows = place.rows()
    for name in ("best", "worst", "long", "short", "median"):
        case = place.found[name]
        today = rows.filter(pl.col("date") == case.date)["score"].to_numpy()
        middle = float(today.mean()) if tickers == 24 else 0.5
        assert case.above == pytest.approx(case.score - middle, abs=1e-12)
    best = place.found["best"]
    outcomes = rows.filter(pl.col("date") == best.date)["forward_return"].to_numpy()
    won = best.realised - (float(outcomes.mean()) if tickers == 24 else 0)
    assert best.above * won > 0


def test_features_that_contribute_nothing_are_no_parts() -> None:
    place = world("regression")
    sparse = ModelConfig(n_estimators=1, max_depth=1, early_stopping_rounds=0, threads=1)
    trainer = replace(
        place.trainer,
        config=sparse,
        learner=replace(place.trainer.learner, config=sparse),  # type: ignore[type-var]
    )
    fit = place.fits[-1]
    model = trainer.fit(trainer.window(fit.fold), 1)
    fits = (replace(fit, model=model, forecast=model.predict(fit.test.features)),)
    for case in tell(fits, trainer, model).found.values():
        assert len(case.parts) <= 1
        assert all(part.contribution != 0 for part in case.parts)
