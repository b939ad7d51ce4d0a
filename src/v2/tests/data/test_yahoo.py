"""The real yfinance, talking to a local server."""

from __future__ import annotations

import datetime as dt
import logging
import os
import tempfile
import threading
import time
from typing import Any

import polars as pl
import pytest

from src.v2.config import DataConfig, YahooConfig
from src.v2.data import yahoo
from src.v2.data.sources import load_bars
from src.v2.data.windows import first_date, last_final_date
from src.v2.data.yahoo import download_bars
from src.v2.errors import DataError, SourceUnavailable
from src.v2.tests.data.yahoo_server import (
    NOT_FOUND,
    YahooServer,
    chart,
    no_data,
    opening,
)

FAST = YahooConfig(batch_size=5, timeout_sec=5.0, attempts=4, backoff_sec=0.01)
NOW = dt.datetime(2020, 2, 1, 12, 0, tzinfo=dt.UTC)
DAYS = [day for day in (dt.date(2020, 1, 2 + n) for n in range(28)) if day.weekday() < 5]
CLOSES: list[float | None] = [100.0 + n for n in range(len(DAYS))]


def download(
    *tickers: str, config: YahooConfig = FAST, **settings: Any
) -> tuple[pl.DataFrame, dict[str, str]]:
    bars, failed = download_bars(tickers, config, "10y", now=NOW, **settings)
    assert all(drop.failed and drop.whole_ticker and drop.rows == 0 for drop in failed)
    return bars, {drop.ticker: drop.reason for drop in failed}


def test_prices_are_adjusted_and_dates_local(server: YahooServer) -> None:
    split = len(DAYS) // 2
    ratios = [0.25] * split + [1.0] * (len(DAYS) - split)
    paid = opening(DAYS[3], "America/New_York", dt.time(9, 30))
    divided = opening(DAYS[split], "America/New_York", dt.time(9, 30))
    events = {
        "dividends": {str(paid): {"amount": 0.77, "date": paid}},
        "splits": {
            str(divided): {
                "date": divided,
                "numerator": 4.0,
                "denominator": 1.0,
                "splitRatio": "4:1",
            }
        },
    }
    server.always("SPLT", chart("SPLT", DAYS, CLOSES, ratios, events))
    bars, failed = download("SPLT")
    assert failed == {}
    assert bars.columns == ["date", "ticker", "open", "high", "low", "close", "volume"]
    assert bars["date"].to_list() == DAYS
    for name, factor in (("open", 0.99), ("high", 1.02), ("low", 0.98), ("close", 1.0)):
        expected = [c * factor * r for c, r in zip(CLOSES, ratios, strict=True) if c]
        assert bars[name].to_list() == pytest.approx(expected)
    assert bars["volume"].unique().to_list() == [1_000_000.0]


@pytest.mark.parametrize(
    ("zone", "clock"),
    [
        ("Asia/Tokyo", dt.time(9, 0)),
        ("Australia/Sydney", dt.time(10, 0)),
        ("Europe/London", dt.time(8, 0)),
        ("America/New_York", dt.time(9, 30)),
    ],
)
def test_a_date_is_the_session_where_the_exchange_is(
    server: YahooServer, zone: str, clock: dt.time
) -> None:
    ticker = "Z" + zone[-3:].upper()
    server.always(ticker, chart(ticker, DAYS, CLOSES, zone=zone, clock=clock))
    assert download(ticker)[0]["date"].to_list() == DAYS


def test_unknown_tickers_fail_at_once_and_the_others_come(server: YahooServer) -> None:
    server.always("GOOD", chart("GOOD", DAYS, CLOSES))
    server.always("GONE", no_data(), status=404)
    server.always("NONE", chart("NONE", [], []))
    started = time.monotonic()
    bars, failed = download(
        "GONE", "GOOD", "NONE", config=FAST.model_copy(update={"backoff_sec": 60.0})
    )
    assert time.monotonic() - started < 30
    assert bars["ticker"].unique().to_list() == ["GOOD"]
    assert set(failed) == {"GONE", "NONE"}
    # What it says of GONE depends on which of its questions yfinance gives up at.
    assert failed["GONE"] in (NOT_FOUND, "unknown to Yahoo", "no timezone found")
    assert failed["NONE"] == "no price data found"


def test_a_rate_limit_is_waited_for(server: YahooServer) -> None:
    limit = (429, "Too Many Requests\r\n")
    server.after("BUSY", 4, limit, chart("BUSY", DAYS, CLOSES))
    bars, failed = download("BUSY")
    assert failed == {} and bars.height == len(DAYS)
    assert server.asked["BUSY"] > 4


def test_a_rate_limit_without_end_is_an_error(server: YahooServer) -> None:
    for name in ("LIMA", "LIMB", "LIMC"):
        server.always(name, "Too Many Requests\r\n", status=429)
    with pytest.raises(SourceUnavailable, match=r"LIMA, LIMB, LIMC \(3 x rate limited by Yahoo\)"):
        download("LIMA", "LIMB", "LIMC")
    assert server.asked["LIMC"] <= server.asked["LIMA"]


def test_only_tickers_that_failed_are_asked_again(server: YahooServer) -> None:
    server.always("CALM", chart("CALM", DAYS, CLOSES))
    server.after("WILD", 5, (429, "Too Many Requests"), chart("WILD", DAYS, CLOSES))
    _, failed = download("CALM", "WILD")
    assert failed == {}
    asked_once = server.asked["CALM"]
    assert asked_once == 2, "one request for the time zone, one for the bars"


def test_an_empty_batch_is_asked_again(server: YahooServer) -> None:
    server.always("LATE zone", chart("LATE", DAYS, CLOSES))
    server.after("LATE", 2, (200, chart("LATE", [], [])), chart("LATE", DAYS, CLOSES))
    bars, failed = download("LATE", end=dt.date(2020, 1, 31))
    assert failed == {} and bars.height == len(DAYS)


@pytest.mark.parametrize(
    "failure",
    [(503, "<html>Service Unavailable</html>"), (200, "<html>Will be right back</html>")],
)
def test_a_page_instead_of_data_is_asked_again(
    server: YahooServer, failure: tuple[int, str]
) -> None:
    ticker = f"PAGE{failure[0]}"
    server.after(ticker, 3, failure, chart(ticker, DAYS, CLOSES))
    assert download(ticker, end=dt.date(2020, 1, 31))[0].height == len(DAYS)


def test_time_outs_are_named(server: YahooServer) -> None:
    server.slowly("SLOW", 10.0, chart("SLOW", DAYS, CLOSES))
    server.always("FAST", chart("FAST", DAYS, CLOSES))
    hasty = YahooConfig(timeout_sec=0.3, attempts=2, backoff_sec=0.01)
    started = time.monotonic()
    bars, failed = download("SLOW", "FAST", config=hasty)
    assert failed == {"SLOW": "timed out"}
    assert bars["ticker"].unique().to_list() == ["FAST"]
    assert time.monotonic() - started < 10


def test_no_connection_ends_soon_and_says_what_to_do(
    server: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.close()
    tickers = [f"T{n}" for n in range(40)]
    failures: list[Exception] = []
    explain = yahoo._explain

    def counted(error: Exception) -> yahoo.Answer:
        failures.append(error)
        return explain(error)

    monkeypatch.setattr(yahoo, "_explain", counted)
    with pytest.raises(SourceUnavailable) as caught:
        download(*tickers)
    text = str(caught.value)
    assert text.startswith(
        "Yahoo gave no bars for T0, T1, T2, T3, T4 and 35 more (40 x no connection to Yahoo). "
    )
    assert "--force-sample or --data.source files" in text and "\n" not in text
    assert len(failures) == 2 * FAST.attempts, "two probes a try, of the first batch only"


def test_the_window_is_asked_for(server: YahooServer) -> None:
    server.always("WIND", chart("WIND", DAYS, CLOSES))
    download("WIND", start=DAYS[2], end=DAYS[5])
    query = server.queries["WIND"][-1]
    assert int(query["period1"][0]) == opening(DAYS[2], "America/New_York", dt.time(0))
    assert int(query["period2"][0]) == opening(
        DAYS[5] + dt.timedelta(days=1), "America/New_York", dt.time(0)
    )
    download_bars(["WIND"], FAST, "1y", now=NOW)
    begin = opening(dt.date(2019, 1, 31), "America/New_York", dt.time(0))
    assert int(server.queries["WIND"][-1]["period1"][0]) == begin
    download_bars(["WIND"], FAST, "max", now=NOW)
    assert int(server.queries["WIND"][-1]["period1"][0]) < 0


def test_an_unfinished_session_is_left_out(server: YahooServer) -> None:
    server.always("OPEN", chart("OPEN", DAYS, CLOSES))
    noon = dt.datetime.combine(DAYS[-1], dt.time(17, 0), dt.UTC)
    assert download_bars(["OPEN"], FAST, "1y", now=noon)[0]["date"].max() == DAYS[-2]
    night = dt.datetime.combine(DAYS[-1], dt.time(22, 0), dt.UTC)
    assert download_bars(["OPEN"], FAST, "1y", now=night)[0]["date"].max() == DAYS[-1]


def test_yfinance_is_silent_and_leaves_the_home_folder_alone(
    server: YahooServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import yfinance

    caplog.set_level(logging.INFO)
    server.always("HUSH", chart("HUSH", DAYS, CLOSES))
    hidden = yfinance.config.debug.hide_exceptions
    download("HUSH", "GONEX")
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("yfinance")]
    assert yfinance.config.debug.hide_exceptions == hidden
    assert logging.getLogger("yfinance").propagate
    folder = yfinance.cache._TzDBManager.get_location()
    assert folder.startswith(os.path.join(tempfile.gettempdir(), "omninmo-yfinance-"))
    assert os.stat(folder).st_mode & 0o077 == 0


def test_cells_without_a_price_are_missing(server: YahooServer) -> None:
    closes = [*CLOSES[:-1], None]
    server.always("HOLE", chart("HOLE", DAYS, closes))
    bars, _ = download("HOLE")
    assert bars["date"].to_list() == DAYS[:-1]
    assert bars["close"].is_nan().sum() == 0


def test_an_interruption_stops_what_has_not_started(
    server: YahooServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    lock = threading.Lock()

    def ask(name: str) -> yahoo.Answer:
        with lock:
            started.append(name)
        if name == "T1":
            raise KeyboardInterrupt
        time.sleep(0.02)
        return yahoo.Answer("unknown", reason="no")

    with pytest.raises(KeyboardInterrupt):
        yahoo._ask_all([f"T{n}" for n in range(500)], ask)
    time.sleep(0.1)
    assert len(started) < 100


def test_load_bars_counts_what_yahoo_did_not_give(server: YahooServer) -> None:
    for name in ("AAA", "BBB", "MKT"):
        server.always(name, chart(name, DAYS, CLOSES))
    config = DataConfig(
        source="yahoo",
        tickers=("aaa", "BBB", "CCC"),
        market_ticker="mkt",
        min_history=5,
        start=DAYS[0],
        end=DAYS[-1],
        yahoo=FAST,
    )
    bars, market, coverage = load_bars(config)
    assert coverage.tickers == ("AAA", "BBB")
    assert [drop.ticker for drop in coverage.errors] == ["CCC"]
    assert market is not None and market["date"].to_list() == DAYS
    assert bars.height == coverage.rows == 2 * len(DAYS)
    with pytest.raises(DataError, match=r"data.market_ticker .* NOPE has no usable bars"):
        load_bars(config.model_copy(update={"market_ticker": "NOPE"}))
    with pytest.raises(DataError, match=r"lets 20.0% of the tickers be dropped; 33.3% were"):
        load_bars(config.model_copy(update={"max_dropped_share": 0.2}))


@pytest.mark.parametrize(
    ("period", "last", "expected"),
    [
        ("90d", dt.date(2026, 3, 31), dt.date(2025, 12, 31)),
        ("1mo", dt.date(2024, 3, 31), dt.date(2024, 2, 29)),
        ("6mo", dt.date(2026, 1, 15), dt.date(2025, 7, 15)),
        ("12mo", dt.date(2025, 12, 31), dt.date(2024, 12, 31)),
        ("1y", dt.date(2024, 2, 29), dt.date(2023, 2, 28)),
        ("10y", dt.date(2026, 1, 6), dt.date(2016, 1, 6)),
        ("9999y", dt.date(2026, 1, 6), dt.date(1, 1, 6)),
        ("max", dt.date(2026, 1, 6), None),
    ],
)
def test_first_date(period: str, last: dt.date, expected: dt.date | None) -> None:
    assert first_date(period, last) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-01-06T16:14:59-05:00", dt.date(2026, 1, 5)),
        ("2026-01-06T16:15:00-05:00", dt.date(2026, 1, 6)),
        ("2026-01-07T01:00:00+00:00", dt.date(2026, 1, 6)),
        ("2026-07-06T20:15:00+00:00", dt.date(2026, 7, 6)),
        ("2026-07-06T20:14:00+00:00", dt.date(2026, 7, 5)),
    ],
)
def test_last_final_date(now: str, expected: dt.date) -> None:
    assert last_final_date(dt.datetime.fromisoformat(now)) == expected
