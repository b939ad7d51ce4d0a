"""The bars store: Yahoo's bars on this disk, one file a ticker, brought up to date on demand.

Only what is missing is asked for, with some sessions of overlap that tell whether a split
or a dividend has changed the history since. Each ticker is written as soon as its batch has
come, so an interrupted fetch goes on where it stopped.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl

from src.v2.config import YahooConfig
from src.v2.console import Track, no_progress, show_note
from src.v2.data.losses import shown_ticker
from src.v2.data.store_file import DamagedFile, StoredBars, read_bars, write_bars
from src.v2.data.store_lock import writing
from src.v2.data.store_merge import (
    Action,
    Calendar,
    Request,
    add_tail,
    plan_request,
    renew,
    whole_again,
)
from src.v2.data.windows import Window
from src.v2.data.yahoo import Answer, Ask, connection
from src.v2.errors import OmninmoError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an update did for one ticker.

    Parameters
    ----------
    action
        new, tail, again (asked for in full once more), kept (nothing was asked, or the
        answer was refused) or failed (Yahoo gave nothing); nothing stored is ever lost.
    reason
        Why, in a few words, where it is not plain.
    unreached
        Whether Yahoo did not answer, so that a later try may help.
    """

    action: Action
    reason: str = ""
    unreached: bool = False


@dataclass(frozen=True, slots=True)
class _Update:
    """What is the same for all tickers of an update."""

    folder: Path
    config: YahooConfig
    window: Window
    newest: dt.date


def update_store(
    folder: Path,
    tickers: Sequence[str],
    config: YahooConfig,
    window: Window,
    newest: dt.date,
    *,
    full: bool = False,
    track: Track = no_progress,
) -> dict[str, Outcome]:
    """Ask Yahoo for what the store lacks of a window.

    Parameters
    ----------
    folder
        The store; made when it is not there.
    tickers
        Yahoo's symbols.
    config
        Batches, time limits, tries, and the overlap.
    window
        Dates wanted.
    newest
        The newest date whose bar no longer changes; later bars are not stored.
    full
        Ask for everything again.
    track
        Shows progress over the batches.

    Returns
    -------
    dict
        The outcome of each ticker, in their order. That Yahoo is out of reach is one of
        them, no error.

    Raises
    ------
    OmninmoError
        When the folder cannot be written.
    """
    tickers = list(dict.fromkeys(tickers))
    update = _Update(folder, config, window, newest)
    requests = _plan(update, tickers, full)
    done: dict[str, Outcome] = {}
    if requests:
        with _written(folder), writing(folder):
            # Once more, since another process may have asked meanwhile.
            requests = _plan(update, tickers, full)
            for name, request in requests.items():
                if request.damaged:
                    show_note(f"{shown_ticker(name)}: {request.reason}; it is asked for again.")
            if requests:
                done = _ask_all(update, requests, track)
    return {name: done.get(name, Outcome("kept")) for name in tickers}


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Say what to do when the store cannot be written."""
    try:
        yield
    except OSError as error:
        raise OmninmoError(
            f"The store of bars {folder} cannot be written: {error.strerror or error}. Mend it, "
            "name another with --paths.bars-dir, or do without: --data.yahoo.store false."
        ) from error


def _plan(update: _Update, tickers: Sequence[str], full: bool) -> dict[str, Request]:
    """Decide what to ask for, by ticker."""
    wanted = min(update.window.end or update.newest, update.newest)
    calendar = Calendar(wanted)
    requests: dict[str, Request] = {}
    for name in tickers:
        request: Request | None
        try:
            stored = read_bars(update.folder, name)
        except DamagedFile as error:
            request = Request("again", update.window, str(error), damaged=True)
        else:
            request = plan_request(
                stored, update.window, update.newest, update.config.overlap, calendar.is_newest
            )
            if full and stored is not None and (request is None or request.action == "tail"):
                request = whole_again(stored, Request("again", update.window), "asked for in full")
        if request is not None:
            requests[name] = request
    return requests


def _ask_all(update: _Update, requests: Mapping[str, Request], track: Track) -> dict[str, Outcome]:
    """Ask in batches, and write each one's bars; give up when Yahoo is out of reach."""
    done: dict[str, Outcome] = {}
    size = update.config.batch_size
    batches = list(itertools.batched(requests, size))
    with connection(update.config, update.newest) as ask:
        for batch in track(batches, "bars from Yahoo", len(batches)):
            names = cast(tuple[str, ...], batch)
            done |= _ask_batch(update, ask, {name: requests[name] for name in names})
            if all(outcome.unreached for outcome in done.values()):
                # Nothing has come so far; the rest would only wait in vain.
                done |= {name: done[names[-1]] for name in requests if name not in done}
                break
    return done


def _ask_batch(update: _Update, ask: Ask, requests: Mapping[str, Request]) -> dict[str, Outcome]:
    """Ask for tickers, and in full for those whose history has changed."""
    done: dict[str, Outcome] = {}
    waiting = dict(requests)
    while waiting:
        answers = ask({name: request.window for name, request in waiting.items()})
        again: dict[str, Request] = {}
        for name, request in waiting.items():
            settled = _settle(update, name, request, answers[name])
            if isinstance(settled, Request):
                again[name] = settled
            else:
                done[name] = settled
                _LOG.info("Yahoo: %s: %s %s", shown_ticker(name), settled.action, settled.reason)
        waiting = again
    return done


def _settle(update: _Update, ticker: str, request: Request, answer: Answer) -> Outcome | Request:
    """Write what an answer gives, or ask for the whole history."""
    bars = answer.bars
    if bars is None or bars.is_empty():
        why = answer.reason or "no session has ended"
        reason = "; ".join(filter(None, (why, request.reason)))
        return Outcome("failed", reason, unreached=answer.kind == "unreached")
    stored = _trusted(update.folder, ticker)
    remark = ""
    asked_from = request.window.start
    if stored is not None and request.action == "tail":
        assert asked_from is not None
        added = add_tail(stored, bars, asked_from)
        if isinstance(added, str):
            return whole_again(stored, request, added)
        bars, asked_from = added, stored.asked_from
    elif stored is not None:
        renewed = renew(stored, bars)
        if isinstance(renewed, str):
            return Outcome("kept", renewed)
        bars, remark = renewed
    wanted = min(request.window.end or update.newest, update.newest)
    write_bars(update.folder, ticker, StoredBars(bars, asked_from, wanted, update.newest))
    return Outcome(request.action, "; ".join(filter(None, (request.reason, remark))))


def _trusted(folder: Path, ticker: str) -> StoredBars | None:
    """Read what is stored; a damaged file counts as none."""
    try:
        return read_bars(folder, ticker)
    except DamagedFile:
        return None


def read_stored(folder: Path, tickers: Sequence[str]) -> dict[str, StoredBars]:
    """Read the bars of the tickers that have a sound file; needs no lock.

    Returns
    -------
    dict
        Stored bars by ticker, in the order of the tickers.
    """
    found = {name: _trusted(folder, name) for name in dict.fromkeys(tickers)}
    return {name: stored for name, stored in found.items() if stored is not None}


def bars_within(stored: StoredBars, window: Window, newest: dt.date) -> pl.DataFrame:
    """Give the stored bars of a window, up to the newest finished date."""
    last = min(window.end or newest, newest)
    inside = pl.col("date") <= last
    if window.start is not None:
        inside = inside & (pl.col("date") >= window.start)
    return stored.bars.filter(inside)
