"""Records survive the way to plain values and back."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.errors import DataError
from src.v2.evaluation_records import Evaluation, Interval
from src.v2.records import TrainingResult
from src.v2.stored_records import decode, encode, tables_of
from src.v2.tests.evaluations import make_evaluation
from src.v2.tests.results import make_result


def _same(one: Any, other: Any) -> bool:
    """Compare values, NaN being equal to NaN."""
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(
            _same(getattr(one, name), getattr(other, name)) for name in names
        )
    if isinstance(one, pl.DataFrame):
        return one.equals(other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_a_whole_run_survives_json_and_its_tables(kind: str) -> None:
    result = make_result(kind)
    text = json.dumps(encode(result), allow_nan=False)
    parts = {**tables_of(result), "shap": result.shap}
    again = decode(TrainingResult, json.loads(text), parts)
    for field in dataclasses.fields(result):
        if field.name != "shap":
            assert _same(getattr(result, field.name), getattr(again, field.name)), field.name
    assert again.shap is result.shap


def test_a_missing_portfolio_stays_missing() -> None:
    evaluation = dataclasses.replace(make_evaluation(), portfolio=None, ranking=None)
    again = decode(Evaluation, json.loads(json.dumps(encode(evaluation))), {})
    assert _same(evaluation, again)
    assert again.portfolio is None and again.ranking is None


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**53), 2**53),
)
def test_every_number_comes_back_as_it_was(mean: float, low: float, windows: int) -> None:
    interval = Interval(mean, low, -mean, windows)
    text = json.dumps(encode(interval), allow_nan=False)
    assert _same(interval, decode(Interval, json.loads(text), {}))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"mean": "wide"}, "mean"),
        ({"windows": 1.5}, "windows"),
        ({"windows": True}, "windows"),
        ({"low": [1.0]}, "low"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(damage: dict[str, Any], named: str) -> None:
    plain = encode(Interval(0.1, 0.0, 0.2, 5)) | damage
    with pytest.raises(DataError, match=named):
        decode(Interval, plain, {})


def test_a_missing_value_is_refused_by_its_path() -> None:
    plain = encode(make_evaluation())
    del plain["ranking"]["rank_ic"]["low"]
    with pytest.raises(DataError, match=r"ranking\.rank_ic\.low"):
        decode(Evaluation, plain, tables_of(make_evaluation()))


def test_a_missing_table_is_refused_by_its_path() -> None:
    with pytest.raises(DataError, match=r"portfolio\.daily"):
        decode(Evaluation, encode(make_evaluation()), {})
