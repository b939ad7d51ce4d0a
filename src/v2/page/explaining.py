"""How numbers of the explanation are written on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable

from src.v2.evaluation_records import Interval
from src.v2.explanation_records import Measure
from src.v2.page.panels import Fact


def move_fact(value: float, quantity: str) -> Fact:
    """Give a contribution, with its sign: a percentage of a return, else as it is.

    Examples
    --------
    >>> move_fact(0.0083, "excess return").text, move_fact(-0.02, "log-odds of up").text
    ('+0.83%', '-0.020')
    """
    return Fact(value, "signed" if quantity.endswith("return") else "short")


def size_fact(value: float, quantity: str) -> Fact:
    """Give a mean size, in basis points of a return, whose digits would else be lost.

    Examples
    --------
    >>> size_fact(0.00023, "excess return").text, size_fact(0.02, "log-odds of up").text
    ('2.3', '0.0200')
    """
    return Fact(1e4 * value, "digits") if quantity.endswith("return") else Fact(value, "loss")


def size_unit(quantity: str) -> str:
    """Name the unit of `size_fact`.

    Examples
    --------
    >>> size_unit("excess return"), size_unit("rank within the date")
    ('basis points of excess return', 'of the rank within the date')
    """
    if quantity.endswith("return"):
        return f"basis points of {quantity}"
    return quantity if quantity.startswith("log-odds") else f"of the {quantity}"


def drop_fact(value: float, measure: Measure) -> Fact:
    """Give what a permutation costs: a fall of the rank IC, or a rise of the loss as a share."""
    return Fact(value, "ic" if measure == "rank IC" else "signed")


def drop_words(measure: Measure) -> str:
    """Say what is lost, after the number.

    Examples
    --------
    >>> drop_words("rank IC"), drop_words("log loss")
    ('of rank IC', 'more log loss')
    """
    return "of rank IC" if measure == "rank IC" else f"more {measure}"


def bounds_words(interval: Interval, low: str, high: str) -> str:
    """Name the facts of the bounds, or say that there are none.

    Examples
    --------
    >>> bounds_words(Interval(0.1, 0.0, 0.2, 9), "low", "high")
    '{low} to {high}'
    """
    return f"{{{low}}} to {{{high}}}" if math.isfinite(interval.low) else "no interval"


def cost_words(drop: Interval, measure: Measure) -> tuple[str, dict[str, Fact]]:
    """Say what a permutation costs, as far as its interval tells.

    Returns
    -------
    words : str
        Goes on after what is permuted: it costs something, helps, or neither is shown.
    facts : dict
        `drop`, `drop_low`, `drop_high` and `lost`; where the forecast is better with the values
        exchanged, `gain`, `gain_low`, `gain_high` and `gained`.
    """
    if drop.high < 0:
        facts = {
            "gain": drop_fact(-drop.mean, measure),
            "gain_low": drop_fact(-drop.high, measure),
            "gain_high": drop_fact(-drop.low, measure),
            "gained": Fact(f"more {measure}" if measure == "rank IC" else f"less {measure}"),
        }
        return "helps: {gain} {gained} ({gain_low} to {gain_high})", facts
    facts = {
        "drop": drop_fact(drop.mean, measure),
        "drop_low": drop_fact(drop.low, measure),
        "drop_high": drop_fact(drop.high, measure),
        "lost": Fact(drop_words(measure)),
    }
    if drop.low > 0:
        return "costs {drop} {lost} ({drop_low} to {drop_high})", facts
    bounds = bounds_words(drop, "drop_low", "drop_high")
    return f"is not shown to cost anything ({{drop}} {{lost}}; {bounds})", facts


def counted(count: int, one: str, many: str) -> str:
    """Choose the words that agree with a count.

    Examples
    --------
    >>> counted(1, "interval lies", "intervals lie"), counted(0, "lies", "lie")
    ('interval lies', 'lie')
    """
    return one if count == 1 else many


def above_zero(intervals: Iterable[Interval]) -> int:
    """Count the intervals that lie above 0 as a whole; bounds that are NaN do not count."""
    return sum(interval.low > 0 for interval in intervals)


def measured(intervals: Iterable[Interval]) -> int:
    """Count the intervals that have bounds."""
    return sum(math.isfinite(interval.low) for interval in intervals)
