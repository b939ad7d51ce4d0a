from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.v2.data.columns import match_names, read_dates, read_types
from src.v2.data.numbers import read_numbers
from src.v2.errors import DataError

DAY = dt.date(2020, 3, 14)
NOON = dt.datetime(2020, 3, 14, 12, 30)


@pytest.mark.parametrize(
    "cells",
    [
        [DAY],
        [NOON],
        ["2020-03-14"],
        ["2020-03-14 00:00:00-04:00"],
        ["2020-03-14T23:59:59Z"],
        [" 2020/03/14 "],
        ["20200314"],
        ["03/14/2020"],
        ["14/03/2020"],
        ["14.03.2020"],
        ["14-Mar-2020"],
        ["Mar 14, 2020"],
        ["3/14/2020 0:00"],
        [20200314],
        [20200314.0],
        [1584144000],
        [1584144000_000],
        [1584144000_000_000],
        [1584144000_000_000_000],
    ],
)
def test_dates_are_read(cells: list[Any]) -> None:
    assert read_dates(pl.Series(cells)).to_list() == [DAY]


def test_a_time_is_its_date_in_its_own_zone() -> None:
    late = pl.Series([dt.datetime(2020, 3, 14, 23, 0)])
    assert read_dates(late.dt.replace_time_zone("America/New_York")).to_list() == [DAY]
    assert read_dates(late.dt.replace_time_zone("Asia/Tokyo")).to_list() == [DAY]


def test_one_format_counts_for_a_whole_column() -> None:
    cells = pl.Series(["01/02/2020", "13/02/2020", None, "n/a"])
    expected = [dt.date(2020, 2, 1), dt.date(2020, 2, 13), None, None]
    assert read_dates(cells).to_list() == expected
    american = pl.Series(["01/02/2020", "02/13/2020"])
    assert read_dates(american).to_list() == [dt.date(2020, 1, 2), dt.date(2020, 2, 13)]


@pytest.mark.parametrize("cells", [[1, 2, 3], [0.5], [True], ["x"], [None], []])
def test_what_is_no_date_is_null(cells: list[Any]) -> None:
    read = read_dates(pl.Series(cells))
    assert read.dtype == pl.Date and read.null_count() == len(cells)


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_survive_as_text(numbers: list[float]) -> None:
    text = pl.Series([repr(number) for number in numbers])
    assert read_numbers(text).to_list() == numbers


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt8, pl.Float32, pl.Decimal(10, 2), pl.String])
def test_numbers_of_any_type_are_read(dtype: Any) -> None:
    read = read_numbers(pl.Series([1, 2, None]).cast(dtype))
    assert read.dtype == pl.Float64 and read.to_list() == [1.0, 2.0, None]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["50,109", "49,25"], [50.109, 49.25]),
        (["50,109", "49", "-0,125", "n/a"], [50.109, 49.0, -0.125, None]),
        (["1.234,56", "50,109", "1.234"], [1234.56, 50.109, 1234.0]),
        (["1.234.567", "1,5"], [1234567.0, 1.5]),
        (["1,234.5", "1,234", "999"], [1234.5, 1234.0, 999.0]),
        (["1,234", "12.5"], [1234.0, 12.5]),
        (["1,234,567", "1,234"], [1234567.0, 1234.0]),
        (["0,123", "1,234"], [0.123, 1.234]),
        # Cells that contradict each other: the mark of most counts, and nothing is guessed.
        (["50.1", "50.2", "50,109", "49,25"], [50.1, 50.2, None, None]),
        (["50,1", "50,2", "50,109", "49.25"], [50.1, 50.2, None, None]),
        (["1.2.3", "1,,5", "1,234,56"], [None, None, None]),
    ],
)
def test_one_decimal_mark_counts_for_a_column(
    cells: list[str], expected: list[float | None]
) -> None:
    assert read_numbers(pl.Series("close", cells), thousands=False).to_list() == expected


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_a_price_that_may_be_read_two_ways_is_refused(name: str) -> None:
    raw = pl.DataFrame({name: ["50,109", "49"]})
    text = rf"^The column {name} is ambiguous: '50,109' may be 50.109 or 50109. Write decimals"
    with pytest.raises(DataError, match=text):
        read_types(raw)
    assert read_types(pl.DataFrame({"volume": ["50,109", "49"]}))["volume"].sum() == 50158.0


@pytest.mark.parametrize("dates", [["01/02/2019", "01/03/2019"], ["03/04/2019"]])
def test_dates_that_never_tell_day_from_month_are_refused(dates: list[str]) -> None:
    text = rf"^The column date must tell day from month; '{dates[0]}' can be read in two ways"
    with pytest.raises(DataError, match=text):
        read_types(pl.DataFrame({"date": dates}))


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (["01/02/2019", "31/03/2019"], dt.date(2019, 2, 1)),
        (["01/02/2019", "03/31/2019"], dt.date(2019, 1, 2)),
        (["03/03/2019", ""], dt.date(2019, 3, 3)),
    ],
)
def test_one_date_tells_how_all_are_meant(dates: list[str], first: dt.date) -> None:
    assert read_types(pl.DataFrame({"date": dates}))["date"][0] == first


def test_names_in_any_case() -> None:
    names = ["Date", "SYMBOL", "Open", "HIGH", "low", "Close*", "Adj. Close", "Vol"]
    assert match_names(names) == {
        "date": "Date",
        "ticker": "SYMBOL",
        "open": "Open",
        "high": "HIGH",
        "low": "low",
        "adjusted close": "Adj. Close",
        "volume": "Vol",
    }
    assert match_names(["date", "timestamp", "Close", "close"]) == {
        "date": "date",
        "close": "Close",
    }
    assert match_names(["Datum", "Schluss"]) == {"date": "Datum", "close": "Schluss"}
    assert match_names(["Datum", "Schlusskurs"])["close"] == "Schlusskurs"
    assert match_names(["close", "volume"], own_columns=("volume",)) == {"close": "close"}


def test_unreadable_text_is_marked_and_missing_text_is_not() -> None:
    raw = pl.DataFrame({"close": ["1", "x", "null", " "], "volume": ["y", "y", "5", "-"]})
    typed = read_types(raw)
    assert typed["close"].to_list() == [1.0, None, None, None]
    marks = ["volume is no number", "close is no number", None, None]
    assert typed["unreadable"].to_list() == marks
    shown = ["volume is no number: 'y'", "close is no number: 'x'", None, None]
    assert typed["unreadable cell"].to_list() == shown
    assert read_types(typed).equals(typed)


def test_categories_and_blanks_around_tickers() -> None:
    raw = pl.DataFrame({"ticker": ["A ", " B"], "close": ["1", "2"]}).cast(pl.Categorical)
    typed = read_types(raw)
    assert typed.rows() == [("A", 1.0), ("B", 2.0)]


@pytest.mark.parametrize("cells", [[[1.0], [2.0]], [b"\xff1", b"2"], [{"a": 1}, {"a": 2}]])
def test_cells_of_odd_types_are_marked(cells: list[Any]) -> None:
    typed = read_types(pl.DataFrame({"close": cells}))
    assert typed["unreadable"].to_list() == ["close is no number"] * 2
