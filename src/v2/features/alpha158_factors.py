"""The rolling factors of Alpha158 by name, each for any window, in qlib's order."""

from __future__ import annotations

from dataclasses import dataclass

CLOSE, VOLUME = ("close",), ("volume",)
BAR, BOTH = ("high", "low", "close"), ("close", "volume")
SHARE = "share of the variance of {window} closes that the line explains"


@dataclass(frozen=True, slots=True)
class RollingFactor:
    """A factor of any window.

    Parameters
    ----------
    name
        qlib's, in lower case.
    inputs
        Bar columns that must be present.
    doc
        What it says, with ``{window}`` in place of the sessions.
    before
        Rows before the window that are read: 1 for changes since the last row.
    """

    name: str
    inputs: tuple[str, ...]
    doc: str
    before: int = 0


def rolling_factors() -> list[RollingFactor]:
    """Return the 29 rolling factors, in qlib's order."""
    return [*_levels(), *_places(), *_flows(), *_volumes()]


def _levels() -> list[RollingFactor]:
    """Return what is in units of price, over the close, and the fit of the line."""
    line = "line through {window} closes"
    return [
        RollingFactor("roc", CLOSE, "close {window} sessions ago over it now", 1),
        RollingFactor("ma", CLOSE, "mean of {window} closes over the close"),
        RollingFactor("std", CLOSE, "deviation of {window} closes over the close"),
        RollingFactor("beta", CLOSE, f"slope of the {line}, per session, over the close"),
        RollingFactor("rsqr", CLOSE, SHARE),
        RollingFactor("resi", CLOSE, f"close above the {line}, over the close"),
        RollingFactor("max", ("high", "close"), "highest high of {window} sessions over the close"),
        RollingFactor("min", ("low", "close"), "lowest low of {window} sessions over the close"),
        RollingFactor("qtlu", CLOSE, "80% quantile of {window} closes over the close"),
        RollingFactor("qtld", CLOSE, "20% quantile of {window} closes over the close"),
    ]


def _places() -> list[RollingFactor]:
    """Return where a price stands inside the window, and when it stood there."""
    when = "was, 1 today"
    return [
        RollingFactor(
            "rank", CLOSE, "rank of the close among {window}, 1 the highest, ties at their mean"
        ),
        RollingFactor("rsv", BAR, "place of the close in the range of {window} sessions, 0 to 1"),
        RollingFactor("imax", ("high",), f"when the highest high of {{window}} sessions {when}"),
        RollingFactor("imin", ("low",), f"when the lowest low of {{window}} sessions {when}"),
        RollingFactor(
            "imxd",
            ("high", "low"),
            "time from the lowest low to the highest high, share of {window} sessions",
        ),
    ]


def _flows() -> list[RollingFactor]:
    """Return the factors of co-movement, of rises and of falls."""
    return [
        RollingFactor(
            "corr", BOTH, "correlation of close and log of 1 plus volume, {window} sessions"
        ),
        RollingFactor(
            "cord",
            BOTH,
            "correlation of return and log of 1 plus volume over the last one, {window} sessions",
            1,
        ),
        RollingFactor("cntp", CLOSE, "share of {window} sessions with a rise", 1),
        RollingFactor("cntn", CLOSE, "share of {window} sessions with a fall", 1),
        RollingFactor("cntd", CLOSE, "share of rises minus that of falls, {window} sessions", 1),
        *_movements("sum", CLOSE, "closes"),
    ]


def _movements(name: str, inputs: tuple[str, ...], what: str) -> list[RollingFactor]:
    """Return the share of rises in all movement, that of falls, and the difference."""
    end = f"in all movement of {{window}} {what}"
    return [
        RollingFactor(f"{name}p", inputs, f"share of rises {end}", 1),
        RollingFactor(f"{name}n", inputs, f"share of falls {end}", 1),
        RollingFactor(f"{name}d", inputs, f"share of rises minus that of falls {end}", 1),
    ]


def _volumes() -> list[RollingFactor]:
    """Return mean and deviation of volume, how even it is behind moves, and its rises."""
    return [
        RollingFactor("vma", VOLUME, "mean of {window} volumes over the volume"),
        RollingFactor("vstd", VOLUME, "deviation of {window} volumes over the volume"),
        RollingFactor(
            "wvma",
            BOTH,
            "deviation over mean of absolute return times volume, {window} sessions",
            1,
        ),
        *_movements("vsum", VOLUME, "volumes"),
    ]
