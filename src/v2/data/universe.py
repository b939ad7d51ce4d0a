"""Who belonged to the universe when, so that no past date is chosen by what survived.

Bars outside a ticker's spans stay its history: look-backs and forward returns read them, but
they are no rows to fit, score, rank or compare with.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.data.columns import ALIASES, check_day_and_month, read_dates
from src.v2.data.files import read_table
from src.v2.errors import DataError
from src.v2.records import UniverseCoverage

MEMBER = "is a member"
"""Column of bars: whether the ticker belongs to the universe on the date."""

LEAST_MEMBERS = 10
"""Fewer tickers have no cross-section on any date."""

MOST_EMPTY = 0.05
"""Largest share of sessions, from the first member on, without any member."""

HEADERS = {
    "ticker": ALIASES["ticker"],
    "from": ("from", "from_date", "start", "start_date"),
    "to": ("to", "to_date", "end", "end_date"),
}
"""Names of each column in lower case, the preferred one first."""

_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Universe:
    """Spans of membership.

    Parameters
    ----------
    spans
        | ticker | from | to |, sorted, both dates included; a ticker's spans share no date, and
        one that is still open ends on the last day of the calendar.
    merged
        Spans of the file that overlapped an earlier one of their ticker.
    """

    spans: pl.DataFrame
    merged: int

    @property
    def tickers(self) -> tuple[str, ...]:
        """Whoever is ever a member, sorted."""
        return tuple(self.spans["ticker"].unique().sort())

    def between(self, first: dt.date | None, last: dt.date | None) -> Universe:
        """Keep the spans that touch some dates; None leaves an end open.

        Raises
        ------
        DataError
            When fewer than 10 tickers are members then.
        """
        inside = pl.lit(True)
        if first is not None:
            inside = inside & (pl.col("to") >= first)
        if last is not None:
            inside = inside & (pl.col("from") <= last)
        kept = dataclasses.replace(self, spans=self.spans.filter(inside))
        if len(kept.tickers) < LEAST_MEMBERS:
            raise DataError(
                f"data.universe must have at least {LEAST_MEMBERS} members between "
                f"{first or '...'} and {last or '...'}; it has {len(kept.tickers)}. Complete the "
                "file, or take the bars of its dates with data.start and data.end."
            )
        return kept

    def only(self, tickers: Collection[str]) -> Universe:
        """Keep the spans of some tickers."""
        chosen = self.spans.filter(pl.col("ticker").is_in(list(tickers)))
        return dataclasses.replace(self, spans=chosen)

    def upper(self) -> Universe:
        """Write the tickers in upper case."""
        return _merge(self.spans.with_columns(pl.col("ticker").str.to_uppercase()), self.merged)

    def members_on(self, day: dt.date) -> tuple[str, ...]:
        """Name the members of one date, sorted."""
        there = self.spans.filter(pl.lit(day).is_between("from", "to"))
        return tuple(there["ticker"])


def load_universe(path: Path) -> Universe:
    """Read who belonged to the universe when.

    Parameters
    ----------
    path
        CSV or Parquet with the columns ticker, from and to (`HEADERS`), in any case and order,
        and any others. Both dates are included; an empty `to` is a member still. A ticker may
        have several spans; where they overlap, they count as one.

    Raises
    ------
    DataError
        When the file cannot be read, lacks a column, has a row without a ticker or a first
        date, a text that is no date, or a span that ends before it begins.
    """
    if not path.is_file():
        raise DataError(f"data.universe must be a CSV or Parquet file; {path} is none.")
    raw = read_table(path, "data.universe")
    free = {name.strip().lower(): name for name in reversed(raw.columns)}
    found = {
        ours: next((free[alias] for alias in names if alias in free), None)
        for ours, names in HEADERS.items()
    }
    lacking = [ours for ours, theirs in found.items() if theirs is None]
    if lacking:
        raise DataError(
            f"data.universe must have the columns ticker, from and to; {path} has no "
            f"{lacking[0]}, but {', '.join(raw.columns[:12]) or 'none at all'}. Rename it."
        )
    cells = raw.select(pl.col(str(theirs)).alias(ours) for ours, theirs in found.items())
    table = pl.DataFrame(
        [
            cells["ticker"].cast(pl.String).str.strip_chars(),
            read_dates(cells["from"]),
            read_dates(cells["to"]),
        ]
    )
    _check_rows(path, cells, table)
    both = pl.concat([cells[name].cast(pl.String) for name in ("from", "to")]).rename("from or to")
    try:
        check_day_and_month(both)
    except DataError as error:
        raise DataError(f"data.universe: {path} cannot be used. {error}") from error
    return _merge(table.with_columns(pl.col("to").fill_null(dt.date.max)), 0)


def _check_rows(path: Path, cells: pl.DataFrame, table: pl.DataFrame) -> None:
    """Refuse a row that says nothing clear, naming the first one."""
    given = cells["to"].cast(pl.String).str.strip_chars().fill_null("")
    unread = table["to"].is_null() & ~given.str.to_lowercase().is_in(["", "nan", "null", "none"])
    rules = (
        (table["ticker"].fill_null("") == "", "a ticker", "ticker", "Name it"),
        (table["from"].is_null(), "a first date", "from", "Write one, as 2010-01-04"),
        (unread, "a date or nothing in to", "to", "Write it as 2010-01-04"),
        ((table["from"] > table["to"]).fill_null(False), "from up to to", "to", "Mend the row"),
    )
    for broken, rule, column, remedy in rules:
        row = broken.arg_true()
        if len(row):
            ticker, first = (cells[name][row[0]] for name in ("ticker", "from"))
            raise DataError(
                f"Each row of data.universe must have {rule}; row {row[0] + 1} of {path} "
                f"({ticker or 'no ticker'}, from {first}) has {cells[column][row[0]]!r} in "
                f"{column}. {remedy}."
            )


def _merge(table: pl.DataFrame, merged: int) -> Universe:
    """Join the spans of a ticker that share a date."""
    table = table.sort("ticker", "from", "to")
    before = pl.col("to").cum_max().shift(1).over("ticker")
    table = table.with_columns((pl.col("from") > before).fill_null(True).alias("new"))
    spans = (
        table.with_columns(pl.col("new").cum_sum().over("ticker").alias("span"))
        .group_by("ticker", "span", maintain_order=True)
        .agg(pl.col("from").min(), pl.col("to").max())
        .drop("span")
    )
    return Universe(spans, merged + int((~table["new"]).sum()))


def mark_members(bars: pl.DataFrame, universe: Universe) -> pl.DataFrame:
    """Add | is a member | to bars.

    Parameters
    ----------
    bars
        | date | ticker | ... |, sorted by ticker and date.

    Raises
    ------
    DataError
        When nobody is a member on more than 5% of the sessions after the first member's.
    """
    spans = universe.spans.sort("ticker", "from").rename({"to": MEMBER})
    marked = bars.join_asof(
        spans, left_on="date", right_on="from", by="ticker", check_sortedness=False
    ).drop("from", strict=False)
    marked = marked.with_columns((pl.col("date") <= pl.col(MEMBER)).fill_null(False).alias(MEMBER))
    sessions = decision_sessions(marked)
    used = marked.filter(MEMBER)["date"].n_unique()
    if not used or used < (1 - MOST_EMPTY) * len(sessions):
        since = f" since {sessions[0]}" if used else ""
        raise DataError(
            f"data.universe must have a member with bars on at least {1 - MOST_EMPTY:.0%} of the "
            f"sessions from its first one on; got {used} of {len(sessions)} sessions{since}. Take "
            "the bars of its dates with data.start and data.end, or complete the file."
        )
    return marked


def member_rows(bars: pl.DataFrame) -> pl.DataFrame:
    """Keep the bars of members on their dates: all of them where no universe is given."""
    return bars.filter(MEMBER) if MEMBER in bars.columns else bars


def decision_sessions(bars: pl.DataFrame) -> pl.Series:
    """List the distinct dates of bars, sorted, from the first one with a member on."""
    dates = bars["date"].unique().sort()
    if MEMBER not in bars.columns:
        return dates
    first = member_rows(bars)["date"].min()
    return dates if first is None else dates.filter(dates >= first)


def universe_coverage(
    bars: pl.DataFrame, universe: Universe, outside: Collection[str]
) -> UniverseCoverage:
    """Count what the universe leaves out, and which of its members nothing is known of.

    Parameters
    ----------
    bars
        From `mark_members`.
    universe
        The spans that touch the dates of the bars.
    outside
        Tickers of the source that are never members.
    """
    sessions = bars["date"].unique().sort()
    first = sessions.search_sorted(universe.spans["from"], side="left").cast(pl.Int64)
    stop = sessions.search_sorted(universe.spans["to"], side="right").cast(pl.Int64)
    days, there = int((stop - first).sum()), int(bars[MEMBER].sum())
    known = set(bars["ticker"].unique())
    return UniverseCoverage(
        members=len(universe.tickers),
        without_bars=tuple(name for name in universe.tickers if name not in known),
        member_days=days,
        missing_days=days - there,
        history_rows=bars.height - there,
        outside_tickers=len(outside),
        merged_spans=universe.merged,
    )


def universe_lines(found: UniverseCoverage) -> tuple[str, ...]:
    """Say in words what a universe left out."""
    lines = [
        f"universe: {found.members} members over time; {found.history_rows:,} of their bars lie "
        "outside their spans and are history alone"
        + (f"; {found.outside_tickers} other tickers were left out" * bool(found.outside_tickers))
    ]
    if found.missing_days:
        share = found.missing_days / found.member_days
        lines.append(
            f"universe: members have no bar on {found.missing_days:,} of {found.member_days:,} "
            f"member-days ({share:.2%})"
        )
    if found.without_bars:
        names = ", ".join(found.without_bars[:_NAMES_SHOWN])
        more = len(found.without_bars) - _NAMES_SHOWN
        lines.append(
            f"universe: {len(found.without_bars)} of {found.members} members have no bars at all "
            f"({names}{f' and {more} more' if more > 0 else ''}): what became of them is unknown, "
            "which is survivorship again"
        )
    if found.merged_spans:
        lines.append(f"universe: {found.merged_spans} overlapping spans were joined")
    return tuple(lines)
