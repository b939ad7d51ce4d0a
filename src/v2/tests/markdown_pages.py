"""The pages for readers, and what stands in them: links, headings, commands, snippets."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.rglob("*.md")))
OTHERS = tuple(
    ROOT / name
    for name in ("CHANGELOG.md", "benchmarks/RESULTS.md", "src/v2/data/sample/PROVENANCE.md")
)
"""Pages that are written elsewhere; their links are held too."""

GUIDES = DOCS / "seeds.md"
"""Holds what guides wrote, right or wrong; `tracking/test_guides.py` holds its own claims."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:make |(?:\.venv/bin/)?python -m src\.v2\.)")


def prose(text: str) -> str:
    """Leave the fenced blocks of a page out."""
    return _FENCED.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of a language."""
    return [body for name, body in _FENCED.findall(text) if name == language]


def links(text: str) -> list[str]:
    """Give what a page links to inside the project: a file, an anchor, or both."""
    found = _LINK.findall(_INLINE.sub("", prose(text)))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """Name the headings of a page as GitHub does."""
    seen: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(text), re.MULTILINE):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        names.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names


def commands(text: str) -> list[list[str]]:
    """Give the words of each ``make`` and ``python -m src.v2`` that a page tells to type.

    A place to fill in, as <run id>, becomes one word.
    """
    joined = re.sub(r"<[^<>\n]*>", "NAME", re.sub(r"\\\n\s*", " ", text))
    lines = [line for _, body in _FENCED.findall(joined) for line in body.splitlines()]
    lines += [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    lines += [code.replace("\\|", "|") for code in _INLINE.findall(prose(joined))]
    typed = (shlex.split(line, comments=True) for line in lines if _COMMAND.match(line))
    return [words for words in typed if words[0] != "make" or len(words) > 1]
