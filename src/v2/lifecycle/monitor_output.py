"""A look at a model in use as a table for the console, as a page, and as plain values."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.v2.console import printable
from src.v2.lifecycle.monitor_records import MonitorCheck, MonitorResult, Outcome
from src.v2.page.panels import Cell, Fact, Table
from src.v2.page.report_json import clean
from src.v2.page.tables import tables_page
from src.v2.stored_records import encode
from src.v2.summary_text import between, sessions

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid

SCHEMA_VERSION = 2
STYLES: Mapping[Outcome, str] = {
    "ok": "green",
    "alarm": "bold red",
    "note": "yellow",
    "cannot tell": "yellow",
    "too early": "dim",
}
WIDTH_WITHOUT_TERMINAL = 100
SHOWN_MOVES = 30
CELL_WIDTH = 11
"""Of the table of versions, its names aside: all of it fits 100 columns."""
VERSIONS_HEAD = (
    *("Model", "Asked as (dates)", "Dates", "Counted", "Rank IC", "Promised"),
    "Less the one in use",
)
VERSIONS_NOTE = (
    "With 95% intervals. The last column is paired: the daily rank IC less that of the model in "
    "use, on the dates and tickers of both, where that was another model."
)
EVERY_LOOK = (
    "Skill, coverage, calibration and the record of an alias raise an alarm when they show it "
    "twice, a quarter (or a longer horizon) apart. At a rate of 1% a look, looking every day then "
    "raised a false alarm of skill in 2 to 3% of simulated years and 5% of three years; each check "
    "adds its own. What was promised was chosen as the best, so a little less is to be expected."
)


def closing_line(result: MonitorResult) -> str:
    """Say in one line what was found."""
    if result.alarms:
        return f"ALARM: {', '.join(_named(check) for check in result.alarms)}."
    said = "No alarm"
    for outcome, words in (("cannot tell", "cannot tell"), ("too early", "too early to tell")):
        names = dict.fromkeys(check.name for check in result.checks if check.outcome == outcome)
        said += f"; {words}: {', '.join(names)}" if names else ""
    return f"{said}."


def _named(check: MonitorCheck) -> str:
    return f"{check.name} of {check.of}" if check.of else check.name


def about_lines(result: MonitorResult) -> list[str]:
    """Say what was looked at."""
    lines = [
        f"{result.shown}: {_dates(result.logged)} in the log, {result.scored:,} of them with an "
        f"outcome of {sessions(result.forward_days)} that counts; bars up to {result.day}"
    ]
    if result.left_out:
        told = ", ".join(f"{count:,} ({reason})" for reason, count in result.left_out.items())
        lines.append(f"Dates that do not count: {told}")
    alias = result.alias
    if alias is not None:
        by = "1 version" if alias.versions == 1 else f"{alias.versions:,} versions"
        lines.append(
            f"As {alias.alias}: {_dates(alias.logged)} in the log by {by}, {alias.scored:,} of "
            "them with an outcome that counts"
        )
    return lines


def _dates(count: int) -> str:
    return "1 date" if count == 1 else f"{count:,} dates"


def monitor_numbers(result: MonitorResult) -> dict[str, float]:
    """Give every number of the checks under keys that MLflow takes."""
    numbers = {
        "monitor_alarms": float(len(result.alarms)),
        "monitor_logged_dates": float(result.logged),
        "monitor_scored_dates": float(result.scored),
    }
    for check in result.checks:
        for name, value in check.numbers.items():
            key = re.sub(r"\W", "_", f"monitor_{name}")
            # Of several challengers the first, which was asked last, keeps the plain name.
            if key not in numbers:
                numbers[key] = float(value)
    return numbers


def monitor_json(result: MonitorResult, about: Mapping[str, Any]) -> str:
    """Write everything as strict JSON.

    Parameters
    ----------
    about
        Plain values on the look itself: its time, its fingerprints.
    """
    record = {
        "schema_version": SCHEMA_VERSION,
        **about,
        "closing": closing_line(result),
        **encode(result),
    }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return clean(text) + "\n"


def monitor_page(result: MonitorResult, when: str) -> str:
    """Write everything as one page without scripts.

    Parameters
    ----------
    when
        Time of the look, in words.
    """
    rows: list[tuple[Cell, ...]] = [
        (check.question, check.outcome, check.evidence, check.rule or "nothing: it is only told")
        for check in result.checks
    ]
    head = ("Question", "Outcome", "Evidence", "What raises the alarm")
    tables = [Table("checks", "The checks", head, tuple(rows), EVERY_LOOK)]
    if len(result.versions) > 1:
        tables.append(_versions_table(result))
    if result.moves:
        tables.append(_moves_table(result))
    return tables_page(
        tables,
        kicker="omninmo monitor",
        title=f"A model in use: {result.shown}",
        meta=f"looked at {when}",
        question="Does it do what its training promised?",
        headline=closing_line(result),
        says=[f"{line}." for line in about_lines(result)],
        tone="bad" if result.alarms else "good",
    )


def versions_rows(result: MonitorResult) -> list[tuple[str, ...]]:
    """Give the table of versions as texts, below the headings of `VERSIONS_HEAD`."""
    return [
        (
            line.name,
            ", ".join(f"{role} ({dates:,})" for role, dates in line.roles.items()) or "–",
            f"{line.first} to {line.last}",
            f"{line.scored:,} of {line.logged:,}",
            between(line.rank_ic, "ic"),
            between(line.promised, "ic"),
            f"{between(line.margin, 'ic')} on {line.margin_dates:,}" if line.margin_dates else "–",
        )
        for line in result.versions
    ]


def _versions_table(result: MonitorResult) -> Table:
    """List the models of the log, each beside what was in use on the same dates."""
    return Table(
        "versions", "Models of the log", VERSIONS_HEAD, tuple(versions_rows(result)), VERSIONS_NOTE
    )


def _moves_table(result: MonitorResult) -> Table:
    """List the features that moved most."""
    rows = tuple(
        (
            move.feature,
            Fact(move.importance, "share"),
            Fact(move.psi, "ratio"),
            Fact(move.distance, "chance"),
            Fact(move.usual, "chance"),
            Fact(move.p, "chance"),
            "drifted" if move.drifted else "",
        )
        for move in result.moves[:SHOWN_MOVES]
    )
    return Table(
        "drift",
        "Features of the newest quarter against training",
        ("Feature", "Gain", "Index", "Distance", "Usual", "Adjusted p", ""),
        rows,
        "Index: population stability index. Distance: largest gap of the distribution functions; "
        "usual: its geometric mean for quarters inside the training rows, which p is held "
        f"against. The {len(rows)} that moved most of {len(result.moves)} features.",
    )


def _versions_grid(result: MonitorResult) -> Grid:
    """Draw the table of versions for a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    title = "models of the log, beside the one in use on the same dates"
    grid = RichTable(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in VERSIONS_HEAD:
        grid.add_column(head, overflow="fold", max_width=None if head == "Model" else CELL_WIDTH)
    for name, *cells in versions_rows(result):
        parted = printable(name).replace(" version ", "\nversion ")
        grid.add_row(Text(parted), *(Text(printable(cell)) for cell in cells))
    return grid


def print_monitor(
    result: MonitorResult, about: Sequence[str], console: Console | None = None
) -> None:
    """Print the checks and what they mean.

    Parameters
    ----------
    about
        Lines on where the result is kept.
    console
        Printed to; by default standard output.
    """
    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table as Grid
    from rich.text import Text

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    out = console or Console(highlight=False, width=width)
    grid = Grid(show_lines=True, expand=False)
    for head in ("outcome", "check", "evidence"):
        grid.add_column(head, overflow="fold", no_wrap=head != "evidence")
    for check in result.checks:
        outcome = Text(check.outcome, style=STYLES[check.outcome])
        told = f"{check.question} {check.evidence[0].upper()}{check.evidence[1:]}"
        grid.add_row(outcome, Text(check.name), Text(printable(told)))
    out.print(Rule("[bold]omninmo: monitor"))
    for line in about_lines(result):
        out.print(Text(printable(line)), soft_wrap=True)
    out.print(grid)
    if len(result.versions) > 1:
        out.print(_versions_grid(result))
    style = "bold red" if result.alarms else "bold"
    out.print(Text(printable(closing_line(result)), style=style), soft_wrap=True)
    out.print(Text(EVERY_LOOK, style="dim"))
    for line in about:
        out.print(Text(printable(line)), soft_wrap=True)
    out.print(Rule())
