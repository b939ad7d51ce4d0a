"""The list of features, what is left out, and the user's own features."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from src.v2.config import FeaturesConfig
from src.v2.errors import ConfigError
from src.v2.features.compute import compute_features
from src.v2.features.families import (
    FAMILIES,
    column_features,
    features_markdown,
    load_own_features,
)
from src.v2.features.registry import Feature, collect_features
from src.v2.tests.features import probes

FEATURES = collect_features(FAMILIES, FAMILIES)


def test_the_default_configuration_names_every_family_in_order() -> None:
    assert FeaturesConfig().families == tuple(FAMILIES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda item: item.name)
def test_every_feature_is_described(feature: Feature) -> None:
    assert feature.doc.strip() and feature.source.strip()
    assert "|" not in feature.doc
    assert feature.family in FAMILIES
    assert re.fullmatch(r"[a-z][a-z0-9_]*", feature.name)
    assert feature.lookback >= 0
    assert set(feature.inputs) <= {"open", "high", "low", "close", "volume"}


def test_no_two_features_have_one_name_and_each_family_has_some() -> None:
    assert len({item.name for item in FEATURES}) == len(FEATURES)
    assert {item.family for item in FEATURES} == FAMILIES.keys()


def test_inputs_name_every_bar_column_that_a_feature_needs() -> None:
    bars = probes.make_bars(tickers=2, sessions=300)
    for lacking in ("open", "high", "low", "volume"):
        result = compute_features(bars.drop(lacking), FEATURES)
        empty = [
            name
            for name in result.frame.columns[2:]
            if result.frame[name].null_count() == len(bars)
            and not name.endswith(("_rank", "_relative", "_dispersion"))
            and next(item for item in FEATURES if item.name == name).lookback < 290
        ]
        assert empty == [], lacking


def test_unknown_families_and_names_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.families must be of .*; got 'astrology'"):
        collect_features(FAMILIES, ["astrology"])
    with pytest.raises(ConfigError, match=r"must be its own; 'return_1' is made by .* momentum"):
        collect_features(FAMILIES, ["momentum", "momentum"])
    with pytest.raises(ConfigError, match=r"exclude must name features; got moon"):
        collect_features(FAMILIES, ["momentum"], exclude=["moon", "return_1"])


def test_exclude_leaves_features_out() -> None:
    names = [item.name for item in collect_features(FAMILIES, ["momentum"], ["return_1"])]
    assert "return_1" not in names and "return_5" in names


@pytest.mark.parametrize("absent", [True, False])
def test_closes_alone_leave_out_what_needs_more(absent: bool) -> None:
    bars = probes.make_bars(tickers=12, sessions=300)
    others = ("open", "high", "low", "volume")
    empty = bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in others)
    result = compute_features(bars.drop(others) if absent else empty, FEATURES)
    assert result.left_out["volume_ratio_20"] == "needs volume, which the bars lack"
    assert result.left_out["atr_14"] == "needs high, low, which the bars lack"
    assert result.left_out["atr_14_rank"] == "needs atr_14, which is left out"
    assert set(result.frame.columns[2:]).isdisjoint(result.left_out)
    assert len(result.frame.columns) - 2 + len(result.left_out) == len(FEATURES)
    assert "rsi_14" in result.frame.columns and "return_20_rank" in result.frame.columns


def test_a_feature_over_an_unknown_column_is_refused() -> None:
    odd = Feature("odd", "own", pl.col("sentiment"), (), 0, "doc", "own")
    with pytest.raises(ConfigError, match=r"odd reads sentiment, which is no column"):
        compute_features(probes.make_bars(2, 30), [odd])


@pytest.mark.parametrize("expression", [pl.col("close").mean(), pl.col("close").head(3)])
def test_a_feature_of_another_length_is_refused(expression: pl.Expr) -> None:
    odd = Feature("odd", "own", expression, ("close",), 0, "doc", "own")
    with pytest.raises(ConfigError, match="odd must give one value for each row"):
        compute_features(probes.make_bars(2, 30), [odd])


def test_what_is_not_finite_counts_as_missing() -> None:
    bars = probes.make_bars(tickers=2, sessions=40).with_columns(
        pl.lit(float("nan")).alias("volume"),
        pl.when(pl.col("ticker") == "T01").then(float("inf")).otherwise("high").alias("high"),
    )
    wanted = [item for item in FEATURES if item.name in ("volume_ratio_20", "day_range_1")]
    result = compute_features(bars, wanted)
    assert result.left_out == {"volume_ratio_20": "needs volume, which the bars lack"}
    assert result.infinite == {}
    assert result.frame["day_range_1"].null_count() == 40


def test_infinite_values_become_null_and_are_counted() -> None:
    zero = Feature("over_zero", "own", 1 / (pl.col("row") - 10), (), 5, "doc", "own")
    result = compute_features(probes.make_bars(3, 30), [zero])
    assert result.infinite == {"over_zero": 3}
    assert result.frame["over_zero"].null_count() == 3 * (5 + 1)
    assert result.frame["over_zero"].is_finite().sum() == 3 * (30 - 6)


OWN = """
import polars as pl
from src.v2.features.registry import Feature

def features():
    return [Feature("gap_5", "mine", pl.col("close") / pl.col("close").shift(5) - 1,
                    ("close",), 5, "five sessions", "own")]
"""


def test_a_file_of_own_features_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    own = load_own_features([path])
    frame = compute_features(probes.make_bars(2, 30), own).frame
    assert frame["gap_5"].null_count() == 10
    assert collect_features(FAMILIES, ["momentum"], own=own)[-1].name == "gap_5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("import no_such_module_here", "failed with ModuleNotFoundError"),
        ("def features(:", "failed with SyntaxError"),
        ("x = 1", "has no such function"),
        ("def features():\n    raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def features():\n    return 3", "returned a int"),
        ("def features():\n    return ['a']", "returned a list with a str"),
    ],
)
def test_a_wrong_file_of_own_features_is_refused_in_one_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_own_features([path])
    assert "\n" not in str(caught.value)


def test_own_columns_are_shown_when_they_are_known() -> None:
    bars = probes.make_bars(tickers=2, sessions=20).with_columns(
        sentiment=pl.int_range(pl.len()).over("ticker")
    )
    frame = compute_features(bars, column_features({"sentiment": 3})).frame
    own = frame.filter(pl.col("ticker") == "T01")["sentiment"]
    assert own.to_list() == [None] * 3 + [float(value) for value in range(17)]
    absent = compute_features(bars, column_features({"mood": 1}))
    assert absent.left_out == {"mood": "needs mood, which the bars lack"}


def test_a_column_from_the_future_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"available_lag of at least 0; got -1 for sentiment"):
        column_features({"sentiment": -1})


def test_the_table_of_features_has_a_row_for_each() -> None:
    lines = features_markdown(FEATURES).splitlines()
    assert len(lines) == len(FEATURES) + 2
    assert all(line.count(" | ") == 5 for line in lines[2:])
