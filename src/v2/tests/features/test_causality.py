"""No feature sees the future, another ticker, the scale of prices or the order of rows.

The probes run over every feature of every family at once.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.v2.data.context import Context
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES
from src.v2.features.registry import Feature, collect_features
from src.v2.tests.features import probes

FEATURES = collect_features(FAMILIES, FAMILIES)
BY_NAME = {feature.name: feature for feature in FEATURES}

READ = {name for item in FEATURES if item.family == "context" for name in item.needs}
FROM_CONTEXT = [item for item in FEATURES if item.family == "context" or item.name in READ]
NAMES_FROM_CONTEXT = [item.name for item in FROM_CONTEXT]
GAP = 420
SLOW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


CONTEXT = probes.make_context()


def compute(bars: pl.DataFrame) -> pl.DataFrame:
    return compute_features(bars, FEATURES, context=CONTEXT).frame


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Return 12 tickers, one listed late and one with a gap, so that ranks exist."""
    return probes.make_bars(tickers=12, sessions=560, late=100, gap=GAP)


@pytest.fixture(scope="module")
def dates(bars: pl.DataFrame) -> pl.Series:
    return bars["date"].unique().sort()


@pytest.mark.parametrize("cut", [5, 130, 258, GAP + 3, GAP + 20, 540])
def test_truncation_changes_nothing_before_the_cut(
    bars: pl.DataFrame, dates: pl.Series, cut: int
) -> None:
    assert probes.truncation(compute, bars, [dates[cut]]) == []


@SLOW
@given(position=st.integers(2, 555), seed=st.integers(0, 1000))
def test_the_future_changes_nothing_before_it(position: int, seed: int) -> None:
    bars = probes.make_bars(tickers=11, sessions=560, late=60, gap=300, seed=seed)
    date = bars["date"].unique().sort()[position]
    assert probes.future_change(compute, bars, date, seed) == []


@SLOW
@given(position=st.integers(0, 555), seed=st.integers(0, 1000), lag=st.integers(0, 3))
def test_later_values_of_a_series_change_nothing_before_them(
    position: int, seed: int, lag: int
) -> None:
    bars = probes.make_bars(tickers=11, sessions=560, late=60, gap=300, seed=seed)
    day = bars["date"].unique().sort()[position]
    context = dataclasses.replace(probes.make_context(seed=seed), lag=lag)

    def compute_with(known: Context) -> pl.DataFrame:
        table = compute_features(bars, FROM_CONTEXT, context=known).frame
        absent = [item.name for item in FROM_CONTEXT if item.name not in table.columns]
        nothing = [pl.lit(None, pl.Float32).alias(name) for name in absent]
        return table.with_columns(nothing).select("date", "ticker", *NAMES_FROM_CONTEXT)

    assert probes.later_values(compute_with, context, day, seed) == []


@pytest.mark.parametrize("position", [50, 300, GAP + 5])
@pytest.mark.parametrize("ticker", ["T00", "T07"])
def test_a_delisting_changes_nothing_before_it(
    bars: pl.DataFrame, dates: pl.Series, position: int, ticker: str
) -> None:
    assert probes.delisting(compute, bars, ticker, dates[position]) == []


def test_a_ticker_alone_has_the_same_features_of_its_own(bars: pl.DataFrame) -> None:
    own = [item for item in FEATURES if item.scope == "ticker" and not reads_market(item)]
    assert len(own) > 90

    def compute_own(bars: pl.DataFrame) -> pl.DataFrame:
        return compute_features(bars, own).frame

    for ticker in ("T00", "T05", "T11"):
        assert probes.isolation(compute_own, bars, ticker) == []


def reads_market(feature: Feature) -> bool:
    """Say whether a feature reads the market's columns, at first or second hand."""
    return feature.family == "market"


@SLOW
@given(
    price=st.floats(-3, 3).map(lambda power: 10.0**power),
    volume=st.floats(-3, 3).map(lambda power: 10.0**power),
)
def test_the_scale_of_prices_and_volumes_does_not_matter(price: float, volume: float) -> None:
    bars = probes.make_bars(tickers=11, sessions=420, gap=300)
    assert probes.scale(compute, bars, "T03", price, volume, rtol=1e-5) == []


def test_the_order_of_rows_does_not_matter(bars: pl.DataFrame) -> None:
    assert probes.row_order(compute, bars) == []


def test_the_same_bars_give_the_same_bits(bars: pl.DataFrame) -> None:
    assert compute(bars).equals(compute(bars), null_equal=True)


def test_dropping_early_rows_matters_only_before_the_look_back(bars: pl.DataFrame) -> None:
    gap_free = bars.filter(pl.col("ticker") != "T00")
    first = gap_free["date"].unique().sort()[40]
    late = compute(gap_free.filter(pl.col("date") >= first))
    whole = compute(gap_free).filter(pl.col("date") >= first)
    known = [pl.when(late[name].is_not_null()).then(pl.col(name)).alias(name) for name in BY_NAME]
    # Wilder's smoothing forgets its start slowly: e**-10 of it is left after ten windows.
    assert probes.differing(late, whole.with_columns(known), rtol=2e-4) == []


def whole_series(bars: pl.DataFrame) -> Context:
    """Return a series with a value for each session."""
    days = bars["date"].unique().sort()
    values = 20 + 5 * np.random.default_rng(4).normal(0, 0.1, len(days)).cumsum()
    return Context({"vix": pl.DataFrame({"date": days, "value": np.abs(values) + 5})})


def test_look_backs_are_exact_on_gap_free_bars() -> None:
    sparse = {name for name in BY_NAME if name.startswith(("bull", "bear"))}
    bars = probes.make_bars(tickers=2, sessions=600)
    of_ticker = [item for item in FEATURES if item.scope in ("ticker", "session")]
    table = compute_features(bars, of_ticker, context=whole_series(bars)).frame
    found = table.filter(pl.col("ticker") == "T01")
    for feature in of_ticker:
        known = found[feature.name].is_not_null()
        first = known.arg_max() if known.any() else math.inf
        if feature.name in sparse:
            assert first is None or first >= feature.lookback, feature.name
        else:
            assert first == feature.lookback, (feature.name, first, feature.lookback)
            assert found[feature.name].null_count() == feature.lookback, feature.name


def test_no_feature_is_null_throughout_and_none_infinite() -> None:
    bars = probes.make_bars(tickers=12, sessions=760, seed=5)
    result = compute_features(bars, FEATURES, context=CONTEXT)
    assert result.left_out == {}
    assert result.infinite == {}
    empty = [name for name in BY_NAME if result.frame[name].null_count() == len(bars)]
    assert empty == []
    assert result.frame.columns == ["date", "ticker", *BY_NAME]
    assert set(result.frame.dtypes[2:]) == {pl.Float32}
    assert result.frame.select("date", "ticker").equals(
        bars.select("date", "ticker").sort("date", "ticker")
    )


@pytest.mark.parametrize("flat_from", [0, 300])
def test_flat_prices_and_no_volume_give_nothing_infinite_or_huge(flat_from: int) -> None:
    bars = probes.make_bars(tickers=11, sessions=620, seed=3)
    row = pl.int_range(pl.len()).over("ticker")
    still = (pl.col("ticker") == "T04") & (row >= flat_from)
    level = pl.col("close").filter(row == flat_from).first().over("ticker")
    flat = bars.with_columns(
        *[pl.when(still).then(level).otherwise(pl.col(name)).alias(name) for name in probes.PRICES],
        pl.when(still).then(0.0).otherwise(pl.col("volume")).alias("volume"),
    )
    result = compute_features(flat, FEATURES, context=CONTEXT)
    assert result.infinite == {}
    end = result.frame.filter(pl.col("ticker") == "T04").tail(20)
    for name in BY_NAME:
        values = end[name].drop_nulls().to_numpy()
        assert np.isfinite(values).all(), name
        assert (np.abs(values) < 100).all(), name


def test_missing_bars_inside_the_history_are_not_filled() -> None:
    bars = probes.make_bars(tickers=2, sessions=300)
    holed = bars.with_columns(
        pl.when(pl.int_range(pl.len()).over("ticker") == 100)
        .then(None)
        .otherwise(pl.col(name))
        .alias(name)
        for name in (*probes.PRICES, "volume")
    )
    kept = [BY_NAME[name] for name in ("return_1", "return_20", "volatility_20", "max_drawdown_60")]
    found = compute_features(holed, kept).frame.filter(pl.col("ticker") == "T00")
    assert found["return_1"][100] is None and found["return_1"][101] is None
    assert found["return_20"][120] is None and found["return_20"][121] is not None
    assert found["volatility_20"][101:121].null_count() == 20
    assert found["volatility_20"][121] is not None
    assert found["max_drawdown_60"][100:160].null_count() == 60


def bad_feature(name: str, expression: pl.Expr) -> Feature:
    return Feature(name, "bad", expression, ("close",), 0, "planted", "own")


CLOSE = pl.col("close")
BAD = [
    bad_feature("tomorrow", CLOSE.shift(-1) / CLOSE - 1),
    bad_feature("filled_backward", (CLOSE / CLOSE.shift(20) - 1).backward_fill()),
    bad_feature("whole_sample_score", (CLOSE - CLOSE.mean()) / CLOSE.std()),
    bad_feature("centred_window", CLOSE / CLOSE.rolling_mean(11, center=True) - 1),
]


def test_planted_bad_features_are_caught(bars: pl.DataFrame, dates: pl.Series) -> None:
    def compute_bad(bars: pl.DataFrame) -> pl.DataFrame:
        return compute_features(bars, BAD).frame

    names = [item.name for item in BAD]
    assert set(probes.truncation(compute_bad, bars, [dates[10], dates[300]])) == set(names)
    caught_late = set(names) - {"filled_backward"}
    assert set(probes.future_change(compute_bad, bars, dates[300])) == caught_late
    assert set(probes.delisting(compute_bad, bars, "T02", dates[300])) == caught_late


def test_a_price_level_is_caught_by_the_scale_probe(bars: pl.DataFrame) -> None:
    level = Feature("level", "bad", pl.col("own_level"), ("own_level",), 0, "planted", "own")

    def compute_level(bars: pl.DataFrame) -> pl.DataFrame:
        return compute_features(bars.with_columns(own_level="close"), [level]).frame

    assert probes.scale(compute_level, bars, "T03", 10.0, 1.0, rtol=1e-5) == ["level"]


def test_a_feature_across_tickers_is_caught_by_isolation(bars: pl.DataFrame) -> None:
    rank = BY_NAME["return_20_rank"]

    def compute_rank(bars: pl.DataFrame) -> pl.DataFrame:
        return compute_features(bars, [BY_NAME["return_20"], rank]).frame

    assert probes.isolation(compute_rank, bars, "T05") == ["return_20_rank"]


def test_a_feature_that_reads_later_values_of_a_series_is_caught(bars: pl.DataFrame) -> None:
    tomorrow = Feature(
        *("tomorrow", "bad", pl.col("vix").shift(-1), (), 0, "planted", "own"),
        scope="session",
        context=("vix",),
    )

    def compute_bad(context: Context) -> pl.DataFrame:
        return compute_features(bars, [tomorrow], context=context).frame

    day = bars["date"].unique().sort()[300]
    assert probes.later_values(compute_bad, CONTEXT, day) == ["tomorrow"]
    assert features_that_look_ahead(bars, [tomorrow], context=CONTEXT) == ["tomorrow"]
    level = BY_NAME["vix_level"]
    assert features_that_look_ahead(bars, [level], context=CONTEXT) == []
