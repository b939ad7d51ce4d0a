"""The page as a reader's browser shows it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from src.v2.page.content import build_page
from src.v2.page.render import write_report
from src.v2.records import TrainingResult
from src.v2.tests.browser import (
    CLIPPED_LABELS,
    DESK,
    FAINT_TEXT,
    OVERFLOWING,
    PHONE,
    start_browser,
    visit,
)
from src.v2.tests.page.made_up import (
    HOSTILE,
    HOSTILE_END,
    IDENTITY,
    make_hostile_run,
    make_run,
    make_small_run,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREENS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (DESK, "light"),
    (DESK, "dark"),
    (PHONE, "dark"),
    (PHONE, "light"),
)
OPEN = "(open) => document.querySelectorAll('details').forEach((each) => { each.open = open; })"

NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?[\d,]+(\.\d+)?%?")

PLANTED = """<!doctype html><html lang="en"><body style="margin:0;background:#fff">
<p style="width:2000px">wide</p>
<p style="width:40px;white-space:nowrap">a text that spills out of its own box</p>
<p style="color:#aaa">faint</p>
<figure id="f"><svg class="plot" viewBox="0 0 100 20" width="100" height="20" overflow="visible">
<text x="90" y="10">clipped</text></svg></figure>
<div style="overflow-x:auto;width:100px"><p style="width:900px">may be wide</p></div>
<script>console.error("said"); alert("asked"); fetch("https://example.invalid/");</script>
</body></html>"""

RUNS: dict[str, Callable[[], TrainingResult]] = {
    "hostile": make_hostile_run,
    "binary": lambda: make_run("binary"),
    "rating": lambda: make_run("rating"),
    "small": make_small_run,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from start_browser()


@pytest.fixture(scope="module")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the written page of a run, made once."""

    @functools.cache
    def make(name: str) -> Path:
        page = build_page(RUNS[name](), IDENTITY)
        assert page.record["pictures_failed"] == {}
        html, _ = write_report(page, tmp_path_factory.mktemp(name))
        return html

    return make


@pytest.fixture(params=RUNS)
def report(request: pytest.FixtureRequest, report_of: Callable[[str], Path]) -> Path:
    """Give the page of each run."""
    return report_of(request.param)


def _record(report: Path) -> Any:
    return json.loads(report.with_name("report.json").read_text(encoding="utf-8"))


def _look_up(record: Any, path: str) -> Any:
    kind, name, *rest = path.split(".")
    if kind == "panels":
        return record["panels"][name]["facts"][rest[0]]
    return record["tables"][name]["rows"][int(rest[0])][int(rest[1])]


def _json_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_nothing_is_fetched_runs_or_leaves_its_place(browser: Browser, report: Path) -> None:
    with visit(browser, report) as seen:
        page = seen.page
        for width, scheme in SCREENS:
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            for opened in (False, True):
                page.evaluate(OPEN, opened)
                assert page.evaluate(OVERFLOWING) == [], (width, opened)
            assert page.evaluate(CLIPPED_LABELS) == [], width
            assert page.evaluate(FAINT_TEXT) == [], scheme
        assert seen.requests == [report.as_uri()]
        assert seen.troubles == []


def test_every_number_shown_is_the_record_s(browser: Browser, report: Path) -> None:
    record = _record(report)
    with visit(browser, report) as seen:
        shown = seen.page.eval_on_selector_all(
            "data.fact", "all => all.map((e) => [e.dataset.fact, e.value, e.textContent])"
        )
    assert len(shown) > 100
    assert all(text for _, value, text in shown if value)
    wrong = [
        (path, value) for path, value, _ in shown if value != _json_word(_look_up(record, path))
    ]
    assert wrong == []
    numbers = [(value, text) for _, value, text in shown if NUMBER.fullmatch(text)]
    assert len(numbers) > 50
    assert [each for each in numbers if not _says(*each)] == []


def _says(value: str, text: str) -> bool:
    """Tell whether a text is a value rounded to the digits that it shows."""
    digits = text.strip("%").partition(".")[2]
    unit = 100.0 if text.endswith("%") else 1.0
    said = float(text.strip("%").replace(",", "").replace("\N{MINUS SIGN}", "-"))
    return abs(unit * float(value) - said) <= 0.500001 * 10.0 ** -len(digits)


def test_ids_are_unique_and_anchors_lead_somewhere(browser: Browser, report: Path) -> None:
    with visit(browser, report) as seen:
        ids = seen.page.eval_on_selector_all("[id]", "all => all.map((e) => e.id)")
        targets = seen.page.eval_on_selector_all(
            "[href^='#']", "all => all.map((e) => e.getAttribute('href').slice(1))"
        )
        labels = seen.page.eval_on_selector_all(
            "[aria-labelledby]", "all => all.map((e) => e.getAttribute('aria-labelledby'))"
        )
        sections = seen.page.eval_on_selector_all("main > section", "all => all.map((e) => e.id)")
        listed = seen.page.eval_on_selector_all(
            "nav a", "all => all.map((e) => e.getAttribute('href').slice(1))"
        )
    assert len(ids) == len(set(ids))
    assert set(targets) | set(labels) <= set(ids)
    assert listed == sections


def test_a_hostile_name_is_shown_as_text(
    browser: Browser, report_of: Callable[[str], Path]
) -> None:
    with visit(browser, report_of("hostile")) as seen:
        assert seen.page.evaluate("document.querySelectorAll('script, img, iframe').length") == 0
        words = seen.page.evaluate("document.body.textContent")
        assert seen.troubles == []
    assert HOSTILE in words and HOSTILE_END in words


def test_paper_shows_folded_tables_open(browser: Browser, report_of: Callable[[str], Path]) -> None:
    height = "document.querySelector('#table-card-run table').getBoundingClientRect().height"
    with visit(browser, report_of("binary")) as seen:
        assert seen.page.evaluate("document.querySelectorAll('details[open]').length") == 0
        seen.page.emulate_media(media="print")
        assert seen.page.evaluate(height) > 200
        assert seen.page.evaluate("getComputedStyle(document.querySelector('nav')).display") == (
            "none"
        )
        assert seen.page.pdf(format="A4").startswith(b"%PDF")


def test_a_reader_with_a_keyboard_meets_the_skip_link_first(
    browser: Browser, report_of: Callable[[str], Path]
) -> None:
    with visit(browser, report_of("binary")) as seen:
        seen.page.keyboard.press("Tab")
        focused = seen.page.evaluate(
            "[document.activeElement.className, document.activeElement.getBoundingClientRect().top]"
        )
        assert focused[0] == "skip" and focused[1] >= 0
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "content"


def test_the_first_screen_holds_the_verdict_and_six_numbers(
    browser: Browser, report_of: Callable[[str], Path]
) -> None:
    for width in (PHONE, DESK):
        with visit(browser, report_of("binary"), width) as seen:
            bottoms = seen.page.eval_on_selector_all(
                ".word, .tile", "all => all.map((e) => e.getBoundingClientRect().bottom)"
            )
        assert len(bottoms) == 7
        assert max(bottoms) <= 844


def test_the_probes_see_what_is_planted(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "planted.html"
    file.write_text(PLANTED, encoding="utf-8")
    with visit(browser, file) as seen:
        overflowing = seen.page.evaluate(OVERFLOWING)
        assert "the page itself" in overflowing
        assert any(each.startswith("wide: P") for each in overflowing)
        assert any("spills: P" in each and "own box" in each for each in overflowing)
        assert not any("may be wide" in each for each in overflowing)
        assert seen.page.evaluate(CLIPPED_LABELS) == ["f: clipped"]
        assert [each.split()[0] for each in seen.page.evaluate(FAINT_TEXT)] == ["P."]
        assert {"said", "dialog asked"} <= set(seen.troubles)
        assert len(seen.requests) == 2
