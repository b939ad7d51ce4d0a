"""Daily bars from Yahoo Finance, the only module with a network client.

A ticker is asked for by ``yfinance.Ticker.history``: unlike ``yfinance.download`` it
raises what went wrong, so a ticker that Yahoo does not know can be told from a failing
network, and only what may help is asked for again.
"""

from __future__ import annotations

import atexit
import datetime as dt
import functools
import logging
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from src.v2.config import YahooConfig
from src.v2.data.columns import NUMBERS
from src.v2.data.losses import list_reasons
from src.v2.errors import SourceUnavailable
from src.v2.records import Drop

_LOG = logging.getLogger(__name__)
_NEW_YORK = ZoneInfo("America/New_York")
_FINAL_AT = dt.time(16, 15)
"""When a session's bar no longer changes, in New York."""
_WORKERS = 8
_PROBES = 2
"""Tickers asked for one after the other before the rest of a batch is."""
_UNKNOWN_TO_YAHOO = ("no data found", "data doesn't exist", "quote not found")
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came for one ticker: bars, or why there are none.

    ``unreached`` is worth another try; ``empty`` only when the whole batch is.
    """

    kind: Literal["bars", "unknown", "empty", "unreached"]
    bars: pl.DataFrame | None = None
    reason: str = ""


def download_bars(
    tickers: Sequence[str],
    config: YahooConfig,
    period: str,
    start: dt.date | None = None,
    end: dt.date | None = None,
    now: dt.datetime | None = None,
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Download bars, adjusted for splits and dividends.

    Parameters
    ----------
    tickers
        Yahoo's symbols.
    config
        Batches, time limits and tries.
    period
        History up to ``end`` or today, as ``90d``, ``6mo``, ``10y`` or ``max``.
    start, end
        First and last date, both included; ``start`` wins over ``period``.
    now
        Time of the download, with its zone; None for the clock.

    Returns
    -------
    tuple
        | date | ticker | open | high | low | close | volume |, where a date is that of
        the exchange's session and the session has ended; and the tickers without bars.

    Raises
    ------
    SourceUnavailable
        When no ticker has any bar.
    """
    now = now or dt.datetime.now(dt.UTC)
    newest = last_final_date(now)
    window: dict[str, Any] = {"start": start or first_date(period, end or newest)}
    if window["start"] is None:
        window = {"period": "max"}
    if end is not None:
        window["end"] = end + dt.timedelta(days=1)
    tickers = list(dict.fromkeys(tickers))
    answers: dict[str, _Answer] = {}
    with _quiet_yfinance() as yfinance:
        ask = _asker(yfinance, window, config.timeout_sec)
        for first in range(0, len(tickers), config.batch_size):
            batch = tickers[first : first + config.batch_size]
            answers |= _ask_batch(batch, ask, config)
            if all(answer.kind == "unreached" for answer in answers.values()):
                # Nothing has come so far; the rest would only wait in vain.
                rest = {name: answers[batch[-1]] for name in tickers if name not in answers}
                answers |= rest
                break
    found = [answer.bars for answer in answers.values() if answer.bars is not None]
    bars = pl.concat(found).filter(pl.col("date") <= newest) if found else pl.DataFrame()
    failed = tuple(
        Drop(name, answer.reason, 0, whole_ticker=True, failed=True)
        for name, answer in answers.items()
        if answer.bars is None
    )
    if bars.is_empty():
        shown = ", ".join(tickers[:_NAMES_SHOWN])
        more = len(tickers) - _NAMES_SHOWN
        raise SourceUnavailable(
            f"Yahoo gave no bars for {shown}{f' and {more} more' if more > 0 else ''} "
            f"({list_reasons(failed, by_rows=False) or 'no session has ended'}). Check the "
            "tickers and the connection, try later, or use --force-sample or --data.source files."
        )
    return bars, failed


def last_final_date(now: dt.datetime) -> dt.date:
    """Find the newest date whose bar no longer changes, by New York's clock.

    Examples
    --------
    >>> last_final_date(dt.datetime(2026, 1, 6, 15, 0, tzinfo=dt.UTC))
    datetime.date(2026, 1, 5)
    """
    local = now.astimezone(_NEW_YORK)
    return local.date() if local.time() >= _FINAL_AT else local.date() - dt.timedelta(days=1)


def first_date(period: str, last: dt.date) -> dt.date | None:
    """Find where a period up to a date starts; None for ``max``.

    Examples
    --------
    >>> first_date("6mo", dt.date(2026, 8, 31))
    datetime.date(2026, 2, 28)
    """
    parts = re.fullmatch(r"(\d+)(d|mo|y)", period)
    if parts is None:
        return None
    number, unit = int(parts[1]), parts[2]
    if unit == "d":
        return last - dt.timedelta(days=min(number, last.toordinal() - 1))
    months = last.year * 12 + last.month - 1 - number * (12 if unit == "y" else 1)
    year, month = divmod(max(months, 12), 12)
    next_month = dt.date(year + month // 11, (month + 1) % 12 + 1, 1)
    last_day = (next_month - dt.timedelta(days=1)).day
    return dt.date(year, month + 1, min(last.day, last_day))


def _ask_batch(
    batch: Sequence[str], ask: Callable[[str], _Answer], config: YahooConfig
) -> dict[str, _Answer]:
    """Ask for tickers until each has an answer, or the tries are used up."""
    answers: dict[str, _Answer] = {}
    waiting = list(batch)
    for attempt in range(config.attempts):
        if attempt:
            pause = config.backoff_sec * 2 ** (attempt - 1)
            _LOG.info("Yahoo: %d tickers once more in %.1f s", len(waiting), pause)
            time.sleep(pause)
            _forget_answers()
        answers |= _ask_all(waiting, ask)
        nothing = all(answer.bars is None for answer in answers.values())
        retry = ("unreached", "empty") if nothing else ("unreached",)
        waiting = [name for name in waiting if answers[name].kind in retry]
        if not waiting:
            break
        # Other tickers are the probes of the next try.
        waiting = waiting[_PROBES:] + waiting[:_PROBES]
    return answers


def _ask_all(tickers: Sequence[str], ask: Callable[[str], _Answer]) -> dict[str, _Answer]:
    """Ask for tickers in parallel, if the first ones show that Yahoo can be reached."""
    answers: dict[str, _Answer] = {}
    for name in tickers[:_PROBES]:
        answers[name] = ask(name)
        if answers[name].kind != "unreached":
            break
    else:
        return answers | {name: answers[tickers[0]] for name in tickers[_PROBES:]}
    rest = [name for name in tickers if name not in answers]
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="yahoo")
    try:
        answers |= dict(zip(rest, pool.map(ask, rest), strict=True))
    finally:
        # On an interruption what has not started yet must not start.
        pool.shutdown(wait=False, cancel_futures=True)
    return answers


def _asker(
    yfinance: ModuleType, window: dict[str, Any], timeout: float
) -> Callable[[str], _Answer]:
    """Make the function that asks for one ticker and never raises."""
    session = yfinance.Ticker("SPY").session
    _cap_timeouts(session, timeout)

    def ask(ticker: str) -> _Answer:
        try:
            frame = yfinance.Ticker(ticker, session=session).history(
                **window, interval="1d", auto_adjust=True, actions=False, timeout=timeout
            )
            bars = _to_bars(ticker, frame)
        # A malformed answer surfaces as whatever its parser stumbles over.
        except Exception as error:
            _LOG.debug("Yahoo: %s failed", ticker, exc_info=True)
            return _explain(error)
        return _Answer("bars", bars) if bars.height else _Answer("empty", reason="no bars")

    return ask


def _to_bars(ticker: str, frame: Any) -> pl.DataFrame:
    """Turn yfinance's frame into bars; its index is midnight where the exchange is."""
    if not len(frame):
        return pl.DataFrame()
    days = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]")
    numbers = {name: frame[name.capitalize()].to_numpy().astype("float64") for name in NUMBERS}
    bars = pl.DataFrame({"date": days, **numbers})
    return bars.select("date", pl.lit(ticker).alias("ticker"), pl.col(NUMBERS).fill_nan(None))


def _explain(error: Exception) -> _Answer:
    """Say in a few words why a ticker has no bars, and whether to ask again."""
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, YFRateLimitError):
        return _Answer("unreached", reason="rate limited by Yahoo")
    if isinstance(error, YFTickerMissingError):
        given = getattr(error, "yahoo_reason", None)
        if given is not None and given.lower().startswith(_UNKNOWN_TO_YAHOO):
            return _Answer("unknown", reason=given)
        return _Answer("empty", reason=given or error.rationale.split("(")[0].strip())
    if status == 404:
        return _Answer("unknown", reason="unknown to Yahoo")
    if status is not None and status >= 400:
        return _Answer("unreached", reason=f"HTTP status {status}")
    if "Timeout" in kind:
        return _Answer("unreached", reason="timed out")
    if any(word in kind for word in ("Connection", "DNS", "Proxy", "SSL")):
        return _Answer("unreached", reason="no connection to Yahoo")
    return _Answer("unreached", reason=f"an answer that cannot be read ({kind})")


@contextmanager
def _quiet_yfinance() -> Iterator[ModuleType]:
    """Import yfinance, make it raise, and keep its remarks in our debug log."""
    logger = logging.getLogger("yfinance")
    handler = _ToDebugLog()
    with warnings.catch_warnings():
        import yfinance

        # After the import, which sets filters of its own.
        warnings.simplefilter("ignore")
        yfinance.set_tz_cache_location(_private_folder())
        hidden, passed_on = yfinance.config.debug.hide_exceptions, logger.propagate
        yfinance.config.debug.hide_exceptions = False
        logger.propagate = False
        logger.addHandler(handler)
        try:
            yield yfinance
        finally:
            logger.removeHandler(handler)
            logger.propagate = passed_on
            yfinance.config.debug.hide_exceptions = hidden


class _ToDebugLog(logging.Handler):
    """Passes another library's remarks on, all as debug messages."""

    def emit(self, record: logging.LogRecord) -> None:
        _LOG.debug("yfinance: %s", record.getMessage())


@functools.cache
def _private_folder() -> str:
    """Make a folder for yfinance's caches, removed at the end.

    Its cookie cache is a pickle, so no folder that others can write to will do.
    """
    folder = tempfile.mkdtemp(prefix="omninmo-yfinance-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _cap_timeouts(session: Any, most: float) -> None:
    """Hold the requests that yfinance makes on its own to our time limit as well."""
    request = session.request

    def capped(*args: Any, **kwargs: Any) -> Any:
        asked = kwargs.get("timeout")
        kwargs["timeout"] = min(asked, most) if isinstance(asked, int | float) else most
        return request(*args, **kwargs)

    session.request = capped


def _forget_answers() -> None:
    """Clear yfinance's memory, which keeps failed answers too."""
    from yfinance.data import YfData

    YfData.cache_get.cache_clear()
