"""Pages for readers: their links lead somewhere, the front page is short, the index is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.v2.config import Config, setting_paths
from src.v2.tests.markdown_pages import (
    DOCS,
    GUIDES,
    OTHERS,
    PAGES,
    README,
    ROOT,
    anchors,
    links,
    prose,
)

MODULES = {"mlflow.pyfunc"}
"""Names of MLflow's own, which look like settings."""


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in links(page.read_text()):
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        if not place.exists():
            broken.append(target)
        elif anchor and anchor not in anchors(place.read_text()):
            broken.append(target)
    return broken


def uneven_rows(text: str) -> list[str]:
    """Rows of tables with more or fewer cells than their heading."""
    uneven, width = [], 0
    for line in prose(text).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        width = width if width and cells else cells
        if cells != width:
            uneven.append(line)
    return uneven


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = {str(page): broken_links(page) for page in (*PAGES, *OTHERS)}
    assert {page: targets for page, targets in broken.items() if targets} == {}
    assert sum(len(links(page.read_text())) for page in PAGES) > 80


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One: `two`\n[a](page.md#one-two) [b](#one) [c](gone.md) [d](https://e.f)\n")
    assert broken_links(page) == ["#one", "gone.md"]


def test_rows_of_tables_are_as_wide_as_their_heading() -> None:
    assert uneven_rows("| a | b |\n|---|---|\n| 1 | |x| |\n") == ["| 1 | |x| |"]
    found = {page.name: uneven_rows(page.read_text()) for page in (*PAGES, *OTHERS)}
    assert {name: rows for name, rows in found.items() if rows} == {}


def test_the_index_names_every_page_once_and_the_front_page_leads_to_it() -> None:
    index = DOCS / "README.md"
    listed = [(DOCS / name.partition("#")[0]).resolve() for name in links(index.read_text())]
    pages = [page for page in PAGES if page not in (README, index)]
    assert [page.name for page in pages if listed.count(page.resolve()) != 1] == []
    assert "docs/README.md" in links(README.read_text())


def test_the_front_page_is_read_in_a_minute() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 120
    long = [line for line in prose(text).splitlines() if len(line) > 120]
    assert [line for line in long if not line.startswith(("![", "[!["))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_begins_with_its_title(page: Path) -> None:
    titles = re.findall(r"^# .+$", prose(page.read_text()), re.MULTILINE)
    assert len(titles) == 1
    assert page.read_text().startswith(titles[0])


def test_settings_and_files_that_the_pages_name_exist() -> None:
    settings = {".".join(path) for path in setting_paths(Config)}
    sections = {name for path in settings if (name := path.partition(".")[0]) != path}
    known = settings | {path.rpartition(".")[0] for path in settings}
    named = re.compile(rf"`(?:--)?((?:{'|'.join(sections)})\.[a-z][a-z_.-]*)")
    files = re.compile(r"`((?:src|benchmarks|experiments|scripts)/[\w/]+\.\w+)`")
    for page in set(PAGES) - {GUIDES}:
        text = page.read_text()
        asked = {name.replace("-", "_").rstrip(".") for name in named.findall(text)}
        endings = (".json", ".html", ".npz", ".skops", ".ubj")
        unknown = {name for name in asked - known - MODULES if not name.endswith(endings)}
        assert unknown == set(), page
        assert [name for name in files.findall(text) if not (ROOT / name).exists()] == [], page
