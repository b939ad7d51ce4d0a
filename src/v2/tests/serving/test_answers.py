"""What is answered is what predict says of the same bars."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from src.v2 import api, serve
from src.v2.errors import ModelError
from src.v2.serving.package import package_scorer
from src.v2.serving.reference import needed_sessions
from src.v2.serving.requests import MOST_ROWS, RequestError, joined_bars, read_request, rules_of
from src.v2.tests.serving.conftest import Served, as_rows, build

ADDED = ("ranked", "verdict", "in_sample")


def predicted(served: Served, bars: pl.DataFrame, *tickers: str) -> pl.DataFrame:
    model, card = api.load(served.model)
    return api.predict(bars, model, card).rows.filter(pl.col("ticker").is_in(tickers))


def refusal(served: Served, rows: pl.DataFrame, as_of: str = "") -> str:
    with pytest.raises(RequestError) as error:
        served.scorer.answer(rows, as_of)
    return str(error.value)


def test_given_bars_are_answered_as_predict_ranks_them_to_the_bit(served: Served) -> None:
    held = served.scorer.reference.bars
    answer = served.scorer.answer(served.rows("T007", "T003"))
    assert_frame_equal(
        answer.drop(ADDED), predicted(served, held, "T003", "T007"), check_exact=True
    )
    assert set(answer["ranked"]) == {24}
    assert set(answer["verdict"]) == {served.scorer.card.verdict}
    assert set(answer["in_sample"]) == {False}


def test_a_changed_bar_replaces_that_of_its_ticker_and_date(served: Served) -> None:
    changed = served.rows("T003", last=3).with_columns(
        pl.col("open", "high", "low", "close") * 1.5, pl.col("volume") * 4
    )
    answer = served.scorer.answer(changed)
    held = served.scorer.reference.bars
    new = changed.with_columns(pl.col("date").str.to_date()).select(held.columns)
    joined = pl.concat([held.join(new, on=["ticker", "date"], how="anti"), new])
    assert_frame_equal(answer.drop(ADDED), predicted(served, joined, "T003"), check_exact=True)
    plain = served.scorer.answer(served.rows("T003"))
    assert answer["close"][0] != plain["close"][0]
    assert answer["score"][0] != plain["score"][0] or answer["reasons"][0].to_list() != (
        plain["reasons"][0].to_list()
    )


def test_a_bar_that_the_reference_lacks_is_added(served: Served) -> None:
    held = served.scorer.reference
    last = held.sessions[-1]
    without = held.bars.filter((pl.col("ticker") != "T005") | (pl.col("date") < last))
    lacking = dataclasses.replace(held, bars=without)
    request = read_request(served.rows("T005"), "", lacking, rules_of(served.scorer.card))
    assert_frame_equal(joined_bars(lacking, request), held.bars, check_exact=True)


def test_an_earlier_decision_sees_nothing_later(served: Served) -> None:
    days = served.scorer.reference.sessions
    day = days[-20]
    rows = served.rows("T001", last=40)
    answer = served.scorer.answer(rows, day.isoformat())
    until = served.scorer.reference.bars.filter(pl.col("date") <= day)
    assert_frame_equal(answer.drop(ADDED), predicted(served, until, "T001"), check_exact=True)


def test_probabilities_are_served_too(make_served: Callable[[str], Served]) -> None:
    served = make_served("classification")
    answer = served.scorer.answer(served.rows("T001", "T002"))
    held = served.scorer.reference.bars
    assert_frame_equal(
        answer.drop(ADDED), predicted(served, held, "T001", "T002"), check_exact=True
    )
    shares = answer.select(pl.sum_horizontal("^p_.*$")).to_series()
    assert shares.to_list() == pytest.approx([1, 1])


def test_the_package_carries_the_look_back_and_a_year_more(served: Served) -> None:
    card = served.scorer.card
    needed = needed_sessions(card)
    assert len(served.scorer.reference.sessions) == min(needed + 252, 1100)
    whole = predicted(served, served.bars, "T000", "T001", "T002")
    cut = served.scorer.answer(served.rows("T000", "T001", "T002"))
    assert cut["rank"].to_list() == whole["rank"].to_list()
    assert cut["score"].to_list() == pytest.approx(whole["score"].to_list(), rel=1e-6, abs=1e-9)


def test_rows_before_the_reference_are_not_needed(served: Served) -> None:
    whole = as_rows(served.bars.filter(pl.col("ticker") == "T004"))
    assert_frame_equal(
        served.scorer.answer(whole), served.scorer.answer(served.rows("T004")), check_exact=True
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticker": "NEW"}, "does not know 'NEW'.*24 tickers"),
        ({"date": "2035-01-05"}, "lack 2035-01-05.*python -m src.v2.serve"),
        ({"date": "2014-03-15"}, "lack 2014-03-15"),
        ({"date": "05/01/2014"}, "text as 2024-01-31; row 1 has '05/01/2014'"),
        ({"date": "2014-3-21"}, "text as 2024-01-31"),
        ({"date": "0000-01-01"}, "text as 2024-01-31"),
        ({"date": "-001-01-01"}, "text as 2024-01-31"),
        ({"date": "9999-12-31"}, "lack 9999-12-31"),
        ({"date": None}, "date of row 1 is missing"),
        ({"ticker": None}, "ticker of row 1 is missing"),
        ({"ticker": ""}, "breaks a rule: ticker is empty"),
        ({"close": math.nan}, "close of row 1 is missing or no finite number"),
        ({"volume": math.inf}, "volume of row 1"),
        ({"close": -1.0}, "close is not positive"),
        ({"volume": -1.0}, "volume is negative"),
        ({"high": 0.01}, "above high|below low"),
    ],
)
def test_a_bad_cell_is_named(served: Served, change: dict[str, Any], message: str) -> None:
    row = served.rows("T003").with_columns(
        pl.lit(value, dtype=pl.String if name in ("date", "ticker") else pl.Float64).alias(name)
        for name, value in change.items()
    )
    assert re.search(message, refusal(served, row))


@pytest.mark.parametrize("price", [1e308, 5e-324, 1e5, 1e-3])
def test_a_price_far_from_the_carried_ones_is_refused(served: Served, price: float) -> None:
    row = served.rows("T003").with_columns(
        pl.lit(price).alias(name) for name in ("open", "high", "low", "close")
    )
    known = served.rows("T003")["close"][0]
    found = refusal(served, row)
    assert "within a factor of 1,000 of the ticker's nearest carried close" in found
    assert f"open of 'T003' on 2014-03-21 is {price:g}, that close is {known:g}" in found


@given(st.floats(-6, 6), st.sampled_from(["T003", "T009"]), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_prices_are_refused_exactly_beyond_the_factor(
    served: Served, power: float, ticker: str, last: int
) -> None:
    assume(abs(abs(power) - 3) > 1e-9)
    held = served.scorer.reference
    rows = served.rows(ticker, last=last).with_columns(
        pl.col("open", "high", "low", "close").first() * 10**power
    )
    # The widest of the factors, looked up row by row.
    factors = [
        abs(math.log10(row[name] / row["known"]))
        for row in rows.join(
            as_rows(held.bars).select("date", "ticker", known="close"), on=["date", "ticker"]
        ).to_dicts()
        for name in ("open", "high", "low", "close")
    ]
    assume(abs(max(factors) - 3) > 1e-9)
    if max(factors) < 3:
        assert_read(rows, served)
    else:
        with pytest.raises(RequestError, match="factor of 1,000"):
            assert_read(rows, served)


def assert_read(rows: pl.DataFrame, served: Served) -> None:
    widened = rows.with_columns(
        high=pl.max_horizontal("open", "high", "low", "close"),
        low=pl.min_horizontal("open", "high", "low", "close"),
    )
    read = read_request(widened, "", served.scorer.reference, rules_of(served.scorer.card))
    assert read.tickers == tuple(rows["ticker"].unique())


def test_a_ticker_without_carried_bars_is_held_to_its_own_first_close(served: Served) -> None:
    held = served.scorer.reference
    young = dataclasses.replace(held, bars=held.bars.filter(pl.col("ticker") != "T005"))
    rows = served.rows("T005", last=3)
    rules = rules_of(served.scorer.card)
    assert read_request(rows, "", young, rules).changed.height == 3
    last = pl.col("date") == rows["date"].max()
    prices = pl.col("open", "high", "low", "close")
    far = rows.with_columns(pl.when(last).then(prices * 2000).otherwise(prices).name.keep())
    with pytest.raises(RequestError, match="factor of 1,000"):
        read_request(far, "", young, rules)


def test_a_missing_column_is_named(served: Served) -> None:
    assert "close is missing" in refusal(served, served.rows("T003").drop("close"))


def test_no_row_and_too_many_rows_are_refused(served: Served) -> None:
    row = served.rows("T003")
    assert "got 0" in refusal(served, row.clear())
    assert "got 50,001" in refusal(served, pl.concat([row] * (MOST_ROWS + 1)))


def test_two_rows_of_one_ticker_and_date_are_refused(served: Served) -> None:
    row = served.rows("T003")
    assert "one row a date; 'T003' has several" in refusal(served, pl.concat([row, row]))


def test_a_date_between_sessions_is_refused(served: Served) -> None:
    row = served.rows("T003")
    weekend = row.with_columns(date=pl.lit("2014-03-15"))
    assert "2014-03-15 (ticker 'T003') is none" in refusal(served, pl.concat([row, weekend]))


def test_too_short_a_history_before_the_decision_is_refused(served: Served) -> None:
    first = served.scorer.reference.sessions[0]
    needed = needed_sessions(served.scorer.card)
    found = refusal(served, served.rows("T003"), first.isoformat())
    assert f"needs {needed} sessions" in found
    earliest = served.scorer.reference.sessions[needed - 1]
    assert f"Ask for {earliest} or later" in found
    assert served.scorer.answer(served.rows("T003"), earliest.isoformat()).height == 1


def test_a_ticker_with_too_few_bars_of_its_own_is_refused(served: Served) -> None:
    held = served.scorer.reference
    others = held.bars.filter(pl.col("ticker") != "T005")
    young = dataclasses.replace(held, bars=others)
    scorer = type(served.scorer)(served.scorer.model, served.scorer.card, young)
    with pytest.raises(RequestError, match="T005: 5 bars, 127 needed"):
        scorer.answer(served.rows("T005", last=5))
    assert scorer.answer(served.rows("T005", last=200)).height == 1


def test_as_of_must_be_a_date(served: Served) -> None:
    for text in ("soon", "20140321", "2014-02-31", "x" * 10_000):
        assert "as_of must be a date" in refusal(served, served.rows("T003"), text)
        assert len(refusal(served, served.rows("T003"), text)) < 300


TEXT = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["T003", "2014-03-21"]))
NUMBER = st.one_of(st.none(), st.floats(), st.sampled_from([20.0, 21.0]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_sent_is_read_or_refused_in_words(served: Served, data: st.DataObject) -> None:
    held = served.scorer.reference
    count = data.draw(st.integers(0, 4))
    rows = pl.DataFrame(
        {
            name: pl.Series(
                data.draw(st.lists(kind, min_size=count, max_size=count)), dtype=dtype, strict=False
            )
            for name in held.bars.columns
            for kind, dtype in [
                (TEXT, pl.String) if name in ("date", "ticker") else (NUMBER, pl.Float64)
            ]
        }
    )
    try:
        request = read_request(rows, "", held, rules_of(served.scorer.card))
    except RequestError as error:
        assert 20 < len(str(error)) < 600
    else:
        assert request.tickers == ("T003",)
        bars = joined_bars(held, request)
        assert bars.height == held.bars.filter(pl.col("date") <= request.day).height


def test_building_again_replaces_a_package_and_nothing_else(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "notes"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert build(served.place, served.model, other) == 2
    assert "is no package" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["mine.txt"]
    assert build(served.place, served.package, other / "new") == 2
    assert "is a package already" in capsys.readouterr().err
    about = served.package / "artifacts" / "reference" / "reference.json"
    before = json.loads(about.read_text())
    (served.package / "stale").write_text("")
    assert build(served.place, served.model, served.package) == 0
    assert not (served.package / "stale").exists()
    assert json.loads(about.read_text()) == before
    assert [path.name for path in served.package.parent.iterdir()] == ["a package"]


def test_a_package_does_not_make_own_features_run_unnamed(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(served.package, copy)
    card = copy / "artifacts" / "model" / "card.json"
    content = json.loads(card.read_text()) | {"module_hashes": {"mine.py": "0" * 64}}
    card.write_text(json.dumps(content))
    bars = tmp_path / "bars.csv"
    served.rows("T003").write_csv(bars)
    words = [*served.place.flags(), "--model", str(copy), "--score", str(bars)]
    assert serve.main(words) == 2
    assert "name them yourself, --features.modules mine.py" in capsys.readouterr().err


def test_a_damaged_package_is_told(served: Served, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(served.package, copy)
    (copy / "artifacts" / "reference" / "bars.parquet").write_bytes(b"no parquet")
    with pytest.raises(ModelError, match=r"is damaged\. Build the package again"):
        package_scorer(copy)


def test_a_file_is_scored_into_a_file(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = tmp_path / "bars.csv"
    served.rows("T003", "T009", last=10).write_csv(bars)
    words = [*served.place.flags(), "--model", str(served.package), "--score", str(bars)]
    assert serve.main(words) == 0
    shown = pl.read_csv(capsys.readouterr().out.encode(), try_parse_dates=True)
    expected = served.scorer.answer(served.rows("T003", "T009", last=10))
    assert shown["ticker"].to_list() == expected["ticker"].to_list()
    assert shown["score"].to_list() == expected["score"].to_list()
    assert shown["reasons"][0] == "; ".join(expected["reasons"][0])
    for ending, read in ((".parquet", pl.read_parquet), (".json", pl.read_json)):
        out = tmp_path / f"scores{ending}"
        assert serve.main([*words, "--out", str(out)]) == 0
        found: pl.DataFrame = read(out)
        assert found["score"].to_list() == expected["score"].to_list()
        assert found["reasons"].to_list() == expected["reasons"].to_list()


def test_a_registered_model_is_found_by_its_alias(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = tmp_path / "bars.csv"
    served.rows("T003").write_csv(bars)
    words = [*served.place.flags(), "--model", "models:/stock_prediction@challenger"]
    assert serve.main([*words, "--score", str(bars)]) == 0
    shown = capsys.readouterr()
    assert "stock_prediction version 1 (challenger); 1 of 24 tickers" in shown.err
    assert "p_up" in shown.out
    assert serve.main([*words[:-1], "models:/stock_prediction@none", "--score", str(bars)]) == 2
    assert "has the alias 'none'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--score", "nowhere.csv"], "--score must be a file of bars"),
        (["--score", "nowhere.csv", "--out", "a.xlsx"], "--out must end in"),
        (["--out", "a.csv"], "need score"),
        (["--score", "a.csv", "--build-only", "b"], "exclude each other"),
    ],
)
def test_wrong_words_are_told(
    served: Served, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    flags = [*served.place.flags(), "--model", str(served.package)]
    assert serve.main([*flags, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_taken_port_is_told_at_once(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert serve.main([*served.place.flags(), "--port", str(port)]) == 2
    found = capsys.readouterr().err
    assert f"serve.port must be free on 127.0.0.1; {port} is in use" in found
    assert f"make serve PORT={port + 1}" in found
