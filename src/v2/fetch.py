"""``python -m src.v2.fetch``: Yahoo's bars into the store on this disk."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, printable, progress_bar, run_command, show_note
from src.v2.errors import ConfigError, SourceUnavailable

if TYPE_CHECKING:
    import polars as pl

COMMAND = "python -m src.v2.fetch"
SHORT_FLAGS = {
    "data.tickers": "tickers",
    "data.period": "period",
    "data.start": "start",
    "data.end": "end",
    "fetch.format": "format",
    "fetch.full": "full",
}
ABOUT = """\
Bring the bars store up to date: ask Yahoo for what is missing, and list what is stored.

  python -m src.v2.fetch
  python -m src.v2.fetch --tickers AAPL MSFT --period 20y
  python -m src.v2.fetch --format csv > coverage.csv

--full asks for the whole history again. Exit code 1 when a ticker is not in the store
afterwards, or Yahoo could not be reached for one; what is stored is kept in any case.
"""
WIDTH = 100
NAMES_SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(config.paths.logs_dir):
        return fetch(config)


def fetch(config: Config) -> int:
    """Fill the store, print its table, and give the exit code.

    Raises
    ------
    SourceUnavailable
        When Yahoo could be reached for no ticker, after the table.
    """
    from src.v2.data.coverage_table import coverage_table
    from src.v2.data.losses import list_reasons, shown_ticker
    from src.v2.data.sources import yahoo_tickers
    from src.v2.data.store import read_stored, update_store
    from src.v2.data.store_merge import CALENDAR
    from src.v2.data.windows import last_final_date, window_of
    from src.v2.records import Drop

    data, folder = config.data, config.paths.bars_dir
    tickers = yahoo_tickers(data)
    if not tickers:
        raise ConfigError("data.tickers or data.default_tickers must name a ticker; got none.")
    newest = last_final_date(dt.datetime.now(dt.UTC))
    window = window_of(data.period, data.start, data.end, newest)
    outcomes = update_store(
        folder, tickers, data.yahoo, window, newest, full=config.fetch.full, track=progress_bar
    )
    stored = read_stored(folder, tickers)
    calendar = data.calendar or CALENDAR
    table = coverage_table(outcomes, stored, min(data.end or newest, newest), calendar)
    sys.stdout.write(render(table, config.fetch.format, calendar))
    show_note(_summary(table))
    failed = {name: outcome for name, outcome in outcomes.items() if outcome.action == "failed"}
    unreached = {name: outcome for name, outcome in failed.items() if outcome.unreached}
    if len(unreached) == len(outcomes):
        drops = [Drop(name, found.reason, 0, True) for name, found in unreached.items()]
        raise SourceUnavailable(
            f"Yahoo could not be reached ({list_reasons(drops, by_rows=False)}). What is stored in "
            f"{folder} is kept ({len(stored)} of {len(tickers)} tickers). Check the connection, "
            "or try later."
        )
    for name, outcome in list(failed.items())[:NAMES_SHOWN]:
        kept = "; its stored bars are kept" if name in stored else ""
        show_note(f"{shown_ticker(name)} failed: {outcome.reason}{kept}.")
    if len(failed) > NAMES_SHOWN:
        show_note(f"{len(failed) - NAMES_SHOWN} more failed; the table names them.")
    return 1 if unreached or len(stored) < len(tickers) else 0


def _summary(table: pl.DataFrame) -> str:
    """Count the tickers by what was done for them."""
    counts = dict(table.group_by("action", maintain_order=True).len().iter_rows())
    done = ", ".join(f"{counts[name]} {name}" for name in sorted(counts))
    stale = int(table["stale"].sum())
    names = "ticker" if table.height == 1 else "tickers"
    return f"{table.height} {names}: {done}; {stale} stale; {table['rows'].sum():,} bars stored."


def render(table: pl.DataFrame, form: str, calendar: str) -> str:
    """Write the table of the store for a reader, as CSV or as JSON records."""
    import polars as pl

    if form == "csv":
        return table.write_csv()
    if form == "json":
        return table.with_columns(pl.col("first", "last").cast(pl.String)).write_json() + "\n"
    return _page(table, calendar)


def _page(table: pl.DataFrame, calendar: str) -> str:
    """Write the table for a reader."""
    import io

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in table.columns:
        number = name in ("rows", "gaps")
        shown.add_column(
            name,
            justify="right" if number else "left",
            no_wrap=name not in ("ticker", "reason"),
            overflow="fold",
        )
    for row in table.iter_rows(named=True):
        style = "red" if row["action"] == "failed" else "yellow" if row["stale"] else ""
        shown.add_row(*(Text(_cell(value), style=style) for value in row.values()))
    out = io.StringIO()
    styled = sys.stdout.isatty() or None
    console = Console(file=out, width=WIDTH, force_terminal=styled, highlight=False, emoji=False)
    console.print(shown)
    console.print(
        f"gaps: sessions of {calendar} without a bar, – where the ticker is traded elsewhere or "
        "nothing is stored; stale: no bar of the newest session.",
        markup=False,
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _cell(value: object) -> str:
    """Write one cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return printable(str(value))


if __name__ == "__main__":
    sys.exit(main())
