"""Daily bars from Yahoo Finance; `src.v2.data.yahoo_session` prepares its client.

A ticker is asked for by ``yfinance.Ticker.history``: unlike ``yfinance.download`` it
raises what went wrong, so a ticker that Yahoo does not know can be told from a failing
network, and only what may help is asked for again.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

import polars as pl

from src.v2.config import YahooConfig
from src.v2.data.columns import NUMBERS
from src.v2.data.losses import list_reasons
from src.v2.data.windows import Window, last_final_date, window_of
from src.v2.data.yahoo_session import cap_timeouts, forget_answers, quiet_yfinance
from src.v2.errors import SourceUnavailable
from src.v2.records import Drop

_LOG = logging.getLogger(__name__)
_WORKERS = 8
_PROBES = 2
"""Tickers asked for one after the other before the rest of a batch is."""
_UNKNOWN_TO_YAHOO = ("no data found", "data doesn't exist", "quote not found")
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came for one ticker: bars, or why there are none.

    ``unreached`` is worth another try; ``empty`` only when the whole batch is.
    """

    kind: Literal["bars", "unknown", "empty", "unreached"]
    bars: pl.DataFrame | None = None
    reason: str = ""


Ask = Callable[[Mapping[str, Window]], dict[str, Answer]]
"""Asks for tickers, each with a window of its own, until each has an answer."""


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
    newest = last_final_date(now or dt.datetime.now(dt.UTC))
    window = window_of(period, start, end, newest)
    tickers = list(dict.fromkeys(tickers))
    answers: dict[str, Answer] = {}
    with connection(config, newest) as ask:
        for batch in itertools.batched(tickers, config.batch_size):
            answers |= ask(dict.fromkeys(batch, window))
            if all(answer.kind == "unreached" for answer in answers.values()):
                # Nothing has come so far; the rest would only wait in vain.
                rest = {name: answers[batch[-1]] for name in tickers if name not in answers}
                answers |= rest
                break
    found = [answer.bars for answer in answers.values() if answer.bars is not None]
    bars = pl.concat(found) if found else pl.DataFrame()
    failed = tuple(
        Drop(name, answer.reason, 0, whole_ticker=True, failed=True)
        for name, answer in answers.items()
        if answer.bars is None
    )
    if bars.is_empty():
        raise nothing_given(tickers, failed)
    return bars, failed


def nothing_given(tickers: Sequence[str], failed: Collection[Drop]) -> SourceUnavailable:
    """Say that no ticker has any bar, and what to do."""
    shown = ", ".join(tickers[:_NAMES_SHOWN])
    more = len(tickers) - _NAMES_SHOWN
    return SourceUnavailable(
        f"Yahoo gave no bars for {shown}{f' and {more} more' if more > 0 else ''} "
        f"({list_reasons(failed, by_rows=False) or 'no session has ended'}). Check the "
        "tickers and the connection, try later, or use --force-sample or --data.source files."
    )


@contextmanager
def connection(config: YahooConfig, newest: dt.date) -> Iterator[Ask]:
    """Prepare yfinance, and give the function that asks for a batch of tickers.

    Parameters
    ----------
    config
        Time limits and tries.
    newest
        Bars of later dates are left out: their sessions have not ended.
    """
    with quiet_yfinance() as yfinance:
        ask = _asker(yfinance, config.timeout_sec)

        def ask_batch(windows: Mapping[str, Window]) -> dict[str, Answer]:
            def ask_one(ticker: str) -> Answer:
                return _finished(ask(ticker, windows[ticker]), newest)

            return _ask_batch(list(windows), ask_one, config)

        yield ask_batch


def _finished(answer: Answer, newest: dt.date) -> Answer:
    """Leave out bars of sessions that have not ended."""
    if answer.bars is None:
        return answer
    return replace(answer, bars=answer.bars.filter(pl.col("date") <= newest))


def _ask_batch(
    batch: Sequence[str], ask: Callable[[str], Answer], config: YahooConfig
) -> dict[str, Answer]:
    """Ask for tickers until each has an answer, or the tries are used up."""
    answers: dict[str, Answer] = {}
    waiting = list(batch)
    for attempt in range(config.attempts):
        if attempt:
            pause = config.backoff_sec * 2 ** (attempt - 1)
            _LOG.info("Yahoo: %d tickers once more in %.1f s", len(waiting), pause)
            time.sleep(pause)
            forget_answers()
        answers |= _ask_all(waiting, ask)
        nothing = all(answer.bars is None for answer in answers.values())
        retry = ("unreached", "empty") if nothing else ("unreached",)
        waiting = [name for name in waiting if answers[name].kind in retry]
        if not waiting:
            break
        # Other tickers are the probes of the next try.
        waiting = waiting[_PROBES:] + waiting[:_PROBES]
    return answers


def _ask_all(tickers: Sequence[str], ask: Callable[[str], Answer]) -> dict[str, Answer]:
    """Ask for tickers in parallel, if the first ones show that Yahoo can be reached."""
    answers: dict[str, Answer] = {}
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


def _asker(yfinance: ModuleType, timeout: float) -> Callable[[str, Window], Answer]:
    """Make the function that asks for one ticker and never raises."""
    session = yfinance.Ticker("SPY").session
    cap_timeouts(session, timeout)

    def ask(ticker: str, window: Window) -> Answer:
        try:
            frame = yfinance.Ticker(ticker, session=session).history(
                **_arguments(window),
                interval="1d",
                auto_adjust=True,
                actions=False,
                timeout=timeout,
            )
            bars = _to_bars(ticker, frame)
        # A malformed answer surfaces as whatever its parser stumbles over.
        except Exception as error:
            _LOG.debug("Yahoo: %s failed", ticker, exc_info=True)
            return _explain(error)
        return Answer("bars", bars) if bars.height else Answer("empty", reason="no bars")

    return ask


def _arguments(window: Window) -> dict[str, Any]:
    """Write a window as yfinance wants it: with the day after the last."""
    arguments: dict[str, Any] = {"start": window.start}
    if window.start is None:
        arguments = {"period": "max"}
    if window.end is not None:
        arguments["end"] = window.end + dt.timedelta(days=1)
    return arguments


def _to_bars(ticker: str, frame: Any) -> pl.DataFrame:
    """Turn yfinance's frame into bars; its index is midnight where the exchange is."""
    if not len(frame):
        return pl.DataFrame()
    days = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]")
    numbers = {name: frame[name.capitalize()].to_numpy().astype("float64") for name in NUMBERS}
    bars = pl.DataFrame({"date": days, **numbers})
    return bars.select("date", pl.lit(ticker).alias("ticker"), pl.col(NUMBERS).fill_nan(None))


def _explain(error: Exception) -> Answer:
    """Say in a few words why a ticker has no bars, and whether to ask again."""
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    kind = type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, YFRateLimitError):
        return Answer("unreached", reason="rate limited by Yahoo")
    if isinstance(error, YFTickerMissingError):
        given = getattr(error, "yahoo_reason", None)
        if given is not None and given.lower().startswith(_UNKNOWN_TO_YAHOO):
            return Answer("unknown", reason=given)
        return Answer("empty", reason=given or error.rationale.split("(")[0].strip())
    if status == 404:
        return Answer("unknown", reason="unknown to Yahoo")
    if status is not None and status >= 400:
        return Answer("unreached", reason=f"HTTP status {status}")
    if "Timeout" in kind:
        return Answer("unreached", reason="timed out")
    if any(word in kind for word in ("Connection", "DNS", "Proxy", "SSL")):
        return Answer("unreached", reason="no connection to Yahoo")
    return Answer("unreached", reason=f"an answer that cannot be read ({kind})")
