"""Dead and broken sources of features: slow references, and faults that are planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.explain.drift_reference import drift_reference
from src.v2.explain.feeds import KINDS, feed_reference, measure_feeds, runs_of_sessions
from src.v2.lifecycle.feed_check import check_feeds
from src.v2.tests.explain.test_drift_reference import TICKERS, panel, persistent
from src.v2.tests.lifecycle.made_up import make_card

Values = npt.NDArray[np.float64]
NAMES = ("market", "month", "bear", "own")
SHARES = {"market": 0.5, "month": 0.2, "bear": 0.1, "own": 0.2}
SESSIONS = 1100


def made(seed: int) -> Values:
    """Make a value of the market, one of the calendar, one that is often missing, and an own one.

    Array (sessions, tickers, features).
    """
    rng = np.random.default_rng(seed)
    market = 15 * np.exp(0.3 * persistent(rng, 0.97, (SESSIONS, 1))) + np.zeros(TICKERS)
    month = np.repeat((np.arange(SESSIONS) // 21 % 12).astype(float)[:, None], TICKERS, axis=1)
    bear = np.where(market > np.median(market), market, np.nan)
    own = persistent(rng, 0.9, (SESSIONS, TICKERS))
    own[rng.random(own.shape) < 0.1] = np.nan
    return np.stack([market, month, bear, own], axis=2)


def rows_of(values: Values, first: int) -> pl.DataFrame:
    """Give rows as the monitor does."""
    days = np.repeat(np.arange(first, first + len(values)), values.shape[1])
    flat = values.reshape(-1, len(NAMES)).astype(np.float32)
    return pl.DataFrame(flat, schema=list(NAMES)).with_columns(
        pl.Series("date", days).cast(pl.Date)
    )


def reference_of(values: Values) -> pl.DataFrame:
    """Describe training rows of every fifth session, and the feeds of every session."""
    session = np.repeat(np.arange(len(values)), TICKERS)
    rows = values.reshape(-1, len(NAMES))
    kept = session % 5 == 0
    window = panel(rows[kept], session[kept], NAMES)
    return drift_reference(window, SHARES, panel(rows, session, NAMES))


def looked_at(seed: int, change: Any = None) -> tuple[str, str]:
    """Look at the newest quarter, with a fault in its newest week: the outcome and the words."""
    values = made(seed)
    newest = values[-63:].copy()
    if change is not None:
        change(newest)
    check = check_feeds(
        reference_of(values[:1000]), rows_of(newest, SESSIONS - 63), make_card(features=NAMES)
    )
    return check.outcome, check.evidence


def test_sources_that_are_alive_raise_no_alarm() -> None:
    assert {looked_at(seed)[0] for seed in range(25)} == {"ok"}


def lose(newest: Values) -> None:
    newest[-5:, :, 0] = np.nan


def stop(newest: Values) -> None:
    newest[-5:, :, 0] = newest[-6, 0, 0]


def zero(newest: Values) -> None:
    newest[-5:, :, 0] = 0.0


def scale(newest: Values) -> None:
    newest[-5:, :, 0] *= 100


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lose, "1 broken: market (100% missing)"),
        (stop, "1 broken: market (the same for 6 sessions, 1 in training)"),
        (zero, "1 broken: market (the same for 5 sessions, 1 in training)"),
        (scale, "1 broken: market (100% far outside the training range)"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_dead_source_of_the_market_is_named_after_a_week(
    seed: int, fault: Any, words: str
) -> None:
    outcome, evidence = looked_at(seed, fault)
    assert outcome == "alarm" and words in evidence


def test_a_value_of_some_tickers_is_lost_where_most_of_it_is() -> None:
    def half(newest: Values) -> None:
        newest[-5:, : TICKERS * 3 // 4, 3] = np.nan

    def one(newest: Values) -> None:
        newest[-5:, 0, 3] = np.nan
        newest[-5:, 1, 3] *= 1000

    assert looked_at(1, half)[0] == "alarm"
    assert looked_at(1, one)[0] == "ok"


def test_a_feature_that_the_model_does_not_use_raises_nothing() -> None:
    values = made(1)
    reference = reference_of(values[:1000]).with_columns(
        pl.when(pl.col("feature") == "market").then(0.0).otherwise("importance").alias("importance")
    )
    newest = values[-63:].copy()
    lose(newest)
    check = check_feeds(reference, rows_of(newest, 1037), make_card(features=NAMES))
    assert check.outcome == "ok"
    used, every = sum(share > 0 for share in SHARES.values()) - 1, len(NAMES)
    assert check.evidence.startswith(f"{used} of the model's {every} features have a share of")
    assert "the trees' gain in the walk-forward; 0 broken" in check.evidence
    line = check_feeds(reference, rows_of(newest, 1037), make_card(features=NAMES, learner="ridge"))
    assert "a share of the absolute coefficients" in line.evidence


def test_an_older_reference_cannot_tell_and_says_so() -> None:
    values = made(1)
    old = reference_of(values[:1000]).drop(KINDS)
    check = check_feeds(old, rows_of(values[-63:], 1037), make_card(features=NAMES))
    assert check.outcome == "too early" and "train again" in check.evidence
    assert check_feeds(None, rows_of(values[-63:], 1037), make_card()).outcome == "too early"


def test_the_reference_is_that_of_a_plain_loop() -> None:
    values = made(4)[:200].astype(np.float32)
    values[:40, :, 3] = np.nan
    session = np.repeat(np.arange(200), TICKERS)
    found = feed_reference(panel(values.reshape(-1, len(NAMES)), session, NAMES))
    for place, row in enumerate(found.iter_rows(named=True)):
        own = values[..., place]
        assert row["least"] == np.nanmin(own) and row["most"] == np.nanmax(own)
        weeks = [np.isnan(own[start : start + 5]).mean() for start in range(0, 200, 5)]
        begun = next(number for number, share in enumerate(weeks) if share < 1)
        assert row["most_missing"] == pytest.approx(max(weeks[begun:]))
    assert found["standstill"].to_list()[:2] == [1, 21]
    assert found["standstill"][3] is None
    empty = feed_reference(panel(np.full((40, 1), np.nan), np.arange(40) // 4, ("none",)))
    assert empty.row(0) == ("none", None, None, 0.0, 0)


def test_measures_are_shares_of_the_newest_week() -> None:
    values = made(5)
    reference = reference_of(values[:1000])
    newest = values[-63:].astype(np.float32)
    newest[-5:, 0, 3] = np.nan
    newest[-5:, 1, 3] = 1e6
    newest[:-5, :, 3] = 1e6
    found = measure_feeds(
        reference, newest.reshape(-1, len(NAMES)), np.repeat(np.arange(63), TICKERS)
    )
    missing = np.isnan(newest[-5:, :, 3])
    assert found["missing"][3] == pytest.approx(missing.mean())
    assert found["outside"][3] == pytest.approx(5 / (~missing).sum())
    assert found["standing"].to_list()[3] is None


@given(st.lists(st.sampled_from([0.0, 1.0, float("nan")]), min_size=1, max_size=30))
def test_runs_are_those_of_a_plain_loop(values: list[float]) -> None:
    expected: list[int] = []
    for place, value in enumerate(values):
        before = expected[-1] if place and values[place - 1] == value else 0
        expected.append(0 if np.isnan(value) else before + 1)
    assert runs_of_sessions(np.array(values)[:, None]).ravel().tolist() == expected
