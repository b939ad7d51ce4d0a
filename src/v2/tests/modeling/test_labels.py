"""Labels: what they are, when they are known, and what they cannot see."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from src.v2.config import LabelConfig
from src.v2.errors import ConfigError
from src.v2.modeling.labels import LabelPlan, add_expanding_mean, add_labels, plan_label
from src.v2.tests.synthetic import ragged, random_walk_bars


def _plan(tickers: int = 20, **settings: Any) -> LabelPlan:
    return plan_label(LabelConfig.model_validate(settings), tickers)


def _reference(bars: pl.DataFrame, lag: int, horizon: int) -> dict[tuple[str, dt.date], object]:
    """Forward return and label end of each row by a plain loop."""
    found: dict[tuple[str, dt.date], object] = {}
    for (ticker,), part in bars.sort("date").group_by("ticker"):
        rows = part.select("date", "close").rows()
        for place, (date, _) in enumerate(rows):
            end = place + lag + horizon
            if end < len(rows):
                value = rows[end][1] / rows[place + lag][1] - 1
                found[(str(ticker), date)] = (value, rows[end][0])
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3), st.integers(1, 40), st.integers(0, 10_000))
def test_forward_return_equals_a_plain_loop(lag: int, horizon: int, seed: int) -> None:
    bars = ragged(random_walk_bars(6, 120, seed), seed)
    plan = _plan(6, entry_lag=lag, forward_days=horizon)
    labels = add_labels(bars, plan)
    expected = _reference(bars, lag, horizon)
    for ticker, date, value, end, stretched in labels.select(
        "ticker", "date", "forward_return", "label_end", "stretched"
    ).iter_rows():
        if stretched or (ticker, date) not in expected:
            assert value is None and end is None
        else:
            truth = expected[(ticker, date)]
            assert (value, end) == (pytest.approx(truth[0], rel=1e-12), truth[1])  # type: ignore[index]


@pytest.mark.parametrize("target", ["return", "excess", "rank"])
def test_the_last_rows_of_a_ticker_have_no_label(target: str) -> None:
    bars = random_walk_bars(20, 100, 1)
    labels = add_labels(bars, _plan(target=target, forward_days=10, entry_lag=2))
    last = labels.sort("date").group_by("ticker").tail(12)
    assert last["label"].null_count() == last.height
    assert labels["label"].null_count() == 20 * 12


def test_a_label_ignores_every_bar_but_its_two() -> None:
    bars = random_walk_bars(3, 80, 2)
    plan = _plan(3, forward_days=5, entry_lag=1)
    before = add_labels(bars, plan)
    day = bars["date"].unique().sort()[40]
    labelled = before.filter((pl.col("date") == day) & (pl.col("ticker") == "T001"))
    dates = bars["date"].unique().sort()
    used = [dates[41], dates[46]]
    rng = np.random.default_rng(0)
    factor = pl.Series(rng.uniform(0.5, 2, bars.height))
    own = (pl.col("ticker") == "T001") & pl.col("date").is_in(used)
    changed = bars.with_columns(
        pl.when(own).then("close").otherwise(pl.col("close") * factor).alias("close")
    )
    after = add_labels(changed, plan).filter((pl.col("date") == day) & (pl.col("ticker") == "T001"))
    assert_frame_equal(labelled, after)


def test_row_order_and_price_scale_change_no_label() -> None:
    bars = ragged(random_walk_bars(25, 150, 3), 3)
    plan = _plan(25, forward_days=7)
    before = add_labels(bars, plan)
    assert_frame_equal(before, add_labels(bars.sample(fraction=1.0, shuffle=True, seed=1), plan))
    scaled = bars.with_columns(
        pl.when(pl.col("ticker") == "T003").then(pl.col("close") * 173.0).otherwise("close")
    )
    assert_frame_equal(before, add_labels(scaled, plan), rel_tol=1e-6)


def test_a_label_that_a_halt_stretches_is_counted_and_left_out() -> None:
    bars = random_walk_bars(2, 200, 4)
    dates = bars["date"].unique().sort()
    halted = bars.filter(
        (pl.col("ticker") != "T000") | ~pl.col("date").is_between(dates[80], dates[140])
    )
    labels = add_labels(halted, _plan(2, forward_days=10)).filter(pl.col("ticker") == "T000")
    assert labels["stretched"].sum() == 11
    assert labels.filter("stretched")["label"].null_count() == 11


def test_a_comparison_is_known_only_when_the_last_of_its_labels_is() -> None:
    bars = random_walk_bars(20, 120, 5)
    dates = bars["date"].unique().sort()
    late = bars.filter((pl.col("ticker") != "T000") | (pl.col("date") != dates[65]))
    labels = add_labels(late, _plan(target="excess", forward_days=10, entry_lag=1))
    day = labels.filter(pl.col("date") == dates[60])
    assert day["label_end"].unique().to_list() == [dates[72]]
    alone = add_labels(late, _plan(target="return", forward_days=10, entry_lag=1))
    assert set(alone.filter(pl.col("date") == dates[60])["label_end"]) == {dates[71], dates[72]}


def test_a_comparison_waits_for_a_ticker_that_may_come_back() -> None:
    bars = random_walk_bars(20, 200, 5)
    dates = bars["date"].unique().sort()
    gone = bars.filter((pl.col("ticker") != "T000") | (pl.col("date") <= dates[65]))
    labels = add_labels(gone, _plan(target="excess", forward_days=10, entry_lag=1))
    day = labels.filter((pl.col("date") == dates[60]) & pl.col("label").is_not_null())
    assert day.height == 19
    assert day["label_end"].unique().to_list() == [dates[60 + 2 * 11]]
    before = labels.filter(pl.col("date") == dates[54])
    assert before["label_end"].unique().to_list() == [dates[65]]


def test_targets_and_classes_follow_their_definitions() -> None:
    bars = random_walk_bars(20, 60, 6)
    day = bars["date"].unique().sort()[20]

    def labels(**settings: Any) -> np.ndarray[Any, Any]:
        table = add_labels(bars, _plan(forward_days=5, **settings)).filter(pl.col("date") == day)
        return table["label"].to_numpy()

    future = labels(target="return")
    assert labels(target="excess") == pytest.approx(future - future.mean(), abs=1e-6)
    ranks = future.argsort().argsort()
    assert labels(target="rank") == pytest.approx((ranks + 0.5) / 20 - 0.5)
    assert (labels(mode="classification") == (future > np.median(future))).all()
    assert (labels(mode="classification", binary_rule="sign") == (future > 0)).all()
    quintiles = labels(mode="classification", classes="rating")
    assert (quintiles == ranks // 4).all()
    fixed = labels(mode="classification", classes="rating", rating_rule="fixed")
    assert (fixed == np.searchsorted([-0.10, -0.05, 0.05, 0.10], future)).all()


def test_small_universes_make_no_comparison() -> None:
    assert _plan(19).target == "return"
    assert _plan(20).target == "excess"
    assert _plan(19, mode="classification").rule == "sign"
    assert _plan(19, mode="classification", classes="rating").rule == "fixed"
    with pytest.raises(ConfigError, match="needs at least 20 of them; got 19"):
        _plan(19, target="excess")
    with pytest.raises(ConfigError, match=r"label.binary_rule median"):
        _plan(5, mode="classification", binary_rule="median")


def test_the_expanding_mean_uses_known_labels_only() -> None:
    bars = ragged(random_walk_bars(5, 100, 7), 7)
    labels = add_expanding_mean(add_labels(bars, _plan(5, forward_days=5)))
    for date in labels["date"].unique().sort().gather([3, 10, 50, 99]):
        known = labels.filter(pl.col("label_end") <= date)["forward_return"]
        expected = None if known.is_empty() else pytest.approx(known.mean(), rel=1e-9)
        got = labels.filter(pl.col("date") == date)["expanding_mean"].unique().to_list()
        assert got == [expected]
