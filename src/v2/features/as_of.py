"""Which value of a series of context each session may show.

The value of a session is the last one dated no later than the session, with a lag: than the
session that many sessions before. What is older than a limit is missing, and nothing is ever
filled backward.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

import numpy as np
import polars as pl

from src.v2.data.context import SECTOR, Context
from src.v2.features.registry import Feature


def as_of(dates: pl.Series, series: pl.DataFrame, lag: int, max_age: int) -> pl.Series:
    """Return the value of a series that each session may show.

    Parameters
    ----------
    dates
        Sorted distinct sessions.
    series
        | date | value |, sorted, one row a date, no null.
    lag
        Sessions until a value counts as known.
    max_age
        Calendar days from a value to the session it is looked up for, at most.

    Returns
    -------
    pl.Series
        Float64, null where nothing is known or all is too old, and on the first `lag` sessions.

    Examples
    --------
    >>> days = [dt.date(2024, 1, day) for day in (3, 4, 5)]
    >>> series = pl.DataFrame({"date": [days[0], days[2]], "value": [1.0, 2.0]})
    >>> as_of(pl.Series(days), series, 1, 14).to_list()
    [None, 1.0, 1.0]
    """
    shown = np.full(len(dates), np.nan)
    if len(series) and len(dates) > lag:
        days = dates.cast(pl.Int32).to_numpy()[: len(dates) - lag]
        known_on = series["date"].cast(pl.Int32).to_numpy()
        place = np.searchsorted(known_on, days, side="right") - 1
        fresh = (place >= 0) & (days - known_on[place] <= max_age)
        shown[lag:] = np.where(fresh, series["value"].to_numpy()[place], np.nan)
    return pl.Series("value", shown, nan_to_null=True)


def add_series(sessions: pl.DataFrame, context: Context | None) -> pl.DataFrame:
    """Add each series of a context to a table of sessions, as a column of its name.

    Parameters
    ----------
    sessions
        | date | ... |, sorted.
    context
        What is known beside the bars; None for nothing.
    """
    if context is None:
        return sessions
    return sessions.with_columns(
        as_of(sessions["date"], rows, context.lag, context.max_age).alias(name)
        for name, rows in context.series.items()
    )


def known_context(context: Context | None, dates: pl.Series) -> frozenset[str]:
    """Name what a context holds for some dates: its series, and `SECTOR`.

    Parameters
    ----------
    context
        What is known beside the bars; None for nothing.
    dates
        Of the bars, in any order. A series without a value on or shortly before any of them
        counts as not there.
    """
    first, last = dates.min(), dates.max()
    if context is None or not isinstance(first, dt.date) or not isinstance(last, dt.date):
        return frozenset()
    earliest = first - dt.timedelta(days=context.max_age)
    series = {
        name
        for name, rows in context.series.items()
        if rows["date"].is_between(earliest, last).any()
    }
    return frozenset(series | ({SECTOR} if context.sectors else set()))


def needed_context(features: Iterable[Feature], columns: Collection[str]) -> frozenset[str]:
    """Name the series, and `SECTOR`, that the features among some columns read."""
    there = set(columns)
    return frozenset(name for item in features if item.name in there for name in item.context)
