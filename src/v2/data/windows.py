"""Which dates Yahoo is asked for."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_FINAL_AT = dt.time(16, 15)
"""When a session's bar no longer changes, in New York."""


@dataclass(frozen=True, slots=True)
class Window:
    """First and last date asked for, both included; None leaves an end open."""

    start: dt.date | None
    end: dt.date | None = None


def window_of(period: str, start: dt.date | None, end: dt.date | None, newest: dt.date) -> Window:
    """Give the window of the settings.

    Parameters
    ----------
    period
        History up to ``end`` or ``newest``, as ``90d``, ``6mo``, ``10y`` or ``max``.
    start, end
        First and last date, both included; ``start`` wins over ``period``.
    newest
        The newest date whose bar no longer changes.

    Examples
    --------
    >>> window_of("1y", None, None, dt.date(2026, 1, 6))
    Window(start=datetime.date(2025, 1, 6), end=None)
    """
    return Window(start or first_date(period, end or newest), end)


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
