"""What the store holds of each ticker, beside the sessions of an exchange."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import cast

import polars as pl

from src.v2.data.exchange import sessions_between
from src.v2.data.store import Outcome
from src.v2.data.store_file import StoredBars
from src.v2.data.store_merge import CALENDAR, trades_on

SCHEMA = pl.Schema(
    {
        "ticker": pl.String,
        "rows": pl.Int64,
        "first": pl.Date,
        "last": pl.Date,
        "gaps": pl.Int64,
        "stale": pl.Boolean,
        "action": pl.String,
        "reason": pl.String,
    }
)
"""Columns of the table, in order."""


def coverage_table(
    outcomes: Mapping[str, Outcome],
    stored: Mapping[str, StoredBars],
    newest: dt.date,
    calendar: str = CALENDAR,
) -> pl.DataFrame:
    """List what is stored of each ticker, and what an update did.

    Parameters
    ----------
    outcomes
        What the update did, by ticker.
    stored
        Stored bars by ticker; a ticker may be absent.
    newest
        The newest date that could be stored.
    calendar
        Exchange whose sessions the dates are compared with.

    Returns
    -------
    polars.DataFrame
        | ticker | rows | first | last | gaps | stale | action | reason |. Gaps are sessions
        between first and last without a bar; null for a ticker that is traded on other
        dates than the exchange's. Stale: the last bar is older than the newest session.
        What is null is not known: nothing is stored.
    """
    sessions = _sessions(stored, newest, calendar)
    rows = []
    for ticker, outcome in outcomes.items():
        row: dict[str, object] = {"ticker": ticker, "rows": 0}
        if ticker in stored:
            row |= _facts(stored[ticker], sessions)
        rows.append(row | {"action": outcome.action, "reason": outcome.reason})
    return pl.DataFrame(rows, schema=SCHEMA)


def _sessions(stored: Mapping[str, StoredBars], newest: dt.date, calendar: str) -> pl.Series:
    """List the sessions from the first stored bar to the newest date."""
    if not stored:
        return pl.Series([], dtype=pl.Date)
    first = min(newest, *(history.first for history in stored.values()))
    days = sessions_between(first, newest, calendar)
    return days.filter(days <= newest)


def _facts(history: StoredBars, sessions: pl.Series) -> dict[str, object]:
    """Count the bars of one ticker, and the sessions without one."""
    first, last = history.first, history.last
    facts: dict[str, object] = {"rows": history.bars.height, "first": first, "last": last}
    if sessions.is_empty():
        return facts
    if trades_on(history.bars, sessions):
        inside = sessions.filter(sessions.is_between(first, last))
        days = history.bars.get_column("date").implode()
        facts["gaps"] = len(inside) - int(inside.is_in(days).sum() or 0)
    return facts | {"stale": last < cast(dt.date, sessions.max())}
