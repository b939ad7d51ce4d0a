"""The sessions of an exchange."""

from __future__ import annotations

import datetime as dt
import warnings

import polars as pl

_OLDEST = dt.date(1900, 1, 1)


def sessions_between(first: dt.date, last: dt.date, calendar: str) -> pl.Series:
    """List an exchange's sessions that may lie between two dates, both included.

    Parameters
    ----------
    first, last
        Any dates; what lies before 1900 or more than a year ahead has no sessions.
    calendar
        Name of the exchange, as ``XNYS``.

    Returns
    -------
    polars.Series
        Sorted dates, with a margin of ten days on both sides.
    """
    with warnings.catch_warnings():
        # Deprecations between this library and pandas are nothing that a user can act on.
        warnings.simplefilter("ignore")
        import exchange_calendars

        # A margin, since a calendar needs at least one session.
        newest = dt.date.today() + dt.timedelta(days=366)
        start = min(max(first, _OLDEST), newest) - dt.timedelta(days=10)
        end = max(min(last, newest), _OLDEST) + dt.timedelta(days=10)
        exchange = exchange_calendars.get_calendar(calendar, start=start, end=end)
    return pl.Series([session.date() for session in exchange.sessions], dtype=pl.Date)
