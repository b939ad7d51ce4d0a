"""What the page is made of: sections of panels and tables, before any HTML.

A panel asks a question; its answer is a sentence whose numbers are facts with names. The page,
its pictures and ``report.json`` all take the numbers from here, so they cannot disagree.
"""

from __future__ import annotations

import datetime as dt
import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from src.v2.summary_text import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = float | int | str | dt.date


@dataclass(frozen=True, slots=True)
class Fact:
    """A number, date or name, and how it is written.

    Parameters
    ----------
    style
        A style of `src.v2.summary_text.shown`, "count" for a whole number with thousands set
        off, or "plain" for what is written as it is.
    """

    value: Value
    style: str = "plain"

    @property
    def text(self) -> str:
        """The value as a reader sees it; a dash where there is none.

        Examples
        --------
        >>> Fact(0.01234, "ic").text, Fact(12345, "count").text, Fact(float("nan"), "ic").text
        ('+0.0123', '12,345', '–')
        """
        if isinstance(self.value, str | dt.date):
            return str(self.value)
        if not math.isfinite(self.value):
            return "–"
        if self.style == "count":
            return f"{self.value:,.0f}"
        if self.style == "plain":
            return f"{self.value:g}"
        return shown(float(self.value), self.style)


@dataclass(frozen=True, slots=True)
class Answer:
    """A sentence or two with facts in it.

    Parameters
    ----------
    template
        Words, and the names of facts in braces, as in ``"Mean rank IC {mean}."``
    facts
        By name; every name of the template is there, others may be.

    Examples
    --------
    >>> Answer("Mean rank IC {mean}.", {"mean": Fact(0.02, "ic")}).text
    'Mean rank IC +0.0200.'
    """

    template: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """Words, each followed by the name of a fact; the last name is empty without one."""
        return tuple(
            (words, name or "") for words, name, _, _ in string.Formatter().parse(self.template)
        )

    @property
    def text(self) -> str:
        """The sentence in words."""
        return self.template.format(**{name: fact.text for name, fact in self.facts.items()})


Cell = str | Fact


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below headings; numbers are facts and stand to the right.

    Parameters
    ----------
    name
        Lower-case letters, digits and dashes, one of its kind on the page.
    folded
        Whether it is closed until the reader opens it.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A question, its picture and its answer.

    Parameters
    ----------
    name
        Lower-case letters, digits and dashes, one of its kind on the page.
    question
        The title.
    answer
        The caption.
    draw
        Makes the picture without title or caption, as `src.v2.figures.style.bare_figure`
        begins it; None for an answer alone.
    alt
        What the picture shows, for those who do not see it: what stands on the axes and how
        the data run. The answer is not repeated.
    note
        Small print: which rows, which method.
    wide
        Whether it needs the whole width of the page; else two stand side by side.
    """

    name: str
    question: str
    answer: Answer
    draw: Callable[[], Figure] | None = None
    alt: str = ""
    note: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One question of the reader, answered by panels and tables.

    Parameters
    ----------
    name
        Anchor on the page: lower-case letters, digits and dashes.
    title
        A few words for the list of sections.
    question
        What it answers.
    data
        Which rows it is about, in a sentence.
    content
        In the order of the page.
    """

    name: str
    title: str
    question: str
    data: str
    content: tuple[Panel | Table, ...]
