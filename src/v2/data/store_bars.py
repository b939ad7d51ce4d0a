"""The bars of a run from the store, brought up to date first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from src.v2.config import YahooConfig
from src.v2.console import Track, no_progress
from src.v2.data.losses import list_reasons, shown_ticker
from src.v2.data.store import Outcome, bars_within, read_stored, update_store
from src.v2.data.store_file import StoredBars
from src.v2.data.windows import Window, last_final_date, window_of
from src.v2.data.yahoo import nothing_given
from src.v2.records import Drop

_NAMES_SHOWN = 5


def stored_bars(
    folder: Path,
    tickers: Sequence[str],
    config: YahooConfig,
    period: str,
    start: dt.date | None = None,
    end: dt.date | None = None,
    now: dt.datetime | None = None,
    track: Track = no_progress,
) -> tuple[pl.DataFrame, tuple[Drop, ...], tuple[str, ...]]:
    """Fetch what the store lacks, and give the bars of the window.

    Parameters
    ----------
    folder
        The store.
    tickers, config, period, start, end, now
        As for `src.v2.data.yahoo.download_bars`.
    track
        Shows progress over the batches.

    Returns
    -------
    tuple
        What `download_bars` gives: bars, and tickers without any; and remarks on tickers
        whose stored bars are used although Yahoo did not give what is missing.

    Raises
    ------
    SourceUnavailable
        When no ticker has any bar, neither at Yahoo nor in the store.
    OmninmoError
        When the store cannot be written.
    """
    newest = last_final_date(now or dt.datetime.now(dt.UTC))
    window = window_of(period, start, end, newest)
    outcomes = update_store(folder, tickers, config, window, newest, track=track)
    stored = read_stored(folder, list(outcomes))
    failed = tuple(
        Drop(name, outcome.reason or "its file vanished", 0, whole_ticker=True, failed=True)
        for name, outcome in outcomes.items()
        if name not in stored
    )
    found = [bars_within(history, window, newest) for history in stored.values()]
    bars = pl.concat(found) if found else pl.DataFrame()
    if bars.is_empty():
        raise nothing_given(list(outcomes), failed)
    return bars, failed, _remarks(outcomes, stored, window)


def _remarks(
    outcomes: Mapping[str, Outcome], stored: Mapping[str, StoredBars], window: Window
) -> tuple[str, ...]:
    """Say whose stored bars are used without what Yahoo should have added."""
    unreached = [name for name in stored if outcomes[name].unreached]
    remarks = []
    if unreached:
        reasons = list_reasons(_as_drops(outcomes, unreached), by_rows=False)
        last = max(stored[name].last for name in unreached)
        text = (
            f"Yahoo could not be reached ({reasons}): the stored bars are used, which end on {last}"
        )
        older = [name for name in unreached if stored[name].last < last]
        if older:
            text += f" or before ({_shown(older, stored)})"
        short = [name for name in unreached if _begins_late(stored[name], window)]
        if short:
            begin = min(stored[name].first for name in short)
            text += f"; {len(short)} of them hold nothing before {begin}, although asked for"
        remarks.append(text)
    others = [
        name for name in stored if outcomes[name].action == "failed" and name not in unreached
    ]
    if others:
        reasons = list_reasons(_as_drops(outcomes, others), by_rows=False)
        remarks.append(
            f"Yahoo gave nothing new for {_shown(others, stored)} ({reasons}): the stored bars "
            "are used"
        )
    refused = [name for name in stored if outcomes[name].action == "kept" and outcomes[name].reason]
    remarks += [f"{shown_ticker(name)}: {outcomes[name].reason}" for name in refused]
    return tuple(remarks)


def _begins_late(stored: StoredBars, window: Window) -> bool:
    """Tell whether a window begins before what was ever asked for."""
    start, asked = window.start, stored.asked_from
    return asked is not None and (start is None or start < asked)


def _as_drops(outcomes: Mapping[str, Outcome], names: Sequence[str]) -> list[Drop]:
    return [Drop(name, outcomes[name].reason, 0, whole_ticker=True) for name in names]


def _shown(names: Sequence[str], stored: Mapping[str, StoredBars]) -> str:
    """Name the first tickers, each with its last stored date."""
    listed = [f"{shown_ticker(name)} to {stored[name].last}" for name in names[:_NAMES_SHOWN]]
    more = len(names) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")
