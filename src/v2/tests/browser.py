"""Pages in a real browser, without network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESK = 390, 1280


@dataclass(frozen=True, slots=True)
class Visit:
    """An open page, and what happened while it loaded."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    """Console errors and warnings, page errors and dialogs."""
    requests: list[str] = field(default_factory=list)


def start_browser() -> Iterator[Browser]:
    """Run Chromium for a fixture; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, file: Path, width: int = DESK, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Visit]:
    """Open a file without network."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    found = Visit(context.new_page())
    page = found.page

    def listen(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            found.troubles.append(said.text)

    def refuse(dialog: Dialog) -> None:
        found.troubles.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("console", listen)
    page.on("pageerror", lambda error: found.troubles.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("dialog", refuse)
    page.goto(file.as_uri())
    yield found
    context.close()


OVERFLOWING = """() => {
  const bad = [];
  const scrolls = (e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const inBox = (e) => { for (let up = e.parentElement; up; up = up.parentElement)
    if (scrolls(up)) return true; return false; };
  if (document.documentElement.scrollWidth > innerWidth) bad.push('the page itself');
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') && e.tagName !== 'svg') continue;
    const box = e.getBoundingClientRect();
    if (!box.width || !e.checkVisibility()) continue;
    const name = e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 40);
    if ((box.right > innerWidth + 1 || box.left < -1) && !inBox(e)) bad.push('wide: ' + name);
    if (!scrolls(e) && !inBox(e) && e.clientWidth && e.scrollWidth > e.clientWidth + 1)
      bad.push('spills: ' + name);
  }
  return bad;
}"""
"""Elements that leave the page or their own box; what lies in a scroll box may be wide."""

CLIPPED_LABELS = """() => [...document.querySelectorAll('svg.plot text')].filter((text) => {
  const own = text.getBoundingClientRect();
  const all = text.closest('svg').getBoundingClientRect();
  return own.width && (own.left < all.left - 2 || own.right > all.right + 2 ||
    own.top < all.top - 2 || own.bottom > all.bottom + 2);
}).map((text) => text.closest('figure').id + ': ' + text.textContent)"""
"""Labels that reach out of their picture."""

FAINT_TEXT = """() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number);
    return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) =>
    v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || e.closest('svg') || !e.checkVisibility()) continue;
    let up = e;
    while (up && parse(getComputedStyle(up).backgroundColor)[3] === 0) up = up.parentElement;
    const back = light(parse(getComputedStyle(up || document.body).backgroundColor));
    const ink = light(parse(getComputedStyle(e).color));
    const ratio = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
    if (ratio < 4.5) bad.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
  }
  return [...bad];
}"""
"""Texts with less contrast than WCAG's AA asks of small ones."""
