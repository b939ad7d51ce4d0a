"""Series and sectors from their files to the panel, the card and the forecast."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.v2 import api, audit, predict
from src.v2.config import Config, FeaturesConfig
from src.v2.config_sources import load_config
from src.v2.console import Stages
from src.v2.data.context import Context, load_context
from src.v2.data.sources import load_bars
from src.v2.decision_rows import decision_rows
from src.v2.errors import DataError, ModelError
from src.v2.features.as_of import needed_context
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import read_card
from src.v2.preparation import Prepared, prepare_panel
from src.v2.summary_text import left_out_line
from src.v2.tests.end_to_end.test_predict_reasons import made_card
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import SMALL, Workplace

FAMILIES = ("momentum", "context")
COMPARED = ("momentum", "volatility", "volume", "market", "context")


def volatility_index(days: pl.Series, seed: int = 6) -> pl.DataFrame:
    """Make a series like VIX on some days."""
    steps = np.random.default_rng(seed).normal(0, 0.05, len(days))
    values = 20 * np.exp(np.sin(np.arange(len(days)) / 50) / 3 + steps)
    return pl.DataFrame({"date": days, "close": np.round(values, 2)})


def sample_words(folder: Path) -> list[str]:
    """Write a volatility index and sectors of the bundled sample, and name them."""
    bars, _, coverage = load_bars(load_config(["--force-sample"], files=False).data)
    volatility_index(bars["date"].unique().sort()).write_csv(folder / "vix.csv")
    tickers = coverage.tickers
    rows = {"ticker": tickers, "sector": ["AB"[place % 2] for place in range(len(tickers))]}
    pl.DataFrame(rows)[:-1].write_csv(folder / "sectors.csv")
    words = ["--force-sample", "--data.context", f"vix={folder / 'vix.csv'}"]
    return [*words, "--data.sectors", str(folder / "sectors.csv"), "--features.families", *COMPARED]


def prepared(config: Config) -> Prepared:
    bars, market, coverage = load_bars(config.data)
    return prepare_panel(bars, market, coverage, config, Stages(), load_context(config.data))


def test_the_bundled_sample_with_series_and_sectors_has_their_features(tmp_path: Path) -> None:
    words = sample_words(tmp_path)
    found = prepared(load_config(words, environ={}, files=False))
    context = {name for name, family in found.features.families.items() if family == "context"}
    assert {"vix_level", "return_60_in_sector", "sector_return_20", "regime_bull"} <= context
    # The sample has closes alone.
    left_out = {name: why for name, why in found.features.left_out.items() if "sector" in name}
    assert left_out == {
        f"volume_trend_5_60{end}": "needs volume_trend_5_60, which is left out"
        for end in ("_in_sector", "_sector_rank")
    }
    assert found.needed == {"vix", "sector"}
    names = found.panel.names
    column = found.panel.features[:, names.index("return_60_in_sector")]
    rows = found.panel.keys["ticker"] == found.universe[-1]
    # The last ticker has no sector.
    assert np.isnan(column[rows.to_numpy()]).all() and np.isfinite(column[~rows.to_numpy()]).any()
    assert np.isfinite(found.panel.features[:, names.index("vix_level")]).all()


def test_without_their_files_the_features_of_context_are_left_out_by_name() -> None:
    words = ["--force-sample", "--features.families", *COMPARED]
    found = prepared(load_config(words, environ={}, files=False))
    assert found.features.left_out["vix_level"] == "needs vix, which is not given"
    assert found.features.left_out["return_20_sector_rank"] == "needs sector, which is not given"
    assert found.needed == set()
    assert "for want of volume, high, low, vix, sector: " in left_out_line(found.features.left_out)
    assert "regime_bull" in found.features.names


BARS = random_walk_bars(24, 420, 8)
DAYS = BARS["date"].unique().sort()
SECTORS = {f"T{number:03d}": "AB"[number % 2] for number in range(24)}
VIX = volatility_index(DAYS)


def card_of(context: Context) -> ModelCard:
    """Write down a model of all features that bars and context make."""
    settings = FeaturesConfig(families=FAMILIES, min_history=60)
    features = active_features(settings, context.series)
    columns = compute_features(BARS, features, context=context).frame.columns[2:]
    needed = needed_context(features, columns)
    return dataclasses.replace(
        made_card("regression", tuple(columns), BARS, settings, str(DAYS[250])),
        series=tuple(name for name in context.series if name in needed),
        sectors=dict(context.sectors),
        data={"context_lag": 0, "context_max_age": 14},
    )


def given(series: pl.DataFrame = VIX) -> Context:
    return api.make_context({"vix": series}, SECTORS)


def test_a_forecast_reads_the_series_given_and_the_sectors_as_trained() -> None:
    card = card_of(given())
    assert card.series == ("vix",)
    expected = decision_rows(BARS, card, None, given()).table
    level = VIX["close"][-1] / 100
    assert expected["vix_level"].to_list() == pytest.approx([level] * 24, rel=1e-6)
    # What is called a sector today may not change what the model reads.
    other = api.make_context({"vix": VIX, "rates": VIX}, dict.fromkeys(SECTORS, "one"))
    assert decision_rows(BARS, card, None, other).table.equals(expected, null_equal=True)


def test_a_forecast_takes_the_lag_as_trained() -> None:
    card = dataclasses.replace(card_of(given()), data={"context_lag": 2, "context_max_age": 14})
    table = decision_rows(BARS, card, None, given()).table
    assert table["vix_level"][0] == pytest.approx(VIX["close"][-3] / 100, rel=1e-6)


@pytest.mark.parametrize("context", [None, Context(sectors=SECTORS)])
def test_a_forecast_without_the_series_is_refused_by_name(context: Context | None) -> None:
    with pytest.raises(ModelError, match=r"reads the series vix of data.context.*vix=FILE"):
        decision_rows(BARS, card_of(given()), None, context)


@pytest.mark.parametrize(("days", "refused"), [(14, False), (15, True)])
def test_a_forecast_with_an_old_series_is_refused(days: int, refused: bool) -> None:
    card, last = card_of(given()), DAYS[-1] - dt.timedelta(days=days)
    old = VIX.filter(pl.col("date") <= last)
    old = pl.concat([old, old.tail(1).with_columns(date=last)]).unique("date", keep="first")
    if not refused:
        assert decision_rows(BARS, card, None, given(old)).table.height == 24
        return
    with pytest.raises(ModelError, match=rf"for {DAYS[-1]}, at most 14 days old .* of {last}"):
        decision_rows(BARS, card, None, given(old))


def test_a_model_without_context_asks_for_none() -> None:
    card = card_of(Context())
    assert decision_rows(BARS, card, None).table.height == 24
    assert card.series == () and "vix_level" not in card.features


def test_two_values_of_a_date_are_refused_in_a_notebook_too() -> None:
    with pytest.raises(DataError, match=r"one value a date; the series vix has"):
        api.make_context({"vix": pl.concat([VIX, VIX.with_columns(close=1.0)])})


@pytest.mark.slow
def test_training_forecasting_and_the_audit_with_context(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Workplace(tmp_path)
    words = [*place.flags(), *sample_words(tmp_path), "--start", "2016-01-01"]
    quick = [*SMALL, "--evaluation.permutations", "999", "--model.n-estimators", "10"]
    quick += ["--validation.test-sessions", "400"]
    from src.v2 import train

    assert train.main([*words, *quick]) == 0
    (folder,) = (tmp_path / "models").iterdir()
    card = read_card(folder)
    assert card.series == ("vix",)
    assert len(card.sectors) == len(card.tickers) - 1
    assert "sector_return_60" in card.features
    (tmp_path / "sectors.csv").unlink()
    capsys.readouterr()
    assert predict.main([*place.flags(), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(card.tickers)
    (tmp_path / "vix.csv").rename(tmp_path / "moved.csv")
    assert predict.main(place.flags()) == 2
    assert "--data.context vix=FILE" in capsys.readouterr().err
    moved = f"vix={tmp_path / 'moved.csv'}"
    assert predict.main([*place.flags(), "--data.context", moved, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows
    assert audit.main([*words, *quick]) == 2
