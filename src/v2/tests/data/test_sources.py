from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2.config import DataConfig
from src.v2.data import sources
from src.v2.data.bars import bars_fingerprint
from src.v2.data.sources import load_bars
from src.v2.errors import DataError
from src.v2.records import Drop

FIRST = dt.date(2020, 1, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(30)]


def bars_of(*tickers: str, days: list[dt.date] = DAYS) -> pl.DataFrame:
    rows = [
        {"date": day, "ticker": name, "close": 10.0 + n + len(name), "volume": 5.0}
        for name in tickers
        for n, day in enumerate(days)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mine.parquet"
    bars_of("A", "B", "MKT").write_parquet(file)
    return file


def settings(path: Path, **changes: Any) -> DataConfig:
    return DataConfig(source="files", path=path, min_history=5, **changes)


def test_the_coverage_tells_what_was_loaded(path: Path) -> None:
    bars, market, coverage = load_bars(settings(path))
    assert market is None and bars.height == 90
    assert bars.schema["close"] == pl.Float64
    assert coverage.source == "files" and coverage.dataset_name == "mine"
    assert coverage.tickers == ("A", "B", "MKT")
    assert (coverage.rows, coverage.sessions) == (90, 30)
    assert (coverage.first, coverage.last) == (DAYS[0], DAYS[-1])
    assert coverage.drops == () and coverage.notes == ()
    assert coverage.fingerprint == bars_fingerprint(bars)


def test_the_market_is_taken_out_of_the_universe(path: Path) -> None:
    bars, market, coverage = load_bars(settings(path, market_ticker="MKT"))
    assert coverage.tickers == ("A", "B") and bars.height == 60
    assert market is not None
    assert market.columns == ["date", "close"] and market["date"].to_list() == DAYS
    _, alone, other = load_bars(settings(path, market_ticker="MKT", tickers=("A", "MKT")))
    assert other.tickers == ("A",) and other.drops == ()
    assert alone is not None and alone.equals(market)


def test_the_market_is_part_of_the_fingerprint(path: Path, tmp_path: Path) -> None:
    first = load_bars(settings(path, market_ticker="MKT"))[2].fingerprint
    changed = bars_of("A", "B", "MKT").with_columns(
        close=pl.when(pl.col("ticker") == "MKT").then(pl.col("close") + 1).otherwise("close")
    )
    file = tmp_path / "other.parquet"
    changed.write_parquet(file)
    assert load_bars(settings(file, market_ticker="MKT"))[2].fingerprint != first


def test_a_market_that_is_not_there(path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a ticker that the source has; SPY has no usable"):
        load_bars(settings(path, market_ticker="SPY"))


def test_tickers_asked_for_and_not_there(path: Path) -> None:
    _, _, coverage = load_bars(settings(path, tickers=("B", "X", "A")))
    assert coverage.tickers == ("A", "B")
    assert coverage.drops == (Drop("X", "not in the file", 0, True, failed=True),)
    assert coverage.errors == coverage.drops and coverage.skipped == ()
    with pytest.raises(DataError, match=r"No ticker of 2 can be used \(tickers: 2 x not in the f"):
        load_bars(settings(path, tickers=("X", "Y")))
    with pytest.raises(DataError, match=r"lets 10.0% of the tickers be dropped; 50.0% were"):
        load_bars(settings(path, tickers=("A", "X"), max_dropped_share=0.1))


def test_start_and_end_are_included_and_cost_nothing(path: Path) -> None:
    bars, _, coverage = load_bars(settings(path, start=DAYS[3], end=DAYS[20]))
    assert (coverage.first, coverage.last) == (DAYS[3], DAYS[20])
    assert coverage.drops == () and bars.height == 3 * 18
    message = r"data.start and data.end must leave some bars; 2021-01-01 to \.\.\. leaves none of "
    with pytest.raises(DataError, match=message + "2020-01-01 to 2020-01-30"):
        load_bars(settings(path, start=dt.date(2021, 1, 1)))


def test_rows_without_a_date_are_counted_inside_a_window(tmp_path: Path) -> None:
    file = tmp_path / "A.csv"
    bars_of("A").with_columns(pl.col("date").cast(pl.String)).vstack(
        pl.DataFrame({"date": ["x"], "ticker": ["A"], "close": [1.0], "volume": [1.0]})
    ).write_csv(file)
    _, _, coverage = load_bars(settings(file, start=DAYS[3]))
    assert coverage.drops == (Drop("A", "date is no date", 1, whole_ticker=False),)


def test_what_is_suspicious_is_noted_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    close = pl.when(pl.col("date") < DAYS[15]).then(7.0).otherwise("close").alias("close")
    frame = bars_of("A").with_columns(close).with_columns(high=pl.col("close") * 0.9999)
    frame.with_columns(pl.col("close").alias("Adj Close")).write_csv(file)
    bars, _, coverage = load_bars(settings(file))
    assert bars.height == 30 and bars["high"].equals(bars["close"].alias("high"))
    assert coverage.notes == (
        "prices were adjusted by 'Adj Close'",
        "high or low was moved by rounding in 30 rows",
        "equal closes in a row: A 15 up to 2020-01-15",
    )


def test_rows_dropped_of_the_market_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    bad = bars_of("MKT", days=DAYS[:1]).with_columns(date=DAYS[-1] + dt.timedelta(1), close=-1.0)
    pl.concat([bars_of("A", "MKT"), bad]).write_parquet(file)
    _, _, coverage = load_bars(settings(file, market_ticker="MKT"))
    assert coverage.notes == ("market MKT: rows dropped: 1 x close is not positive",)


def test_own_columns_need_files(path: Path) -> None:
    with pytest.raises(DataError, match=r"features.columns needs data.source files; got sample"):
        load_bars(DataConfig(source="sample"), ("eps",))
    with pytest.raises(DataError, match=r"features.columns names eps, which"):
        load_bars(settings(path), ("eps",))


def test_a_folder_with_a_broken_file(tmp_path: Path) -> None:
    for name in ("A", "B"):
        bars_of(name).drop("ticker").write_csv(tmp_path / f"{name}.csv")
    (tmp_path / "C.csv").write_text("")
    _, _, coverage = load_bars(settings(tmp_path))
    assert coverage.errors == (Drop("C", "its file cannot be used", 0, True, failed=True),)
    assert load_bars(settings(tmp_path, tickers=("A", "B")))[2].drops == ()


def test_the_sample_is_read_beside_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SAMPLES", tmp_path)
    with pytest.raises(DataError, match=r"us20.parquet cannot be read"):
        load_bars(DataConfig(source="sample"))
    bars_of("A", "B").write_parquet(tmp_path / "ohlcv.parquet")
    config = DataConfig(source="sample", sample="ohlcv", min_history=5, period="1d")
    bars, _, coverage = load_bars(config)
    assert coverage.dataset_name == "ohlcv" and bars.height == 60


def test_no_heavy_library_is_imported_at_start() -> None:
    code = (
        "import sys, src.v2.data.sources; "
        "print([n for n in ('pandas', 'yfinance', 'exchange_calendars') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
