"""Ranks and differences among the tickers of a date, against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.features.compute import compute_features
from src.v2.features.cross_section import COMPARED, LEAST_TICKERS, RANKED
from src.v2.features.families import FAMILIES
from src.v2.features.ranks import centred_ranks, date_blocks
from src.v2.features.registry import collect_features
from src.v2.tests.features import probes

CROSS_SECTION = {item.name for item in FAMILIES["cross_section"]()}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    bars = probes.make_bars(tickers=14, sessions=420, late=200, gap=300)
    features = collect_features(FAMILIES, FAMILIES)
    return compute_features(bars, features).frame.to_pandas()


@pytest.mark.parametrize("name", RANKED)
def test_ranks_equal_those_of_pandas(table: pd.DataFrame, name: str) -> None:
    groups = table.groupby("date")[name]
    count = groups.transform("count")
    expected = ((groups.rank(method="average") - 0.5) / count).where(count >= LEAST_TICKERS)
    np.testing.assert_allclose(table[f"{name}_rank"], expected, rtol=1e-6)
    assert table[f"{name}_rank"].notna().any()


@pytest.mark.parametrize("name", COMPARED)
def test_differences_equal_those_of_pandas(table: pd.DataFrame, name: str) -> None:
    groups = table.groupby("date")[name]
    expected = (table[name] - groups.transform("mean")).where(groups.transform("count") >= 10)
    np.testing.assert_allclose(table[f"{name}_relative"], expected, rtol=1e-4, atol=1e-6)


def test_dispersion_equals_that_of_pandas(table: pd.DataFrame) -> None:
    groups = table.groupby("date")["return_20"]
    expected = groups.transform("std").where(table["return_20"].notna())
    np.testing.assert_allclose(table["return_20_dispersion"], expected, rtol=1e-5)


def test_every_cross_sectional_feature_is_covered() -> None:
    names = {f"{name}_rank" for name in RANKED} | {f"{name}_relative" for name in COMPARED}
    assert CROSS_SECTION == names | {"return_20_dispersion"}


def test_fewer_than_ten_tickers_have_no_ranks() -> None:
    features = [
        item
        for item in collect_features(FAMILIES, ["momentum", "cross_section"])
        if item.name.startswith("return_1")
    ]
    for tickers, known in ((9, False), (10, True)):
        frame = compute_features(probes.make_bars(tickers, 30), features).frame
        assert frame["return_1_rank"].is_not_null().any() is known


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0, 7.0, np.nan]), min_size=1, max_size=15
        ),
        min_size=1,
        max_size=5,
    )
)
def test_ties_and_unknown_values_rank_as_in_pandas(dates: list[list[float]]) -> None:
    counts = np.array([len(values) for values in dates])
    values = np.array([value for date in dates for value in date], dtype=np.float32)
    blocks = date_blocks(np.concatenate(([0], np.cumsum(counts))))
    number = pd.Series(np.repeat(np.arange(len(dates)), counts))
    groups = pd.Series(values).groupby(number.to_numpy())
    expected = (groups.rank() - 0.5) / groups.transform("count")
    expected = expected.where(groups.transform("count") >= 3)
    found = np.zeros_like(values)
    centred_ranks(values, blocks, 3, found)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_excluded_feature_takes_its_rank_along() -> None:
    families = [name for name in FAMILIES if name != "context"]
    features = collect_features(FAMILIES, families, exclude=["beta_252"])
    result = compute_features(probes.make_bars(2, 40), features)
    reason = "needs beta_252, which is left out"
    assert result.left_out == {"beta_252_rank": reason, "beta_252_relative": reason}
    assert isinstance(result.frame, pl.DataFrame)
