"""Each probe of features names the planted ones, and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
import pytest

from src.v2.data.context import Context
from src.v2.evaluation.leakage import feature_probes
from src.v2.evaluation.leakage.feature_probes import FeatureBench, feature_bench
from src.v2.evaluation.leakage.finding import Finding
from src.v2.features.causality import changed_features, features_that_look_ahead
from src.v2.features.compute import compute_features
from src.v2.features.context import context_features
from src.v2.features.registry import Feature
from src.v2.tests.evaluation.leakage.planted import feature
from src.v2.tests.synthetic import ragged, random_walk_bars

CLOSE, RETURN = pl.col("close"), pl.col("return")
INNOCENT = [
    feature("gap_5", CLOSE / CLOSE.shift(5) - 1, 5),
    feature("ewm", RETURN.ewm_std(span=10), 20),
    feature("beta_like", RETURN - pl.col("market_return"), 1),
    feature("gap_5_rank", pl.col("gap_5"), 0, "rank", ("gap_5",)),
    feature(
        "market_level_20", pl.col("market_level") / pl.col("market_level").shift(20), 20, "session"
    ),
]
TOMORROW = feature("tomorrow", RETURN.shift(-1))
FILLED = feature("filled", RETURN.rolling_std(15).backward_fill())
SCALED = feature("scaled", (CLOSE - CLOSE.mean()) / CLOSE.std())
TINY = feature("tiny", 1e-9 * RETURN.shift(-1))
CENTRED = feature("centred", RETURN.rolling_mean(5, center=True), 4)


def bench(*planted: Feature, bars: pl.DataFrame | None = None) -> FeatureBench:
    table = random_walk_bars(12, 260, 5) if bars is None else bars
    return feature_bench(table, [*INNOCENT, *planted], [item.name for item in planted], None, 0)


def guilty(finding: Finding) -> list[str]:
    if finding.outcome != "fail":
        return []
    return finding.evidence.rpartition(": ")[2].rstrip(".").split(", ")


FUTURE = partial(feature_probes.probe_future, seed=3)


@pytest.mark.parametrize("planted", [TOMORROW, SCALED, TINY, CENTRED], ids=lambda item: item.name)
@pytest.mark.parametrize("probe", [feature_probes.probe_truncation, FUTURE])
def test_a_planted_look_ahead_is_named(
    planted: Feature, probe: Callable[[FeatureBench], Finding]
) -> None:
    finding = probe(bench(planted))
    assert guilty(finding) == [planted.name]
    assert finding.numbers["guilty"] == 1


def with_series(*planted: Feature) -> FeatureBench:
    """Make a bench of bars with a series beside them."""
    bars = random_walk_bars(12, 260, 5)
    days = bars["date"].unique().sort()
    values = 20 + np.random.default_rng(2).normal(0, 1, len(days))
    context = Context({"vix": pl.DataFrame({"date": days, "value": values})})
    known = [*INNOCENT, *(item for item in context_features() if not item.needs), *planted]
    return feature_bench(bars, known, [item.name for item in planted], None, 0, context)


@pytest.mark.parametrize("probe", [feature_probes.probe_truncation, FUTURE])
def test_a_feature_that_reads_later_values_of_a_series_is_named(
    probe: Callable[[FeatureBench], Finding],
) -> None:
    tomorrow = dataclasses.replace(
        feature("tomorrow", pl.col("vix").shift(-1), scope="session"), context=("vix",)
    )
    assert guilty(probe(with_series(tomorrow))) == ["tomorrow"]
    finding = probe(with_series())
    assert finding.outcome == "pass"
    assert finding.numbers["features"] == len(INNOCENT) + 12


def test_a_backfill_shows_in_the_warm_up_alone() -> None:
    made = bench(FILLED)
    assert guilty(feature_probes.probe_truncation(made)) == ["filled"]
    assert FUTURE(made).outcome == "pass"
    assert features_that_look_ahead(made.bars, [FILLED]) == ["filled"]


def test_a_backfill_behind_a_short_look_back_is_still_caught() -> None:
    late = feature("late", RETURN.rolling_std(15).backward_fill(), 9)
    assert guilty(feature_probes.probe_truncation(bench(late))) == ["late"]


@pytest.mark.parametrize("shape", ["whole", "ragged"])
@pytest.mark.parametrize(
    "probe",
    [
        feature_probes.probe_truncation,
        FUTURE,
        feature_probes.probe_delisting,
        feature_probes.probe_isolation,
    ],
)
def test_innocent_features_pass_every_probe(
    shape: str, probe: Callable[[FeatureBench], Finding]
) -> None:
    bars = random_walk_bars(12, 260, 6)
    finding = probe(bench(bars=bars if shape == "whole" else ragged(bars, 1)))
    assert (finding.outcome, finding.evidence.count("stay")) == ("pass", 1)


def test_only_a_cut_inside_a_gap_shows_a_bridged_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = random_walk_bars(12, 260, 7)
    gap = bars["date"].unique().sort()[120:135].to_list()
    bars = bars.filter(~((pl.col("ticker") == "T003") & pl.col("date").is_in(gap)))
    # The last bar before a gap learns how long the gap will be.
    days = pl.col("date").shift(-1) - pl.col("date")
    bridged = feature("bridged", (days.dt.total_days() > 10).fill_null(False).cast(pl.Float64))
    made = bench(bridged, bars=bars)
    assert guilty(feature_probes.probe_truncation(made)) == ["bridged"]
    monkeypatch.setattr(feature_probes, "_with_gap", lambda b: (b.bars, b.full, b.sessions[-1]))
    assert feature_probes.probe_truncation(made).outcome == "pass"


def test_a_rank_among_those_who_will_live_shows_when_one_ends() -> None:
    bars = random_walk_bars(12, 260, 8)
    made = bench(bars=bars)

    def among_survivors(table: pl.DataFrame, last: object = None) -> pl.DataFrame:
        alive = (
            table.group_by("ticker")
            .agg(pl.col("date").max())
            .filter(pl.col("date") == table["date"].max())
        )
        frame = made.full.select("date", "ticker").join(table, on=["date", "ticker"], how="semi")
        return frame.with_columns(gap_5=pl.lit(float(alive.height), dtype=pl.Float32))

    class Leaky:
        bars, features, own, market = made.bars, made.features, made.own, None
        sessions = made.sessions
        full = among_survivors(made.bars)
        compute = staticmethod(among_survivors)

    assert guilty(feature_probes.probe_delisting(Leaky())) == ["gap_5"]  # type: ignore[arg-type]


def test_a_feature_that_reads_its_neighbours_fails_isolation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = bench(feature("neighbour", RETURN))

    def leaky(bars: pl.DataFrame, *rest: object) -> object:
        table = compute_features(bars, *rest)  # type: ignore[arg-type]
        mean = pl.col("neighbour").mean().over("date").alias("neighbour")
        frame = table.frame.with_columns(mean)
        return type(table)(frame, table.left_out, table.infinite)

    monkeypatch.setattr(feature_probes, "compute_features", leaky)
    assert guilty(feature_probes.probe_isolation(made)) == ["neighbour"]


def test_a_ticker_alone_is_not_probed_against_others() -> None:
    bars = random_walk_bars(1, 260, 9)
    made = feature_bench(bars, INNOCENT[:1], [], None, 0)
    assert feature_probes.probe_delisting(made).outcome == "skipped"
    assert feature_probes.probe_isolation(made).outcome == "skipped"


def test_a_sample_of_tickers_holds_the_longest_gap() -> None:
    bars = random_walk_bars(30, 100, 10)
    days = bars["date"].unique().sort()[40:60].to_list()
    bars = bars.filter(~((pl.col("ticker") == "T017") & pl.col("date").is_in(days)))
    assert feature_probes.longest_gap(bars) == ("T017", bars["date"].unique().sort()[39], 20)
    for seed in range(5):
        sample = feature_probes.sample_tickers(bars, 4, seed)
        assert len(set(sample)) == 4 and "T017" in sample


def test_missing_values_are_changes_and_rounding_is_none() -> None:
    keys = {"date": [1, 2, 3], "ticker": ["a", "a", "a"]}
    before = pl.DataFrame(keys | {"x": [None, 1.0, 2.0], "y": [1e-9, 2e-9, 3e-9]})
    same = before.with_columns(pl.col("x") * (1 + 1e-7))
    assert changed_features(before, same) == []
    assert changed_features(before, before.drop("x")) == ["x"]
    assert changed_features(before, before.with_columns(x=pl.Series([0.0, 1.0, 2.0]))) == ["x"]
    assert changed_features(before, before.with_columns(pl.col("y") * 1.5)) == ["y"]
    empty = before.with_columns(x=pl.lit(None, dtype=pl.Float64))
    assert changed_features(empty, empty.drop("x")) == []
    with pytest.raises(ValueError, match="same rows"):
        changed_features(before, before.head(2))


def test_perturbed_bars_keep_the_shape_of_a_bar() -> None:
    bars = random_walk_bars(3, 50, 11, ohlcv=True)
    day = bars["date"].unique().sort()[30]
    changed = feature_probes.perturb(bars, pl.col("date") > day, 0)
    early = pl.col("date") <= day
    assert changed.filter(early).equals(bars.filter(early))
    late = changed.filter(~early)
    assert (late["high"] >= late["low"]).all()
    moved = np.abs(np.log((late["close"] / bars.filter(~early)["close"]).to_numpy()))
    assert moved.min() > 0
