"""An answer made of what is kept is that of a full computation, to the bit."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from src.v2 import api
from src.v2.config import ModelConfig
from src.v2.features.families import active_features
from src.v2.features.ticker_pass import features_that_read
from src.v2.modeling.learners.base import TrainingRows
from src.v2.modeling.learners.mlp import MlpLearner
from src.v2.serving import rankings
from src.v2.serving.answers import Scorer
from src.v2.serving.rankings import DAYS_KEPT, Kept, Rankings
from src.v2.serving.reference import Reference
from src.v2.serving.tables import spliced_bars
from src.v2.tests.serving.conftest import MADE_SETTINGS, Made, Served, as_rows

PRICES = ("open", "high", "low", "close")
ADDED = ("ranked", "verdict", "in_sample")


def joined(held: pl.DataFrame, rows: pl.DataFrame, as_of: str = "") -> pl.DataFrame:
    """Put all given rows in the place of held ones, equal or not, in any order."""
    new = rows.with_columns(pl.col("date").str.to_date()).select(held.columns)
    bars = pl.concat([new, held.join(new, on=["ticker", "date"], how="anti")])
    return bars.filter(pl.col("date") <= pl.lit(as_of).str.to_date()) if as_of else bars


def full_answer(scorer: Scorer, rows: pl.DataFrame, as_of: str = "") -> pl.DataFrame:
    """Rank all tickers by features of all rows, and take those of the request."""
    held = scorer.reference
    bars = joined(held.bars, rows, as_of)
    day = bars["date"].unique().sort()[-1]
    market = None if held.market is None else held.market.filter(pl.col("date") <= day)
    found = api.predict(
        bars, scorer.model, scorer.card, market, held.context.until(day), held.universe
    )
    return found.rows.filter(pl.col("ticker").is_in(rows["ticker"].unique().implode()))


@contextmanager
def nothing_anew() -> Iterator[None]:
    """Fail where an answer does without what is kept."""

    def refuse(*_: Any) -> None:
        raise AssertionError("every feature was computed anew")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rankings, "_anew", refuse)
        yield


def moved_rows(data: st.DataObject, reference: Reference, last: int) -> pl.DataFrame:
    """Draw which bars are sent, and how much they differ from those that are held."""
    day = reference.sessions[-1]
    there = reference.bars.filter(pl.col("date") == day)["ticker"].to_list()
    if reference.universe is not None:
        there = list(reference.universe.members_on(day))
    tickers = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=5, unique=True))
    back = data.draw(st.lists(st.integers(1, last), min_size=1, max_size=6, unique=True))
    factor = data.draw(st.sampled_from([1.0, 1.0000001, 0.97, 1.4]))
    days = [reference.sessions[-each] for each in back]
    chosen = pl.col("ticker").is_in(tickers) & pl.col("date").is_in(days)
    prices = [name for name in PRICES if name in reference.bars.columns]
    rows = reference.bars.filter(chosen).with_columns(pl.col(prices) * factor)
    if "volume" in rows.columns:
        rows = rows.with_columns(pl.col("volume") * data.draw(st.sampled_from([1.0, 3.0])))
    return as_rows(rows).sample(fraction=1, shuffle=True, seed=1)


PATIENT: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=6, **PATIENT)
@given(st.data())
def test_whatever_bars_are_sent_the_answer_is_that_of_all_features_to_the_bit(
    served: Served, data: st.DataObject
) -> None:
    check_served(served, data)


@pytest.mark.slow
@settings(max_examples=60, **PATIENT)
@given(st.data())
def test_many_bars_are_answered_as_by_all_features(served: Served, data: st.DataObject) -> None:
    check_served(served, data)


def check_served(served: Served, data: st.DataObject) -> None:
    rows = moved_rows(data, served.scorer.reference, 300)
    with nothing_anew():
        answer = served.scorer.answer(rows, str(served.scorer.reference.sessions[-1]))
    expected = full_answer(served.scorer, rows)
    assert_frame_equal(answer.drop(ADDED), expected, check_exact=True)
    assert set(answer["ranked"]) == {24}


@settings(max_examples=6, **PATIENT)
@given(st.data())
def test_markets_series_sectors_and_members_change_nothing_of_that(
    made_scorers: list[Scorer], data: st.DataObject
) -> None:
    check_made(data.draw(st.sampled_from(made_scorers)), data)


@pytest.mark.slow
@settings(max_examples=60, **PATIENT)
@given(st.data())
def test_many_with_a_market_and_members_too(
    made_scorers: list[Scorer], data: st.DataObject
) -> None:
    check_made(data.draw(st.sampled_from(made_scorers)), data)


def check_made(scorer: Scorer, data: st.DataObject) -> None:
    last = data.draw(st.sampled_from([-1, -2]))
    day = scorer.reference.sessions[last]
    rows = moved_rows(data, scorer.reference, 200)
    with nothing_anew():
        answer = scorer.answer(rows, str(day))
    assert_frame_equal(answer.drop(ADDED), full_answer(scorer, rows, str(day)), check_exact=True)


@pytest.fixture(scope="module")
def made_scorers(made: Made) -> list[Scorer]:
    """Answers of a model that reads a market of its own, and the mean of the members' returns."""
    plain = dataclasses.replace(made.scorer.reference, market=None)
    card = dataclasses.replace(made.card, with_market=False)
    return [made.scorer, Scorer(made.model, card, plain)]


def test_bars_of_every_ticker_at_once_are_answered_so_too(served: Served) -> None:
    names = served.bars["ticker"].unique()
    rows = served.rows(*names, last=2).with_columns(pl.col(PRICES) * 1.03)
    with nothing_anew():
        answer = served.scorer.answer(rows)
    assert_frame_equal(answer.drop(ADDED), full_answer(served.scorer, rows), check_exact=True)


def test_a_bar_that_is_added_moves_the_others_as_it_should(served: Served) -> None:
    held = served.scorer.reference
    last = held.sessions[-1]
    without = held.bars.filter((pl.col("ticker") != "T005") | (pl.col("date") < last))
    lacking = dataclasses.replace(held, bars=without)
    scorer = Scorer(served.scorer.model, served.scorer.card, lacking)
    rows = pl.concat([served.rows("T005"), served.rows("T001")])
    with nothing_anew():
        answer = scorer.answer(rows)
    assert_frame_equal(answer, served.scorer.answer(rows), check_exact=True)
    assert set(scorer.answer(served.rows("T001"))["ranked"]) == {23}


def test_bars_that_bring_a_column_into_being_are_computed_anew(served: Served) -> None:
    held = served.scorer.reference
    silent = held.bars.with_columns(pl.lit(None, dtype=pl.Float64).alias("volume"))
    scorer = Scorer(served.scorer.model, served.scorer.card, dataclasses.replace(held, bars=silent))
    rows = as_rows(held.bars)
    answer = scorer.answer(rows)
    assert_frame_equal(answer, served.scorer.answer(rows), check_exact=True)


def test_a_learner_with_sampled_reasons_answers_to_the_bit(made: Made) -> None:
    names = made.card.features
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, len(names))).astype(np.float32)
    learner = MlpLearner(ModelConfig(type="mlp", threads=1, batch_size=100), names, 0, 3)
    ones = np.ones(300, dtype=np.float32)
    model = learner.fit(TrainingRows(features, features[:, 0], ones), 2)
    assert not model.exact
    scorer = Scorer(model, dataclasses.replace(made.card, learner="mlp"), made.scorer.reference)
    held = scorer.reference
    chosen = (pl.col("date") == held.sessions[-1]) & pl.col("ticker").is_in(["T001", "T007"])
    rows = as_rows(held.bars.filter(chosen)).with_columns(pl.col("close") * 1.02)
    assert_frame_equal(scorer.answer(rows).drop(ADDED), full_answer(scorer, rows), check_exact=True)


def test_bars_that_are_held_already_cost_no_feature(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = served.rows("T002", "T010", last=3)
    first = served.scorer.answer(rows)
    for name in ("keep_day", "change_day", "decision_rows", "rank_decision"):
        monkeypatch.setattr(rankings, name, None)
    assert_frame_equal(served.scorer.answer(rows), first, check_exact=True)
    assert served.scorer.answer(served.rows("T004")).height == 1


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Count the calls of a function of the rankings."""
    calls: list[str] = []
    whole: Callable[..., Any] = getattr(rankings, name)

    def spy(*given: Any) -> Any:
        calls.append(name)
        return whole(*given)

    monkeypatch.setattr(rankings, name, spy)
    return calls


def test_eight_clients_at_once_make_one_computation(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, changed = (counted(monkeypatch, name) for name in ("keep_day", "change_day"))
    scorer = Scorer(served.scorer.model, served.scorer.card, served.scorer.reference)
    rows = served.rows("T006").with_columns(pl.col(PRICES) * 1.01)
    together = threading.Barrier(8)

    def client(_: int) -> pl.DataFrame:
        together.wait()
        return scorer.answer(rows)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client, range(8)))
    assert (len(kept), len(changed)) == (1, 1)
    for answer in answers:
        assert_frame_equal(answer, answers[0], check_exact=True)


def test_what_is_kept_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, "keep_day")
    scorer = Scorer(served.scorer.model, served.scorer.card, served.scorer.reference)
    rows = served.rows("T006", last=10)
    days = [str(day) for day in scorer.reference.sessions.tail(DAYS_KEPT + 1)]
    for number, day in enumerate([*days, *days], 1):
        # The first date's features are gone by then, its answer is not.
        scorer.answer(rows, day)
        assert len(calls) == min(number, len(days))
    scorer.answer(rows.with_columns(pl.col(PRICES) * 2), days[0])
    assert len(calls) == len(days) + 1


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 4))
def test_the_values_used_last_are_kept(keys: list[int], most: int) -> None:
    kept: Kept[int, str] = Kept(most)
    order: list[int] = []
    for key in keys:
        assert kept.find(key) == (str(key) if key in order else None)
        kept.keep(key, str(key))
        order = [*(each for each in order if each != key), key][-most:]


def test_features_of_the_market_are_found_through_what_they_are_made_of() -> None:
    features = active_features(MADE_SETTINGS, ("vix",))
    reading = {item.name for item in features_that_read(features, ["market_return"])}
    assert {"beta_60", "residual_momentum_252", "market_correlation_60"} <= reading
    assert not {"return_20", "sharpe_90", "relative_strength_60", "bull_return_252"} & reading
    assert "bull_return_252" in {
        item.name for item in features_that_read(features, ["market_up", "market_level"])
    }
    assert features_that_read(features, []) == []


@given(st.data())
def test_spliced_bars_are_those_of_a_plain_sort(data: st.DataObject) -> None:
    def drawn(names: str) -> pl.DataFrame:
        keys = data.draw(st.sets(st.tuples(st.sampled_from(names), st.integers(0, 3))))
        rows = [(name, day, data.draw(st.integers(0, 99))) for name, day in sorted(keys)]
        schema = {"ticker": pl.String, "date": pl.Int64, "close": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    held, fresh = drawn("ABCDE"), drawn("ACEF")
    names = set(fresh["ticker"])
    expected = [row for row in held.rows() if row[0] not in names] + fresh.rows()
    assert spliced_bars(held, fresh).rows() == sorted(expected)
