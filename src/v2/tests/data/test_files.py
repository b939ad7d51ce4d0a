from __future__ import annotations

import datetime as dt
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from src.v2.data.files import read_file, read_files
from src.v2.errors import DataError

DAYS = [dt.date(2020, 1, 2), dt.date(2020, 1, 3), dt.date(2020, 1, 6)]
LONG = pl.DataFrame(
    {
        "date": DAYS * 2,
        "ticker": ["A"] * 3 + ["B"] * 3,
        "open": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "close": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        "volume": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
    }
)
ONE = LONG[:3].drop("ticker")


def save_csv(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path)
    return path


def save_parquet(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


SAVE: dict[str, Callable[[pl.DataFrame, Path], Path]] = {"csv": save_csv, "parquet": save_parquet}


def sorted_bars(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.select(sorted(bars.columns)).sort("ticker", "date")


def same(bars: pl.DataFrame, expected: pl.DataFrame) -> bool:
    return sorted_bars(bars).equals(sorted_bars(expected))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "names",
    [
        ("date", "ticker", "open", "close", "volume"),
        ("Date", "Symbol", "Open", "Close", "Vol"),
        ("Timestamp", "CODE", "OPEN", "CLOSE", "VOLUME"),
        ("datetime", "symbol", "open", "close", "volume"),
    ],
)
def test_long_files(tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
    frame = LONG.rename(dict(zip(LONG.columns, names, strict=True)))
    path = SAVE[kind](frame, tmp_path / f"bars.{kind}")
    bars, notes = read_file(path)
    assert same(bars, LONG) and notes == []


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_file_a_ticker(tmp_path: Path, kind: str) -> None:
    for name in ("A", "BRK.B"):
        SAVE[kind](ONE, tmp_path / f"{name}.{kind}")
    (tmp_path / "README.md").write_text("no bars")
    (tmp_path / f"._A.{kind}").write_text("a shadow")
    (tmp_path / f"folder.{kind}").mkdir()
    read = read_files(tmp_path)
    expected = pl.concat(
        [ONE.with_columns(ticker=pl.lit("A")), ONE.with_columns(ticker=pl.lit("BRK.B"))]
    )
    assert same(read.bars, expected) and read.failed == () and read.notes == ()


def test_a_folder_may_mix_kinds_and_layouts(tmp_path: Path) -> None:
    save_csv(ONE, tmp_path / "C.csv")
    save_parquet(LONG.drop("volume"), tmp_path / "others.parquet")
    bars = read_files(tmp_path).bars
    assert sorted(bars["ticker"].unique()) == ["A", "B", "C"]
    assert bars.filter(pl.col("ticker") == "A")["volume"].null_count() == 3


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_wide_files(tmp_path: Path, kind: str) -> None:
    wide = pl.DataFrame(
        {"Date": DAYS, "AAPL": [1.0, 2.0, 3.0], "LOW": [4, 5, 6], "KO": [None, None, 9.0]}
    )
    bars, notes = read_file(SAVE[kind](wide, tmp_path / f"closes.{kind}"))
    assert bars.filter(pl.col("ticker") == "LOW")["close"].to_list() == [4.0, 5.0, 6.0]
    assert bars.filter(pl.col("ticker") == "KO").rows() == [(DAYS[2], "KO", 9.0)]
    assert notes == ["closes were read from a column a ticker"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["Adj Close", "adj_close", "adjusted", "AdjClose"])
def test_an_adjusted_close_scales_the_other_prices(tmp_path: Path, kind: str, name: str) -> None:
    frame = ONE.with_columns((pl.col("close") * 0.5).alias(name))
    bars, notes = read_file(SAVE[kind](frame, tmp_path / f"A.{kind}"))
    assert bars["close"].to_list() == [0.75, 1.25, 1.75]
    assert bars["open"].to_list() == [0.5, 1.0, 1.5]
    assert bars["volume"].to_list() == [10.0, 20.0, 30.0]
    assert notes == [f"prices were adjusted by '{name}'"]


def test_an_adjusted_close_alone_is_the_close(tmp_path: Path) -> None:
    path = save_csv(ONE.rename({"close": "Adj Close"}), tmp_path / "A.csv")
    bars, notes = read_file(path)
    assert bars.columns == ["date", "ticker", "volume", "close"]
    assert notes == [
        "only 'Adj Close' was there, so open, high and low, of another scale, were left out"
    ]


def test_indexes_saved_by_pandas(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"Close": [1.5, 2.5, 3.5]}, index=pd.DatetimeIndex(DAYS))
    expected = ONE.select("date", "close").with_columns(ticker=pl.lit("A"))
    frame.to_parquet(tmp_path / "A.parquet")
    frame.to_csv(tmp_path / "A.csv")
    frame.reset_index(names="Unnamed: 0").to_csv(tmp_path / "A.tsv", sep="\t")
    for kind in ("parquet", "csv", "tsv"):
        assert same(read_file(tmp_path / f"A.{kind}")[0], expected)
    named = frame.rename_axis("Date").tz_localize("America/New_York")
    named.to_parquet(tmp_path / "A.parquet")
    named.to_csv(tmp_path / "A.csv")
    for kind in ("parquet", "csv"):
        assert same(read_file(tmp_path / f"A.{kind}")[0], expected)


@pytest.mark.parametrize(
    "text",
    [
        "date,close\n2020-01-02,1.5\n2020-01-03,2.5\n2020-01-06,3.5\n",
        "\ufeffDate;Close\n02.01.2020;1,5\n03.01.2020;2,5\n06.01.2020;3,5\n",
        "Date;Close\n2020-01-02;1.5\n2020-01-03;2.5\n2020-01-06;3.5\n",
        'Date\tClose\n"Jan 02, 2020"\t1.5\n"Jan 03, 2020"\t2.5\n"Jan 06, 2020"\t3.5\n',
        ",close,n\n2020-01-02,1.5,1\n2020-01-03,2.5,2\n2020-01-06,3.5,3\n",
        "timestamp,close\r\n2020-01-02 09:30:00-05:00,1.5\r\n2020-01-03 09:30:00-05:00,2.5\r\n"
        "2020-01-06 09:30:00-05:00,3.5\r\n",
    ],
)
def test_dialects_of_csv(tmp_path: Path, text: str) -> None:
    expected = ONE.select("date", "close").with_columns(ticker=pl.lit("A"))
    path = tmp_path / "A.csv"
    path.write_text(text, encoding="utf-8")
    assert same(read_file(path)[0], expected)
    zipped = tmp_path / "A.csv.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    assert same(read_file(zipped)[0], expected)


def test_tickers_stay_text_and_bad_cells_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    rows = ["2020-01-02,000001,1", "2020-01-03,000001,x", "never,600000,2", "2020-01-03,NA,null"]
    path.write_text("date,code,close\n" + "\n".join(rows) + "\n")
    bars, _ = read_file(path)
    assert bars["ticker"].to_list() == ["000001", "000001", "600000", "NA"]
    assert bars["unreadable"].to_list() == [None, "close is no number", "date is no date", None]


def test_own_columns(tmp_path: Path) -> None:
    frame = LONG.with_columns(EPS=pl.Series([1, 2, 3, 4, 5, 6]), sector=pl.lit("tech"))
    path = save_csv(frame, tmp_path / "bars.csv")
    assert read_files(path, ("EPS",)).bars["EPS"].to_list() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert "EPS" not in read_files(path).bars.columns
    with pytest.raises(DataError, match=r"features.columns names eps, which .* it has 'date', "):
        read_files(path, ("eps",))


def test_a_file_of_a_folder_that_fails_is_a_failed_ticker(tmp_path: Path) -> None:
    save_csv(ONE, tmp_path / "A.csv")
    (tmp_path / "B.csv").write_text("")
    (tmp_path / "C.parquet").write_text("not parquet at all")
    save_csv(ONE.drop("close"), tmp_path / "D.csv")
    read = read_files(tmp_path)
    assert [drop.ticker for drop in read.failed] == ["B", "C", "D"]
    assert all(drop.failed and drop.whole_ticker for drop in read.failed)
    assert len(read.notes) == 3 and read.bars["ticker"].unique().to_list() == ["A"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, r"data.path must be a file or a folder; .*gone.csv does not exist"),
        ("bars.xlsx", "x", r"data.path must be a folder or end in .parquet, .*; got bars.xlsx"),
        ("empty.csv", "", r"empty.csv cannot be read \(.*\). Check the file."),
        ("bad.parquet", "text", r"bad.parquet cannot be read \(.*\). Check the file."),
        ("ragged.csv", "date,close\n2020-01-02,1,2,3\n", r"ragged.csv cannot be read"),
        ("a.csv", "day1,close\nx,1\n", r"need a column date; .*a.csv has 'day1', 'close'. Rename"),
        (
            "a.csv",
            "date,cloze\n2020-01-02,1\n",
            r"need a column close; .*a.csv has 'date', 'cloze'",
        ),
        ("a.csv", "date,close\n", r"^\S*a.csv holds no rows.$"),
        ("a.csv", "Jour,close\nx,1\n", r"a.csv has 'Jour', 'close'. Rename one to date.$"),
        ("a.csv", "Datum,Prix\nx,1\n", r"a.csv has 'Datum', 'Prix'. Rename one to close.$"),
        (
            "a.csv",
            'date,close\n2020-01-02,"50,109"\n',
            r"^\S*a.csv cannot be used. The column close is ambiguous: '50,109' .* with a point.$",
        ),
        ("a.csv", "Dear all,\nsee, below, please\n1\n", r"lines have different numbers of cells"),
        ("a.csv", ",close\n0,1\n1,2\n", r"need a column date; .* has '', 'close'"),
        ("a.csv", "date,high,x,y\n2020-01-02,1,2,3\n", "need a column close"),
        ("a.csv", "date,sector,x\n2020-01-02,tech,3\n", "need a column close"),
    ],
)
def test_errors_name_the_file_and_the_remedy(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_files(path)
    assert "\n" not in str(caught.value)
    assert not re.search("truncate_ragged|Consider|infer_schema|ignore_errors", str(caught.value))


@pytest.mark.parametrize("kind", ["csv", "parquet", "csv.gz"])
@pytest.mark.parametrize("name", ["[A]", "A*", "A?"])
def test_paths_are_no_patterns(tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "mine [2020]"
    folder.mkdir()
    for number, stem in enumerate((name, "A", "AB")):
        frame = ONE.with_columns(close=pl.lit(float(number + 1)))
        path = folder / f"{stem}.{kind}"
        if kind == "csv.gz":
            path.write_bytes(gzip.compress(frame.write_csv().encode()))
        else:
            SAVE[kind](frame, path)
    bars, _ = read_file(folder / f"{name}.{kind}")
    assert bars["close"].to_list() == [1.0] * 3 and set(bars["ticker"]) == {name}
    assert read_files(folder).bars.height == 9


def test_a_parquet_file_may_be_named_csv(tmp_path: Path) -> None:
    assert same(read_file(save_parquet(LONG, tmp_path / "bars.csv"))[0], LONG)


def test_quoted_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "A.csv"
    rows = ['02.01.2020,"50,109","1,000"', '03.01.2020,"49,25","2,500"', '06.01.2020,"48",""']
    path.write_text("Datum,Schlusskurs,Volume\n" + "\n".join(rows) + "\n")
    bars, _ = read_file(path)
    assert bars["date"].to_list() == DAYS
    assert bars["close"].to_list() == [50.109, 49.25, 48.0]
    assert bars["volume"].to_list() == [1000.0, 2500.0, None]


def test_binary_text_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("date,close\n2020-01-02,1\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"a.csv cannot be read"):
        read_files(path)


def test_an_empty_folder_and_a_folder_of_failures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder .* has none of .parquet, .pq, .csv"):
        read_files(tmp_path)
    (tmp_path / "B.csv").write_text("")
    with pytest.raises(DataError, match=r"B.csv cannot be read"):
        read_files(tmp_path)
