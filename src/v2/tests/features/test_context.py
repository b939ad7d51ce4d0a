"""Features of series, regimes and sectors against slow loops."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from src.v2.config import FeaturesConfig
from src.v2.data.context import Context
from src.v2.features.compute import compute_features
from src.v2.features.context import IN_SECTOR, OF_SECTOR, context_features
from src.v2.features.families import FAMILIES, active_features
from src.v2.features.registry import Feature, collect_features
from src.v2.features.sector_pass import LEAST_IN_SECTOR
from src.v2.tests.features import probes
from src.v2.tests.features.references import (
    ANNUAL,
    Array,
    Reference,
    columns_of,
    compare,
    lagged,
    line,
    mean,
    rolling,
    std,
)

FEATURES = {item.name: item for item in collect_features(FAMILIES, FAMILIES)}
CONTEXT = {item.name for item in context_features()}
BARS = probes.make_bars(tickers=4, sessions=640, seed=17)
DATES: list[dt.date] = BARS["date"].unique().sort().to_list()
RANDOM = np.random.default_rng(8)
LEVELS = 18 * np.exp(0.3 * np.sin(np.arange(len(DATES)) / 15) + RANDOM.normal(0, 0.05, len(DATES)))
VIX = Context({"vix": pl.DataFrame({"date": DATES, "value": LEVELS})})
COLUMNS = columns_of(BARS, "T01") | {"vix": LEVELS}
Columns = dict[str, Array]


def log_change(window: int) -> Reference:
    return lambda c: np.log(c["vix"] / lagged(c["vix"], window))


def place(values: Array) -> float:
    return float((values[-1] - values.min()) / (values.max() - values.min()))


def third(values: Array) -> float:
    limits = np.quantile(values, [1 / 3, 2 / 3])
    return float((values[-1] > limits).sum())


def trend(sign: int) -> Reference:
    def reference(c: Columns) -> Array:
        average = mean(c["level"], 200)
        side, slope = c["level"] - average, average - lagged(average, 20)
        both = (sign * side > 0) & (sign * slope > 0)
        return np.where(np.isnan(slope), np.nan, both.astype(np.float64))

    return reference


def drawdown_regime(levels: Array) -> float:
    fall = 1 - levels[-1] / levels.max()
    return 2.0 if fall >= 0.2 else 1.0 if fall >= 0.1 else 0.0


SESSION: dict[str, Reference] = {
    "vix_change_5": log_change(5),
    "vix_change_20": log_change(20),
    "vix_zscore_252": lambda c: (c["vix"] - mean(c["vix"], 252)) / std(c["vix"], 252),
    "vix_place_252": lambda c: rolling(252, place, c["vix"]),
    "vix_slope_20": lambda c: (
        rolling(20, lambda part: line(part)[0], c["vix"]) / std(c["vix"], 252)
    ),
    "vix_level": lambda c: c["vix"] / 100,
    "vix_premium_20": lambda c: c["vix"] / 100 - ANNUAL * std(c["market"], 20),
    "regime_vix": lambda c: rolling(504, third, c["vix"]),
    "regime_bull": trend(1),
    "regime_bear": trend(-1),
    "regime_volatility": lambda c: rolling(504, third, std(c["market"], 20)),
    "regime_drawdown": lambda c: rolling(252, drawdown_regime, c["level"]),
}


@pytest.fixture(scope="module")
def found() -> Columns:
    table = compute_features(BARS, [FEATURES[name] for name in SESSION], context=VIX).frame
    own = table.filter(pl.col("ticker") == "T01")
    return {name: own[name].to_numpy().astype(np.float64) for name in SESSION}


@pytest.mark.parametrize("name", SESSION)
def test_equals_the_slow_loop(found: Columns, name: str) -> None:
    compare(found[name], SESSION[name](COLUMNS), FEATURES[name].lookback)


def test_every_regime_occurs(found: Columns) -> None:
    for name, states in (("regime_vix", 3), ("regime_volatility", 3), ("regime_bull", 2)):
        values = found[name][FEATURES[name].lookback :]
        assert len(set(values.tolist())) == states, name


def fall_by(share: float) -> pl.DataFrame:
    """Return one rising ticker that ends below its top."""
    bars = probes.make_bars(tickers=1, sessions=300)
    close = np.append(np.linspace(50, 100, 299), 100 * (1 - share))
    return bars.select("date", "ticker").with_columns(close=pl.Series(close))


@pytest.mark.parametrize(("share", "state"), [(0.05, 0), (0.15, 1), (0.35, 2)])
def test_a_market_far_below_its_top_changes_its_regime(share: float, state: int) -> None:
    frame = compute_features(fall_by(share), [FEATURES["regime_drawdown"]]).frame
    assert frame["regime_drawdown"][-2:].to_list() == [0, state]


def test_every_context_feature_has_a_reference() -> None:
    sector = {f"{name}_in_sector" for name in IN_SECTOR}
    sector |= {f"{name}_sector_rank" for name in IN_SECTOR}
    sector |= {f"sector_{name}" for name in OF_SECTOR}
    assert SESSION.keys() | sector == CONTEXT


def test_a_series_of_any_name_has_features_but_no_level() -> None:
    rates = pl.DataFrame({"date": DATES, "value": np.sin(np.arange(len(DATES)) / 30) - 0.5})
    features = [
        item
        for item in active_features(_only_context(), ["rates"])
        if item.name.startswith("rates")
    ]
    frame = compute_features(BARS, features, context=Context({"rates": rates})).frame
    assert "rates_level" not in frame.columns
    assert frame["rates_zscore_252"].null_count() == 4 * 251
    # A logarithm needs what is above zero.
    known = (rates["value"] > 0) & (rates["value"].shift(5) > 0)
    own = frame.filter(pl.col("ticker") == "T00")
    assert own["rates_change_5"].is_not_null().to_list() == known.fill_null(False).to_list()


def _only_context() -> FeaturesConfig:
    return FeaturesConfig(families=("context",))


def test_a_constant_series_gives_nothing_infinite() -> None:
    still = Context({"vix": pl.DataFrame({"date": DATES, "value": [20.0] * len(DATES)})})
    result = compute_features(BARS, [FEATURES[name] for name in SESSION], context=still)
    assert result.infinite == {}
    for name in ("vix_zscore_252", "vix_place_252", "vix_slope_20"):
        assert result.frame[name].null_count() == len(BARS), name
    assert result.frame["vix_change_20"].drop_nulls().unique().to_list() == [0.0]


def test_without_series_and_sectors_their_features_are_left_out_by_name() -> None:
    features = collect_features(FAMILIES, FAMILIES)
    result = compute_features(probes.make_bars(12, 40), features)
    expected = {
        item.name: f"needs {item.context[0]}, which is not given"
        for item in features
        if item.context
    }
    assert result.left_out == expected
    assert {reason.split()[1] for reason in expected.values()} == {"vix,", "sector,"}
    assert "regime_bull" in result.frame.columns


def test_a_series_that_ended_before_the_bars_is_left_out_by_name() -> None:
    old = Context({"vix": pl.DataFrame({"date": [dt.date(2010, 1, 4)], "value": [20.0]})})
    result = compute_features(BARS, [FEATURES["vix_level"]], context=old)
    reason = "needs vix, which has no value on the dates of the bars"
    assert result.left_out == {"vix_level": reason}


def test_a_feature_of_the_sector_needs_the_one_it_compares() -> None:
    wanted = [FEATURES["sector_return_20"]]
    result = compute_features(BARS, wanted, context=probes.make_context())
    assert result.left_out == {"sector_return_20": "needs return_20, which is left out"}


SECTORS = {f"T{number:02d}": "AB"[number % 2] for number in range(12)} | {
    "T12": "C",
    "T13": "C",
    "ELSEWHERE": "D",
}
"""Two sectors of six tickers, one of two, and two tickers without."""


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    """Return 16 tickers, one listed late and one with a gap."""
    return probes.make_bars(tickers=16, sessions=330, late=200, gap=280, seed=21)


@pytest.fixture(scope="module")
def sector_table(many: pl.DataFrame) -> pl.DataFrame:
    return compute_features(many, of_sectors(), context=Context(sectors=SECTORS)).frame


def of_sectors() -> list[Feature]:
    wanted = [item for item in FEATURES.values() if "sector" in item.context]
    return [FEATURES[name] for name in IN_SECTOR] + wanted


def by_hand(
    table: pl.DataFrame, name: str, compare_with: Callable[[float, list[float], list[float]], float]
) -> Array:
    """Look, for each row, at every row of its date."""
    rows = list(table.select("date", "ticker", name).iter_rows())
    of_date: dict[dt.date, list[tuple[str, float]]] = {}
    for day, ticker, value in rows:
        if value is not None:
            of_date.setdefault(day, []).append((ticker, value))
    result = []
    for day, ticker, value in rows:
        known = of_date.get(day, [])
        sector = SECTORS.get(ticker)
        peers = [one for other, one in known if sector and SECTORS.get(other) == sector]
        own = math.nan if value is None else value
        enough = len(peers) >= LEAST_IN_SECTOR
        result.append(compare_with(own, peers, [one for _, one in known]) if enough else math.nan)
    return np.array(result)


def centred_rank(own: float, peers: list[float], _: list[float]) -> float:
    if math.isnan(own):
        return math.nan
    below = sum(one < own for one in peers)
    equal = sum(one == own for one in peers)
    return (below + equal / 2) / len(peers)


def own_momentum(_: float, peers: list[float], known: list[float]) -> float:
    if len(known) < 10:
        return math.nan
    return sum(peers) / len(peers) - sum(known) / len(known)


@pytest.mark.parametrize("name", IN_SECTOR)
def test_sector_relative_features_equal_a_search_through_the_date(
    sector_table: pl.DataFrame, name: str
) -> None:
    def difference(own: float, peers: list[float], _: list[float]) -> float:
        return own - sum(peers) / len(peers)

    found = sector_table[f"{name}_in_sector"].to_numpy()
    expected = by_hand(sector_table, name, difference)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    ranks = sector_table[f"{name}_sector_rank"].to_numpy()
    np.testing.assert_allclose(ranks, by_hand(sector_table, name, centred_rank), rtol=1e-6)
    assert np.isfinite(found).any() and np.isfinite(ranks).any()


@pytest.mark.parametrize("name", OF_SECTOR)
def test_a_sectors_own_momentum_equals_a_search_through_the_date(
    sector_table: pl.DataFrame, name: str
) -> None:
    found = sector_table[f"sector_{name}"].to_numpy()
    expected = by_hand(sector_table, name, own_momentum)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_tickers_of_a_small_sector_or_of_none_have_no_sector_features(
    sector_table: pl.DataFrame,
) -> None:
    names = [name for name in sector_table.columns if "sector" in name]
    alone = sector_table.filter(pl.col("ticker").is_in(["T12", "T13", "T14", "T15"]))
    assert alone.select(pl.col(names).count()).sum_horizontal().item() == 0


def test_a_sector_needs_five_tickers_that_know_the_value() -> None:
    few = Context(sectors={f"T{number:02d}": "A" for number in range(5)})
    four = Context(sectors={f"T{number:02d}": "A" for number in range(4)})
    bars = probes.make_bars(tickers=12, sessions=30)
    wanted = [FEATURES[name] for name in ("return_5", "return_5_in_sector", "return_5_sector_rank")]
    for context, known in ((few, 5 * 25), (four, 0)):
        frame = compute_features(bars, wanted, context=context).frame
        counts = frame.select(pl.col("return_5_in_sector", "return_5_sector_rank").count())
        assert counts.row(0) == (known, known)


def test_sector_features_do_not_depend_on_which_dates_are_worked_on_together(
    many: pl.DataFrame, sector_table: pl.DataFrame
) -> None:
    days = many["date"].unique().sort()
    for last in (days[0], days[10], days[275], days[329]):
        cut = compute_features(
            many.filter(pl.col("date") <= last), of_sectors(), context=Context(sectors=SECTORS)
        ).frame
        expected = sector_table.filter(pl.col("date") <= last)
        assert probes.differing(cut, expected) == []


def test_sector_names_and_their_order_do_not_matter(
    many: pl.DataFrame, sector_table: pl.DataFrame
) -> None:
    renamed = {"A": "Z", "B": "B", "C": "A", "D": "?"}
    other = {ticker: renamed[name] for ticker, name in reversed(SECTORS.items())}
    frame = compute_features(many, of_sectors(), context=Context(sectors=other)).frame
    assert probes.differing(frame, sector_table) == []
