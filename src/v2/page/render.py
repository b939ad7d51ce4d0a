"""From sections to one HTML file that needs no network, no script and no font of its own."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.v2.figures.style import look
from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Answer, Cell, Fact, Panel, Section, Table
from src.v2.page.report_json import clean, raw, report_record, written
from src.v2.page.svg import inline_svg, interval_strip
from src.v2.records import TrainingResult

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
HTML_NAME, JSON_NAME = "report.html", "report.json"
COMPACT = 48
"""Letters of the longest cell of a table that fits beside another one."""
LONG_WORD = 26
"""Letters of a word that may be broken anywhere, and of a text that needs a wide column."""
TONES = {
    "evidence": "good",
    "no evidence": "plain",
    "implausible: check for leakage": "bad",
}

Line = tuple[tuple[str, str, Fact | None], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page and its numbers.

    Parameters
    ----------
    html
        The whole file.
    record
        Everything that it says as plain values, ready for JSON; `pictures_failed` gives the
        reason for each picture that could not be drawn.
    """

    html: str
    record: Mapping[str, Any]


def make_page(
    sections: Sequence[Section], result: TrainingResult, identity: RunIdentity, title: str
) -> Page:
    """Write sections as a page: equal bytes for equal input.

    A picture that fails is left out, and the page says so: it is never worth a run.

    Parameters
    ----------
    sections
        In order; the one named "verdict" becomes the first screen.
    title
        What was forecast, in a few words.

    Raises
    ------
    ValueError
        Where a name is not made of lower-case letters, digits and dashes, or stands twice.
    """
    _check_names(sections)
    pictures, failed = _draw(sections)
    page = page_environment().get_template("page.html.j2")
    html = page.render(
        title=title,
        identity=identity,
        sections=sections,
        pictures=pictures,
        failed=failed,
        tone=TONES[result.evaluation.verdict.word],
    )
    return Page(html, report_record(sections, result, identity, failed))


def write_report(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json``, each whole or not at all.

    Parameters
    ----------
    folder
        Made where missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html = _write(folder / HTML_NAME, page.html)
    return html, _write(folder / JSON_NAME, written(page.record))


def _write(target: Path, text: str) -> Path:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def _check_names(sections: Sequence[Section]) -> None:
    """Refuse names that would break anchors."""
    parts = [part.name for section in sections for part in section.content]
    for names in ([section.name for section in sections], parts):
        twice = [name for name, count in Counter(names).items() if count > 1]
        odd = [name for name in names if not re.fullmatch("[a-z0-9][a-z0-9-]*", name)]
        if twice or odd:
            raise ValueError(f"names of a page that stand twice: {twice}, or are odd: {odd}")


def _draw(sections: Sequence[Section]) -> tuple[dict[str, str], dict[str, str]]:
    """Draw every panel's picture; give those drawn, and why others could not be."""
    from markupsafe import Markup

    pictures: dict[str, str] = {}
    failed: dict[str, str] = {}
    for section in sections:
        for panel in section.content:
            if not isinstance(panel, Panel) or panel.draw is None:
                continue
            try:
                with look():
                    drawn = inline_svg(panel.draw(), f"figure-{panel.name}", panel.alt)
                pictures[panel.name] = Markup(drawn)
            except Exception as error:  # a picture is never worth a run
                failed[panel.name] = f"{type(error).__name__}: {error}"
    return pictures, failed


def page_environment() -> Environment:
    """Set the templates up: every text is escaped, and nothing undefined passes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean_words,
    )
    environment.globals.update(
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        lines=answer_lines,
        raw=raw,
        strip=_strip,
        number_columns=number_columns,
        is_compact=is_compact,
        cell_kind=cell_kind,
        fact_class=fact_class,
        lone_parts=lone_parts,
        fact_text=fact_text,
        is_fact=lambda cell: isinstance(cell, Fact),
        is_panel=lambda part: isinstance(part, Panel),
    )
    return environment


def answer_lines(answer: Answer) -> tuple[Line, ...]:
    r"""Split an answer at the line breaks of its template.

    Returns
    -------
    tuple
        Lines of (words, name of the fact that follows, fact); the last two are empty where
        none follows.

    Examples
    --------
    >>> answer_lines(Answer("One\nof {n}.", {"n": Fact(3)}))[1]
    (('of ', 'n', Fact(value=3, style='plain')), ('.', '', None))
    """
    lines: list[list[tuple[str, str, Fact | None]]] = [[]]
    for words, name in answer.parts:
        *whole, last = words.split("\n")
        for text in whole:
            lines[-1].append((text, "", None))
            lines.append([])
        lines[-1].append((last, name, answer.facts[name] if name else None))
    return tuple(tuple(line) for line in lines)


def number_columns(table: Table) -> tuple[bool, ...]:
    """Tell which columns hold numbers alone, and so stand to the right."""
    return tuple(
        bool(table.rows) and all(_is_number(row[place]) for row in table.rows)
        for place in range(len(table.head))
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, Fact) and isinstance(cell.value, int | float)


def is_compact(table: Table) -> bool:
    """Tell whether a table fits beside another one: two columns of few letters."""
    letters = [
        len(cell.text if isinstance(cell, Fact) else cell) for row in table.rows for cell in row
    ]
    return len(table.head) == 2 and not table.folded and max(letters, default=0) <= COMPACT


def cell_kind(cell: Cell) -> str:
    """Name the kind of a text: "token" for a long word, "prose" for a sentence.

    Examples
    --------
    >>> cell_kind("a" * 30), cell_kind("some words " * 6), cell_kind("short")
    ('token', 'prose', '')
    """
    text = cell.text if isinstance(cell, Fact) else cell
    if max(map(len, text.split()), default=0) > LONG_WORD:
        return "token"
    return "prose" if len(text) > LONG_WORD else ""


def lone_parts(section: Section) -> frozenset[str]:
    """Name the parts that would stand beside nothing where two stand side by side."""
    lone, beside = set(), ""
    for part in section.content:
        if is_compact(part) if isinstance(part, Table) else part.draw is not None and not part.wide:
            beside = "" if beside else part.name
            continue
        lone.add(beside)
        beside = ""
    return frozenset({*lone, beside} - {""})


def fact_class(fact: Fact) -> str:
    """Name the kind of a fact: numbers and dates do not wrap, sentences and counts are not bold."""
    if not isinstance(fact.value, str):
        return "fact counted" if fact.style == "count" else "fact"
    said = len(fact.value) > LONG_WORD and " " in fact.value
    return "fact words said" if said else "fact words"


def fact_text(fact: Fact) -> str:
    """Write a fact, its numbers with a true minus sign; names and dates keep their hyphens.

    Examples
    --------
    >>> fact_text(Fact(-0.5, "ratio")), fact_text(Fact("BRK-2 of 2024-01-05: -0.5%"))
    ('−0.50', 'BRK-2 of 2024-01-05: −0.5%')
    """
    return re.sub(r"(?<![\w.-])-(?=\d)", "\N{MINUS SIGN}", fact.text)


def _strip(panel: Panel) -> str:
    """Draw the interval of a tile that has one: its facts low, centre and high."""
    from markupsafe import Markup

    facts = panel.answer.facts
    found = [facts[name].value for name in ("low", "centre", "high") if name in facts]
    values = [float(value) for value in found if isinstance(value, int | float)]
    if len(values) < 3 or not all(math.isfinite(value) for value in values):
        return ""
    return Markup(interval_strip(*values))


def _clean_words(value: Any) -> Any:
    from markupsafe import Markup

    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
