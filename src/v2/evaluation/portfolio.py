"""What trading the scores would have brought.

How the books are run stands in `src.v2.evaluation.tranches`; here they are summed up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.sharpe import (
    deflated_sharpe,
    max_drawdown,
    probabilistic_sharpe,
    sharpe_ratio,
    sharpe_standard_error,
)
from src.v2.evaluation.tranches import Trading, trade
from src.v2.evaluation_records import Book, Interval, Portfolio

Matrix = npt.NDArray[np.float64]

SESSIONS_A_YEAR = 252
NORMAL_95 = 1.959963984540054
NO_SECTOR = "(none)"


def simulate(
    predictions: pl.DataFrame,
    bars: pl.DataFrame,
    *,
    forward_days: int,
    entry_lag: int,
    quantile: float | None,
    cost_bps: float,
    sectors: Mapping[str, str] | None = None,
    trial_sharpes: Sequence[float] = (),
) -> Portfolio | None:
    """Trade the scores in overlapping tranches and account for it.

    Parameters
    ----------
    predictions
        | date | ticker | score |, any order, one block of dates: also the rows whose label is
        null because the ticker stopped trading later, which nobody could know. Rows without a
        score, or of a date or ticker without bars, are left out.
    bars
        | date | ticker | close | of the whole universe, any order. Their dates are the
        sessions.
    quantile
        Share of a date's tickers in each end, at least one ticker; None: 0.1 from 100 tickers
        on, else 0.2.
    cost_bps
        Cost of a trade, a side, in hundredths of a percent of its value.
    sectors
        Sector by ticker; tickers that it lacks are named ``(none)``.
    trial_sharpes
        Sharpe ratios of one session of the long-short books of the other trials.

    Returns
    -------
    Portfolio or None
        Books "long-short", "top" (the top quantile alone), "equal weight" (every scored
        ticker, by the same tranches and costs) and "top less equal weight" (of the daily
        differences). Weights are shares of the capital: 1 in each side of the long-short book,
        whose turnover is thus that of both sides together. The net return of a session is
        (1 + gross) (1 - 2 turnover cost) - 1. `dsr` is NaN beside the long-short book where
        there are other trials, since those are known by that book alone. None below 20
        tickers, or where fewer than two sessions can be reported.
    """
    trading = trade(
        predictions,
        bars,
        forward_days=forward_days,
        entry_lag=entry_lag,
        quantile=quantile,
        cost_bps=cost_bps,
    )
    if trading is None:
        return None
    daily = _daily(trading)
    return Portfolio(
        quantile=trading.quantile,
        cost_bps=cost_bps,
        sessions=daily.height,
        books=_books(trading, trial_sharpes),
        daily=daily,
        yearly=yearly_returns(daily),
        sectors=_sectors(trading.long_short.held, trading.tickers, sectors or {}),
    )


def _daily(trading: Trading) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "date": trading.dates,
            "long_short": trading.long_short.net,
            "top": trading.top.net,
            "equal_weight": trading.equal_weight.net,
            "long_short_gross": trading.long_short.gross,
            "top_gross": trading.top.gross,
        }
    )


def _books(trading: Trading, trial_sharpes: Sequence[float]) -> tuple[Book, ...]:
    """Sum the books up; the other trials are known by their long-short books alone."""
    long_short, top, market = trading.long_short, trading.top, trading.equal_weight
    difference = top.net - market.net, top.turnover - market.turnover
    others = None if len(trial_sharpes) == 0 else float("nan")
    return (
        sum_up(
            "long-short",
            long_short.net,
            long_short.turnover,
            deflated_sharpe(long_short.net, trial_sharpes),
        ),
        sum_up("top", top.net, top.turnover, others),
        sum_up("equal weight", market.net, market.turnover, others),
        sum_up("top less equal weight", *difference, others),
    )


def sum_up(name: str, returns: Matrix, turnover: Matrix, dsr: float | None = None) -> Book:
    """Sum up what a book did.

    Parameters
    ----------
    returns, turnover
        (sessions,): net simple returns as fractions, and half the weights traded.
    dsr
        Deflated Sharpe ratio; None: there was one trial, and it is `psr`.
    """
    year = SESSIONS_A_YEAR**0.5
    sharpe, error = sharpe_ratio(returns) * year, sharpe_standard_error(returns) * year
    half = NORMAL_95 * error
    psr = probabilistic_sharpe(returns)
    return Book(
        name=name,
        annual_return=_growth(returns),
        annual_volatility=float(returns.std(ddof=1)) * year,
        sharpe=Interval(sharpe, sharpe - half, sharpe + half, len(returns)),
        psr=psr,
        dsr=psr if dsr is None else dsr,
        max_drawdown=max_drawdown(returns),
        turnover=float(turnover.mean()),
    )


def _growth(returns: Matrix) -> float:
    """Compound returns to one year; -1 where everything was lost."""
    grown = float(np.prod(1 + returns))
    return float(max(grown, 0.0) ** (SESSIONS_A_YEAR / len(returns)) - 1)


def yearly_returns(daily: pl.DataFrame) -> tuple[tuple[int, float, float, float], ...]:
    """Compound the returns of each calendar year.

    Parameters
    ----------
    daily
        | date | long_short | top | equal_weight |.

    Returns
    -------
    tuple
        (year, long_short, top, equal_weight), ascending.
    """
    compounded = [
        ((1 + pl.col(name)).product() - 1).alias(name)
        for name in ("long_short", "top", "equal_weight")
    ]
    years = daily.group_by(pl.col("date").dt.year().alias("year")).agg(compounded).sort("year")
    return tuple(years.iter_rows())


def _sectors(held: Matrix, tickers: pl.Series, sectors: Mapping[str, str]) -> dict[str, float]:
    """Add the mean weights of each sector's tickers up."""
    if not sectors:
        return {}
    totals: dict[str, float] = {}
    for ticker, weight in zip(tickers, held.mean(axis=0).tolist(), strict=True):
        sector = sectors.get(ticker, NO_SECTOR)
        totals[sector] = totals.get(sector, 0.0) + weight
    return dict(sorted(totals.items()))
