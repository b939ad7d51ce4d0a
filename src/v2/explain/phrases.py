"""A short name for each feature, for readers who do not know its formula.

The name is made from the feature's own doc: units and explanations go, and what traders call
by another word gets that word. A feature of the user speaks by its doc, or else by its name.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from src.v2.console import printable
from src.v2.explain.traders_words import TRADERS_WORDS

LONGEST = 80
"""Characters that a name may have; the doc of a user's own feature may be a page."""

UNITS = re.compile(r"\s*\([^()]*\)|[:;].*|,? (?:minus 1|-?\d to -?\d|in hundreds)$")
"""What follows the sense of a doc: brackets, explanations and the range of the values."""

ACROSS: Mapping[str, str] = MappingProxyType(
    {
        r"centred rank of (\w+) among the tickers of the date": "{} (rank)",
        r"(\w+) minus its mean over the tickers of the date": "{} minus the mean ticker's",
        r"centred rank of (\w+) among the tickers of the sector": "{} (rank in the sector)",
        r"(\w+) minus its mean over the tickers of the sector": "{} minus the sector's",
        r"mean of (\w+) over the tickers of the sector minus that over all": (
            "{} of the sector minus the mean ticker's"
        ),
        r"deviation of (\w+) over the tickers of the date": "spread between tickers of the {}",
    }
)
"""Features that are made from another one, which they speak of."""


def phrases(names: Sequence[str], docs: Mapping[str, str]) -> dict[str, str]:
    """Name each feature in words.

    Parameters
    ----------
    names
        Of the features.
    docs
        What each feature says, by name, as in `FeatureReport.docs`.

    Returns
    -------
    dict
        By name: one line of at most 80 characters, without capitals that it does not need.

    Examples
    --------
    >>> phrases(["return_20"], {"return_20": "simple return over 20 sessions (fraction)"})
    {'return_20': 'return of 20 sessions'}
    """
    return {name: phrase(name, docs) for name in names}


def phrase(name: str, docs: Mapping[str, str]) -> str:
    """Name one feature in words, as `phrases` does."""
    doc = bare_doc(docs.get(name, ""))
    for pattern, words in ACROSS.items():
        found = re.fullmatch(pattern, doc)
        if found:
            base = bare_doc(docs.get(found[1], ""))
            return _short(words.format(_own_words(found[1], base)))
    return _short(_own_words(name, doc))


def _own_words(name: str, doc: str) -> str:
    return _traders_words(doc) or printable(name.replace("_", " "))


def bare_doc(doc: str) -> str:
    """Give a doc on one line, without units and explanations.

    Examples
    --------
    >>> bare_doc("place of the close in the day's range, 0 to 1; null without a range")
    "place of the close in the day's range"
    """
    bare = " ".join(printable(doc).split())
    while (shorter := UNITS.sub("", bare).rstrip(" .,")) != bare:
        bare = shorter
    # A spreadsheet takes what begins with these for a formula.
    return bare.lstrip("=+-@ ")


def _traders_words(doc: str) -> str:
    """Give the words that traders use for a bare doc, or the doc."""
    words = TRADERS_WORDS.get(re.sub(r"\d+", "#", doc))
    if words is not None:
        doc = words.format(*re.findall(r"\d+", doc))
    doc = re.sub(
        r"\bover (?=its mean|the highest|the lowest|that of|the volume-w)", "against ", doc
    )
    doc = re.sub(r"(that of \d+)$", r"\1 sessions", doc)
    return re.sub(r"\b1 sessions\b", "1 session", doc)


def _short(words: str) -> str:
    """Cut at a word's end."""
    if len(words) <= LONGEST:
        return words
    return words[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def said_by_value(doc: str, value: float) -> str | None:
    """Say a value of the calendar or a regime in words; None where its place says more.

    Parameters
    ----------
    doc
        Of the feature.
    value
        Of the feature; NaN gives None.

    Examples
    --------
    >>> said_by_value("1 Monday to 5 Friday", 2.0)
    'decided on a Tuesday'
    >>> said_by_value("sine of the month as an angle", 0.5)
    'decided in February or June'
    """
    if math.isnan(value):
        return None
    teller = CALENDAR.get(doc)
    if teller is not None:
        return teller(value)
    states = STATES.get(bare_doc(doc), ())
    return states[int(value)] if 0 <= value < len(states) else None


def _months(wave: Callable[[float], float]) -> Callable[[float], str]:
    """Name the months that a wave of the year cannot tell apart."""

    def tell(value: float) -> str:
        angles = {calendar.month_name[month + 1]: month * math.pi / 6 for month in range(12)}
        near = [name for name, angle in angles.items() if abs(wave(angle) - value) < 0.01]
        return f"decided in {' or '.join(near)}" if near else "decided in this month"

    return tell


def _weekday(value: float) -> str:
    return f"decided on a {calendar.day_name[round(value - 1) % 7]}"


def _turn_of_month(value: float) -> str:
    return "decided at the turn of a month" if value else "decided away from the turn of a month"


def _quarter(value: float) -> str:
    days = round(92 * value)
    return f"decided {days} day{'' if days == 1 else 's'} before the end of a quarter"


CALENDAR: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "sine of the month as an angle": _months(math.sin),
        "cosine of the month as an angle": _months(math.cos),
        "1 Monday to 5 Friday": _weekday,
        "1 in the last 4 and the first 4 calendar days of a month, else 0": _turn_of_month,
        "calendar days to the end of the quarter, over 92": _quarter,
    }
)
"""How a value is said, by doc: a Tuesday is not higher than on 20% of earlier dates."""

STATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "regime of vix": (
            "with vix in the lowest third of two years",
            "with vix in the middle third of two years",
            "with vix in the highest third of two years",
        ),
        "regime of the market's volatility of 20 sessions": (
            "in a calm market",
            "in a market of usual volatility",
            "in a stormy market",
        ),
        "regime of the market's drawdown from its top of 252 sessions": (
            "with the market less than 10% below its top of a year",
            "with the market 10% to 20% below its top of a year",
            "with the market 20% or more below its top of a year",
        ),
        "the market above its mean of 200 sessions and that mean rising": (
            "in no bull market",
            "in a bull market",
        ),
        "the market below its mean of 200 sessions and that mean falling": (
            "in no bear market",
            "in a bear market",
        ),
    }
)
"""How the state of a regime is said, by bare doc, from the state 0 on."""
