"""The look that every picture shares, and how a picture becomes a file.

A picture's title is a question; the line below it is the computed answer; the small print
at the bottom names the rows used. Pyplot is not used, so drawing leaves no trace in a
notebook that uses it.
"""

from __future__ import annotations

import os
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

DPI = 140
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, GREY, INDIGO = "#56B4E9", "#CC79A7", "#8C8C8C", "#44337A"
INK, QUIET, FAINT, PAPER = "#222222", "#5A5A5A", "#D9D9D6", "#FCFCFA"
CATEGORIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, INDIGO, "#B8A800", "#7A3B2E", "#3F6E63")
"""The Okabe-Ito colours, yellow darkened, and three more for many groups."""

_LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
}
_MARGIN = 0.16  # inches around the texts
_GLYPH = 0.545  # mean width of a glyph of the font, as a share of its size


@contextmanager
def look() -> Iterator[None]:
    """Apply the shared look, whatever the user's own matplotlib settings are.

    A figure must be made and written inside it, since matplotlib reads settings at both.
    Also usable as a decorator.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def framed_figure(width: float, height: float, title: str, answer: str, note: str = "") -> Figure:
    """Make a figure with its texts; axes added later fill the room between them.

    Parameters
    ----------
    width
        Inches.
    height
        Inches left to the axes; the texts add their own.
    title
        The question.
    answer
        One or two computed sentences.
    note
        Small print at the bottom.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    head = _wrap(title, width, 12 * 1.12)
    body = _wrap(answer, width, 9.5)
    foot = _wrap(note, width, 8)
    inches = {"head": len(head) * 0.22, "body": len(body) * 0.175, "foot": len(foot) * 0.15}
    above = _MARGIN + inches["head"] + 0.06 + inches["body"] + 0.08
    below = _MARGIN * 0.5 + inches["foot"] + (0.06 if foot else 0)
    total = above + height + below
    figure = Figure(figsize=(width, total), dpi=DPI)
    FigureCanvasAgg(figure)
    left = _MARGIN / width
    top = 1 - _MARGIN / total
    figure.text(left, top, "\n".join(head), size=12, weight="bold", va="top", linespacing=1.2)
    top -= (inches["head"] + 0.06) / total
    figure.text(left, top, "\n".join(body), size=9.5, color=QUIET, va="top", linespacing=1.25)
    bottom = _MARGIN * 0.6 / total
    figure.text(left, bottom, "\n".join(foot), size=8, color=QUIET, va="bottom", linespacing=1.25)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(
            w_pad=0.1, h_pad=0.05, wspace=0.03, rect=(0, below / total, 1, height / total)
        )
    )
    return figure


def bare_figure(width: float, height: float) -> Figure:
    """Make a figure without texts, for a page that writes question and answer itself.

    Parameters
    ----------
    width, height
        Inches; 4.6 wide reads well on a phone and beside another one, 7.2 alone.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _wrap(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines of like length that fit a figure's width in inches."""
    letters = max(20, int((width - 2 * _MARGIN) * 72 / (size * _GLYPH)))
    lines = textwrap.wrap(text, letters, break_on_hyphens=False)
    while len(lines) > 1 and letters > 20:
        letters -= 2
        narrower = textwrap.wrap(text, letters, break_on_hyphens=False)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return lines


def quiet_axes(axes: Axes) -> None:
    """Drop what frames the data but says nothing."""
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def shorten(name: str, letters: int = 34) -> str:
    """Fit a name onto an axis: its start and its end, where windows stand.

    Examples
    --------
    >>> shorten("a_very_long_name_of_a_feature_252", 20)
    'a_very_lon…ature_252'
    """
    clean = "".join(letter if letter.isprintable() else " " for letter in name).strip("_ ")
    if len(clean) <= letters:
        return clean or "(unnamed)"
    tail = (letters - 1) // 2
    return f"{clean[: letters - 1 - tail]}…{clean[-tail:]}"


def safe_file_name(name: str) -> str:
    """Make a part of a file name out of any text.

    Examples
    --------
    >>> safe_file_name("../a b$")
    '.._a_b_'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:120]


def percent(share: float) -> str:
    """Write a fraction as a percentage with about two digits.

    Examples
    --------
    >>> percent(0.4321), percent(0.0123)
    ('43%', '1.2%')
    """
    return f"{share:.0%}" if abs(share) >= 0.0995 else f"{share:.1%}"


def number(value: float, form: str = ".2g") -> str:
    """Write a number with a true minus sign.

    Examples
    --------
    >>> number(0.314, "+.2f")
    '+0.31'
    """
    return format(value, form).replace("-", "\N{MINUS SIGN}")


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG: the whole file or none, and equal bytes for equal figures."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with look(), warnings.catch_warnings():
            # A feature may be named in a script that the font lacks; boxes stand for it.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def figure_svg(figure: Figure, salt: str) -> str:
    """Write a figure as SVG whose text stays text: equal for equal figures and salts.

    Parameters
    ----------
    salt
        What its ids are made from, so that two figures of one page share none.
    """
    import io

    import matplotlib

    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    buffer = io.StringIO()
    with look(), warnings.catch_warnings():
        # A feature may be named in a script that the font lacks; the reader's font has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": salt})
        figure.savefig(buffer, format="svg", dpi=DPI, facecolor="none", metadata=nothing)
    return buffer.getvalue()
