"""A figure as SVG inside the page: it takes the page's fonts and colours, light or dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from src.v2.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_COLOURS = {
    style.INK: "currentColor",
    style.QUIET: "var(--quiet)",
    style.FAINT: "var(--faint)",
    style.PAPER: "var(--paper)",
    style.GREY: "var(--grey)",
    style.BLUE: "var(--blue)",
    style.ORANGE: "var(--orange)",
    style.GREEN: "var(--green)",
    style.VERMILION: "var(--vermilion)",
    style.PURPLE: "var(--purple)",
    style.SKY: "var(--sky)",
    style.INDIGO: "var(--indigo)",
    style.CATEGORIES[7]: "var(--olive)",
    style.CATEGORIES[8]: "var(--rust)",
    style.CATEGORIES[9]: "var(--pine)",
}
"""Each colour of the shared look, and the page's own name for it."""

_BY_HEX = {colour.lower(): name for colour, name in PAGE_COLOURS.items()}
_ROUNDED = ("d", "x", "y", "width", "height", "points", "transform")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """Write a figure as an ``<svg>`` element for a page.

    Parameters
    ----------
    figure
        As `src.v2.figures.style.bare_figure` makes it, drawn inside `look`.
    name
        One of its kind on the page; every id begins with it.
    alt
        What the picture shows, for those who do not see it.

    Returns
    -------
    str
        Without declaration, namespace, style sheet, metadata or address; equal for equal
        figures. Its natural width is the CSS variable ``--natural``.
    """
    drawn = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", style.figure_svg(figure, name))
    root = ElementTree.fromstring(drawn)
    _drop(root, ("metadata", "style"))
    used = _references(root)
    for element in root.iter():
        _rewrite(element, name, used)
    _frame(root, name, alt)
    return ElementTree.tostring(root, encoding="unicode")


def interval_strip(low: float, centre: float, high: float) -> str:
    """Draw an interval beside zero, a small ornament of a number that is written out.

    Examples
    --------
    >>> interval_strip(-1.0, 0.0, 1.0).count("<line")
    2
    """
    least, most = min(low, centre, 0.0), max(high, centre, 0.0)
    width = most - least or 1.0
    zero, left, dot, right = (
        f"{6 + 108 * (value - least) / width:.1f}" for value in (0.0, low, centre, high)
    )
    return (
        '<svg class="strip" viewBox="0 0 120 14" aria-hidden="true">'
        ""
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="14"/>'
        f'<line class="span" x1="{left}" x2="{right}" y1="7" y2="7"/>'
        f'<circle class="dot" cx="{dot}" cy="7" r="3.5"/></svg>'
    )


def _drop(root: ElementTree.Element, names: tuple[str, ...]) -> None:
    """Take elements out, wherever they stand."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _bare(child.tag) in names:
                parent.remove(child)


def _references(root: ElementTree.Element) -> set[str]:
    """Ids that another element points at."""
    found: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if _bare(key) == "href" and value.startswith("#"):
                found.add(value[1:])
            found.update(_REFERENCE.findall(value))
    return found


def _rewrite(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Free an element of namespaces, idle ids, needless digits and the figure's own colours."""
    element.tag = _bare(element.tag)
    if element.tag != "text" and element.text and not element.text.strip():
        element.text = None
    if element.tail and not element.tail.strip():
        element.tail = None
    attributes = {_bare(key): value for key, value in element.attrib.items()}
    if attributes.get("id") not in used:
        attributes.pop("id", None)
    for key, value in attributes.items():
        attributes[key] = _attribute(key, value, name)
    element.attrib.clear()
    element.attrib.update(attributes)


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return f"#{name}-{value[1:]}" if value.startswith("#") else "".join(value.split())
    if key == "style":
        value = _restyle(value)
    # A scale or a matrix would lose what makes it.
    if key in _ROUNDED and "scale" not in value and "matrix" not in value:
        value = _NUMBER.sub(_two_decimals, " ".join(value.split()))
    return _REFERENCE.sub(rf"url(#{name}-\1)", value)


def _two_decimals(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _restyle(declarations: str) -> str:
    """Replace the figure's colours by the page's, and leave the font's family to the page."""
    kept = []
    for declaration in declarations.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            kept += _font(value)
        elif key and key != "font-family":
            kept.append(f"{key}:{_BY_HEX.get(value.lower(), value)}")
    return ";".join(kept)


def _font(shorthand: str) -> list[str]:
    """Take size, weight and slant out of a font's shorthand."""
    found = []
    for word in shorthand.split("'")[0].split():
        if word.endswith("px"):
            found.append(f"font-size:{word}")
        elif word in ("italic", "oblique"):
            found.append(f"font-style:{word}")
        elif word == "bold" or word.isdigit():
            found.append(f"font-weight:{word}")
    return found


def _frame(root: ElementTree.Element, name: str, alt: str) -> None:
    """Give the picture its natural width and its words."""
    width = float(root.attrib["width"].removesuffix("pt")) * 96 / 72
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update(
        {
            "class": "plot",
            "viewBox": box,
            "role": "img",
            "aria-labelledby": f"{name}-alt",
            "style": f"--natural:{width:.0f}px",
        }
    )
    words = ElementTree.Element("desc", {"id": f"{name}-alt"})
    words.text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", alt)
    root.insert(0, words)


def _bare(name: str) -> str:
    """Take the namespace off a name."""
    return name.rpartition("}")[2]
