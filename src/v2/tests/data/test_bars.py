from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.v2.data.bars import (
    bars_fingerprint,
    clean_bars,
    clean_rows,
    find_bad_rows,
    find_equal_closes,
)
from src.v2.data.columns import NUMBERS, read_types
from src.v2.errors import DataError
from src.v2.records import Drop

FIRST = dt.date(2020, 1, 6)
GOOD = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 100.0}


def bars_of(tickers: dict[str, int], **columns: Any) -> pl.DataFrame:
    rows = [
        {"date": FIRST + dt.timedelta(days=n), "ticker": name, **GOOD, **columns}
        for name, count in tickers.items()
        for n in range(count)
    ]
    return pl.DataFrame(rows)


def spoiled(**cells: Any) -> pl.DataFrame:
    """Five good bars of A, the third of them changed."""
    rows = bars_of({"A": 5}).to_dicts()
    rows[2] |= cells
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"date": None}, "date is missing"),
        ({"ticker": None}, "ticker is empty"),
        ({"ticker": "  "}, "ticker is empty"),
        ({"close": None}, "close is missing"),
        ({"close": math.nan}, "close is missing"),
        ({"close": math.inf, "high": 11.0}, "close is infinite"),
        ({"close": 0.0}, "close is not positive"),
        ({"close": -1.0}, "close is not positive"),
        ({"open": math.inf}, "open is infinite"),
        ({"open": 0.0}, "open is not positive"),
        ({"low": -9.0}, "low is not positive"),
        ({"high": 8.0, "low": 9.0}, "high is below low"),
        ({"open": 11.2}, "open or close is above high"),
        ({"close": 11.2}, "open or close is above high"),
        ({"open": 8.9}, "open or close is below low"),
        ({"close": 8.9}, "open or close is below low"),
        ({"volume": -1.0}, "volume is negative"),
        ({"volume": math.inf}, "volume is infinite"),
    ],
)
def test_a_bad_value_costs_its_row(cells: dict[str, Any], rule: str) -> None:
    raw = spoiled(**cells)
    assert find_bad_rows(read_types(raw))["rule"].to_list() == [rule]
    bars, drops = clean_bars(raw, min_history=2, max_dropped_share=0.5)
    name = (cells.get("ticker", "A") or "").strip() or "(empty)"
    assert drops == (Drop(name, rule, 1, whole_ticker=False),)
    assert bars.height == 4


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("date", "soon", "date is no date"),
        ("date", "2020-02-31", "date is no date"),
        ("close", "ten", "close is no number"),
        ("open", "1.2.3", "open is no number"),
        ("volume", "12,34", "volume is no number"),
    ],
)
def test_text_that_cannot_be_read_costs_its_row(name: str, text: str, rule: str) -> None:
    raw = bars_of({"A": 5}).with_columns(pl.col(name).cast(pl.String))
    cells = raw[name].to_list()
    cells[2] = text
    raw = raw.with_columns(pl.Series(name, cells))
    bars, drops = clean_bars(raw, min_history=2, max_dropped_share=0.5)
    assert drops == (Drop("A", rule, 1, whole_ticker=False),)
    assert bars.height == 4 and bars.schema["close"] == pl.Float64


@pytest.mark.parametrize("name", ["open", "high", "low", "volume"])
def test_a_missing_value_elsewhere_costs_nothing(name: str) -> None:
    for missing in (None, math.nan):
        bars, drops = clean_bars(spoiled(**{name: missing}), 2, 0.0)
        assert drops == () and bars.height == 5 and bars[name].null_count() == 1
    assert clean_bars(bars_of({"A": 3}).drop(name), 2, 0.0)[0].height == 3
    absent, _ = clean_bars(bars_of({"A": 3}, **{name: None}), 2, 0.0)
    assert name not in absent.columns


def test_equal_duplicates_leave_one_row_and_differing_ones_none() -> None:
    good = bars_of({"A": 5, "B": 5})
    third = good[2]
    other = good[7].with_columns(close=pl.lit(10.6))
    raw = pl.concat([good, third, third, other, good[7]])
    bars, drops = clean_bars(raw, min_history=2, max_dropped_share=0.5)
    assert drops == (
        Drop("A", "equal duplicates of a date", 2, whole_ticker=False),
        Drop("B", "duplicates of a date that differ", 3, whole_ticker=False),
    )
    assert bars.equals(pl.concat([good[:7], good[8:]]))


def test_a_bad_duplicate_leaves_the_good_one() -> None:
    raw = pl.concat([bars_of({"A": 3}), bars_of({"A": 1}, close=-1.0)])
    bars, drops = clean_bars(raw, 2, 0.5)
    assert bars.height == 3 and [drop.reason for drop in drops] == ["close is not positive"]


def test_order_does_not_matter() -> None:
    good = bars_of({"A": 5, "B": 5})
    bars, drops = clean_bars(good.reverse(), 2, 0.0)
    assert bars.equals(good) and drops == ()


def test_disorder_within_rounding_is_repaired() -> None:
    raw = spoiled(high=10.4999, low=10.0001)
    cleaned = clean_rows(read_types(raw), 2)
    assert cleaned.repaired == 1 and cleaned.drops == ()
    assert cleaned.bars["high"][2] == 10.5 and cleaned.bars["low"][2] == 10.0
    exact = clean_rows(read_types(bars_of({"A": 3})), 2)
    assert exact.repaired == 0


def test_short_tickers_are_dropped_whole() -> None:
    raw = pl.concat([bars_of({"A": 10, "B": 4}), bars_of({"C": 3}, close=-1.0)])
    bars, drops = clean_bars(raw, min_history=5, max_dropped_share=0.8)
    assert bars["ticker"].unique().to_list() == ["A"]
    assert drops == (
        Drop("B", "fewer than 5 bars (data.min_history)", 4, whole_ticker=True),
        Drop("C", "close is not positive", 3, whole_ticker=False),
        Drop("C", "no usable bar", 0, whole_ticker=True),
    )


def test_dates_off_the_exchange_calendar_are_dropped() -> None:
    raw = bars_of({"A": 20})
    bars, drops = clean_bars(raw, 2, 0.5, calendar="XNYS")
    # Two weekends and a half, and Martin Luther King's day.
    assert drops == (Drop("A", "date is no session of XNYS", 6, whole_ticker=False),)
    assert dt.date(2020, 1, 20) not in bars["date"] and dt.date(2020, 1, 21) in bars["date"]
    far = pl.concat([raw, raw[:1].with_columns(date=dt.date(2999, 1, 1))])
    assert clean_bars(far, 2, 0.5, calendar="XNYS")[1][0].rows == 7
    none = raw[:3].with_columns(date=pl.lit(None, pl.Date))
    assert clean_rows(none, 2, calendar="XNYS").bars.is_empty()


def test_own_columns_are_kept_and_checked() -> None:
    raw = bars_of({"A": 5}, junk=1.0)
    raw = raw.with_columns(eps=pl.Series([1.0, 2.0, math.inf, math.nan, None]))
    bars, drops = clean_bars(raw, 2, 0.5, own_columns=("eps",))
    assert drops == (Drop("A", "eps is infinite", 1, whole_ticker=False),)
    assert bars.columns[-1] == "eps" and bars["eps"].to_list() == [1.0, 2.0, None, None]


def test_no_usable_ticker_is_one_clear_error() -> None:
    raw = pl.concat([bars_of({"A": 3, "B": 4}), bars_of({"C": 3}, close=-1.0)])
    text = (
        r"^No ticker of 3 can be used \(tickers: 2 x fewer than 252 bars "
        r"\(data.min_history\): A, B; rows: 3 x close is not positive\). "
        r"Check the source, or lower data.min_history.$"
    )
    with pytest.raises(DataError, match=text):
        clean_bars(raw, 252, 1.0)
    with pytest.raises(DataError, match=r"No ticker of 0 can be used \(there are no bars\)"):
        clean_bars(raw.clear(), 252, 1.0)


def test_no_usable_ticker_shows_a_cell_that_cannot_be_read() -> None:
    raw = bars_of({"A": 3}).with_columns(close=pl.lit("49,84417,1\x1b[2J"))
    text = (
        r"^No ticker of 1 can be used \(rows: 3 x close is no number; "
        r"for example close is no number: '49,84417,1\\x1b\[2J'\). Check the source.$"
    )
    with pytest.raises(DataError, match=text):
        clean_bars(raw, 2, 1.0)


@pytest.mark.parametrize("ticker", ["A\x1b[2J", "A\x00", "A\tB", "A\x7f", "A\x85B"])
def test_control_characters_in_a_ticker_cost_its_rows(ticker: str) -> None:
    raw = pl.concat([bars_of({"A": 5}), bars_of({ticker: 2})])
    bars, drops = clean_bars(raw, 2, 0.5)
    assert bars["ticker"].unique().to_list() == ["A"]
    reasons = [(drop.reason, drop.rows) for drop in drops]
    assert reasons == [("ticker holds a control character", 2), ("no usable bar", 0)]
    assert all(drop.ticker.isprintable() for drop in drops)


def test_commas_that_may_be_either_mark_are_refused() -> None:
    raw = bars_of({"A": 3}).with_columns(close=pl.lit("50,109"))
    with pytest.raises(DataError, match=r"column close is ambiguous: '50,109' may be 50.109 or"):
        clean_bars(raw, 2, 0.5)


def test_too_many_losses_are_an_error() -> None:
    raw = pl.concat([bars_of({"A": 6}), bars_of({"B": 4}, close=-1.0)])
    rows = r"max_dropped_share lets 30.0% of the rows be dropped; 40.0% were \(4 x close is not"
    with pytest.raises(DataError, match=rows):
        clean_bars(raw, 2, 0.3)
    tickers = r"lets 45.0% of the tickers be dropped; 50.0% were \(1 x no usable bar: B\). Repair"
    with pytest.raises(DataError, match=tickers):
        clean_bars(raw, 2, 0.45)
    assert clean_bars(raw, 2, 0.5)[0].height == 6


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="columns date, ticker and close; ticker is not there"):
        clean_bars(bars_of({"A": 3}).drop("ticker"), 2, 0.5)


def test_runs_of_equal_closes() -> None:
    closes = [1.0] * 12 + [2.0] * 10 + [3.0] * 11
    raw = bars_of({"A": 33, "B": 5, "C": 11})
    raw = raw.with_columns(pl.Series("close", closes + [3.0] * 5 + [3.0] * 11)).drop("low", "high")
    found = find_equal_closes(raw)
    assert found.rows() == [
        ("A", 12, FIRST + dt.timedelta(days=11)),
        ("A", 11, FIRST + dt.timedelta(days=32)),
        ("C", 11, FIRST + dt.timedelta(days=10)),
    ]
    assert find_equal_closes(raw.clear()).is_empty()


price = st.one_of(
    st.floats(0.5, 2.0), st.sampled_from([0.0, -1.0, 1.0, math.nan, math.inf]), st.none()
)
row = st.fixed_dictionaries(
    {
        "date": st.one_of(st.none(), st.dates(FIRST, FIRST + dt.timedelta(days=12))),
        "ticker": st.sampled_from(["A", "B", "C", "", None]),
        **dict.fromkeys(NUMBERS, price),
    }
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(row, max_size=40), min_history=st.integers(2, 4))
def test_every_row_is_kept_or_counted(rows: list[dict[str, Any]], min_history: int) -> None:
    schema = {"date": pl.Date, "ticker": pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
    raw = pl.DataFrame(rows, schema=schema)
    cleaned = clean_rows(read_types(raw), min_history)
    bars = cleaned.bars
    assert bars.height + sum(drop.rows for drop in cleaned.drops) == len(rows) == cleaned.rows
    assert bars.select("ticker", "date").is_unique().all()
    assert bars.equals(bars.sort("ticker", "date"))
    assert find_bad_rows(bars).is_empty()
    kept = set(bars["ticker"])
    whole = [drop.ticker for drop in cleaned.drops if drop.whole_ticker]
    assert sorted([*whole, *kept]) == sorted({item["ticker"] for item in rows if item["ticker"]})
    assert all(count >= min_history for count in bars["ticker"].value_counts()["count"])
    again = clean_rows(read_types(bars), min_history)
    assert again.bars.equals(bars) and again.drops == () and again.repaired == 0


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(row, max_size=30), shuffle=st.randoms())
def test_cleaning_does_not_depend_on_the_order(rows: list[dict[str, Any]], shuffle: Any) -> None:
    schema = {"date": pl.Date, "ticker": pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
    first = clean_rows(read_types(pl.DataFrame(rows, schema=schema)), 2)
    shuffle.shuffle(rows)
    second = clean_rows(read_types(pl.DataFrame(rows, schema=schema)), 2)
    assert first.bars.equals(second.bars) and first.drops == second.drops


def test_the_fingerprint_is_of_the_content() -> None:
    bars = bars_of({"A": 5, "B": 5}).with_columns(volume=pl.Series([None, 0.0] + [1.0] * 8))
    mark = bars_fingerprint(bars)
    assert len(mark) == 32 and int(mark, 16)
    assert bars_fingerprint(bars.sample(fraction=1.0, shuffle=True, seed=1)) == mark
    assert bars_fingerprint(bars.select(reversed(bars.columns))) == mark
    chunks = pl.concat([bars[:3], bars[3:4], bars[4:]], rechunk=False)
    assert chunks.n_chunks() == 3 and bars_fingerprint(chunks) == mark
    minus = bars.with_columns(
        pl.when(pl.col("volume") == 0).then(-0.0).otherwise("volume").alias("volume")
    )
    assert bars_fingerprint(minus) == mark


@pytest.mark.parametrize(
    "change",
    [
        pl.col("close") * (1 + 1e-15),
        pl.col("ticker").replace("B", "C"),
        pl.col("date").dt.offset_by("1d"),
        pl.col("volume").fill_null(0.0),
        pl.lit(1.0).alias("eps"),
    ],
)
def test_any_change_changes_the_fingerprint(change: pl.Expr) -> None:
    bars = bars_of({"A": 5, "B": 5}).with_columns(volume=pl.Series([None] + [1.0] * 9))
    assert bars_fingerprint(bars.with_columns(change)) != bars_fingerprint(bars)
    assert bars_fingerprint(bars.rename({"open": "opened"})) != bars_fingerprint(bars)


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    assert bars_fingerprint(bars_of({"A": 2})) == "42df2d3b7062915f54b652223679bee3"
