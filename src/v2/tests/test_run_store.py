"""A run on disk is the run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.v2.errors import DataError
from src.v2.page.content import build_page
from src.v2.page.identity import RunIdentity
from src.v2.run_store import RECORD_NAME, SHAP_NAME, load_run, read_identity, save_run, shap_table
from src.v2.tests.results import make_result

WHEN = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)
IDENTITY = RunIdentity("st_predictor_1", "0" * 32, WHEN, None, {"xgboost": "3.4.1"})


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_the_page_of_a_stored_run_is_that_of_the_run_to_the_byte(tmp_path: Path, kind: str) -> None:
    result = make_result(kind, missing=0.1)
    save_run(result, IDENTITY, tmp_path)
    again, identity = load_run(tmp_path)
    first, second = build_page(result, IDENTITY), build_page(again, identity)
    assert first.html == second.html
    assert first.record == second.record
    assert identity == IDENTITY == read_identity(tmp_path)


@pytest.mark.parametrize("kind", ["regression", "rating"])
def test_shap_values_come_back_bit_by_bit(tmp_path: Path, kind: str) -> None:
    result = make_result(kind, missing=0.1)
    save_run(result, IDENTITY, tmp_path)
    again = load_run(tmp_path)[0].shap
    assert again.rows.equals(result.shap.rows)
    assert again.outputs == result.shap.outputs
    np.testing.assert_array_equal(again.values, result.shap.values)
    np.testing.assert_array_equal(again.base, result.shap.base)
    np.testing.assert_array_equal(again.features, result.shap.features)


def test_the_table_of_shap_values_adds_up_and_knows_what_came() -> None:
    result = make_result()
    table = shap_table(result.shap, result.predictions)
    parts = table.select(pl.sum_horizontal(pl.col("^shap:.*$")) + pl.col("base")).to_series()
    sums = result.shap.values[:, 0].sum(axis=1) + result.shap.base[:, 0]
    np.testing.assert_allclose(parts.to_numpy(), sums, rtol=1e-9, atol=1e-12)
    assert {"date", "ticker", "fold", "score", "label", "forward_return"} <= set(table.columns)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no run: run\.json is missing"):
        load_run(tmp_path)


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    save_run(make_result(), IDENTITY, tmp_path)
    record = json.loads((tmp_path / RECORD_NAME).read_text())
    (tmp_path / RECORD_NAME).write_text(json.dumps(record | {"schema_version": 99}))
    with pytest.raises(DataError, match="schema version 1; got 99"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["predictions.parquet", SHAP_NAME, RECORD_NAME])
def test_a_half_written_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    save_run(make_result(), IDENTITY, tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=name):
        load_run(tmp_path)


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    save_run(make_result(), IDENTITY, tmp_path)
    (tmp_path / "predictions.parquet").unlink()
    with pytest.raises(DataError, match="predictions"):
        load_run(tmp_path)


def test_a_text_that_utf8_cannot_write_does_not_lose_the_run(tmp_path: Path) -> None:
    result = make_result()
    docs = dict.fromkeys(result.features.names, "half a pair: \ud800")
    hostile = dataclasses.replace(result, features=dataclasses.replace(result.features, docs=docs))
    save_run(hostile, IDENTITY, tmp_path)
    assert load_run(tmp_path)[0].features.docs == docs
