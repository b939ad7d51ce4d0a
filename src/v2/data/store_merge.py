"""What to ask Yahoo for, and what its answers do to the bars that are stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from src.v2.data.exchange import sessions_between
from src.v2.data.store_file import StoredBars
from src.v2.data.windows import Window

CALENDAR = "XNYS"
SAME_CLOSE = 1e-4
"""Closes that differ by a smaller share are equal but for rounding."""
_SETTLED_DAYS = 5
"""Days after which Yahoo has given every bar that it ever will."""
_LONGEST_CLOSURE = 7
"""No exchange closes for more days than this."""
_YEAR = 400
_ON_CALENDAR = 0.99
"""Share of its dates that are sessions of the calendar on which a ticker is traded there."""

Action = Literal["new", "tail", "again", "kept", "failed"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for one ticker: all of a window, or what follows the stored bars."""

    action: Literal["new", "tail", "again"]
    window: Window
    reason: str = ""
    damaged: bool = False


class Calendar:
    """Sessions of an exchange in the year before a date, looked up when first needed."""

    def __init__(self, last: dt.date, name: str = CALENDAR) -> None:
        self._last = last
        self._name = name
        self._sessions: pl.Series | None = None

    def is_newest(self, stored: StoredBars) -> bool:
        """Tell whether no session has ended since the last bar; no for other exchanges."""
        if self._last - stored.last > dt.timedelta(_LONGEST_CLOSURE):
            return False
        if self._sessions is None:
            first = self._last - dt.timedelta(_YEAR)
            days = sessions_between(first, self._last, self._name)
            self._sessions = days.filter(days <= self._last)
        newest = self._sessions.max()
        assert isinstance(newest, dt.date)
        return stored.last >= newest and trades_on(stored.bars, self._sessions)


def trades_on(bars: pl.DataFrame, sessions: pl.Series) -> bool:
    """Tell whether a ticker's dates, where the sessions are known, are sessions."""
    first = sessions.min()
    assert isinstance(first, dt.date)
    days = bars.get_column("date")
    share = days.filter(days >= first).is_in(sessions.implode()).mean()
    return isinstance(share, float) and share >= _ON_CALENDAR


def plan_request(
    stored: StoredBars | None,
    window: Window,
    newest: dt.date,
    overlap: int,
    is_newest: Callable[[StoredBars], bool],
) -> Request | None:
    """Decide what to ask for one ticker.

    Parameters
    ----------
    stored
        What there is.
    window
        What is wanted.
    newest
        The newest date whose bar no longer changes.
    overlap
        Stored sessions that are asked for again with the missing tail.
    is_newest
        Whether no session has ended since the last stored bar.

    Returns
    -------
    Request or None
        None when nothing is missing.
    """
    if stored is None:
        return Request("new", window)
    if stored.asked_from is not None and (window.start is None or window.start < stored.asked_from):
        end = window.end and max(window.end, stored.asked_to)
        start = window.start or "the beginning"
        why = f"wanted from {start}, stored from {stored.asked_from}"
        return Request("again", Window(window.start, end), why)
    wanted = min(window.end or newest, newest)
    settled = stored.asked_to >= wanted and (stored.asked_on - wanted).days >= _SETTLED_DAYS
    if settled or stored.last >= wanted or is_newest(stored):
        return None
    days = stored.bars.get_column("date").unique().sort()
    return Request("tail", Window(days[-min(overlap, len(days))], window.end))


def whole_again(stored: StoredBars, request: Request, reason: str) -> Request:
    """Ask for everything that is stored, and what was asked for besides."""
    end = request.window.end and max(request.window.end, stored.asked_to)
    return Request("again", Window(stored.asked_from, end), reason)


def add_tail(stored: StoredBars, tail: pl.DataFrame, start: dt.date) -> pl.DataFrame | str:
    """Put an answer behind the stored bars, if it agrees with those that both have.

    Parameters
    ----------
    stored
        What there is. Its last bar may have been provisional and is never compared.
    tail
        The answer to a request from ``start`` on; its bars win.
    start
        First date asked for.

    Returns
    -------
    polars.DataFrame or str
        All bars; or, in a few words, why the whole history has to be asked for again.
    """
    days = pl.col("date")
    tail = tail.filter(days >= start)
    compared = stored.bars.filter((days >= start) & (days < stored.last))
    missing = compared.join(tail, on="date", how="anti").height
    if missing:
        return f"{missing} of {compared.height} bars were missing in the overlap"
    ratio = _changed_by(compared, tail)
    if ratio is None:
        return "no earlier close to compare with"
    if ratio != 1:
        return f"a split, a dividend or a correction changed its closes by a factor of {ratio:.6g}"
    newest = tail.get_column("date").max()
    before, after = stored.bars.filter(days < start), stored.bars.filter(days > newest)
    return pl.concat([before, tail, after])


def renew(stored: StoredBars, bars: pl.DataFrame) -> tuple[pl.DataFrame, str] | str:
    """Replace a history by a new answer, unless that is much shorter.

    Parameters
    ----------
    stored
        What there is.
    bars
        The answer to a request for at least as long a history.

    Returns
    -------
    tuple or str
        The bars to keep, with a remark or ""; or, in a few words, why the stored ones stay.
        Of an answer that lacks more than 1% of the stored dates only closes that agree
        are taken, and the stored bars that it lacks are kept.
    """
    lacking = stored.bars.join(bars, on="date", how="anti")
    if lacking.height <= max(1, stored.bars.height // 100):
        return bars, ""
    if _changed_by(stored.bars.filter(pl.col("date") < stored.last), bars) == 1:
        kept = pl.concat([lacking, bars]).sort("date", maintain_order=True)
        return kept, f"{lacking.height} bars that Yahoo no longer gives are kept"
    return (
        f"Yahoo's answer lacks {lacking.height} of its {stored.bars.height} stored bars and "
        "disagrees with the rest, so the stored ones stay; remove its file to take the new ones"
    )


def _changed_by(old: pl.DataFrame, new: pl.DataFrame) -> float | None:
    """Give 1 when the closes of common dates agree, else a ratio new to old; None without any."""
    both = old.select("date", "close").join(new.select("date", "close"), on="date", suffix="_new")
    ratios = both.drop_nulls().select(pl.col("close_new") / pl.col("close")).to_series()
    if not len(ratios):
        return None
    far = ratios.filter(~((ratios - 1).abs() <= SAME_CLOSE))
    return float(far[0]) if len(far) else 1.0
