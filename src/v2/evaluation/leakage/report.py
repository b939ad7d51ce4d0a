"""The audit as a table for the console, as a page, and as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from src.v2.console import printable
from src.v2.evaluation_records import AuditCheck, AuditOutcome

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Mapping[AuditOutcome, str] = {
    "pass": "green",
    "warn": "yellow",
    "fail": "bold red",
    "skipped": "dim",
}
WIDTH_WITHOUT_TERMINAL = 100


def count_outcomes(checks: Sequence[AuditCheck]) -> dict[AuditOutcome, int]:
    """Count the checks by outcome; each outcome is there, 0 included."""
    return {word: sum(check.outcome == word for check in checks) for word in STYLES}


def closing_line(checks: Sequence[AuditCheck]) -> str:
    """Say in one line what the audit means."""
    count = count_outcomes(checks)
    if count["fail"]:
        names = ", ".join(check.name for check in checks if check.outcome == "fail")
        return (
            f"FAIL: {names}. Scores of a run on these data, settings and features cannot be "
            "believed until this is mended."
        )
    unasked = f" {count['skipped']} checks could not run." if count["skipped"] else ""
    if count["warn"]:
        return f"PASS with warnings: no leak was found; read the warnings first.{unasked}"
    return f"PASS: no leak was found.{unasked}"


def audit_numbers(checks: Sequence[AuditCheck]) -> dict[str, float]:
    """Give the counts and every number of the checks under keys that MLflow takes."""
    count = count_outcomes(checks)
    numbers = {
        "audit_passed": float(count["pass"]),
        "audit_warned": float(count["warn"]),
        "audit_failed": float(count["fail"]),
        "audit_skipped": float(count["skipped"]),
    }
    for check in checks:
        for name, value in check.numbers.items():
            numbers[re.sub(r"\W", "_", f"audit_{check.name}_{name}")] = float(value)
    return numbers


def audit_markdown(title: str, about: Sequence[str], checks: Sequence[AuditCheck]) -> str:
    """Write the audit as a page.

    Parameters
    ----------
    about
        Lines on what was audited.
    """
    rows = [
        f"| {check.outcome} | {check.name} | {_cell(check.question)} | {_cell(check.evidence)} |"
        for check in checks
    ]
    counts = ", ".join(f"{number} {word}" for word, number in count_outcomes(checks).items())
    head = [f"# {title}", "", *about, "", f"{closing_line(checks)}", "", counts, ""]
    table = ["| outcome | check | question | evidence |", "|---|---|---|---|", *rows]
    return "\n".join([*head, *table]) + "\n"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")


def print_audit(
    about: Sequence[str], checks: Sequence[AuditCheck], console: Console | None = None
) -> None:
    """Print the table of checks, their counts and what they mean.

    Parameters
    ----------
    about
        Lines on what was audited and where the result is kept.
    console
        Printed to; by default standard output.
    """
    import sys

    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    out = console or Console(highlight=False, width=width)
    table = Table(show_lines=True, expand=False)
    for head in ("outcome", "check", "evidence"):
        table.add_column(head, overflow="fold", no_wrap=head != "evidence")
    for check in checks:
        style = STYLES[check.outcome]
        evidence = Text(printable(check.evidence))
        table.add_row(Text(check.outcome, style=style), Text(check.name), evidence)
    out.print(Rule("[bold]omninmo: audit"))
    out.print(table)
    counts = Text()
    for word, number in count_outcomes(checks).items():
        counts.append(f"{number} {word}  ", style=STYLES[word] if number else "dim")
    out.print(counts)
    failed = any(check.outcome == "fail" for check in checks)
    out.print(Text(closing_line(checks), style="bold red" if failed else "bold"))
    for line in about:
        out.print(Text(printable(line)), soft_wrap=True)
    out.print(Rule())
