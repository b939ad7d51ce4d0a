"""Features in words that a reader without the code understands."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.v2.config import FeaturesConfig
from src.v2.explain.phrases import LONGEST, STATES, bare_doc, phrase, phrases, said_by_value
from src.v2.explain.traders_words import TRADERS_WORDS
from src.v2.features.families import active_features
from src.v2.features.seasonality import calendar_features

DOCS = {feature.name: feature.doc for feature in active_features(FeaturesConfig())}
SPOKEN = {
    "return_1": "return of 1 session",
    "return_60_rank": "return of 60 sessions (rank)",
    "return_20_relative": "return of 20 sessions minus the mean ticker's",
    "return_20_dispersion": "spread between tickers of the return of 20 sessions",
    "market_volatility_20": "market volatility of 20 sessions",
    "sma_distance_50": "close against its mean of 50 sessions",
    "volatility_ratio_10_60": "volatility of 10 sessions against that of 60 sessions",
    "downside_deviation_30": "downside volatility of 30 sessions",
    "rsi_14_rank": "RSI of 14 sessions (rank)",
    "beta_252": "beta of 252 sessions",
    "close_place_1": "place of the close in the day's range",
    "amihud_ratio_20_252": "illiquidity (Amihud) of 20 sessions against its median of 252 sessions",
}


@pytest.mark.parametrize("name", SPOKEN)
def test_a_feature_is_called_what_traders_call_it(name: str) -> None:
    assert phrase(name, DOCS) == SPOKEN[name]


def test_no_phrase_is_a_formula_or_a_column_name() -> None:
    for name, words in phrases(list(DOCS), DOCS).items():
        assert "_" not in words and ":" not in words and ";" not in words, name
        assert not re.search(r"#|[{}]|minus 1$|deviations|\d to \d$", words), name
        assert len(words) <= LONGEST and not words.endswith("…"), name


def test_every_two_features_are_told_apart_but_for_the_month() -> None:
    words = phrases(list(DOCS), DOCS)
    assert len(set(words.values())) == len(words) - 1
    assert words["month_sin"] == words["month_cos"]


def test_each_word_of_the_table_belongs_to_a_feature() -> None:
    docs = {re.sub(r"\d+", "#", bare_doc(doc)) for doc in DOCS.values()}
    assert set(TRADERS_WORDS) - docs == set()


def test_an_own_feature_speaks_by_its_doc_and_without_one_by_its_name() -> None:
    assert phrase("my_gap", {"my_gap": "Gap at the open (fraction): mine"}) == "Gap at the open"
    assert phrase("my_gap", {"my_gap": " "}) == phrase("my_gap", {}) == "my gap"
    assert phrase("volatility_7", {"volatility_7": "share {0} of mine"}) == "share {0} of mine"


def test_the_rank_of_a_feature_that_is_not_there_keeps_its_name() -> None:
    doc = "centred rank of my_gap among the tickers of the date: (rank - 0.5) / tickers"
    assert phrase("my_gap_rank", {"my_gap_rank": doc}) == "my gap (rank)"


def test_features_that_rank_each_other_come_to_an_end() -> None:
    doc = "centred rank of {} among the tickers of the date"
    docs = {"a": doc.format("b"), "b": doc.format("a"), "c": doc.format("c")}
    assert phrases(list(docs), docs)["a"] == f"{docs['b']} (rank)"
    assert phrases(list(docs), docs)["c"] == f"{docs['c']} (rank)"


@given(st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True), st.text(max_size=200))
@example("own", "=HYPERLINK(1)\x1b[31m; x\ny")
@example("own", "((((((")
def test_hostile_docs_are_one_short_line_that_no_spreadsheet_runs(name: str, doc: str) -> None:
    words = phrase(name, {name: doc})
    assert 0 < len(words) <= LONGEST
    assert words == " ".join(words.split())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f;]", words)
    assert words[0] not in "=+-@"


def test_the_calendar_is_said_as_the_date_reads() -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(366)]
    dates = pl.DataFrame({"date": days})
    made = dates.select(feature.expression.alias(feature.name) for feature in calendar_features())
    for day, row in zip(days, made.iter_rows(named=True), strict=True):
        said = {name: said_by_value(DOCS[name], value) for name, value in row.items()}
        assert f"{day:%B}" in (said["month_sin"] or "") and f"{day:%B}" in (said["month_cos"] or "")
        assert said["day_of_week"] == f"decided on a {day:%A}"
        near = day.day <= 4 or (day + dt.timedelta(days=4)).month != day.month
        assert (said["turn_of_month"] == "decided at the turn of a month") == near
    last = made.row(90, named=True)["quarter_left"]
    assert said_by_value(DOCS["quarter_left"], last) == "decided 0 days before the end of a quarter"


def test_a_missing_or_other_value_is_not_said() -> None:
    assert said_by_value(DOCS["day_of_week"], float("nan")) is None
    assert said_by_value(DOCS["rsi_14"], 0.5) is None


def test_a_regime_is_said_by_its_state() -> None:
    assert said_by_value(DOCS["regime_volatility"], 2.0) == "in a stormy market"
    assert said_by_value(DOCS["regime_bear"], 0.0) == "in no bear market"
    docs = {name: bare_doc(doc) for name, doc in DOCS.items()}
    assert {name for name, doc in docs.items() if doc in STATES} == {
        name for name in DOCS if name.startswith("regime_")
    }
    assert set(STATES) <= set(docs.values())
    for name, doc in docs.items():
        for value, words in enumerate(STATES.get(doc, ())):
            assert said_by_value(DOCS[name], value) == words
        assert doc not in STATES or said_by_value(DOCS[name], 3.0) is None
