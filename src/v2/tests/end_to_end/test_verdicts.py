"""What a run's verdict says, and what follows from it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.v2 import api
from src.v2.modeling.labels import RATING_CLASSES
from src.v2.pipeline import Trained
from src.v2.tests.calibration import shuffled_splitter
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import Workplace

SETTINGS = {
    "features": {"families": ["momentum", "market"]},
    "label": {"forward_days": 5},
    "validation": {"test_sessions": 120},
    "model": {"n_estimators": 40, "early_stopping_rounds": 10, "min_rounds": 1},
    "evaluation": {"permutations": 999},
    "explain": {"shap_rows": 50},
}


@pytest.fixture(scope="module")
def skilled() -> tuple[pl.DataFrame, Trained]:
    """Give a run on a planted signal that stays believable."""
    bars = random_walk_bars(40, 1400, 3, signal=0.0016)
    return bars, api.train(bars, SETTINGS)


def test_a_planted_signal_is_evidence_and_its_ratings_are_fifths_of_the_ranking(
    skilled: tuple[pl.DataFrame, Trained],
) -> None:
    bars, trained = skilled
    verdict = trained.result.evaluation.verdict
    assert verdict.word == "evidence", verdict
    assert trained.result.metrics["verdict"] == 1.0
    rows = api.predict(bars, trained.model, trained.card).rows
    assert rows["rating"].value_counts().sort("count")["count"].to_list() == [8] * 5
    assert rows["rating"].to_list() == [name for name in reversed(RATING_CLASSES) for _ in range(8)]


def test_fewer_than_twenty_rows_get_no_rating(skilled: tuple[pl.DataFrame, Trained]) -> None:
    bars, trained = skilled
    few = bars.filter(
        (pl.col("ticker") < "T019") | (pl.col("date") < bars["date"].unique().sort()[-5])
    )
    rows = api.predict(few, trained.model, trained.card).rows
    assert rows.height == 19
    assert rows["rating"].null_count() == 19


def test_ratings_return_what_their_order_says(skilled: tuple[pl.DataFrame, Trained]) -> None:
    means = [rating.excess.mean for rating in skilled[1].result.evaluation.ratings]
    assert means[-1] > 0 > means[0]


def test_random_walks_are_no_evidence_and_every_rating_says_so() -> None:
    bars = random_walk_bars(25, 1000, 1)
    trained = api.train(bars, SETTINGS)
    assert trained.card.verdict == "no evidence"
    rows = api.predict(bars, trained.model, trained.card).rows
    assert rows["rating"].unique().to_list() == ["no evidence"]


def test_a_shuffled_split_is_called_implausible_and_its_ratings_are_withheld() -> None:
    bars = random_walk_bars(30, 1000, 2)
    settings = SETTINGS | {"label": {"forward_days": 20}, "validation": {"test_sessions": 130}}
    with shuffled_splitter():
        trained = api.train(bars, settings)
    assert trained.card.verdict == "implausible: check for leakage"
    rows = api.predict(bars, trained.model, trained.card).rows
    assert rows["rating"].unique().to_list() == ["implausible: check for leakage"]


@pytest.mark.parametrize(
    "drift",
    [0.001, *(pytest.param(drift, marks=pytest.mark.slow) for drift in (0.0, -0.001))],
)
def test_the_expanding_mean_never_trips_the_guard(
    monkeypatch: pytest.MonkeyPatch, drift: float
) -> None:
    from src.v2.modeling.learners.xgboost_trees import XGBoostModel

    monkeypatch.setattr(
        XGBoostModel, "predict", lambda self, rows: np.zeros(len(rows), dtype=np.float32)
    )
    bars = random_walk_bars(24, 900, 4).with_columns(
        close=pl.col("close")
        * (drift * pl.int_range(pl.len()).over("ticker", order_by="date")).exp()
    )
    for days in (1, 5, 60):
        settings = SETTINGS | {
            "label": {"forward_days": days},
            "validation": {"test_sessions": 60 if days < 60 else 240, "holdout_share": 0.15},
        }
        if days == 60:
            bars = random_walk_bars(24, 2400, 4)
        verdict = api.train(bars, settings).result.evaluation.verdict
        assert verdict.word == "no evidence"
        assert {check.outcome for check in verdict.guard} == {"plausible"}, verdict.guard


def test_a_small_universe_is_judged_by_its_forecasts_and_makes_no_claim_on_ranks() -> None:
    trained = api.train(random_walk_bars(8, 1000, 5), SETTINGS)
    evaluation = trained.result.evaluation
    assert evaluation.ranking is None and evaluation.portfolio is None
    assert evaluation.ratings == ()
    assert evaluation.verdict.word == "no evidence"
    assert any("8 tickers a date are too few" in reason for reason in evaluation.verdict.reasons)


@pytest.mark.slow
def test_each_configuration_on_the_same_bars_is_one_more_trial(
    make_workplace: pytest.FixtureRequest,
) -> None:
    place: Workplace = make_workplace()  # type: ignore[operator]
    bars = place.bars("noise", random_walk_bars(22, 800, 6))
    words = ("--features.families", "momentum", "--mlflow.enabled", "false")
    counts = []
    for days in ("5", "6", "5"):
        assert place.train(bars, *words, "--forward-days", days) == 0
        counts.append(place.summary()["verdict"]["trials"])
    assert counts == [1, 2, 2]
    assert place.summary()["metrics"]["trials"] == 2


def test_knowing_how_far_prices_move_is_no_evidence_below_twenty_tickers() -> None:
    bars = random_walk_bars(10, 1000, 7)
    rng = np.random.default_rng(7)
    calm = (np.arange(1000)[:, None] // 80 + rng.integers(0, 2, 10)) % 2 == 0
    moves = rng.normal(0, np.where(calm, 0.006, 0.05)).T
    prices = 50 * np.exp(np.cumsum(moves - moves.var() / 2, axis=1))
    bars = bars.sort("ticker", "date").with_columns(close=pl.Series(prices.ravel()))
    label = {"forward_days": 5, "mode": "classification", "classes": "rating"}
    settings = SETTINGS | {"label": label, "features": {"families": ["momentum", "volatility"]}}
    result = api.train(bars, settings).result
    assert result.evaluation.classes is not None
    assert result.evaluation.classes.log_loss_skill.low > 0
    assert result.evaluation.verdict.word == "no evidence"


def test_sectors_reach_the_exchange_of_tickers_and_the_portfolio() -> None:
    from src.v2.config_sources import load_config
    from src.v2.console import Stages, no_progress
    from src.v2.data.context import Context
    from src.v2.ledgers import uncounted
    from src.v2.pipeline import train_model
    from src.v2.preparation import prepare_panel

    bars = random_walk_bars(24, 800, 9)
    sectors = {f"T{number:03d}": "even" if number % 2 == 0 else "odd" for number in range(23)}
    config = load_config((), environ={}, overlay=SETTINGS, files=False)
    coverage = api.train(bars, SETTINGS).result.coverage
    prepared = prepare_panel(bars, None, coverage, config, Stages(), Context(sectors=sectors))
    evaluation = train_model(prepared, config, Stages(), uncounted(), no_progress).result.evaluation
    assert evaluation.ranking is not None and evaluation.portfolio is not None
    assert evaluation.ranking.exchangeable == 23
    assert set(evaluation.portfolio.sectors) == {"even", "odd", "(none)"}
