"""Checks on the bundled sample price files."""

import hashlib
import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
MAX_BYTES = 5 * 1024 * 1024
MAX_DAILY_MOVE = 0.55
FILES = ("us20.parquet", "ohlcv.parquet")
US20 = "AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM".split()
OHLCV_SPANS = {
    "AAPL": (date(2000, 3, 1), date(2023, 9, 21)),
    "AMZN": (date(2013, 1, 2), date(2023, 9, 21)),
    "GOOG": (date(2004, 8, 19), date(2023, 9, 21)),
    "IBM": (date(2000, 3, 1), date(2013, 3, 1)),
    "META": (date(2013, 1, 2), date(2023, 9, 21)),
    "MSFT": (date(2000, 3, 1), date(2013, 3, 1)),
    "NFLX": (date(2013, 1, 2), date(2023, 9, 21)),
    "NVDA": (date(2013, 1, 2), date(2023, 9, 21)),
}
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "us20.parquet": {"date": pl.Date(), "ticker": pl.String(), "close": pl.Float64()},
    "ohlcv.parquet": {
        "date": pl.Date(),
        "ticker": pl.String(),
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
    },
}


def read(name: str) -> pl.DataFrame:
    """Read one sample file."""
    return pl.read_parquet(SAMPLE / name)


def spans(frame: pl.DataFrame) -> dict[str, tuple[date, date]]:
    """Return the first and last day of each ticker."""
    grouped = frame.group_by("ticker").agg(
        pl.col("date").min().alias("first"), pl.col("date").max().alias("last")
    )
    return {ticker: (first, last) for ticker, first, last in grouped.iter_rows()}


def test_folder_stays_small() -> None:
    """The whole folder is at most 5 MB."""
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= MAX_BYTES


@pytest.mark.parametrize("name", FILES)
def test_columns_and_types(name: str) -> None:
    """Columns come in a fixed order with fixed types."""
    assert list(read(name).schema.items()) == list(SCHEMAS[name].items())


def test_us20_tickers_and_dates() -> None:
    """All 20 tickers cover the same 5,785 sessions."""
    frame = read("us20.parquet")
    span = (date(2000, 1, 3), date(2022, 12, 28))
    assert spans(frame) == dict.fromkeys(US20, span)
    assert frame.group_by("ticker").len()["len"].unique().to_list() == [5785]
    assert frame["date"].n_unique() == 5785


def test_ohlcv_tickers_and_dates() -> None:
    """Each ticker spans its stated period."""
    assert spans(read("ohlcv.parquet")) == OHLCV_SPANS


def test_ohlcv_sessions_are_complete_but_for_one() -> None:
    """AAPL lacks the one dropped bar and no other session is missing."""
    frame = read("ohlcv.parquet")
    sessions = frame.select(pl.col("date").unique())
    missing: list[tuple[str, date]] = []
    for ticker, (first, last) in OHLCV_SPANS.items():
        inside = sessions.filter(pl.col("date").is_between(first, last))
        have = frame.filter(pl.col("ticker") == ticker)
        missing += [(ticker, day) for day in inside.join(have, on="date", how="anti")["date"]]
    assert missing == [("AAPL", date(2003, 1, 29))]


@pytest.mark.parametrize("name", FILES)
def test_rows_are_whole_unique_and_sorted(name: str) -> None:
    """No null, no NaN, no duplicate, sorted by ticker and day."""
    frame = read(name)
    assert sum(frame.null_count().row(0)) == 0
    assert frame.select(pl.col(pl.Float64).is_finite().all()).row(0) == (True,) * (
        len(frame.columns) - 2
    )
    keys = frame.select("ticker", "date")
    assert keys.n_unique() == frame.height
    assert keys.equals(keys.sort("ticker", "date"))


@pytest.mark.parametrize("name", FILES)
def test_values_are_positive(name: str) -> None:
    """Prices and volumes are above zero."""
    assert min(read(name).select(pl.col(pl.Float64).min()).row(0)) > 0


@pytest.mark.parametrize("name", FILES)
def test_weekdays_only(name: str) -> None:
    """No Saturday or Sunday."""
    assert read(name)["date"].dt.weekday().is_between(1, 5).all()


@pytest.mark.parametrize("name", FILES)
def test_daily_moves_stay_in_band(name: str) -> None:
    """No close moves by more than 55% in a day."""
    moves = read(name).select(pl.col("close").pct_change().over("ticker").abs().max()).item()
    assert 0 < moves <= MAX_DAILY_MOVE


def test_bar_order() -> None:
    """High and low enclose open and close in every bar."""
    frame = read("ohlcv.parquet")
    assert frame.select((pl.col("high") >= pl.max_horizontal("open", "close")).all()).item()
    assert frame.select((pl.col("low") <= pl.min_horizontal("open", "close")).all()).item()


def test_volume_is_in_whole_shares() -> None:
    """Scaled volumes are rounded to whole numbers."""
    assert read("ohlcv.parquet").select((pl.col("volume") % 1 == 0).all()).item()


@pytest.mark.parametrize("ticker", ["AAPL", "MSFT"])
def test_both_files_agree_on_returns(ticker: str) -> None:
    """Daily returns of the two independent sources lie within one percentage point."""
    both = (
        read("us20.parquet")
        .join(read("ohlcv.parquet"), on=["ticker", "date"], suffix="_bar")
        .filter(pl.col("ticker") == ticker)
        .sort("date")
    )
    gap = (pl.col("close").pct_change() - pl.col("close_bar").pct_change()).abs()
    assert both.height > 3000
    assert both.select(gap.max()).item() < 0.01


@pytest.mark.parametrize("name", FILES)
def test_checksum_is_in_the_provenance(name: str) -> None:
    """PROVENANCE.md names the checksum of the file as it is."""
    text = (SAMPLE / "PROVENANCE.md").read_text(encoding="utf-8")
    stated = re.findall(rf"^- `{re.escape(name)}` `([0-9a-f]{{64}})`$", text, re.MULTILINE)
    assert stated == [hashlib.sha256((SAMPLE / name).read_bytes()).hexdigest()]
