"""What bars are, which rows and tickers are unfit, and what their content is.

Bars are | date | ticker | open | high | low | close | volume | own columns |, one row a
ticker and date, sorted by ticker and date. Prices are positive and adjusted for splits
and dividends; only date, ticker and close are sure to be there and never null.

Finding is separate from dropping: `find_bad_rows` says which rule a row breaks, and
`clean_rows` leaves it out and counts it. A bad value costs its whole row, whichever
column it stands in: a row is either trusted or not. A missing value costs nothing,
except in date, ticker and close.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection

import polars as pl

from src.v2.data.columns import NUMBERS, PRICES, SCHEMA, UNREADABLE, UNREADABLE_CELL, read_types
from src.v2.data.exchange import sessions_between
from src.v2.data.losses import (
    NO_BAR,
    TOO_SHORT,
    Cleaned,
    check_losses,
    first_unreadable,
    shown_ticker,
)
from src.v2.errors import DataError
from src.v2.records import Drop

ROUNDING = 1e-3
"""Largest share by which a price may lie outside low to high and be called rounding."""
EQUAL_CLOSES = 10
"""More equal closes in a row than this are reported."""
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"


def find_bad_rows(bars: pl.DataFrame, calendar: str | None = None) -> pl.DataFrame:
    """Find the rows that cannot be used, each with the first rule that it breaks.

    Parameters
    ----------
    bars
        | date | ticker | close | and what else there is, as `read_types` makes it.
    calendar
        Exchange whose sessions the dates must be, as ``XNYS``; None for no check.

    Returns
    -------
    polars.DataFrame
        | date | ticker | rule |, in the order of the bars.
    """
    return _split(bars, calendar)[1]


def clean_bars(
    raw: pl.DataFrame,
    min_history: int,
    max_dropped_share: float,
    calendar: str | None = None,
    own_columns: Collection[str] = (),
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Leave out what cannot be used, and stop when that is too much.

    Parameters
    ----------
    raw
        Bars under our column names, of any types and in any order.
    min_history
        Bars that a ticker needs.
    max_dropped_share
        Largest share of rows, and of tickers, that may be left out.
    calendar
        Exchange whose sessions the dates must be; None for no check.
    own_columns
        Further numeric columns to keep.

    Raises
    ------
    DataError
        When no ticker is left, or more is left out than allowed.
    """
    cleaned = clean_rows(read_types(raw, own_columns), min_history, calendar)
    check_losses(cleaned, max_dropped_share)
    return cleaned.bars, cleaned.drops


def clean_rows(typed: pl.DataFrame, min_history: int, calendar: str | None = None) -> Cleaned:
    """Leave out bad rows, then duplicates, then tickers with too little history.

    Parameters
    ----------
    typed
        Bars as `read_types` makes them.
    min_history
        Bars that a ticker needs.
    calendar
        Exchange whose sessions the dates must be; None for no check.

    Returns
    -------
    Cleaned
        Rows left plus rows dropped are the rows given. Equal duplicates leave one row;
        of duplicates that differ none is kept, since nothing says which is right.
    """
    missing = [name for name in ("date", "ticker", "close") if name not in typed.columns]
    if missing:
        raise DataError(f"Bars need the columns date, ticker and close; {missing[0]} is not there.")
    bars, bad = _split(typed, calendar)
    dropped = [bad.select(pl.col("ticker").fill_null(""), reason="rule")]
    bars = _sorted(bars.drop(UNREADABLE, UNREADABLE_CELL, strict=False))
    bars, duplicates = _without_duplicates(bars)
    dropped.append(duplicates)
    bars, repaired = _widen_ranges(bars)
    counts = pl.concat(dropped).group_by("ticker", "reason").len()
    drops = [
        Drop(shown_ticker(ticker), reason, rows, whole_ticker=False)
        for ticker, reason, rows in counts.iter_rows()
    ]
    history = dict(bars.group_by("ticker").len().iter_rows())
    named = {name for name in typed.get_column("ticker").unique() if name}
    short = [name for name, rows in history.items() if rows < min_history]
    why = f"fewer than {min_history} {TOO_SHORT}"
    drops += [Drop(name, why, history[name], whole_ticker=True) for name in short]
    without = named - set(history)
    drops += [Drop(shown_ticker(name), NO_BAR, 0, whole_ticker=True) for name in without]
    if short:
        bars = bars.filter(~pl.col("ticker").is_in(short))
    optional = [name for name in NUMBERS if name in bars.columns and bars.height]
    empty = [name for name in optional if bars.get_column(name).null_count() == bars.height]
    drops.sort(key=lambda drop: (drop.ticker, drop.whole_ticker, drop.reason))
    text = first_unreadable(typed)
    return Cleaned(bars.drop(empty), tuple(drops), typed.height, len(named), repaired, text)


def find_equal_closes(bars: pl.DataFrame, longer_than: int = EQUAL_CLOSES) -> pl.DataFrame:
    """Find runs of equal closes, as a halted or stale ticker shows them.

    Returns
    -------
    polars.DataFrame
        | ticker | closes (number in the run) | last (date) |, sorted by ticker.
    """
    ticker, close = pl.col("ticker"), pl.col("close")
    starts = bars.select(
        pl.arg_where(
            (ticker.ne_missing(ticker.shift(1))) | (close.ne_missing(close.shift(1)))
        ).alias("start")
    ).with_columns(closes=pl.col("start").shift(-1, fill_value=bars.height) - pl.col("start"))
    runs = starts.filter(pl.col("closes") > longer_than)
    last = bars.select("ticker", last="date")[(runs["start"] + runs["closes"] - 1).to_list()]
    return last.select("ticker", runs["closes"].cast(pl.Int64), "last")


def bars_fingerprint(bars: pl.DataFrame) -> str:
    """Hash the content of bars into 32 hex digits.

    The order of rows and of columns, and how the memory is cut into chunks, change
    nothing; any other value, name or missing cell does.
    """
    bars = _sorted(bars)
    digest = hashlib.blake2b(digest_size=16)
    runs = bars.get_column("ticker").rle().struct.unnest()
    digest.update(repr(runs.rows()).encode())
    digest.update(bars.get_column("date").to_physical().to_numpy().astype("<i4").tobytes())
    for name in sorted(set(bars.columns) - {"date", "ticker"}):
        column = bars.get_column(name).cast(pl.Float64)
        digest.update(f"\n{name} {column.null_count()}\n".encode())
        if column.null_count():
            digest.update(column.is_null().to_numpy().tobytes())
        # Adding zero makes -0.0 and 0.0 the same bytes.
        digest.update((column.fill_null(0.0).to_numpy() + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def _rules(bars: pl.DataFrame, calendar: str | None) -> list[tuple[str, pl.Expr]]:
    """List each rule's text with the expression that is true where it is broken."""
    there = [name for name in PRICES if name in bars.columns]
    known = (*SCHEMA, UNREADABLE, UNREADABLE_CELL)
    own = [name for name in bars.columns if name not in known]
    volume = [name for name in ("volume",) if name in bars.columns]
    rules = [
        ("date is missing", pl.col("date").is_null()),
        ("ticker is empty", pl.col("ticker").fill_null("") == ""),
        ("ticker holds a control character", pl.col("ticker").str.contains(_CONTROL)),
        ("close is missing", pl.col("close").is_null()),
    ]
    rules += [(f"{name} is infinite", pl.col(name).is_infinite()) for name in there + volume + own]
    rules += [(f"{name} is not positive", pl.col(name) <= 0) for name in there]
    if "high" in there and "low" in there:
        rules.append(("high is below low", pl.col("high") < pl.col("low") * (1 - ROUNDING)))
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    if "open" not in there:
        top = bottom = pl.col("close")
    if "high" in there:
        rules.append(("open or close is above high", top * (1 - ROUNDING) > pl.col("high")))
    if "low" in there:
        rules.append(("open or close is below low", bottom * (1 + ROUNDING) < pl.col("low")))
    rules += [(f"{name} is negative", pl.col(name) < 0) for name in volume]
    if calendar is not None:
        sessions = _sessions(bars.get_column("date"), calendar).implode()
        rules.append((f"date is no session of {calendar}", ~pl.col("date").is_in(sessions)))
    return rules


def _split(bars: pl.DataFrame, calendar: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate the good rows, as they are, from the bad ones as | date | ticker | rule |."""
    rules = _rules(bars, calendar)
    if UNREADABLE in bars.columns:
        rules.insert(0, ("", pl.col(UNREADABLE).is_not_null()))
    broken = [expression.fill_null(False) for _, expression in rules]
    bad = bars.select(pl.any_horizontal(broken).alias("bad")).get_column("bad")
    if not bad.any():
        return bars, bars.clear().select("date", "ticker", rule=pl.lit(""))
    first = [
        pl.when(expression).then(pl.lit(rule) if rule else pl.col(UNREADABLE))
        for rule, expression in rules
    ]
    named = bars.filter(bad).select("date", "ticker", rule=pl.coalesce(first))
    return bars.filter(~bad), named


def _sessions(dates: pl.Series, calendar: str) -> pl.Series:
    """List the sessions of an exchange between the first and the last of some dates."""
    first, last = dates.min(), dates.max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        return pl.Series([], dtype=pl.Date)
    return sessions_between(first, last, calendar)


def _sorted(bars: pl.DataFrame) -> pl.DataFrame:
    """Sort by ticker and date, unless that is so already."""
    ticker, date = pl.col("ticker"), pl.col("date")
    before, last = ticker.shift(1), date.shift(1)
    in_order = (ticker > before) | ((ticker == before) & (date >= last))
    if bars.select(in_order.all()).item():
        return bars
    return bars.sort("ticker", "date", maintain_order=True)


def _without_duplicates(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off repeated (ticker, date) as | ticker | reason |."""
    key = ["ticker", "date"]
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in key)
    again = again.fill_null(False)
    repeated = bars.select((again | again.shift(-1, fill_value=False)).alias("is")).to_series()
    if not repeated.any():
        return bars, pl.DataFrame(schema={"ticker": pl.String, "reason": pl.String})
    copies = bars.filter(repeated)
    kept = copies.unique()
    conflict = kept.group_by(key).len().filter(pl.col("len") > 1)
    differing = copies.join(conflict, on=key, how="semi")
    kept = kept.join(conflict, on=key, how="anti")
    surplus = copies.join(conflict, on=key, how="anti").group_by(key).len()
    lost = surplus.select(pl.col("ticker").repeat_by(pl.col("len") - 1).explode())
    dropped = pl.concat(
        [
            differing.select("ticker", reason=pl.lit("duplicates of a date that differ")),
            lost.select("ticker", reason=pl.lit("equal duplicates of a date")),
        ]
    )
    return _sorted(pl.concat([bars.filter(~repeated), kept])), dropped


def _widen_ranges(bars: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Move high and low to where open and close lie inside; count the rows moved."""
    there = [name for name in PRICES if name in bars.columns]
    bounds = {"high": pl.max_horizontal(there), "low": pl.min_horizontal(there)}
    moved = [
        (pl.col(name).is_not_null() & (pl.col(name) != bound)).alias(name)
        for name, bound in bounds.items()
        if name in there
    ]
    if not moved:
        return bars, 0
    rows = int(bars.select(pl.any_horizontal(moved).sum()).item() or 0)
    if not rows:
        return bars, 0
    widened = [
        pl.when(pl.col(name).is_not_null()).then(bound).alias(name)
        for name, bound in bounds.items()
        if name in there
    ]
    return bars.with_columns(widened), rows
