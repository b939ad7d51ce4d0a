"""A local server that plays the part of Yahoo that yfinance talks to."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

Reply = tuple[int, str]
Behaviour = Callable[[int, dict[str, list[str]]], Reply]
NOT_FOUND = "No data found, symbol may be delisted"


def meta(symbol: str, zone: str) -> dict[str, Any]:
    """Describe a ticker as the chart endpoint does."""
    period = {"timezone": "EST", "start": 1578321000, "end": 1578344400, "gmtoffset": -18000}
    return {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "fullExchangeName": "NasdaqGS",
        "instrumentType": "EQUITY",
        "firstTradeDate": 345479400,
        "regularMarketTime": 1578344400,
        "hasPrePostMarketData": True,
        "gmtoffset": -18000,
        "timezone": "EST",
        "exchangeTimezoneName": zone,
        "regularMarketPrice": 100.0,
        "chartPreviousClose": 99.0,
        "priceHint": 2,
        "currentTradingPeriod": {"pre": period, "regular": period, "post": period},
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }


def opening(day: dt.date, zone: str, clock: dt.time) -> int:
    return int(dt.datetime.combine(day, clock, ZoneInfo(zone)).timestamp())


def chart(
    symbol: str,
    days: list[dt.date],
    closes: list[float | None],
    ratios: list[float] | None = None,
    events: dict[str, Any] | None = None,
    zone: str = "America/New_York",
    clock: dt.time = dt.time(9, 30),
) -> str:
    """Write bars as the chart endpoint does: raw prices and an adjusted close."""
    ratios = ratios or [1.0] * len(days)

    def times(factor: float) -> list[float | None]:
        return [None if close is None else close * factor for close in closes]

    quote = {
        "open": times(0.99),
        "high": times(1.02),
        "low": times(0.98),
        "close": closes,
        "volume": [None if close is None else 1_000_000 for close in closes],
    }
    adjusted = [
        None if close is None else close * ratio
        for close, ratio in zip(closes, ratios, strict=True)
    ]
    result: dict[str, Any] = {"meta": meta(symbol, zone)}
    if days:
        result["timestamp"] = [opening(day, zone, clock) for day in days]
    if events:
        result["events"] = events
    result["indicators"] = {
        "quote": [quote if days else {}],
        "adjclose": [{"adjclose": adjusted} if days else {}],
    }
    return json.dumps({"chart": {"result": [result], "error": None}})


def redirect(server: str, set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Send every request of this process for a host of Yahoo to a server."""
    from curl_cffi.requests import Session
    from yfinance.data import SingletonMeta

    request = Session.request

    def redirected(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.hostname.endswith("yahoo.com"), url
        local = f"{server}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return request(self, method, local, *args, **kwargs)  # type: ignore[arg-type]

    set_attribute(Session, "request", redirected)
    set_attribute(SingletonMeta, "_instances", {})


def no_data(reason: str = NOT_FOUND) -> str:
    error = {"code": "Not Found", "description": reason}
    return json.dumps({"chart": {"result": None, "error": error}})


class YahooServer:
    """Answers for each ticker by a function of the number of the request and its query."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.asked: Counter[str] = Counter()
        self.queries: dict[str, list[dict[str, list[str]]]] = {}
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = outer.reply(self.path)
                data = body.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # The client had waited long enough.

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def reply(self, address: str) -> Reply:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        if parts.path.endswith("/getcrumb"):
            return 200, "a.crumb"
        if not parts.path.startswith("/v8/finance/chart/"):
            return 404, "{}"
        ticker = unquote(parts.path.rsplit("/", 1)[1])
        if query.get("range") == ["1d"]:
            # What yfinance asks first, to learn the time zone.
            behaviour = self.behaviours.get(f"{ticker} zone") or self.behaviours.get(ticker)
        else:
            behaviour = self.behaviours.get(ticker)
        if behaviour is None:
            return 404, no_data()
        self.asked[ticker] += 1
        self.queries.setdefault(ticker, []).append(query)
        return behaviour(self.asked[ticker], query)

    def always(self, ticker: str, body: str, status: int = 200) -> None:
        self.behaviours[ticker] = lambda number, query: (status, body)

    def after(self, ticker: str, failures: int, failure: Reply, body: str) -> None:
        """Fail a number of requests, then answer."""
        self.behaviours[ticker] = lambda number, query: (
            failure if number <= failures else (200, body)
        )

    def history(
        self,
        ticker: str,
        days: list[dt.date],
        closes: list[float | None],
        ratios: list[float] | None = None,
        zone: str = "America/New_York",
        clock: dt.time = dt.time(9, 30),
    ) -> None:
        """Answer each window with the bars inside, as the real one does."""
        ratios = ratios or [1.0] * len(days)
        moments = [opening(day, zone, clock) for day in days]

        def answer(number: int, query: dict[str, list[str]]) -> Reply:
            first = int(query.get("period1", ["0"])[0])
            last = int(query.get("period2", ["99999999999"])[0])
            inside = [place for place, moment in enumerate(moments) if first <= moment < last]
            return 200, chart(
                ticker,
                [days[place] for place in inside],
                [closes[place] for place in inside],
                [ratios[place] for place in inside],
                zone=zone,
                clock=clock,
            )

        self.behaviours[ticker] = answer

    def bars_asked(self, ticker: str) -> int:
        """Count the requests for bars, leaving out those for the time zone."""
        return sum(query.get("range") != ["1d"] for query in self.queries.get(ticker, []))

    def slowly(self, ticker: str, seconds: float, body: str) -> None:
        def wait(number: int, query: dict[str, list[str]]) -> Reply:
            self.closing.wait(seconds)
            return 200, body

        self.behaviours[ticker] = wait

    def close(self) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(5)
