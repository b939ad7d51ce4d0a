"""What no split may ever do, on random panels, horizons and schedules."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.v2.config import LabelConfig, ValidationConfig
from src.v2.errors import NotEnoughData
from src.v2.modeling import folds as folds_module
from src.v2.modeling.folds import (
    Fold,
    Mask,
    Schedule,
    Sessions,
    known_mask,
    schedule_folds,
    stop_split,
    train_mask,
)
from src.v2.modeling.labels import plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.tests.synthetic import ragged, random_walk_bars

lengths = {
    "test_sessions": st.integers(10, 80),
    "min_train_sessions": st.none() | st.integers(20, 150),
    "embargo_sessions": st.integers(0, 15),
    "holdout_share": st.floats(0.05, 0.5),
}
rules = st.builds(ValidationConfig, **lengths) | st.builds(
    ValidationConfig,
    scheme=st.just("rolling"),
    max_train_sessions=st.none() | st.integers(40, 200),
    **lengths,
)
cases = st.tuples(
    rules,
    st.integers(1, 20),
    st.integers(0, 3),
    st.integers(200, 600),
    st.sampled_from([6, 22]),
    st.integers(0, 999),
)


def _panel(horizon: int, lag: int, sessions: int, tickers: int, seed: int) -> Panel:
    bars = ragged(random_walk_bars(tickers, sessions, seed), seed)
    features = bars.sort("date", "ticker").select(
        "date", "ticker", pl.col("close").cast(pl.Float32).alias("x")
    )
    plan = plan_label(LabelConfig(forward_days=horizon, entry_lag=lag), tickers)
    return build_panel(bars, features, plan, min_history=5)[0]


def _days(first: str, last: str) -> list[dt.date]:
    return list(np.arange(np.datetime64(first), np.datetime64(last)).astype(object))


def _check_no_label_outlives_its_fold(panel: Panel, schedule: Schedule, span: int) -> None:
    tested: set[int] = set()
    for fold in (*schedule.folds, schedule.holdout):
        train = train_mask(panel.session, panel.label_end, fold)
        assert (panel.label_end[train] <= fold.test_start).all()
        assert (panel.session[train] < fold.test_start).all()
        block = set(range(fold.test_start, fold.test_stop))
        assert not block & tested and not block & set(panel.session[train].tolist())
        assert fold is schedule.holdout or max(block) < schedule.holdout_start
        tested |= block
        if not train.any():
            continue
        inner = stop_split(panel.session[train], panel.label_end[train], 0.15, span)
        if inner is not None:
            fit, tail = inner
            first = panel.session[train][tail].min()
            assert (panel.label_end[train][fit] <= first).all()
            assert (panel.session[train][fit] < first).all()


@settings(max_examples=60, deadline=None)
@given(cases)
def test_no_training_label_outlives_its_fold(
    case: tuple[ValidationConfig, int, int, int, int, int],
) -> None:
    rule, horizon, lag, sessions, tickers, seed = case
    panel = _panel(horizon, lag, sessions, tickers, seed)
    try:
        schedule = schedule_folds(panel.sessions, rule, horizon + lag)
    except NotEnoughData:
        assume(False)
    _check_no_label_outlives_its_fold(panel, schedule, horizon + lag)
    development = known_mask(panel.label_end, schedule.holdout_start)
    assert (panel.session[development] < schedule.holdout_start).all()


def test_a_removed_purge_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpurged(session: Sessions, label_end: Sessions, fold: Fold) -> Mask:
        return (session >= fold.train_start) & (session < fold.test_start) & (label_end >= 0)

    panel = _panel(10, 1, 400, 6, 0)
    schedule = schedule_folds(panel.sessions, ValidationConfig(test_sessions=50), 11)
    _check_no_label_outlives_its_fold(panel, schedule, 11)
    monkeypatch.setitem(globals(), "train_mask", unpurged)
    with pytest.raises(AssertionError):
        _check_no_label_outlives_its_fold(panel, schedule, 11)
    assert folds_module.train_mask is not unpurged


def test_the_gap_before_a_test_block_is_the_span_on_gap_free_bars() -> None:
    bars = random_walk_bars(3, 500, 0)
    features = bars.sort("date", "ticker").select("date", "ticker", x=pl.lit(1.0, pl.Float32))
    plan = plan_label(LabelConfig(forward_days=10, entry_lag=1), 3)
    panel, _ = build_panel(bars, features, plan, min_history=1)
    schedule = schedule_folds(panel.sessions, ValidationConfig(test_sessions=60), 11)
    for fold in schedule.folds:
        train = train_mask(panel.session, panel.label_end, fold)
        assert panel.session[train].max() == fold.test_start - 11


def test_an_embargo_widens_the_gap() -> None:
    bars = random_walk_bars(3, 500, 0)
    features = bars.sort("date", "ticker").select("date", "ticker", x=pl.lit(1.0, pl.Float32))
    plan = plan_label(LabelConfig(forward_days=10, entry_lag=1), 3)
    panel, _ = build_panel(bars, features, plan, min_history=1)
    rule = ValidationConfig(test_sessions=60, embargo_sessions=7)
    schedule = schedule_folds(panel.sessions, rule, 11)
    for fold in schedule.folds:
        train = train_mask(panel.session, panel.label_end, fold)
        assert panel.session[train].max() == fold.test_start - 18


def test_default_lengths_give_the_folds_that_are_documented() -> None:
    days = _days("2000-01-03", "2030-01-01")
    small = schedule_folds(days[:5785], ValidationConfig(), 31)
    large = schedule_folds(days[:4027], ValidationConfig(), 31)
    assert (len(small.folds), len(large.folds)) == (15, 9)
    assert small.folds[-1].test_stop == small.holdout_start == 5785 - 1157


def test_too_short_a_history_names_the_numbers() -> None:
    days = _days("2020-01-01", "2022-01-01")
    with pytest.raises(NotEnoughData, match=r"Of 731 sessions, 549 are for development"):
        schedule_folds(days, ValidationConfig(), 91)
