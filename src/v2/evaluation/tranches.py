"""Books of overlapping tranches: what is held, earned, traded and paid, day by day.

Overlapping tranches (Jegadeesh and Titman 1993, Journal of Finance 48(1)): each decision
opens a tranche that is held for forward_days sessions, and a book is the average of the
tranches alive. Its daily returns do not overlap, as forward returns do, so that their Sharpe
ratio needs no correction for it.

    session   t         t+lag        t+lag+1 ... t+lag+H
              decision  bought at    held        sold at
                        the close                the close

- The top quantile of a date's scores is bought in equal weights, the bottom one sold. A tie
  at the edge goes by ticker. A date on which every score is the same ranks nothing: both ends
  hold all of its tickers, so that the long-short tranche is cash and the top one is equal
  weight.
- Inside a tranche each side drifts with its prices until it is sold. The tranches themselves
  have 1/H of the capital each, and a decision that is missing leaves its share in cash.
- A ticker without a bar keeps its last close until its bars return or its tranche ends.
- Trades are the differences between the weights wanted and those that prices left, after
  buying and selling of one ticker cancel out between tranches and sides.
- Reported are the sessions on which H tranches are held and one is renewed at the close: the
  time in which a book is built up or wound down is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import SMALL_UNIVERSE

Matrix = npt.NDArray[np.float64]

DECILES_FROM = 100
"""Universes of this many tickers are cut into tenths, smaller ones into fifths."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a book did: one value a session, and the weights held over that session.

    Parameters
    ----------
    turnover
        Half the weights traded at the close.
    """

    held: Matrix
    gross: Matrix
    net: Matrix
    turnover: Matrix


@dataclass(frozen=True, slots=True)
class Trading:
    """What the three books did on the same sessions.

    Parameters
    ----------
    quantile
        Share of a date's tickers in each end.
    dates
        (sessions,), ascending; as the rows of the ledgers.
    tickers
        (tickers,), ascending; as the columns of the weights held.
    equal_weight
        Every scored ticker.
    """

    quantile: float
    dates: pl.Series
    tickers: pl.Series
    long_short: Ledger
    top: Ledger
    equal_weight: Ledger


@dataclass(frozen=True, slots=True)
class _Market:
    """Closes of all tickers by session.

    Parameters
    ----------
    dates, tickers
        Ascending.
    closes
        (sessions, tickers): the last close so far; NaN before a ticker's first bar.
    """

    dates: pl.Series
    tickers: pl.Series
    closes: Matrix

    def between(self, first: int, last: int) -> _Market:
        """Keep the sessions from one to another; a ticker not yet listed stands at 1."""
        kept = slice(first, last + 1)
        closes = np.nan_to_num(self.closes[kept], nan=1.0)
        return _Market(self.dates[kept], self.tickers, closes)


def trade(
    predictions: pl.DataFrame,
    bars: pl.DataFrame,
    *,
    forward_days: int,
    entry_lag: int,
    quantile: float | None,
    cost_bps: float,
) -> Trading | None:
    """Trade the scores in overlapping tranches.

    Parameters
    ----------
    predictions, bars, quantile, cost_bps
        As for `src.v2.evaluation.portfolio.simulate`.

    Returns
    -------
    Trading or None
        None below 20 tickers, or where fewer than two sessions can be reported.
    """
    market = _market(bars)
    scored = _rank(predictions, market, entry_lag)
    tickers = scored["ticker"].n_unique()
    if tickers < SMALL_UNIVERSE:
        return None
    first, last = (int(scored["entry"].to_numpy()[place]) for place in (0, -1))
    if last - first < forward_days + 1:
        return None
    share = quantile or (0.1 if tickers >= DECILES_FROM else 0.2)
    traded = market.between(first, last)
    top, bottom, everyone = (
        _hold(bought, traded.closes, forward_days)
        for bought in _entries(scored, share, traded.closes.shape)
    )
    books = (
        _account(weights, traded.closes, forward_days, cost_bps / 1e4)
        for weights in (top - bottom, top, everyone)
    )
    return Trading(share, traded.dates[forward_days:], traded.tickers, *books)


def _market(bars: pl.DataFrame) -> _Market:
    """Lay the bars out as a matrix and carry closes over missing ones."""
    dates, tickers = bars["date"].unique().sort(), bars["ticker"].unique().sort()
    places = _places(bars.select("date", "ticker", "close"), dates, tickers)
    closes = np.full((len(dates), len(tickers)), np.nan)
    session, ticker = places["session"].to_numpy(), places["column"].to_numpy()
    closes[session, ticker] = places["close"].cast(pl.Float64).to_numpy()
    rows = np.where(np.isnan(closes), 0, np.arange(len(dates))[:, None])
    np.maximum.accumulate(rows, axis=0, out=rows)
    return _Market(dates, tickers, np.take_along_axis(closes, rows, axis=0))


def _places(table: pl.DataFrame, dates: pl.Series, tickers: pl.Series) -> pl.DataFrame:
    """Find each row's place among the sessions and the tickers; rows without one are dropped."""
    return table.join(
        pl.DataFrame({"date": dates}).with_row_index("session"), on="date", how="inner"
    ).join(pl.DataFrame({"ticker": tickers}).with_row_index("column"), on="ticker", how="inner")


def _rank(predictions: pl.DataFrame, market: _Market, entry_lag: int) -> pl.DataFrame:
    """Place each score among those of its date, lowest first, and find its entry.

    Returns
    -------
    pl.DataFrame
        | ticker | column | entry (session) | place (from 0) | count (of the date) | flat
        (whether all its scores are the same) |, sorted by entry and place.
    """
    rows = predictions.select("date", "ticker", "score").filter(pl.col("score").is_finite())
    rows = _places(rows, market.dates, market.tickers)
    listed = ~np.isnan(market.closes[rows["session"].to_numpy(), rows["column"].to_numpy()])
    return (
        rows.filter(listed)
        .with_columns(entry=pl.col("session").cast(pl.Int64) + entry_lag)
        .filter(pl.col("entry") < len(market.dates))
        .sort("entry", "score", "ticker")
        .select(
            "ticker",
            "column",
            "entry",
            place=pl.int_range(pl.len()).over("entry"),
            count=pl.len().over("entry").cast(pl.Int64),
            flat=(pl.col("score").min() == pl.col("score").max()).over("entry"),
        )
    )


def _entries(scored: pl.DataFrame, share: float, shape: tuple[int, ...]) -> Iterator[Matrix]:
    """Weights at entry of the top, of the bottom and of all, each (sessions, tickers)."""
    end = (pl.col("count") * share + ROUNDING).floor().cast(pl.Int64).clip(1)
    choices = (
        pl.col("flat") | (pl.col("place") >= pl.col("count") - end),
        pl.col("flat") | (pl.col("place") < end),
        pl.lit(True),
    )
    first = scored["entry"].to_numpy()[0]
    for chosen in choices:
        rows = scored.filter(chosen)
        session = rows["entry"].to_numpy() - first
        bought = np.zeros(shape)
        bought[session, rows["column"].to_numpy()] = 1 / np.bincount(session)[session]
        yield bought


def _hold(bought: Matrix, closes: Matrix, forward_days: int) -> Matrix:
    """Average the tranches alive after the close of each session.

    Parameters
    ----------
    bought
        (sessions, tickers): weights of the tranche that each session opens; zeros for none.

    Returns
    -------
    Matrix
        (sessions, tickers): weights of the book, of which each tranche has 1 / forward_days.
    """
    units = bought / closes
    held = np.empty_like(units)
    for session, prices in enumerate(closes):
        alive = units[max(0, session - forward_days + 1) : session + 1]
        values = alive @ prices
        scale = np.divide(1 / forward_days, values, out=np.zeros_like(values), where=values > 0)
        held[session] = (scale @ alive) * prices
    return held


def _account(weights: Matrix, closes: Matrix, full: int, cost: float) -> Ledger:
    """Earn the sessions' returns and pay for the trades at their closes.

    A book that loses all its capital returns -1 and starts afresh.

    Parameters
    ----------
    weights
        (sessions, tickers): wanted after the close; negative for sales.
    full
        First session to report.
    cost
        Share of the value traded.
    """
    growth = closes[1:] / closes[:-1]
    held, wanted = weights[:-1], weights[1:]
    gross = (held * (growth - 1)).sum(axis=1)
    left = np.maximum(1 + gross, 0.0)
    drifted = held * growth / np.where(left > 0, left, np.inf)[:, None]
    turnover = np.abs(wanted - drifted).sum(axis=1) / 2
    net = left * (1 - 2 * turnover * cost) - 1
    reported = slice(full - 1, None)
    return Ledger(held[reported], gross[reported], net[reported], turnover[reported])
