"""What promotion says on the console: the gate's table, and the list of versions."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from src.v2.console import printable
from src.v2.lifecycle.gate import Gate
from src.v2.lifecycle.promotion import Promotion
from src.v2.lifecycle.registration import shown_rank_ic
from src.v2.tracking.registry import CHAMPION, ModelVersion
from src.v2.tracking.viewing import registry_command

if TYPE_CHECKING:
    from rich.table import Table

    from src.v2.config import MlflowConfig

WIDTH = 100
COLUMNS = (
    *("name", "version", "aliases", "verdict", "rank_ic", "rank_ic_low", "rank_ic_high"),
    *("mode", "forward_days", "tickers", "data_first", "data_last", "trained_at", "audit"),
    *("promoted_at", "forced", "run_id"),
)
"""Columns of the list of versions, in its files."""


def versions_text(versions: Sequence[ModelVersion], form: str) -> str:
    """Write the list of versions for a reader, as CSV or as JSON records."""
    if form == "table":
        marks = [f"* version {item.version}: {item.forced}" for item in versions if item.forced]
        return _drawn(_versions_table(versions), [printable(mark) for mark in marks])
    import polars as pl

    rows = [_row(version) for version in versions]
    if form == "json":
        return json.dumps(rows) + "\n"
    table = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String))
    return table.write_csv()


def promotion_text(promotion: Promotion, form: str, mlflow: MlflowConfig) -> str:
    """Write what came of asking: the gate's table and one line, or a JSON record."""
    if form == "json":
        record = {
            "outcome": promotion.outcome,
            "version": promotion.version.version,
            "champion_before": promotion.champion,
            "forced": promotion.forced,
            "checks": [asdict(check) for check in promotion.gate.checks] if promotion.gate else [],
            "notes": list(promotion.gate.notes) if promotion.gate else [],
        }
        return json.dumps(record) + "\n"
    table = _gate_text(promotion.gate) if promotion.gate is not None else ""
    return table + outcome_line(promotion, mlflow) + "\n"


def outcome_line(promotion: Promotion, mlflow: MlflowConfig) -> str:
    """Say in one line what is in use now."""
    version, before = promotion.version, promotion.champion
    what = f"version {version.version} of {version.name}"
    if promotion.outcome == "already":
        return f"{what} is the champion already; nothing changed."
    if promotion.outcome == "refused":
        assert promotion.gate is not None
        kept = "there is still no champion" if before is None else f"version {before} stays in use"
        way = "" if promotion.gate.forcible else " Force does not overrule it."
        return f"{what} is not promoted: the gate says no. Nothing changed; {kept}.{way}"
    back = "" if before is None else f", in place of version {before} (back: --rollback)"
    how = "by force, marked so, " if promotion.forced else ""
    verb = "is the champion again" if promotion.outcome == "rolled back" else "is the champion now"
    use = registry_command(mlflow, "predict")
    return f"{what} {how}{verb}{back}, and is used where no other model is named: {use}"


def _gate_text(gate: Gate) -> str:
    """Draw the gate's checks; the rule and the remedy of those that fail stand below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "", "found"):
        table.add_column(name, overflow="fold", no_wrap=name == "check")
    for check in gate.checks:
        style = "green" if check.passed else "red"
        outcome = Text("yes" if check.passed else "NO", style=style)
        table.add_row(Text(check.name), outcome, Text(printable(check.value)))
    lines = [f"{check.name}: {check.rule}. {check.remedy}." for check in gate.failed]
    lines += [f"note: {note}." for note in gate.notes]
    return _drawn(table, [printable(line) for line in lines])


def _versions_table(versions: Sequence[ModelVersion]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("version", "aliases", "verdict", "rank IC (95%)", "rows", "trained"):
        whole = name not in ("verdict", "rows")
        table.add_column(name, overflow="fold", no_wrap=whole, justify=_side(name))
    for version in versions:
        tags = version.tags
        cells = (
            str(version.version) + ("*" if version.forced else " "),
            "\n".join(version.aliases) or "–",
            tags.get("verdict", "–"),
            shown_rank_ic(tags).replace(" (", "\n("),
            f"{tags.get('data_first', '–')} to {tags.get('data_last', '–')}",
            tags.get("trained_at", "–")[:10],
        )
        style = "bold" if CHAMPION in version.aliases else ""
        table.add_row(*(Text(_lines_printable(cell), style=style) for cell in cells))
    return table


def _side(column: str) -> Literal["left", "right"]:
    return "right" if column == "version" else "left"


def _row(version: ModelVersion) -> dict[str, str | None]:
    """Give the columns of the list as texts; null where a version lacks one."""
    known: dict[str, Any] = {
        **version.tags,
        "name": version.name,
        "version": str(version.version),
        "aliases": " ".join(version.aliases),
        "forced": version.forced,
        "run_id": version.run_id,
    }
    return {name: known.get(name) for name in COLUMNS}


def _lines_printable(text: str) -> str:
    """Keep the line breaks that are ours, and nothing else that a terminal would obey."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _drawn(table: Table, lines: Sequence[str] = ()) -> str:
    """Draw a table with lines below it."""
    from rich.console import Console

    out = io.StringIO()
    styled = sys.stdout.isatty() or None
    console = Console(file=out, width=WIDTH, force_terminal=styled, highlight=False, emoji=False)
    console.print(table)
    for line in lines:
        console.print(line, markup=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
