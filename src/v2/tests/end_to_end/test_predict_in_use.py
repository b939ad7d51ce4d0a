"""Intervals and the log, through the predict command."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
import types
from pathlib import Path

import polars as pl
import pytest

from src.v2 import api, predict
from src.v2.config import MlflowConfig
from src.v2.errors import ConfigError
from src.v2.lifecycle.prediction_log import read_log
from src.v2.modeling.intervals import IntervalLevel, ReturnIntervals, horizon_volatility
from src.v2.modeling.model_file import save_model
from src.v2.tests.end_to_end.test_predict_reasons import place

INTERVALS = ReturnIntervals(
    400,
    80,
    300,
    (
        IntervalLevel(0.8, 1.3, 0.81, 0.75, 0.87, later=0.78, calm=0.73, other=0.83),
        IntervalLevel(0.95, 2.2, None, None, None),
        IntervalLevel(0.99, None, None, None, None),
    ),
)
DAY = str(place("regression")[0]["date"].max())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a model with intervals, one of classes, and their bars."""
    for kind, intervals in (("regression", INTERVALS), ("binary", None)):
        bars, model, card = place(kind)
        bars.write_parquet(tmp_path / "bars.parquet")
        data = {"source": "files", "path": str(tmp_path / "bars.parquet")}
        save_model(
            model, dataclasses.replace(card, data=data, intervals=intervals), tmp_path / kind
        )
    return tmp_path


def run(folder: Path, kind: str, *words: str) -> int:
    """Run the command inside a folder."""
    flags = ["--model", str(folder / kind), "--paths.logs-dir", str(folder / "logs")]
    return predict.main([*flags, "--paths.predictions-dir", str(folder / "log"), *words])


def test_one_ticker_is_its_row_of_the_full_ranking_to_the_bit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for style in ("csv", "json"):
        assert run(folder, "regression", "--format", style) == 0
        everything = capsys.readouterr().out
        assert run(folder, "regression", "--format", style, "--tickers", "T007") == 0
        alone = capsys.readouterr().out
        if style == "csv":
            head, line = alone.splitlines()
            assert everything.splitlines()[0] == head and line in everything.splitlines()
        else:
            (row,) = json.loads(alone)
            assert row in json.loads(everything)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_csv_and_json_hold_the_same_numbers_and_nothing_else_is_printed(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert run(folder, kind, "--format", "json") == 0
    records = json.loads(capsys.readouterr().out)
    assert run(folder, kind, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(records) == len(lines) == 24
    for record, line in zip(records, lines, strict=True):
        assert list(record) == list(line)
        for name, value in record.items():
            if isinstance(value, float):
                assert float(line[name]) == value
            elif name != "reasons":
                assert line[name] == (str(value).lower() if isinstance(value, bool) else str(value))
        assert line["reasons"] == "; ".join(record["reasons"])


@pytest.mark.parametrize(
    ("asked", "ranked"),
    [("2011-08-07", "2011-08-05"), ("2050-01-01", DAY), (DAY, DAY)],
    ids=["a Sunday", "the future", "the last session"],
)
def test_as_of_ranks_the_last_session_up_to_it(
    folder: Path, capsys: pytest.CaptureFixture[str], asked: str, ranked: str
) -> None:
    assert run(folder, "regression", "--as-of", asked, "--format", "json") == 0
    assert {row["date"] for row in json.loads(capsys.readouterr().out)} == {ranked}
    assert read_log(folder / "log")["hindsight"].all() == (ranked != DAY)


@pytest.mark.parametrize("kind", ["regression", "binary"])
def test_a_date_with_too_little_history_gives_an_empty_ranking_and_the_reasons(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    empty = {"json": "[]", "table": "No ticker can be forecast."}
    for style in ("csv", "json", "table"):
        assert run(folder, kind, "--as-of", "2010-01-20", "--format", style) == 0
        shown = capsys.readouterr()
        assert shown.err.count("is not ranked: ") == 24
        assert shown.out.strip() == empty.get(style, shown.out.strip())
        assert style != "csv" or shown.out.startswith("rank,ticker,date,")
        assert len(shown.out.splitlines()) == 1
    assert not (folder / "log").exists()
    assert run(folder, kind, "--as-of", "2009-12-31") == 2
    assert (
        "must not be before the first bar, of 2010-01-04; got 2009-12-31" in capsys.readouterr().err
    )


def test_tickers_are_found_in_any_case_and_unknown_ones_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "regression", "--tickers", "t007,T003", "--format", "json") == 0
    found = {row["ticker"] for row in json.loads(capsys.readouterr().out)}
    assert found == {"T003", "T007"}
    assert run(folder, "regression", "--tickers", "t007", "nope") == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "The model does not know nope: its universe is T000" in shown.err


def test_an_interval_is_the_cards_multiple_of_the_tickers_volatility(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars, _, card = place("regression")
    assert run(folder, "regression", "--format", "json") == 0
    shown = capsys.readouterr()
    volatility = horizon_volatility(bars, card.forward_days)
    known = dict(volatility.filter(pl.col("date") == bars["date"].max()).drop("date").iter_rows())
    for row in json.loads(shown.out):
        half = 1.3 * known[row["ticker"]]
        assert row["return_low"] == pytest.approx(row["predicted_return"] - half, rel=1e-9)
        assert row["return_high"] == pytest.approx(row["predicted_return"] + half, rel=1e-9)
    assert (
        "80% intervals, from what forecasts missed by before: those made in the walk-forward of "
        "earlier folds held 81.0% (95% interval 75.0% to 87.0%); 78.0% on the later half of the "
        "dates; 73.0% on the calmest fifth, 83.0% on the others."
    ) in shown.err
    assert run(folder, "regression") == 0
    table = capsys.readouterr().out
    assert "interval" in table and "% to +" in table


@pytest.mark.parametrize(
    ("level", "code", "words"),
    [
        ("0.95", 0, "their coverage could not be measured: too few dates"),
        ("0.99", 0, "no 99% interval: the walk-forward has 80 horizons, too few for it"),
        ("0.7", 2, "must be a level that the model's card holds: 0.8, 0.95, 0.99; got 0.7"),
    ],
)
def test_other_levels_are_given_as_far_as_the_card_has_them(
    folder: Path, capsys: pytest.CaptureFixture[str], level: str, code: int, words: str
) -> None:
    assert run(folder, "regression", "--coverage", level) == code
    assert words in capsys.readouterr().err


def test_a_card_of_before_has_no_interval_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "regression" / "card.json"
    content = json.loads(path.read_text())
    del content["intervals"], content["label_settings"]
    path.write_text(json.dumps(content))
    assert run(folder, "regression", "--format", "json") == 0
    shown = capsys.readouterr()
    assert "no interval: the model's card was written without" in shown.err
    assert {row["return_low"] for row in json.loads(shown.out)} == {None}
    assert run(folder, "regression") == 0
    assert "interval" not in capsys.readouterr().out.replace("intervals", "")


def test_classes_have_probabilities_instead(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "binary", "--format", "json") == 0
    shown = capsys.readouterr()
    assert "return_low" not in json.loads(shown.out)[0]
    assert "no interval: a classification gives probabilities" in shown.err
    assert read_log(folder / "log")["p_up"].null_count() == 0


def test_notebooks_choose_the_level() -> None:
    bars, model, card = place("regression")
    with_levels = dataclasses.replace(card, intervals=INTERVALS)
    narrow = api.predict(bars, model, with_levels).rows
    wide = api.predict(bars, model, with_levels, coverage=0.95).rows
    assert (wide["return_high"] > narrow["return_high"]).all()
    with pytest.raises(ConfigError, match=r"got 0\.5"):
        api.predict(bars, model, with_levels, coverage=0.5)


def test_every_ranking_is_logged_whole_and_once(folder: Path) -> None:
    for words in ([], ["--tickers", "T007"], ["--format", "json"]):
        assert run(folder, "regression", *words) == 0
    assert run(folder, "regression", "--predict.log", "false", "--as-of", "2011-07-01") == 0
    (file,) = (folder / "log").iterdir()
    log = read_log(folder / "log")
    assert file.name.startswith(DAY) and log.height == 24
    assert log["rank"].to_list() == list(range(1, 25))
    assert not log["in_sample"].any() and not log["hindsight"].any()
    assert log["coverage"].unique().to_list() == [0.8]


def test_the_log_keeps_which_model_it_was_and_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--paths.models-dir", str(folder), "--paths.logs-dir", str(folder / "logs")]
    words += ["--paths.predictions-dir", str(folder / "log"), "--format", "csv"]
    words += ["--mlflow.tracking-uri", f"sqlite:///{folder / 'none.db'}"]
    assert predict.main(words) == 0
    shown = capsys.readouterr()
    assert f"it is the newest in {folder}: sqlite:///{folder}/none.db has no champion" in shown.err
    assert not (folder / "none.db").exists()
    (why,) = read_log(folder / "log").select("chosen", "roles", "registered").unique().rows()
    assert why == ("newest", None, None)


def test_a_past_date_is_logged_as_hindsight(folder: Path) -> None:
    last_fitted = place("regression")[2].train_last
    assert run(folder, "regression", "--as-of", "2011-07-01") == 0
    assert run(folder, "regression", "--as-of", last_fitted) == 0
    log = read_log(folder / "log")
    assert log["hindsight"].all()
    marked = dict(log.group_by("date").agg(pl.col("in_sample").all()).iter_rows())
    assert sorted(marked.values()) == [False, True]


def test_a_log_that_cannot_be_written_costs_no_ranking(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log").write_text("a file where the folder should be")
    assert run(folder, "regression", "--format", "csv") == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 25
    assert shown.err.count("error:") == 1 and "--paths.predictions-dir" in shown.err


def test_a_registered_model_is_fetched_and_named_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def resolve(config: MlflowConfig, uri: str, cache: Path) -> types.SimpleNamespace:
        asked.append((uri, cache))
        version = types.SimpleNamespace(name="stock_prediction", version=3, aliases=("champion",))
        return types.SimpleNamespace(version=version, folder=folder / "regression")

    stand_in = types.SimpleNamespace(resolve=resolve)
    monkeypatch.setitem(sys.modules, "src.v2.tracking.registry", stand_in)
    named = "models:/stock_prediction@champion"
    words = ["--model", named, "--paths.models-dir", str(folder / "models")]
    words += ["--paths.logs-dir", str(folder / "logs")]
    assert predict.main([*words, "--paths.predictions-dir", str(folder / "log")]) == 0
    assert asked == [(named, folder / "models" / ".registry")]
    assert "model stock_prediction version 3 (champion), trained on rows" in capsys.readouterr().err
    log = read_log(folder / "log")
    names = log.select("registered", "version", "alias", "roles", "chosen").unique().rows()
    assert names == [("stock_prediction", "3", "champion", "champion", "named")]
