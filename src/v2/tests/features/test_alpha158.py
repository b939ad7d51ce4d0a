"""The factors of Alpha158 against qlib's own values and against slow loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.v2.config import FeaturesConfig
from src.v2.features.alpha158 import alpha158_features, qlib_name
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import compute_features
from src.v2.features.families import FAMILIES, active_features
from src.v2.tests.features import probes
from src.v2.tests.features.alpha158_references import WINDOWS, bar_references, rolling_references
from src.v2.tests.features.references import Array, Reference, columns_of, compare
from src.v2.tests.golden.alpha158_data import PENNY, alpha158_bars, kept_rows

ORACLES = Path(__file__).parents[1] / "golden" / "alpha158_oracles.parquet"
FEATURES = alpha158_features()
BY_NAME = {item.name: item for item in FEATURES}
WITHOUT_VWAP = [item for item in FEATURES if item.name != "alpha_vwap_0"]
BARS = probes.make_bars(tickers=2, sessions=140, seed=21)
REFERENCES: dict[str, Reference] = {
    **{f"alpha_{name}": reference for name, reference in bar_references().items()},
    **{
        f"alpha_{name}_{window}": reference
        for window in WINDOWS
        for name, reference in rolling_references(window).items()
    },
}


def compute(bars: pl.DataFrame) -> pl.DataFrame:
    return compute_features(bars, WITHOUT_VWAP).frame


def numbers(table: pl.DataFrame, name: str) -> Array:
    return table[name].cast(pl.Float64).to_numpy()


@pytest.fixture(scope="module")
def theirs() -> pl.DataFrame:
    return pl.read_parquet(ORACLES)


@pytest.fixture(scope="module")
def ours() -> pl.DataFrame:
    found = compute_features(alpha158_bars(), FEATURES)
    assert found.left_out == {} and found.infinite == {}
    return kept_rows(found.frame)


def test_the_names_are_those_of_qlib_in_its_order(theirs: pl.DataFrame) -> None:
    assert [qlib_name(item.name) for item in FEATURES] == theirs.columns[2:]
    assert len(FEATURES) == 158


def test_every_cell_equals_qlib_but_those_it_blanks_by_the_price_level(
    ours: pl.DataFrame, theirs: pl.DataFrame
) -> None:
    keys = ["date", "ticker"]
    assert ours.select(keys).sort(keys).equals(theirs.select(keys).sort(keys))
    left, right = ours.sort(keys), theirs.sort(keys)
    blank: dict[str, int] = {}
    apart: list[str] = []
    for name in BY_NAME:
        found, wanted = numbers(left, name), numbers(right, qlib_name(name))
        assert not np.isnan(found).any(), name
        missing = np.isnan(wanted)
        if missing.any():
            blank[name] = int(missing.sum())
            assert set(left["ticker"].to_numpy()[missing]) == {PENNY}
        close = np.isclose(found[~missing], wanted[~missing], rtol=1e-4, atol=0)
        apart += [name] * int((~close).sum())
        # qlib's 32-bit bars and logarithms leave a millionth on a correlation near zero.
        np.testing.assert_allclose(found[~missing], wanted[~missing], rtol=1e-4, atol=2e-6)
    assert len(left) * len(BY_NAME) == 3160
    assert blank == {"alpha_rsqr_5": 4, "alpha_rsqr_10": 2, "alpha_corr_5": 4, "alpha_corr_10": 2}
    assert apart == ["alpha_corr_20", "alpha_cord_20"]


def test_what_qlib_blanks_at_a_low_price_is_its_own_value_at_a_high_one(
    ours: pl.DataFrame, theirs: pl.DataFrame
) -> None:
    penny = ours.filter(pl.col("ticker") == PENNY).sort("date")
    high = theirs.filter(pl.col("ticker") == "NVDA").sort("date")
    for name in ("alpha_rsqr_5", "alpha_rsqr_10", "alpha_corr_5", "alpha_corr_10"):
        wanted = numbers(high, qlib_name(name))
        assert not np.isnan(wanted).any()
        np.testing.assert_allclose(numbers(penny, name), wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def found() -> dict[str, Array]:
    table = compute(BARS).filter(pl.col("ticker") == "T01")
    return {name: numbers(table, name) for name in REFERENCES}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_slow_loop(found: dict[str, Array], name: str) -> None:
    compare(found[name], REFERENCES[name](columns_of(BARS, "T01")), BY_NAME[name].lookback)


def test_every_factor_has_a_slow_loop_but_the_one_of_vwap() -> None:
    assert BY_NAME.keys() - REFERENCES.keys() == {"alpha_vwap_0"}


def test_a_price_that_falls_a_million_fold_leaves_no_rounding_behind() -> None:
    rows = 500
    level = np.exp(np.linspace(np.log(1e6), 0, rows))
    bars = probes.make_bars(tickers=2, sessions=rows, seed=4).filter(pl.col("ticker") == "T01")
    bars = bars.with_columns(pl.col(probes.PRICES) * pl.Series(level))
    end = compute(bars)[-60:]
    columns = {name: column[-125:] for name, column in columns_of(bars, "T01").items()}
    for window in (5, 60):
        for kind, reference in rolling_references(window).items():
            wanted = reference(columns)[-60:]
            np.testing.assert_allclose(
                numbers(end, f"alpha_{kind}_{window}"), wanted, rtol=2e-6, atol=1e-7, err_msg=kind
            )


@settings(max_examples=60, deadline=None)
@given(
    prices=st.lists(st.integers(1, 4), min_size=62, max_size=90),
    window=st.sampled_from(WINDOWS),
)
def test_ties_are_ranked_at_their_mean_and_the_first_of_equals_is_the_extreme(
    prices: list[int], window: int
) -> None:
    price = pl.Series(prices, dtype=pl.Float64)
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2030, 1, 1), eager=True)[: len(prices)]
    bars = pl.DataFrame({"date": days, "close": price, "high": price, "low": price})
    wanted = [BY_NAME[f"alpha_{kind}_{window}"] for kind in ("rank", "imax", "imin")]
    table = compute_features(bars.with_columns(ticker=pl.lit("A")), wanted).frame[window - 1 :]
    views = np.lib.stride_tricks.sliding_window_view(price.to_numpy(), window)
    ranks = [stats.rankdata(view)[-1] / window for view in views]
    np.testing.assert_allclose(numbers(table, f"alpha_rank_{window}"), ranks, rtol=1e-6)
    high, low = ((view.argmax(1) + 1) / window for view in (views, -views))
    np.testing.assert_allclose(numbers(table, f"alpha_imax_{window}"), high, rtol=1e-6)
    np.testing.assert_allclose(numbers(table, f"alpha_imin_{window}"), low, rtol=1e-6)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Return 3 tickers, one listed late and one with a gap."""
    return probes.make_bars(tickers=3, sessions=260, late=70, gap=180)


def test_no_factor_looks_ahead(bars: pl.DataFrame) -> None:
    dates = bars["date"].unique().sort()
    assert features_that_look_ahead(bars, WITHOUT_VWAP) == []
    assert probes.truncation(compute, bars, [dates[3], dates[62], dates[185], dates[230]]) == []
    assert probes.future_change(compute, bars, dates[150]) == []


def test_factors_know_neither_other_tickers_nor_the_order_of_rows(bars: pl.DataFrame) -> None:
    for ticker in ("T00", "T02"):
        assert probes.isolation(compute, bars, ticker) == []
    assert probes.row_order(compute, bars) == []


@settings(max_examples=5, deadline=None)
@given(price=st.floats(-3, 3).map(lambda power: 10.0**power))
def test_the_scale_of_prices_does_not_matter(price: float) -> None:
    bars = probes.make_bars(tickers=3, sessions=180, gap=120)
    assert probes.scale(compute, bars, "T01", price, 1.0, rtol=1e-5) == []


def test_the_scale_of_volume_matters_only_where_qlib_adds_a_share_to_it(bars: pl.DataFrame) -> None:
    changed = probes.scale(compute, bars, "T01", 1.0, 1e-4, rtol=1e-5)
    assert changed == [f"alpha_corr_{window}" for window in WINDOWS]


def test_look_backs_are_exact_on_gap_free_bars() -> None:
    table = compute(BARS).filter(pl.col("ticker") == "T01")
    nulls = {item.name: table[item.name].null_count() for item in WITHOUT_VWAP}
    assert nulls == {item.name: item.lookback for item in WITHOUT_VWAP}


def test_a_missing_bar_blanks_the_windows_that_hold_it() -> None:
    hole = pl.int_range(pl.len()).over("ticker") == 70
    holed = BARS.with_columns(
        pl.when(hole).then(None).otherwise(pl.col(name)).alias(name)
        for name in (*probes.PRICES, "volume")
    )
    table = compute(holed).filter(pl.col("ticker") == "T01")
    for feature in WITHOUT_VWAP:
        only_ends = feature.name.startswith("alpha_roc_")
        reach = [70, 70 + feature.lookback] if only_ends else range(70, 71 + feature.lookback)
        wanted = sorted({*range(feature.lookback), *reach})
        empty = np.flatnonzero(table[feature.name].is_null().to_numpy()).tolist()
        assert empty == [row for row in wanted if row < len(table)], feature.name


def test_still_prices_and_no_volume_give_zero_or_nothing() -> None:
    row = pl.int_range(pl.len()).over("ticker")
    level = pl.col("close").filter(row == 60).first().over("ticker")
    still = BARS.with_columns(
        *[
            pl.when(row >= 60).then(level).otherwise(pl.col(name)).alias(name)
            for name in probes.PRICES
        ],
        pl.when(row >= 60).then(0.0).otherwise(pl.col("volume")).alias("volume"),
    )
    found = compute_features(still, WITHOUT_VWAP)
    assert found.infinite == {}
    last = found.frame.filter(pl.col("ticker") == "T01").row(-1, named=True)
    unknown = ("rsqr", "corr", "cord", "vma", "vstd")
    zero = (
        "kmid",
        "klen",
        "kup",
        "klow",
        "ksft",
        "std",
        "rsv",
        "imxd",
        "cnt",
        "sum",
        "wvma",
        "vsum",
    )
    for name in list(BY_NAME):
        kind = name.removeprefix("alpha_")
        if kind.startswith(unknown):
            assert last[name] is None, name
        elif kind.startswith(zero):
            assert last[name] == 0, name
        elif kind.startswith(("beta", "resi")):
            assert abs(last[name]) < 1e-9, name


@pytest.mark.parametrize("column", ["volume", "close"])
@pytest.mark.parametrize("wiggle", [0.0, 1e-8])
def test_what_moves_by_rounding_alone_has_no_correlation_and_no_line(
    column: str, wiggle: float
) -> None:
    row = pl.int_range(pl.len()).over("ticker").cast(pl.Float64)
    level = 1e8 * (1 + wiggle * (row % 3))
    columns = (column,) if column == "volume" else probes.PRICES
    found = compute_features(BARS.with_columns(level.alias(name) for name in columns), WITHOUT_VWAP)
    assert found.infinite == {}
    kinds = ("corr", "cord") if column == "volume" else ("corr", "cord", "rsqr")
    for name in (f"alpha_{kind}_{window}" for kind in kinds for window in WINDOWS):
        assert found.frame[name].is_null().all(), name


def test_without_volume_or_vwap_their_factors_are_left_out_by_name() -> None:
    result = compute_features(BARS.drop("volume"), FEATURES)
    assert result.left_out["alpha_vwap_0"] == "needs vwap, which the bars lack"
    assert {qlib_name(name).rstrip("0123456789") for name in result.left_out} == {
        *("VWAP", "CORR", "CORD", "VMA", "VSTD", "WVMA", "VSUMP", "VSUMN", "VSUMD")
    }


def test_inputs_name_every_bar_column_that_a_factor_needs() -> None:
    for lacking in ("open", "high", "low", "volume"):
        frame = compute_features(BARS.drop(lacking), FEATURES).frame
        assert [name for name in frame.columns[2:] if frame[name].is_null().all()] == [], lacking


def test_vwap_is_compared_with_the_close_in_the_units_of_the_bars() -> None:
    paid = BARS.with_columns(
        vwap=pl.when(pl.col("ticker") == "T00").then(0.0).otherwise(1.01 * pl.col("close"))
    )
    frame = compute_features(paid, [BY_NAME["alpha_vwap_0"]]).frame
    first, second = (frame.filter(pl.col("ticker") == ticker) for ticker in ("T00", "T01"))
    assert first["alpha_vwap_0"].is_null().all()
    np.testing.assert_allclose(numbers(second, "alpha_vwap_0"), 1.01, rtol=1e-6)


def test_the_family_is_optional_and_stands_beside_the_others() -> None:
    assert "alpha158" not in FeaturesConfig().families
    alone = active_features(FeaturesConfig(families=("alpha158",)))
    assert [item.name for item in alone] == list(BY_NAME)
    every = active_features(FeaturesConfig(families=(*FAMILIES, "alpha158")))
    assert len(every) == len(active_features(FeaturesConfig())) + 158


def test_every_factor_is_described() -> None:
    for feature in FEATURES:
        assert feature.doc.strip() and "|" not in feature.doc and "{" not in feature.doc
        assert (feature.family, feature.source) == ("alpha158", "qlib Alpha158")
