"""Questions to the explanation of real fits, and of fits that were tampered with."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.evaluation_records import Stability
from src.v2.explain.drift import feature_drift
from src.v2.explain.folds import explain_folds
from src.v2.explain.score_checks import check_additivity, check_quantity, explained_scores
from src.v2.explain.trust import (
    check_agreement,
    check_concentration,
    check_coverage,
    check_drift,
    check_missing,
    check_noise,
    check_plausibility,
    check_shipped_model,
    trust_checks,
)
from src.v2.explanation_records import Drift, TrustCheck
from src.v2.out_of_sample import show_walk_forward
from src.v2.tests.evaluations import make_evaluation
from src.v2.tests.explain.probed_runs import FAMILIES, MISSING, NAMES, Run, make_run
from src.v2.tests.explanations import make_explanation

CLASSES = {
    "regression": {},
    "rank": {"target": "rank"},
    "binary": {"mode": "classification"},
    "rating": {"mode": "classification", "classes": "rating"},
}


@functools.cache
def _run(kind: str) -> Run:
    return make_run(label=CLASSES[kind])


@functools.cache
def _walked(kind: str) -> pl.DataFrame:
    run = _run(kind)
    return pl.concat(show_walk_forward(run.fits, run.trainer.panel, run.trainer.plan).tables)


@pytest.fixture
def regression() -> Run:
    return _run("regression")


def _additivity(kind: str, **changes: object) -> TrustCheck:
    run = _run(kind)
    sample = dataclasses.replace(run.sample, **changes)  # type: ignore[arg-type]
    return check_additivity(sample, _walked(kind), run.trainer.plan)


@pytest.mark.parametrize("kind", CLASSES)
def test_contributions_add_up_to_the_scores_that_were_judged(kind: str) -> None:
    run = _run(kind)
    check = _additivity(kind)
    assert check.passed is True
    assert 0 <= check.numbers["error"] < 1e-5 * check.numbers["scale"]
    assert (check.numbers["rows"], check.numbers["lost"]) == (run.sample.rows.height, 0)
    assert f"{check.numbers['error']:.1e}" in check.finding


@pytest.mark.parametrize("kind", CLASSES)
def test_explained_scores_are_the_models_own_forecasts(kind: str) -> None:
    run = _run(kind)
    plan = run.trainer.plan
    starts = {fit.fold.number: fit for fit in run.fits}
    got = explained_scores(run.sample, plan)
    for place in range(0, run.sample.rows.height, 60):
        fit = starts[run.sample.rows["fold"][place]]
        forecast = fit.model.predict(run.sample.features[place : place + 1])
        expected = forecast[0] @ np.arange(5.0) if forecast.ndim == 2 else forecast[0]
        assert got[place] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", CLASSES)
def test_changed_contributions_bases_and_rows_are_found_out(kind: str) -> None:
    run = _run(kind)
    values = run.sample.values.copy()
    values[7, -1, 1] += 0.01
    assert _additivity(kind, values=values).passed is False
    base = run.sample.base.copy()
    base[:, -1] += 0.01
    assert _additivity(kind, base=base).passed is False
    values = run.sample.values.copy()
    values[3, 0, 0] = np.nan
    broken = _additivity(kind, values=values)
    assert broken.passed is False and math.isnan(broken.numbers["error"])


@pytest.mark.parametrize("strangers", [1, 600])
def test_explained_rows_that_were_never_judged_are_found_out(strangers: int) -> None:
    rows = _run("regression").sample.rows
    unknown = pl.when(pl.int_range(pl.len()) < strangers).then(pl.lit("?")).otherwise("ticker")
    check = _additivity("regression", rows=rows.with_columns(unknown.alias("ticker")))
    assert check.passed is False
    assert check.numbers["lost"] == min(strangers, rows.height)
    said = "No explained row was judged" if strangers >= rows.height else "1 more were not judged."
    assert said in check.finding


def test_contributions_of_other_trees_are_found_out(regression: Run) -> None:
    fits = [
        dataclasses.replace(fit, model=dataclasses.replace(fit.model, rounds=15))  # type: ignore[type-var]
        for fit in regression.fits
    ]
    short = explain_folds(fits, regression.trainer.plan, 300, 1)
    check = check_additivity(short, _walked("regression"), regression.trainer.plan)
    assert check.passed is False and check.numbers["error"] > 1e-4


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_explained_orders_rows_as_the_judged_score_does(kind: str) -> None:
    run = _run(kind)
    check = check_quantity(run.sample, run.trainer.plan)
    judged = run.sample.rows.join(_walked(kind), on=["date", "ticker"], maintain_order="left")
    margin = run.sample.base + run.sample.values.sum(axis=2)
    weights = {1: [1.0], 5: [-2 / 3, -1 / 3, 0, 1 / 3, 2 / 3]}[margin.shape[1]]
    expected = stats.spearmanr(margin @ weights, judged["score"]).statistic
    assert check.numbers["rank_correlation"] == pytest.approx(expected, abs=2e-4)
    if kind == "rating":
        # The log-odds of the highest over the lowest class alone order rows less alike.
        ends = stats.spearmanr(margin[:, -1] - margin[:, 0], judged["score"]).statistic
        assert ends < check.numbers["rank_correlation"] < 1
        assert f"{check.numbers['rank_correlation']:.4f}" in check.finding
    else:
        assert check.numbers["rank_correlation"] == pytest.approx(1)
    level = dataclasses.replace(
        run.sample, values=np.zeros_like(run.sample.values), base=np.zeros_like(run.sample.base)
    )
    nothing = check_quantity(level, run.trainer.plan)
    assert math.isnan(nothing.numbers["rank_correlation"])
    assert ("no order to compare" in nothing.finding) == (kind == "rating")


def test_a_third_of_the_contributions_is_not_much_among_three_tickers(regression: Run) -> None:
    names = ["a", "b", "c"] * (regression.sample.rows.height // 3 + 1)
    tickers = pl.Series("ticker", names[: regression.sample.rows.height])
    rows = regression.sample.rows.with_columns(tickers)
    found = check_concentration(dataclasses.replace(regression.sample, rows=rows))
    assert found.numbers["ticker"] > 0.3 and "much" not in found.finding


@pytest.mark.parametrize("kind", CLASSES)
def test_all_questions_are_asked_once(kind: str) -> None:
    run = _run(kind)
    plan = run.trainer.plan
    explanation = make_explanation(np.random.default_rng(0), NAMES, FAMILIES, 3)
    drift = feature_drift(run.trainer, run.fits)
    evaluation = make_evaluation(len(plan.classes))
    checks = trust_checks(
        run.sample, _walked(kind), run.fits, explanation.importance, drift, evaluation, plan
    )
    assert [check.name for check in checks] == [
        *("additivity", "what is explained", "coverage", "missing cells", "drift"),
        "plausibility",
        *("noise line", "concentration", "agreement", "shipped model"),
    ]
    assert {check.name for check in checks if check.passed is not None} == {
        "additivity",
        "plausibility",
    }
    for check in checks:
        assert check.question.endswith("?") and check.finding.endswith(".")
        assert "nan" not in check.finding
        assert all(isinstance(value, float) for value in check.numbers.values())


def test_coverage_counts_rows_and_dates(regression: Run) -> None:
    walked = _walked("regression")
    check = check_coverage(regression.sample, walked)
    assert check.numbers == {
        "rows": regression.sample.rows.height,
        "all_rows": walked.height,
        "dates": regression.sample.rows["date"].n_unique(),
        "all_dates": walked["date"].n_unique(),
    }
    assert f"{regression.sample.rows.height:,} of {walked.height:,}" in check.finding


def test_missing_cells_are_counted_and_the_worst_feature_named(regression: Run) -> None:
    check = check_missing(regression.sample)
    cells = np.isnan(regression.sample.features)
    assert check.numbers["share"] == pytest.approx(cells.sum() / cells.size)
    assert check.numbers["largest"] == 1 and MISSING in check.finding
    full = dataclasses.replace(
        regression.sample, features=np.zeros_like(regression.sample.features)
    )
    assert check_missing(full).finding == "0.00% of the explained cells are missing."


def test_drift_counts_features_above_the_limit() -> None:
    found = (
        *(Drift("a <b>", 3, 0.9, 0.3), Drift("b", 1, 0.26, 0.1), Drift("c", 2, 0.25, math.nan)),
    )
    check = check_drift(found)
    assert check.numbers == {"much": 2, "within": 1, "features": 3, "largest": 0.9}
    assert "2 of 3" in check.finding and "a <b> in fold 3 (0.90; inside 0.30)" in check.finding
    assert "as long as the test's, 1 do" in check.finding
    assert check_drift(()).numbers["much"] == 0
    short = check_drift(found[2:])
    assert math.isnan(short.numbers["within"]) and "too few to tell" in short.finding


@pytest.mark.parametrize(
    ("outcomes", "passed"),
    [
        ((), True),
        (("plausible",), True),
        (("plausible", "suspicious"), False),
        (("plausible", "implausible", "suspicious", "suspicious"), False),
    ],
)
def test_one_number_that_is_not_plausible_fails(outcomes: tuple[str, ...], passed: bool) -> None:
    evaluation = make_evaluation()
    (guard,) = evaluation.verdict.guard
    checks = tuple(dataclasses.replace(guard, outcome=outcome) for outcome in outcomes)  # type: ignore[arg-type]
    verdict = dataclasses.replace(evaluation.verdict, guard=checks)
    check = check_plausibility(dataclasses.replace(evaluation, verdict=verdict))
    assert check.passed is passed
    assert ("Of 1 number with" in check.finding) == (len(outcomes) == 1)
    assert check.numbers == {
        name: outcomes.count(name) for name in ("plausible", "suspicious", "implausible")
    }


def test_the_noise_line_counts_the_features_below_it() -> None:
    importance = make_explanation(np.random.default_rng(0), NAMES, FAMILIES, 3).importance
    noise = dataclasses.replace(importance.noise, below=("b", "c"), limit=0.031, folds=(1, 4))
    check = check_noise(noise, 9)
    assert check.numbers == {"below": 2, "features": 9, "limit": 0.031}
    assert "2 of 9 features are" in check.finding and "3.10%" in check.finding
    assert "strongest of 20 made-up features" in check.finding and "2 extra fits" in check.finding
    assert "1 of 9 features is" in check_noise(dataclasses.replace(noise, below=("b",)), 9).finding
    silent = check_noise(dataclasses.replace(noise, below=(), limit=0.0), 9)
    assert "No line can be drawn" in silent.finding and "at or below" not in silent.finding


def test_one_ticker_or_date_that_makes_the_story_is_named(regression: Run) -> None:
    spread = check_concentration(regression.sample)
    size = np.abs(regression.sample.values[:, 0]).sum(axis=1)
    tickers = regression.sample.rows["ticker"].to_numpy()
    shares = {name: size[tickers == name].sum() / size.sum() for name in set(tickers)}
    assert spread.numbers["ticker"] == pytest.approx(max(shares.values()))
    assert spread.numbers["tickers"] == len(shares) == 24
    assert spread.numbers["ticker"] < 0.1 and "much" not in spread.finding
    values = regression.sample.values.copy()
    values[11] *= 10_000
    heavy = check_concentration(dataclasses.replace(regression.sample, values=values))
    who = regression.sample.rows.row(11, named=True)
    assert heavy.numbers["ticker"] > 0.5 and heavy.numbers["date"] > 0.5
    assert f"Ticker {who['ticker']} holds" in heavy.finding and str(who["date"]) in heavy.finding
    assert heavy.finding.count("which is much") == 2
    assert f"an even share is {1 / 24:.1%}. Date" in heavy.finding
    nothing = dataclasses.replace(regression.sample, values=np.zeros_like(values))
    assert check_concentration(nothing).finding == "No feature contributes to any forecast."


def test_agreement_stands_beside_that_of_permuted_labels() -> None:
    nan = math.nan
    told = check_agreement(Stability(0.8, 0.51, nan, nan, 0.12, 0.34, 25, 5))
    assert "Phi 0.51" in told.finding
    assert "One pair of folds agrees with 0.34" in told.finding and "with 0.12" in told.finding
    alone = check_agreement(Stability(0.8, 0.51, nan, nan, nan, nan, 25, 5))
    assert "permuted" not in alone.finding and alone.finding.endswith("choice).")
    silent = check_agreement(Stability(nan, nan, nan, nan, nan, nan, 3, 5))
    assert "no agreement can be told" in silent.finding


def test_the_shipped_model_is_said_to_be_another(regression: Run) -> None:
    check = check_shipped_model(regression.sample, regression.fits)
    assert check.passed is None
    assert check.numbers["models"] == len(regression.fits)
    assert check.numbers["training_rows"] == regression.fits[-1].train_rows
