"""Series of context are read from files as people have them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from src.v2.config import DataConfig
from src.v2.data.columns import NUMBERS, SCHEMA
from src.v2.data.context import Context, load_context, read_series, series_of
from src.v2.data.store_file import StoredBars, write_bars
from src.v2.errors import DataError

DAYS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]


@pytest.mark.parametrize(
    "content",
    [
        "date,open,high,low,close\n2024-01-03,1,9,1,14.5\n2024-01-02,1,9,1,13.5\n2024-01-04,,,,15",
        "DATE,VIXCLS\n2024-01-02,13.5\n2024-01-03,14.5\n2024-01-04,15\n2024-01-05,\n",
        "observation_date,VIXCLS\n2024-01-02,13.5\n2024-01-03,14.5\n2024-01-04,15\n",
        "Date;Schluss\n02.01.2024;13,5\n03.01.2024;14,5\n04.01.2024;15,0\n",
        "Date,Close,Adj Close\n01/02/2024,1,13.5\n01/03/2024,1,14.5\n01/04/2024,1,15\n01/16/2024"
        ",,\n",
        "date,name,level\n2024-01-02,x,13.5\n2024-01-02,x,13.5\n2024-01-03,x,14.5\n2024-01-04,x,15\n",
    ],
    ids=["yahoo", "fred", "fred today", "german", "adjusted", "equal twice"],
)
def test_dates_and_values_are_found(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vix.csv"
    path.write_text(content)
    rows, notes = read_series("vix", path)
    assert rows.to_dict(as_series=False) == {"date": DAYS, "value": [13.5, 14.5, 15.0]}
    assert rows.schema == {"date": pl.Date, "value": pl.Float64}
    assert notes == []


def test_a_parquet_file_with_pandas_index_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vix.parquet"
    pl.DataFrame({"__index_level_0__": DAYS, "value": [1.0, None, 3.0]}).write_parquet(path)
    rows, _ = read_series("vix", path)
    assert rows.rows() == [(DAYS[0], 1.0), (DAYS[2], 3.0)]


def test_what_the_store_of_bars_keeps_of_an_index_is_a_series(tmp_path: Path) -> None:
    prices = {name: [13.0, 14.0, 15.0] for name in NUMBERS}
    bars = pl.DataFrame({"date": DAYS, "ticker": "^VIX", **prices}, schema=SCHEMA)
    write_bars(tmp_path, "^VIX", StoredBars(bars, None, DAYS[-1], DAYS[-1]))
    rows, _ = read_series("vix", tmp_path / "_5eVIX.parquet")
    assert rows.rows() == list(zip(DAYS, [13.0, 14.0, 15.0], strict=True))


def test_rows_that_cannot_be_read_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "vix.csv"
    path.write_text("date,close\n2024-01-02,13.5\n2024-01-03,high\nsoon,1\n2024-01-04,inf\n")
    rows, notes = read_series("vix", path)
    assert rows.rows() == [(DAYS[0], 13.5)]
    assert notes == [f"{path}: rows left out: 2, the first for close is no number: 'high'"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"does not exist. Name it with --data.context vix=FILE"),
        ("date,close\n2024-01-02,1\n2024-01-02,2\n", r"one value a date; .* has 1 and 2 on 2024"),
        ("date,a,b\n2024-01-02,1,2\n", r"one column of numbers alone; .* has 'date', 'a', 'b'"),
        ("day1,close\nx,1\n", r"need a column date; .* has 'day1', 'close'"),
        ("date,close\n2024-01-02,\n", r"holds no value with a date"),
        ("date,note\n2024-01-02,high\n", r"one column of numbers alone"),
    ],
)
def test_a_file_that_is_no_series_is_refused_by_name(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "vix.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_series("vix", path)
    assert str(caught.value).startswith("data.context: the series vix ")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vix.xlsx"
    path.write_text("x")
    with pytest.raises(DataError, match=r"data.context must end in .*; got vix.xlsx"):
        read_series("vix", path)


def test_a_context_holds_what_the_configuration_names(tmp_path: Path) -> None:
    vix, sectors = tmp_path / "vix.csv", tmp_path / "sectors.csv"
    vix.write_text("date,close\n2024-01-02,13.5\n2024-01-03,14.5\n")
    sectors.write_text("ticker,sector\nA,Energy\n")
    config = DataConfig(
        context={"vix": vix, "other": tmp_path / "absent.csv"},
        sectors=sectors,
        context_lag=2,
        context_max_age=5,
    )
    with pytest.raises(DataError, match=r"the series other must be a file"):
        load_context(config)
    context = load_context(config, ["vix"])
    assert (context.sectors, context.lag, context.max_age) == ({"A": "Energy"}, 2, 5)
    assert context.series.keys() == {"vix"}
    assert context.until(DAYS[0]).series["vix"].rows() == [(DAYS[0], 13.5)]
    assert load_context(DataConfig()) == Context()


def test_a_frame_is_read_as_a_file_is() -> None:
    frame = pl.DataFrame({"Date": ["2024-01-03", "2024-01-02"], "px": [2, 1]})
    rows, _ = series_of(frame, "the series spx")
    assert rows.rows() == [(DAYS[0], 1.0), (DAYS[1], 2.0)]
