"""The results page: what is measured stands between marks, what is explained around them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("RESULTS.md")
KEPT = "> Not measured again: "
WIDTH = 118


def marks(name: str) -> tuple[str, str]:
    """Give the lines that a section's numbers stand between."""
    return f"<!-- {name}: made by make bench -->", f"<!-- end of {name} -->"


def section_text(found: Mapping[str, Any], made: str) -> str:
    """Write what a benchmark found as Markdown.

    Parameters
    ----------
    found
        | tables | sentences |, as `benchmarks.run` says.
    made
        On which machine, bars and versions, and how to repeat it.
    """
    parts = [made]
    for each in found.get("tables", []):
        head = [f"**{each['title']}**", ""] if each.get("title") else []
        rule = "|".join(["---"] * len(each["columns"]))
        rows = [_line(row) for row in each["rows"]]
        parts.append("\n".join([*head, _line(each["columns"]), f"|{rule}|", *rows]))
    parts += [_wrapped(sentence) for sentence in found.get("sentences", [])]
    return "\n\n".join(parts)


def replace_section(page: str, name: str, title: str, text: str) -> str:
    """Put a section's text between its marks; a page without them gets them at its end."""
    start, end = marks(name)
    if start not in page:
        page = f"{page.rstrip()}\n\n## {title}\n\n{start}\n{end}\n"
    head, _, rest = page.partition(start)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE.name} must have {end!r} after {start!r}; it has not")
    return f"{head}{start}\n\n{text}\n\n{end}{tail}".lstrip()


def keep_section(page: str, name: str, reason: str) -> str:
    """Say above a section's old numbers why they are not new; one without numbers stays away."""
    start, end = marks(name)
    if start not in page or end not in page:
        return page
    old = page.partition(start)[2].partition(end)[0].strip()
    old = re.sub(rf"\A(?:{re.escape(KEPT)}[^\n]*\n+)", "", old).strip()
    said = f"{KEPT}{_without_paths(' '.join(reason.split())).rstrip('.')}."
    return replace_section(page, name, "", f"{said}\n\n{old}".strip())


def _without_paths(text: str) -> str:
    """Leave out what says something about this machine alone."""
    # Known folders first: of others no one can tell where a path with spaces ends.
    for folder in (sys.prefix, str(PAGE.parent.parent)):
        text = text.replace(folder, "/PATH")
    return re.sub(r"(?<![\w.])/[^\s,;:)]+", "PATH", text)


def write_page(path: Path, page: str) -> None:
    """Replace the page as a whole."""
    fresh = path.with_name(f".{path.name}.part")
    fresh.write_text(page, encoding="utf-8")
    os.replace(fresh, path)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _wrapped(sentence: str) -> str:
    import textwrap

    return textwrap.fill(sentence, WIDTH, break_long_words=False, break_on_hyphens=False)
