"""Probes that every feature must pass, and the bars they run on.

Each probe takes a function from bars to a table | date | ticker | features …| and returns
the names of the features that fail it, so that a test can also show that a planted bad
feature is caught.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from src.v2.data.context import Context

Compute = Callable[[pl.DataFrame], pl.DataFrame]
PRICES = ("open", "high", "low", "close")


def make_bars(
    tickers: int = 3, sessions: int = 600, seed: int = 0, late: int = 0, gap: int | None = None
) -> pl.DataFrame:
    """Return random full bars on weekdays, sorted by ticker and date.

    Parameters
    ----------
    late
        Sessions by which the last ticker is listed late.
    gap
        Session at which the first ticker stops for 15 sessions.
    """
    random = np.random.default_rng(seed)
    dates = _weekdays(sessions)
    market = random.normal(0.0003, 0.008, sessions)
    parts = []
    for number in range(tickers):
        returns = (0.5 + number / tickers) * market + random.normal(0, 0.012, sessions)
        close = 20 * (number + 1) * np.exp(np.cumsum(returns))
        start = close * np.exp(random.normal(0, 0.006, sessions))
        high = np.maximum(start, close) * np.exp(np.abs(random.normal(0, 0.005, sessions)))
        low = np.minimum(start, close) * np.exp(-np.abs(random.normal(0, 0.005, sessions)))
        part = pl.DataFrame(
            {
                "date": dates,
                "ticker": f"T{number:02d}",
                "open": start,
                "high": high,
                "low": low,
                "close": close,
                "volume": np.round(1e6 * np.exp(random.normal(0, 0.4, sessions))),
            }
        )
        if number == 0 and gap is not None:
            part = pl.concat([part[:gap], part[gap + 15 :]])
        if number == tickers - 1:
            part = part[late:]
        parts.append(part)
    return pl.concat(parts)


def _weekdays(count: int) -> list[dt.date]:
    first = dt.date(2015, 1, 1)
    days = (first + dt.timedelta(days=number) for number in range(2 * count + 10))
    return [day for day in days if day.weekday() < 5][:count]


def differing(left: pl.DataFrame, right: pl.DataFrame, rtol: float = 0.0) -> list[str]:
    """Return the columns that differ between tables of the same rows; 0 means to the bit."""
    keys = ["date", "ticker"]
    assert left.columns == right.columns
    assert left.select(keys).equals(right.select(keys)), "the rows are not the same"
    names = []
    for name in left.columns:
        if name in keys:
            continue
        ours, theirs = left[name], right[name]
        if rtol == 0:
            same = ours.equals(theirs, null_equal=True)
        else:
            first, second = ours.to_numpy(), theirs.to_numpy()
            same = np.allclose(first, second, rtol=rtol, atol=rtol, equal_nan=True)
        if not same:
            names.append(name)
    return names


def until(table: pl.DataFrame, date: dt.date) -> pl.DataFrame:
    """Keep the rows up to a date."""
    return table.filter(pl.col("date") <= date)


def truncation(compute: Compute, bars: pl.DataFrame, cuts: Iterable[dt.date]) -> list[str]:
    """Compare bars cut at a date with a table cut at it (P1)."""
    whole = compute(bars)
    failing: set[str] = set()
    for cut in cuts:
        failing |= set(differing(compute(until(bars, cut)), until(whole, cut)))
    return sorted(failing)


def future_change(compute: Compute, bars: pl.DataFrame, date: dt.date, seed: int = 1) -> list[str]:
    """Multiply every bar after a date by random factors and compare up to it (P2)."""
    random = np.random.default_rng(seed)
    later = pl.col("date") > date
    present = [name for name in (*PRICES, "volume") if name in bars.columns]
    changed = bars.with_columns(
        pl.when(later)
        .then(pl.col(name) * pl.Series(np.exp(random.normal(0, 0.3, len(bars)))))
        .otherwise(pl.col(name))
        .alias(name)
        for name in present
    )
    return differing(until(compute(bars), date), until(compute(changed), date))


def delisting(compute: Compute, bars: pl.DataFrame, ticker: str, date: dt.date) -> list[str]:
    """Remove one ticker's bars after a date and compare up to it (P3)."""
    gone = (pl.col("ticker") == ticker) & (pl.col("date") > date)
    return differing(until(compute(bars), date), until(compute(bars.filter(~gone)), date))


def isolation(compute: Compute, bars: pl.DataFrame, ticker: str) -> list[str]:
    """Compare a ticker alone with the ticker among the others (P4)."""
    own = pl.col("ticker") == ticker
    return differing(compute(bars.filter(own)), compute(bars).filter(own))


def scale(
    compute: Compute, bars: pl.DataFrame, ticker: str, price: float, volume: float, rtol: float
) -> list[str]:
    """Multiply one ticker's price and volume history by constants."""
    factors = dict.fromkeys(PRICES, price) | {"volume": volume}
    own = pl.col("ticker") == ticker
    scaled = bars.with_columns(
        pl.when(own).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name, factor in factors.items()
        if name in bars.columns
    )
    return differing(compute(bars), compute(scaled), rtol)


def row_order(compute: Compute, bars: pl.DataFrame, seed: int = 2) -> list[str]:
    """Shuffle the rows of the bars."""
    return differing(compute(bars), compute(bars.sample(fraction=1, shuffle=True, seed=seed)))


def make_context(sessions: int = 800, seed: int = 0, tickers: int = 12) -> Context:
    """Return a series like a volatility index, and two sectors of every other ticker.

    The series begins on the first day of `make_bars`, lacks every 17th weekday, and has a value
    on some Saturdays.
    """
    random = np.random.default_rng(seed + 100)
    days = _weekdays(sessions)
    level = np.empty(sessions)
    level[0] = np.log(20)
    for place, step in enumerate(random.normal(0, 0.06, sessions - 1), 1):
        level[place] = level[place - 1] + 0.05 * (np.log(20) - level[place - 1]) + step
    moved = [
        day + dt.timedelta(days=1) if day.weekday() == 4 and place % 3 == 0 else day
        for place, day in enumerate(days)
    ]
    rows = pl.DataFrame({"date": moved, "value": np.exp(level)})
    kept = rows.filter(pl.int_range(pl.len()) % 17 != 16)
    sectors = {f"T{number:02d}": f"S{number % 2}" for number in range(tickers)}
    return Context({"vix": kept}, sectors)


def later_values(
    compute: Callable[[Context], pl.DataFrame], context: Context, date: dt.date, seed: int = 3
) -> list[str]:
    """Cut the series of context at a date, and change what comes later; compare up to it (P5)."""
    random = np.random.default_rng(seed)
    whole = until(compute(context), date)
    later = pl.col("date") > date
    changed = {
        name: rows.with_columns(
            pl.when(later)
            .then(pl.col("value") * pl.Series(np.exp(random.normal(0, 0.3, len(rows)))))
            .otherwise(pl.col("value"))
            .alias("value")
        )
        for name, rows in context.series.items()
    }
    failing: set[str] = set()
    for other in (context.until(date), dataclasses.replace(context, series=changed)):
        failing |= set(differing(until(compute(other), date), whole))
    return sorted(failing)
