"""The reasons beside each forecast, from notebooks and from the command."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2 import api, predict
from src.v2.config import FeaturesConfig, ModelConfig
from src.v2.decision_rows import decision_rows
from src.v2.explain.places import places
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.forecasting import Forecast, explained_quantity, shared_values
from src.v2.lifecycle.ranking_text import ranking_text
from src.v2.modeling.learners.base import FittedModel, TrainingRows
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import save_model
from src.v2.tests.synthetic import random_walk_bars

CLASSES: dict[str, tuple[str, ...]] = {
    "regression": (),
    "binary": ("down", "up"),
    "rating": ("Strong Sell", "Sell", "Hold", "Buy", "Strong Buy"),
}
FAMILIES = ("momentum", "market", "calendar")
NUMBER = {
    "regression": re.compile(r"[+-]\d+\.\d\d%"),
    "binary": re.compile(r"[+-]\d+\.\d{3} log-odds"),
    "rating": re.compile(r"[+-]\d+\.\d{3} log-odds"),
}


@functools.cache
def place(kind: str, tickers: int = 24) -> tuple[pl.DataFrame, FittedModel, ModelCard]:
    """Make bars, and a model of the features of their earlier half."""
    bars = random_walk_bars(tickers, 420, 8)
    settings = FeaturesConfig(families=FAMILIES, min_history=60)
    table = compute_features(bars, active_features(settings)).frame
    names = tuple(name for name in table.columns if name not in ("date", "ticker"))
    days = table["date"].unique().sort()
    rows = table.filter(pl.col("date").is_between(days[100], days[250]))
    features = rows.select(names).to_numpy().astype(np.float32)
    parts = [
        features[:, names.index(name)] for name in ("return_60", "return_5", "largest_return_20")
    ]
    label = np.nan_to_num(parts[0] - 2 * parts[1] + 3 * parts[2] * np.sign(parts[1]))
    classes = CLASSES[kind]
    if classes:
        edges = np.quantile(label, np.linspace(0, 1, len(classes) + 1)[1:-1])
        label = np.searchsorted(edges, label).astype(np.float32)
    config = ModelConfig(threads=1, colsample_bytree=1.0)
    learner = XGBoostLearner(config, names, len(classes), 1.0, 3)
    model = learner.fit(TrainingRows(features, label, np.ones(len(label), dtype=np.float32)), 20)
    return bars, model, made_card(kind, names, bars, settings, str(days[250]))


def made_card(
    kind: str, names: tuple[str, ...], bars: pl.DataFrame, settings: FeaturesConfig, last: str
) -> ModelCard:
    """Describe a model that was made for a test."""
    return ModelCard(
        name="made for a test",
        mode="classification" if CLASSES[kind] else "regression",
        learner="xgboost",
        features=names,
        target="excess",
        label_rule="excess",
        classes=CLASSES[kind],
        forward_days=5,
        entry_lag=1,
        rounds=20,
        trained_at="2024-01-01T00:00:00+00:00",
        train_first="2010-01-04",
        train_last=last,
        training_rows=1,
        tickers=tuple(bars["ticker"].unique().sort()),
        expanding_mean=0.0,
        rank_map=None,
        min_history=settings.min_history,
        with_market=False,
        data={},
        feature_settings=settings.model_dump(mode="json"),
        module_hashes={},
        data_fingerprint="0" * 32,
        config_fingerprint="0" * 12,
        out_of_sample={},
        verdict="no evidence",
    )


def forecast(kind: str, tickers: int = 24) -> Forecast:
    """Rank the last date."""
    return api.predict(*place(kind, tickers))


def contributions(kind: str) -> tuple[list[str], Any, Any, Any]:
    """Tickers, contributions by feature, base and features of the last date."""
    bars, model, card = place(kind)
    decision = decision_rows(bars, card, None)
    values, base = model.contributions(decision.matrix)
    weights = np.array([-2, -1, 0, 1, 2]) / 3 if values.shape[1] > 1 else np.ones(1)
    signed = np.einsum("rof,o->rf", values, weights)
    return decision.table["ticker"].to_list(), signed, base @ weights, decision.matrix


@pytest.mark.parametrize("kind", CLASSES)
def test_base_and_contributions_are_the_forecast(kind: str) -> None:
    tickers, values, base, _ = contributions(kind)
    rows = {row["ticker"]: row for row in forecast(kind).rows.iter_rows(named=True)}
    assert len(rows) == len(tickers) == 24
    for ticker, total in zip(tickers, values.sum(axis=1) + base, strict=True):
        row = rows[ticker]
        if kind == "regression":
            assert total == pytest.approx(row["score"], abs=1e-6)
        elif kind == "binary":
            assert total == pytest.approx(np.log(row["p_up"] / row["p_down"]), abs=1e-4)
        else:
            ends = row["p_strong_buy"] / row["p_strong_sell"]
            inner = row["p_buy"] / row["p_sell"]
            expected = (2 * np.log(ends) + np.log(inner)) / 3
            assert total == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_row_gives_its_three_strongest_contributions(kind: str) -> None:
    tickers, values, _, _ = contributions(kind)
    rows = {row["ticker"]: row["reasons"] for row in forecast(kind).rows.iter_rows(named=True)}
    for ticker, row in zip(tickers, values, strict=True):
        strongest = sorted(row.tolist(), key=abs, reverse=True)[:3]
        written = [reason.rsplit(": ", 1)[1] for reason in rows[ticker]]
        style = "+.2%" if kind == "regression" else "+.3f"
        assert [number.split()[0] for number in written] == [format(v, style) for v in strongest]
        assert all(NUMBER[kind].fullmatch(number) for number in written)


def test_a_place_is_among_the_tickers_of_the_date() -> None:
    tickers, _, _, matrix = contributions("regression")
    card = place("regression")[2]
    column = card.features.index("return_60")
    order = np.argsort(-matrix[:, column])
    said = {row["ticker"]: row["reasons"] for row in forecast("regression").rows.to_dicts()}
    told = 0
    for rank, row in enumerate(order):
        for reason in said[tickers[row]]:
            if reason.startswith("Return of 60 sessions "):
                told += 1
                assert ("in the top" in reason) == (rank < 2), reason
                assert ("in the lowest" in reason) == (rank >= 22), reason
    assert told > 5


def test_the_market_is_compared_with_earlier_dates() -> None:
    bars, _, card = place("regression")
    decision = decision_rows(bars, card, None)
    last = decision.table["date"][0]
    market = decision.frame.unique("date").sort("date")["market_return_60"]
    expected = (market.head(-1).drop_nulls() < market[-1]).mean()
    shared, earlier = shared_values(decision.frame, last, card.features)
    found = places(decision.matrix, decision.matrix, earlier, shared)
    column = card.features.index("market_return_60")
    assert shared[column] and not shared[card.features.index("return_60")]
    assert found.place[:, column].tolist() == pytest.approx([expected] * 24)


@pytest.mark.parametrize("tickers", [1, 5])
def test_few_tickers_are_explained_too(tickers: int) -> None:
    rows = forecast("regression", tickers).rows
    assert rows.height == tickers
    words = f"of {tickers} tickers|earlier dates|Decided|missing"
    assert all(re.search(words, reason) for row in rows["reasons"] for reason in row)


def test_tickers_that_cannot_be_forecast_leave_the_others_their_reasons() -> None:
    bars, model, card = place("regression")
    last = bars["date"].max()
    cut = bars.filter((pl.col("date") < last) | (pl.col("ticker") != "T003"))
    found = api.predict(cut, model, card)
    assert "T003" in found.absent
    assert found.rows["reasons"].list.len().to_list() == [3] * 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of each kind, and its bars."""
    top = tmp_path_factory.mktemp("reasons of a model")
    for kind in CLASSES:
        bars, model, card = place(kind)
        path = top / "bars.parquet"
        bars.write_parquet(path)
        data = {"source": "files", "path": str(path)}
        save_model(model, dataclasses.replace(card, data=data), top / kind)
    return top


def run(folder: Path, kind: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command and give what it wrote."""
    flags = ["--model", str(folder / kind), "--paths.logs-dir", str(folder / "logs")]
    flags += ["--paths.predictions-dir", str(folder / "predictions"), *words]
    assert predict.main(flags) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", CLASSES)
def test_the_formats_give_the_same_reasons(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    expected = {row["ticker"]: row["reasons"] for row in forecast(kind).rows.to_dicts()}
    records = json.loads(run(folder, kind, capsys, "--format", "json"))
    assert {row["ticker"]: row["reasons"] for row in records} == expected
    lines = csv.DictReader(io.StringIO(run(folder, kind, capsys, "--format", "csv")))
    assert {row["ticker"]: row["reasons"].split("; ") for row in lines} == expected


@pytest.mark.parametrize("kind", CLASSES)
def test_the_table_shows_reasons_below_each_ticker_and_fits_100_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    shown = run(folder, kind, capsys)
    flat = " ".join(shown.split())
    assert "what moved the model (not the market), in " in shown
    assert explained_quantity(place(kind)[2]) in flat
    assert max(map(len, shown.splitlines())) <= 100
    assert "\x1b" not in shown
    at = 0
    for row in forecast(kind).rows.iter_rows(named=True):
        at = flat.index(f" {row['ticker']} ", at)
        for reason in row["reasons"]:
            words, number = reason.rsplit(": ", 1)
            at = flat.index(f"{number.split()[0]} {words}", at)


def test_a_long_ranking_tells_the_reasons_of_its_ends() -> None:
    found = forecast("regression")
    rows = pl.concat([found.rows] * 3).with_columns(rank=pl.int_range(1, 73))
    shown = ranking_text(rows.with_columns(in_sample=pl.lit(False)), place("regression")[2])
    told = [bool(re.match(r" {5,}[+-]", line)) for line in shown.splitlines()]
    assert sum(told) == 3 * 20
    tickers = [place for place, line in enumerate(shown.splitlines()) if re.search("T0", line)]
    assert [told[place + 1] for place in tickers] == [True] * 10 + [False] * 52 + [True] * 10
    assert "for the other 52 name --tickers" in shown


def test_a_hostile_ticker_cannot_steer_the_terminal() -> None:
    rows = (
        forecast("regression")
        .rows.head(1)
        .with_columns(ticker=pl.lit("[red]:cat:\x1b[31m"), in_sample=pl.lit(False))
    )
    shown = ranking_text(rows, place("regression")[2])
    assert "[red]:cat:[31m" in shown and "\x1b" not in shown


def test_no_row_is_said_in_words() -> None:
    rows = forecast("regression").rows.head(0).with_columns(in_sample=pl.lit(False))
    assert "No ticker can be forecast." in ranking_text(rows, place("regression")[2])
