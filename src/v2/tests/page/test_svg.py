"""A figure inside the page: text stays text, ids stay apart, colours follow the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from src.v2.figures.style import (
    BLUE,
    CATEGORIES,
    FAINT,
    INK,
    PAPER,
    QUIET,
    bare_figure,
    figure_svg,
    look,
)
from src.v2.page.svg import PAGE_COLOURS, inline_svg, interval_strip

ATTACK = "</svg><script>alert(1)</script>"


@look()
def make_figure(label: str = "plain", shift: float = 0.0) -> Figure:
    """Draw lines with markers, a filled band, an image and a legend."""
    figure = bare_figure(4.6, 3.0)
    axes = figure.subplots()
    axes.plot([0, 1, 2], [0.1234567 + shift, 1, 0.5], marker="o", color=BLUE, label=label)
    axes.fill_between([0, 1, 2], [0, 0, 0], [1, 2, 1], color=CATEGORIES[8], alpha=0.3)
    axes.scatter([0, 1], [0.2, 0.7], c=[0.0, 1.0], rasterized=True)
    axes.grid()
    axes.set_xticks([0, 1], [label, "0.123456"])
    axes.legend()
    return figure


def parsed(figure: Figure, name: str = "panel", alt: str = "Lines.") -> ElementTree.Element:
    """Parse the picture as XML, stricter than any browser."""
    return ElementTree.fromstring(inline_svg(figure, name, alt))


def test_a_hostile_label_stays_text() -> None:
    text = inline_svg(make_figure(ATTACK), "panel", f'"{ATTACK}')
    assert "<script" not in text and text.count("</svg>") == 1
    root = ElementTree.fromstring(text)
    assert ATTACK in {each.text for each in root.iter("text")}
    assert root.findtext("desc") == f'"{ATTACK}'


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_alt_text_gives_a_picture(alt: str) -> None:
    root = ElementTree.fromstring(inline_svg(EMPTY, "panel", alt))
    assert root.tag == "svg" and root.find("desc") is not None


def test_a_label_of_control_characters_is_replaced() -> None:
    words = {each.text for each in parsed(make_figure("a\x00\x1bb")).iter("text")}
    assert any(word and "\N{REPLACEMENT CHARACTER}" in word for word in words)


def test_tick_labels_keep_their_digits_and_paths_lose_theirs() -> None:
    root = parsed(make_figure())
    assert "0.123456" in {each.text for each in root.iter("text")}
    numbers = [
        number
        for each in root.iter()
        for key in ("d", "x", "y")
        for number in re.findall(r"\d\.(\d+)", each.get(key, ""))
    ]
    assert numbers and max(map(len, numbers)) <= 2


def test_rounding_moves_nothing_that_can_be_seen() -> None:
    figure = make_figure()
    raw = ElementTree.fromstring(figure_svg(figure, "panel"))
    paths = [each.get("d", "") for each in raw.iter() if each.tag.endswith("}path")]
    ours = [each.get("d", "") for each in parsed(figure).iter("path")]
    assert len(paths) == len(ours)
    for before, after in zip(paths, ours, strict=True):
        assert re.findall("[A-Za-z]", before) == re.findall("[A-Za-z]", after)
        old, new = ([float(n) for n in re.findall(r"-?[\d.]+", d)] for d in (before, after))
        assert new == pytest.approx(old, abs=0.00501)


def test_ids_of_two_figures_are_apart_and_references_resolve() -> None:
    figures = [parsed(make_figure(shift=0.0), name) for name in ("one", "two")]
    ids = [each.get("id") for root in figures for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    for root in figures:
        own = {each.get("id") for each in root.iter()}
        text = ElementTree.tostring(root, encoding="unicode")
        targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
        assert targets and {a or b for a, b in targets} <= own
        assert root.get("aria-labelledby") in own


def test_equal_figures_give_equal_bytes_and_others_do_not() -> None:
    once, again = (inline_svg(make_figure(), "panel", "Lines.") for _ in range(2))
    assert once == again
    assert once != inline_svg(make_figure(shift=0.5), "panel", "Lines.")


def test_the_colours_of_the_look_become_the_page_s() -> None:
    text = inline_svg(make_figure(), "panel", "Lines.").lower()
    for colour in (INK, QUIET, FAINT, PAPER, BLUE, CATEGORIES[8]):
        assert colour.lower() not in text
    for name in ("currentcolor", "var(--quiet)", "var(--faint)", "var(--paper)", "var(--blue)"):
        assert name in text
    assert "var(--rust)" in text
    assert len(set(PAGE_COLOURS.values())) == len(PAGE_COLOURS) == len({*CATEGORIES}) + 5


def test_nothing_reaches_out_of_the_picture() -> None:
    text = inline_svg(make_figure(), "panel", "Lines.")
    assert "http" not in text and "xmlns" not in text and "<style" not in text
    assert "metadata" not in text and "font-family" not in text and "DejaVu" not in text
    images = re.findall(r'<image [^>]*href="([^"]+)"', text)
    assert images and all(each.startswith("data:image/png;base64,") for each in images)


def test_the_picture_scales_from_its_natural_width() -> None:
    root = parsed(make_figure())
    assert root.get("viewBox") == "0 0 331.2 216"
    assert root.get("style") == "--natural:442px"
    assert root.get("width") is None and root.get("height") is None


def test_the_shorthand_of_fonts_loses_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = (
        '<svg width="10pt" height="10pt" viewBox="0 0 10 10">'
        "<text style=\"font: italic 700 9px 'DejaVu Sans', sans; fill: #222222\">a</text></svg>"
    )
    monkeypatch.setattr("src.v2.figures.style.figure_svg", lambda figure, salt: drawn)
    text = parsed(make_figure()).find("text")
    assert text is not None
    assert text.get("style") == (
        "font-style:italic;font-weight:700;font-size:9px;fill:currentColor"
    )


@pytest.mark.parametrize("low, centre, high", [(-1, 0.5, 2), (1, 2, 3), (-3, -2, -1), (0, 0, 0)])
def test_the_strip_keeps_the_order_of_zero_and_bounds(
    low: float, centre: float, high: float
) -> None:
    strip = ElementTree.fromstring(interval_strip(low, centre, high))
    zero, span = strip.findall("line")
    dot = strip.find("circle")
    assert dot is not None
    places = {
        0.0: float(zero.get("x1", "")),
        low: float(span.get("x1", "")),
        centre: float(dot.get("cx", "")),
        high: float(span.get("x2", "")),
    }
    assert [places[value] for value in sorted(places)] == sorted(places.values())
    assert all(0 <= place <= 120 for place in places.values())


EMPTY = bare_figure(1, 1)
