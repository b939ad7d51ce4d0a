"""Tables of rows of tickers, in which the rows of some tickers give way to new ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TickerTable:
    """Ticker-wise features of some rows.

    Parameters
    ----------
    keys
        | date | ticker |, sorted.
    values
        Of each row, by feature; NaN where missing.
    """

    keys: pl.DataFrame
    values: Mapping[str, Numbers]

    def on(self, dates: pl.Series) -> TickerTable:
        """Keep the rows of some dates."""
        rows = self.keys["date"].is_in(dates.implode())
        chosen = rows.to_numpy()
        return TickerTable(
            self.keys.filter(rows), {name: value[chosen] for name, value in self.values.items()}
        )

    def only(self, names: Collection[str]) -> TickerTable:
        """Keep some features, without the memory of the others."""
        kept = {name: value.copy() for name, value in self.values.items() if name in names}
        return TickerTable(self.keys, kept)


def merged_tables(
    old: TickerTable, changed: Collection[str], fresh: TickerTable, rest: TickerTable | None
) -> TickerTable:
    """Put the changed tickers' rows in the place of their old ones, and the others' new columns.

    Parameters
    ----------
    changed
        Tickers whose rows are new.
    fresh
        Their rows, with every feature of the old table.
    rest
        The rows of all other tickers, with the features that are new for them too.

    Returns
    -------
    TickerTable
        With the keys of the old table, the same object, where those of the changed tickers are
        as they were.
    """
    theirs = old.keys["ticker"].is_in(list(changed))
    keys, now = old.keys, theirs.to_numpy()
    if not fresh.keys.equals(old.keys.filter(theirs)):
        keys = pl.concat([old.keys.filter(~theirs), fresh.keys]).sort("date", "ticker")
        now = keys["ticker"].is_in(list(changed)).to_numpy()
    stay = ~theirs.to_numpy()
    values = {}
    for name, before in old.values.items():
        column = np.empty(len(keys), dtype=np.float32)
        again = rest is not None and name in rest.values
        column[~now] = rest.values[name] if rest is not None and again else before[stay]
        column[now] = fresh.values[name]
        values[name] = column
    return TickerTable(keys, values)


def spliced_bars(held: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Replace the rows of some tickers.

    Parameters
    ----------
    held, fresh
        | ticker | date | ... |, the same columns, sorted by ticker and date.

    Returns
    -------
    polars.DataFrame
        Sorted too: `held`, but for the tickers of `fresh`.
    """
    names = fresh["ticker"].unique().sort()
    before = held["ticker"].search_sorted(names, side="left").to_list()
    after = held["ticker"].search_sorted(names, side="right").to_list()
    start = fresh["ticker"].search_sorted(names, side="left").to_list()
    parts, done = [], 0
    for number, (first, stop) in enumerate(zip(before, after, strict=True)):
        end = start[number + 1] if number + 1 < len(start) else fresh.height
        parts += [held[done:first], fresh[start[number] : end]]
        done = stop
    return pl.concat([*parts, held[done:]], rechunk=True)
