"""The bars and the rows behind qlib's golden values: a cut of the bundled ``ohlcv.parquet``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

BARS = Path(__file__).parents[2] / "data" / "sample" / "ohlcv.parquet"
FIELDS = ("open", "high", "low", "close", "volume", "vwap")
CUTS = {
    "NVDA": (dt.date(2020, 1, 2), dt.date(2020, 8, 7)),
    "AMZN": (dt.date(2020, 1, 16), dt.date(2020, 8, 7)),
    "META": (dt.date(2020, 1, 2), dt.date(2020, 7, 27)),
}
PENNY = "PENNY"
"""NVDA's bars over 100,000, for qlib's limit on deviations in units of the price."""

EVERY, LAST = 20, 5
LONGEST = 60
"""Rows before the first with a full window of every factor."""


def alpha158_bars() -> pl.DataFrame:
    """Return | date | ticker | open | high | low | close | volume | vwap |, all 32-bit.

    qlib stores 32 bits, so both sides start from the same numbers. The typical price stands
    for the mean price paid, which the bars do not have.
    """
    bars = pl.read_parquet(BARS)
    parts = [
        bars.filter((pl.col("ticker") == ticker) & pl.col("date").is_between(first, last))
        for ticker, (first, last) in CUTS.items()
    ]
    prices = pl.col("open", "high", "low", "close")
    penny = parts[0].with_columns(prices / 100_000, pl.lit(PENNY).alias("ticker"))
    every = pl.concat([*parts, penny]).sort("ticker", "date")
    paid = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    return every.with_columns(paid.alias("vwap")).with_columns(pl.col(FIELDS).cast(pl.Float32))


def kept_rows(table: pl.DataFrame) -> pl.DataFrame:
    """Keep five rows of each ticker, 20 apart, all with full windows."""
    row = pl.int_range(pl.len()).over("ticker")
    chosen = (row >= LONGEST) & ((row - LONGEST) % EVERY == 0) & (row < LONGEST + EVERY * LAST)
    return table.sort("ticker", "date").filter(chosen)
