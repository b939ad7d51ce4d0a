"""Bars made from a seed, for tests."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

FIRST = dt.date(2010, 1, 4)


def weekdays(count: int, first: dt.date = FIRST) -> list[dt.date]:
    """List weekdays from a Monday on."""
    return [first + dt.timedelta(days=7 * (i // 5) + i % 5) for i in range(count)]


def random_walk_bars(
    tickers: int = 20,
    sessions: int = 900,
    seed: int = 0,
    *,
    signal: float = 0.0,
    signal_days: int = 20,
    ohlcv: bool = False,
) -> pl.DataFrame:
    """Random walks with one common factor, and a planted momentum of the given strength.

    Parameters
    ----------
    signal
        Daily drift (fraction) of a ticker in the top rank of the last `signal_days` returns;
        the bottom rank drifts down as much. 0: nothing can be forecast.
    """
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.008, sessions)
    noise = rng.normal(0, 0.015, (sessions, tickers))
    returns = common[:, None] + noise
    for day in range(signal_days, sessions if signal else 0):
        past = returns[day - signal_days : day].sum(axis=0)
        ranks = past.argsort().argsort() / (tickers - 1) - 0.5
        returns[day] += 2 * signal * ranks
    log_price = np.cumsum(returns - returns.var() / 2, axis=0) + np.log(50)
    close = np.exp(log_price)
    dates = weekdays(sessions)
    names = [f"T{number:03d}" for number in range(tickers)]
    bars = pl.DataFrame(
        {
            "date": np.repeat(np.array(dates, dtype="datetime64[D]"), tickers),
            "ticker": names * sessions,
            "close": close.ravel(),
        }
    ).with_columns(pl.col("date").cast(pl.Date))
    if not ohlcv:
        return bars.sort("ticker", "date")
    spread = np.abs(rng.normal(0, 0.006, (4, sessions * tickers)))
    opening = close.ravel() * np.exp(rng.normal(0, 0.005, sessions * tickers))
    high = np.maximum(opening, close.ravel()) * (1 + spread[0])
    low = np.minimum(opening, close.ravel()) * (1 - spread[1])
    volume = np.exp(rng.normal(13, 0.5, sessions * tickers))
    extra = {"open": opening, "high": high, "low": low, "volume": volume}
    return bars.with_columns(pl.Series(name, values) for name, values in extra.items()).sort(
        "ticker", "date"
    )


def ragged(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Give some tickers a late listing, an early end, a halt or single missing sessions."""
    rng = np.random.default_rng(seed)
    dates = bars["date"].unique().sort()
    total = len(dates)
    kept = []
    for place, (_, part) in enumerate(bars.sort("date").group_by("ticker", maintain_order=True)):
        first, last = dates[0], dates[-1]
        mask = pl.lit(True)
        if place % 5 == 1:
            first = dates[int(rng.integers(total // 10, total // 3))]
        if place % 5 == 2:
            last = dates[int(rng.integers(total // 2, total - 5))]
        if place % 5 == 3:
            start = int(rng.integers(total // 4, total // 2))
            length = int(rng.integers(2, max(3, total // 8)))
            mask = ~pl.col("date").is_between(dates[start], dates[min(start + length, total - 1)])
        if place % 5 == 4:
            missing = dates.gather(sorted(rng.choice(total, total // 50 + 1, replace=False)))
            mask = ~pl.col("date").is_in(missing.to_list())
        kept.append(part.filter(pl.col("date").is_between(first, last) & mask))
    return pl.concat(kept).sort("ticker", "date")
