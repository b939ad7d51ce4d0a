"""What a universe does to features, labels and the panel, against slow references."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.config import FeaturesConfig, LabelConfig
from src.v2.config_sources import load_config
from src.v2.console import Stages
from src.v2.data.sources import load_bars
from src.v2.data.universe import MEMBER, member_rows
from src.v2.evaluation.leakage.label_probes import probe_labels, slow_label
from src.v2.evaluation.regimes import WINDOW, market_regimes
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import FeatureTable, compute_features
from src.v2.features.families import active_features
from src.v2.features.inputs import market_sessions
from src.v2.features.registry import Feature
from src.v2.modeling.labels import MAX_STRETCH, LabelPlan, Rule, Target, add_labels
from src.v2.modeling.panel import build_panel
from src.v2.preparation import Prepared, prepare_panel
from src.v2.tests.synthetic import ragged, random_walk_bars

TICKERS, SESSIONS, SPAN = 16, 160, 6
LABEL = LabelConfig(forward_days=SPAN - 1)
FAMILIES = FeaturesConfig(families=("momentum", "volatility", "market", "cross_section"))


def features_in_force() -> list[Feature]:
    return [item for item in active_features(FAMILIES) if item.lookback <= 60]


def marked_bars(seed: int) -> pl.DataFrame:
    """Bars whose tickers join, leave and come back, on blocks of 20 sessions."""
    bars = ragged(random_walk_bars(TICKERS, SESSIONS, seed, ohlcv=True), seed)
    inside = np.random.default_rng(seed).random((TICKERS, SESSIONS // 20)) < 0.75
    inside[:4] = True
    places = bars["date"].unique().sort().search_sorted(bars["date"]).to_numpy() // 20
    tickers = bars["ticker"].cast(pl.Categorical).to_physical().to_numpy()
    return bars.with_columns(pl.Series(MEMBER, inside[tickers, places]))


def plan_of(target: Target, rule: Rule | None = None) -> LabelPlan:
    return LabelPlan(LABEL, target, rule, ("down", "up") if rule else ())


def computed(bars: pl.DataFrame) -> FeatureTable:
    return compute_features(bars, features_in_force())


@given(st.integers(0, 50))
@settings(max_examples=4, deadline=None)
def test_ranks_and_means_of_a_date_are_those_of_its_members(seed: int) -> None:
    bars = marked_bars(seed)
    found = computed(bars).frame
    members = member_rows(bars).sort("date", "ticker")
    assert found.select("date", "ticker").equals(members.select("date", "ticker"))
    for (day,), rows in found.group_by("date", maintain_order=True):
        values = rows["return_20"].drop_nulls().to_list()
        for row in rows.select("return_20", "return_20_rank", "return_20_relative").iter_rows():
            value, rank, relative = row
            if value is None or len(values) < 10:
                assert rank is None and relative is None, day
                continue
            below = sum(other < value for other in values)
            equal = sum(other == value for other in values)
            assert rank == pytest.approx((below + equal / 2) / len(values), abs=1e-6)
            assert relative == pytest.approx(value - np.mean(values), abs=1e-6)


@given(st.integers(0, 50))
@settings(max_examples=4, deadline=None)
def test_the_market_is_the_mean_of_the_members_of_each_date(seed: int) -> None:
    bars = marked_bars(seed)
    returns: dict[dt.date, list[float]] = {}
    for _, rows in bars.sort("ticker", "date").group_by("ticker", maintain_order=True):
        closes = rows["close"].to_list()
        for place in range(1, len(closes)):
            if rows[MEMBER][place]:
                change = closes[place] / closes[place - 1] - 1
                returns.setdefault(rows["date"][place], []).append(change)
    for day, found in market_sessions(bars).select("date", "market_return").iter_rows():
        expected = np.mean(returns[day]) if day in returns else None
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize(
    ("target", "rule"), [("excess", None), ("rank", None), ("return", "median")]
)
@given(seed=st.integers(0, 50))
@settings(max_examples=4, deadline=None)
def test_labels_compare_members_and_read_the_future_of_leavers(
    target: Target, rule: Rule | None, seed: int
) -> None:
    bars, plan = marked_bars(seed), plan_of(target, rule)
    labels = add_labels(bars, plan)
    futures: dict[tuple[dt.date, str], float] = {}
    for (name,), rows in bars.sort("date").group_by("ticker", maintain_order=True):
        closes, days = rows["close"].to_list(), rows["date"].to_list()
        for place in range(len(days) - SPAN):
            if rows[MEMBER][place]:
                change = closes[place + SPAN] / closes[place + 1] - 1
                futures[days[place], str(name)] = change
    # On the last dates it is still open whether a halted ticker comes back.
    settled = bars["date"].unique().sort()[-MAX_STRETCH * SPAN - 1]
    known = labels.filter(~pl.col("stretched") & (pl.col("date") <= settled))
    assert labels.height == int(bars[MEMBER].sum())
    stretched = set(labels.filter("stretched").select("date", "ticker").iter_rows())
    checked = 0
    for day, name, future, label in known.select(
        "date", "ticker", "forward_return", "label"
    ).iter_rows():
        others = [value for key, value in futures.items() if key[0] == day and key not in stretched]
        if (day, name) not in futures or len(others) < 10:
            assert label is None
            continue
        assert future == pytest.approx(futures[day, name], abs=1e-12)
        assert label == pytest.approx(slow_label(future, np.array(others), plan), abs=1e-6)
        checked += 1
    assert checked > 500


def test_the_label_of_a_ticker_that_leaves_the_next_day_is_kept() -> None:
    bars = random_walk_bars(12, 60, 3)
    days = bars["date"].unique().sort()
    stays = (pl.col("ticker") != "T005") | (pl.col("date") <= days[30])
    plan = plan_of("return")
    always = add_labels(bars, plan)
    left = add_labels(bars.with_columns(stays.alias(MEMBER)), plan)
    last = (pl.col("ticker") == "T005") & (pl.col("date") == days[30])
    assert left.filter(last).equals(always.filter(last))
    assert left.filter(last)["label"].null_count() == 0
    assert left.filter(pl.col("ticker") == "T005").height == 31


def test_nothing_changes_when_every_ticker_is_always_a_member() -> None:
    bars = ragged(random_walk_bars(TICKERS, 220, 4, ohlcv=True), 4)
    marked = bars.with_columns(pl.lit(value=True).alias(MEMBER))
    tables = [compute_features(each, active_features(FeaturesConfig())) for each in (bars, marked)]
    assert tables[0].frame.equals(tables[1].frame)
    assert tables[0].infinite == tables[1].infinite
    assert tables[0].left_out == tables[1].left_out
    assert market_sessions(bars).equals(market_sessions(marked))
    plan = plan_of("excess")
    panels = [
        build_panel(each, table.frame, plan, 60)
        for each, table in zip((bars, marked), tables, strict=True)
    ]
    (one, stretched), (two, also) = panels
    assert stretched == also and one.keys.equals(two.keys) and one.sessions == two.sessions
    assert np.array_equal(one.features, two.features, equal_nan=True)
    for name in ("session", "label_end", "ticker", "bar"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_a_ticker_that_joins_late_has_its_look_back_history() -> None:
    bars = random_walk_bars(14, 200, 5)
    days = bars["date"].unique().sort()
    joins = (pl.col("ticker") != "T003") | (pl.col("date") >= days[120])
    marked = bars.with_columns(joins.alias(MEMBER))
    first = (pl.col("ticker") == "T003") & (pl.col("date") == days[120])
    features = [item for item in features_in_force() if item.family in ("momentum", "volatility")]
    whole, part = (compute_features(each, features).frame.filter(first) for each in (bars, marked))
    assert part.height == 1 and part.equals(whole)
    assert all(part[item.name][0] is not None for item in features if not item.inputs[1:])
    table = compute_features(marked, features).frame
    panel, _ = build_panel(marked, table, plan_of("excess"), 60)
    rows = panel.keys.with_columns(pl.Series("bar", panel.bar)).filter(ticker="T003")
    assert rows["date"][0] == days[120] and rows["bar"][0] == 120


def test_marked_bars_let_no_feature_look_ahead() -> None:
    assert features_that_look_ahead(marked_bars(7), features_in_force()) == []


def test_a_market_state_is_that_of_the_members() -> None:
    bars = random_walk_bars(12, 120, 6)
    wild = pl.col("ticker") == "T000"
    bars = bars.with_columns(pl.when(wild).then(pl.col("close") ** 4).otherwise("close"))
    marked = bars.with_columns((~wild).alias(MEMBER))
    days = bars["date"].unique().sort()[WINDOW + 1 :]
    found = market_regimes(marked, days)
    assert found.equals(market_regimes(bars.filter(~wild), days))
    assert not found.equals(market_regimes(bars, days))


def test_the_audit_finds_labels_that_are_compared_with_others_than_members() -> None:
    bars, plan = marked_bars(8), plan_of("excess")
    panel, _ = build_panel(bars, computed(bars).frame, plan, 20)
    assert probe_labels(bars, panel, plan, 1).outcome == "pass"
    everyone = bars.with_columns(pl.lit(value=True).alias(MEMBER))
    wrong, _ = build_panel(everyone, computed(everyone).frame, plan, 20)
    found = probe_labels(bars, wrong, plan, 1)
    assert found.outcome == "fail" and "labels are not what their bars say" in found.evidence


def test_the_sample_is_prepared_with_the_members_of_each_date(tmp_path: Path) -> None:
    prepared, bars = _prepared_sample(tmp_path)
    keys = prepared.panel.keys
    after = pl.col("bar") >= 126
    placed = bars.sort("ticker", "date").with_columns(bar=pl.int_range(pl.len()).over("ticker"))
    expected = member_rows(placed).filter(after).sort("date", "ticker")
    assert keys.select("date", "ticker").equals(expected.select("date", "ticker"))
    spans = keys.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max())
    found = {name: (first, last) for name, first, last in spans.iter_rows()}
    assert found["AAPL"][0] == dt.date(2018, 6, 1) and found["XOM"][1] == dt.date(2021, 6, 30)
    assert "KO" not in found
    assert prepared.panel.sessions[0] == dt.date(2016, 1, 4)
    assert prepared.coverage.universe is not None
    assert prepared.coverage.universe.without_bars == ("ENRON",)
    assert prepared.schedule.sessions == len(prepared.panel.sessions)


def _prepared_sample(folder: Path) -> tuple[Prepared, pl.DataFrame]:
    """Prepare the bundled sample with a universe that begins in 2016, as the commands do."""
    sample = load_config(("--force-sample",))
    names = load_bars(sample.data)[2].tickers
    spans = dict.fromkeys(names, ("2016-01-02", "")) | {
        "AAPL": ("2018-06-01", ""),
        "XOM": ("2016-01-02", "2021-06-30"),
        "ENRON": ("2016-01-02", "2017-12-31"),
    }
    del spans["KO"]
    lines = [f"{name},{first},{last}" for name, (first, last) in spans.items()]
    path = folder / "members.csv"
    path.write_text("\n".join(["ticker,from,to", *lines]) + "\n")
    config = load_config(("--force-sample", "--data.universe", str(path)))
    bars, market, coverage = load_bars(config.data)
    return prepare_panel(bars, market, coverage, config, Stages()), bars
