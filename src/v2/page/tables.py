"""A small page of tables, in the look of the report."""

from __future__ import annotations

from collections.abc import Sequence

from src.v2.page.panels import Table
from src.v2.page.render import page_environment


def tables_page(
    tables: Sequence[Table],
    *,
    kicker: str,
    title: str,
    meta: str,
    question: str,
    headline: str,
    says: Sequence[str],
    tone: str,
) -> str:
    """Write a small page of tables below a headline: equal text for equal input.

    Parameters
    ----------
    kicker, title, meta
        What the page is, its title, and what it is about.
    question, headline, says
        What is asked, the answer in a few words, and sentences below it.
    tone
        "good", "plain" or "bad".
    """
    return (
        page_environment()
        .get_template("tables.html.j2")
        .render(
            tables=tables,
            kicker=kicker,
            title=title,
            meta=meta,
            question=question,
            headline=headline,
            says=says,
            tone=tone,
        )
    )
