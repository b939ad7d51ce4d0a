"""Columns that many features share, made once from the bars.

| column | what | needs |
|---|---|---|
| row | rows of the ticker before this one | close |
| return | simple return since the last bar (fraction) | close |
| log_close | logarithm of the close, 0 at the first bar | close |
| log_return | logarithmic return since the last bar | close |
| first_close | first known close, which every price is divided by | close |
| last_close | close of the last bar | close |
| true_range | higher of high and last close, minus lower of low and last close | high, low, close |
| typical_price | mean of high, low and close | high, low, close |
| dollar_volume | close times volume, in units of the first close | close, volume |
| market_return | mean return of the universe on the date, or the market ticker's return | close |
| market_level | cumulated market return, starting at 1 | close |
| market_up | whether the session began with the market above its 200-session mean | close |

Prices are divided by the ticker's first close before anything else, so multiplying a
history by a constant changes nothing beyond rounding. A price that is not above zero and a
volume below zero count as missing, and so does what is not finite.
"""

from __future__ import annotations

import numpy as np
import polars as pl

PRICES = ("open", "high", "low", "close")
MARKET_COLUMNS = ("market_return", "market_level", "market_up")


def add_inputs(bars: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """Add the shared columns to bars.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, | open | high | low | volume |, sorted by
        ticker and date.
    sessions
        | date | market_return | market_level | market_up |, see `market_sessions`.

    Returns
    -------
    pl.DataFrame
        In the order of the bars. A column whose inputs the bars lack is absent. The first
        row of a ticker has no return.
    """
    prices = [name for name in PRICES if name in bars.columns]
    valid = [_valid_price(name) for name in prices]
    if "volume" in bars.columns:
        volume = pl.col("volume").cast(pl.Float64)
        valid.append(pl.when((volume >= 0) & volume.is_finite()).then(volume))
    table = bars.with_columns(valid)
    first = pl.col("close").drop_nulls().first().over("ticker")
    table = table.with_columns(first.alias("first_close"))
    table = table.with_columns([pl.col(name) / pl.col("first_close") for name in prices])
    table = table.with_columns(
        pl.int_range(pl.len()).over("ticker").cast(pl.Float64).alias("row"),
        pl.col("close").shift(1).over("ticker").alias("last_close"),
        pl.col("close").log().alias("log_close"),
    )
    table = table.with_columns(_ratios_and_ranges(table.columns))
    return table.join(
        sessions.select("date", *MARKET_COLUMNS), on="date", how="left", maintain_order="left"
    )


def _valid_price(name: str) -> pl.Expr:
    """Make a price that is not a finite number above zero null."""
    price = pl.col(name).cast(pl.Float64)
    return pl.when((price > 0) & price.is_finite()).then(price)


def _ratios_and_ranges(columns: list[str]) -> list[pl.Expr]:
    """Make the inputs that read one row and the last close."""
    high, low, close, last = (pl.col(name) for name in ("high", "low", "close", "last_close"))
    made = [
        (close / last - 1).alias("return"),
        (close / last).log().alias("log_return"),
    ]
    if {"high", "low"} <= set(columns):
        top, bottom = pl.max_horizontal(high, last), pl.min_horizontal(low, last)
        known = last.is_not_null() & high.is_not_null() & low.is_not_null()
        made.append(pl.when(known).then(top - bottom).alias("true_range"))
        made.append(((high + low + close) / 3).alias("typical_price"))
    if "volume" in columns:
        made.append((close * pl.col("volume")).alias("dollar_volume"))
    return made


def market_sessions(bars: pl.DataFrame, market: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return | date | market_return | market_level | market_up |, one row a session.

    Parameters
    ----------
    bars
        | date | ticker | close |, sorted by ticker and date.
    market
        | date | close | of the market; absent: the equal-weight mean return of the universe.

    Returns
    -------
    pl.DataFrame
        Sorted by date, with every date of the bars. A session without a market return has
        the level of the session before.
    """
    if market is None:
        means = MeanReturns(bars["date"].unique().sort())
        means.add(bars)
        return add_levels(means.table())
    return add_levels(own_returns(market, bars["date"].unique()))


def own_returns(market: pl.DataFrame, dates: pl.Series) -> pl.DataFrame:
    """Return | date | market_return | of the market's own bars.

    Parameters
    ----------
    market
        | date | close |.
    dates
        Dates that must have a row too.
    """
    close = _valid_price("close")
    daily = market.sort("date").select("date", (close / close.shift(1) - 1).alias("market_return"))
    return daily.join(dates.to_frame("date"), on="date", how="full", coalesce=True).sort("date")


def add_levels(returns: pl.DataFrame) -> pl.DataFrame:
    """Add what `market_sessions` makes of | date | market_return |, sorted by date."""
    grown = pl.col("market_return").fill_null(0.0).log1p().cum_sum().exp()
    sessions = returns.with_columns(grown.alias("market_level"))
    level = pl.col("market_level")
    above = (level > level.rolling_mean(200)).shift(1)
    return sessions.with_columns(above.alias("market_up"))


class MeanReturns:
    """Averages the tickers' returns of each date, summing in the order of the tickers.

    The order of a sum decides its last bits, so it must not depend on the threads, on rows of
    later dates, or on how many tickers are given at once.

    Parameters
    ----------
    dates
        Sorted distinct dates of all bars.
    """

    def __init__(self, dates: pl.Series) -> None:
        self._dates = dates
        self._total = np.zeros(len(dates))
        self._count = np.zeros(len(dates), dtype=np.int64)

    def add(self, bars: pl.DataFrame) -> None:
        """Add | date | ticker | close | of whole tickers that come after those before."""
        close = _valid_price("close")
        returns = (
            bars.select("date", "ticker", close)
            .select(pl.col("date"), (pl.col("close") / pl.col("close").shift(1).over("ticker") - 1))
            .drop_nulls()
        )
        position = self._dates.search_sorted(returns["date"]).to_numpy()
        np.add.at(self._total, position, returns["close"].to_numpy())
        self._count += np.bincount(position, minlength=len(self._dates))

    def table(self) -> pl.DataFrame:
        """Return | date | market_return |, null on a date without any return."""
        known = self._count > 0
        none = np.full(len(self._dates), np.nan)
        mean = np.divide(self._total, self._count, out=none, where=known)
        return pl.DataFrame(
            [self._dates.alias("date"), pl.Series("market_return", mean, nan_to_null=True)]
        )
