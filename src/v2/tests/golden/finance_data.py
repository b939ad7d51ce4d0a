"""The made-up panel and returns behind the golden values, with NumPy alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

SEED = 20_240_501
TICKERS = 25
SESSIONS = 80
SCORED = 60
PERIODS = (1, 5)
QUANTILES = 5
DAYS = 900


@dataclass(frozen=True)
class FinanceData:
    """Closes and scores of a panel, and the daily returns of one book.

    Parameters
    ----------
    closes
        (80 sessions, 25 tickers).
    scores
        (60 sessions, 25 tickers): of the first sessions, without ties.
    returns
        (900 days,): fat tails, and a drift.
    return_dates
        Weekdays of five calendar years, beginning inside the first.
    """

    dates: list[dt.date]
    tickers: list[str]
    closes: Matrix
    scores: Matrix
    return_dates: list[dt.date]
    returns: Matrix


def finance_data() -> FinanceData:
    """Make the data; the same on every machine."""
    rng = np.random.default_rng(SEED)
    steps = 0.01 * rng.standard_normal((SESSIONS, 1)) + 0.02 * rng.standard_normal(
        (SESSIONS, TICKERS)
    )
    closes = 40 * np.exp(np.cumsum(steps, axis=0))
    ahead = np.log(closes[5 : SCORED + 5] / closes[:SCORED])
    scores = ahead + 0.15 * rng.standard_normal((SCORED, TICKERS))
    shocks = rng.standard_normal(DAYS) / np.sqrt(rng.chisquare(5, DAYS) / 5)
    return FinanceData(
        _weekdays(dt.date(2020, 1, 1), SESSIONS),
        [f"T{number:02d}" for number in range(TICKERS)],
        closes,
        scores,
        _weekdays(dt.date(2018, 8, 15), DAYS),
        0.0004 + 0.009 * shocks,
    )


def _weekdays(first: dt.date, count: int) -> list[dt.date]:
    days = (first + dt.timedelta(days=step) for step in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]
