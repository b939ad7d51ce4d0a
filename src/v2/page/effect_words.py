"""The shape of an effect in a few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from src.v2.explanation_records import Effect

Array = np.ndarray[Any, Any]

FROM, TO = 0.05, 0.95
"""Middle of the lowest and of the highest tenth of rows."""
MOSTLY = 0.6
"""Least part of the whole way up and down that the named shape must account for."""
DEEP = 0.4
"""Depth of a valley or height of a hill, as a share of the whole range."""


@dataclass(frozen=True, slots=True)
class Path:
    """How an effect runs from the lowest to the highest tenth of rows.

    Parameters
    ----------
    move, low, high
        From one end to the other, and bounds no narrower than 95%; NaN without bounds.
    span
        Between the lowest and the highest point.
    shape
        As "mostly rising".
    bent
        Whether `move` alone does not describe it.
    """

    move: float
    low: float
    high: float
    span: float
    shape: str
    bent: bool


def effect_path(effect: Effect) -> Path:
    """Follow an effect over the ranks of its rows.

    Parameters
    ----------
    effect
        At least one bin. The bounds of the move take the ends' bounds the worst way round: the
        deviation of a difference is at most the sum of the deviations.

    Examples
    --------
    >>> rising = Effect("a", "", 0.0, (0.0, 1.0, 2.0), (-1.0, 0.0, 1.0), (-1.2, -0.2, 0.8),
    ...                 (-0.8, 0.2, 1.2), (50, 50))
    >>> path = effect_path(rising)
    >>> round(path.move, 2), round(path.low, 2), path.shape
    (1.8, 1.4, 'rising')
    """
    reached = np.cumsum([0, *effect.rows]) / sum(effect.rows)
    inner = reached[(reached > FROM) & (reached < TO)]
    grid = np.array([FROM, *inner, TO])
    line, low, high = (
        np.interp(grid, reached, each) for each in (effect.effect, effect.low, effect.high)
    )
    shape, bent = _shape(line)
    return Path(
        move=float(line[-1] - line[0]),
        low=float(low[-1] - high[0]),
        high=float(high[-1] - low[0]),
        span=float(np.ptp(line)),
        shape=shape,
        bent=bent,
    )


def _shape(line: Array) -> tuple[str, bool]:
    """Name the shape, and say whether it is bent."""
    way, move, span = np.abs(np.diff(line)).sum(), line[-1] - line[0], np.ptp(line)
    if not span > 0:
        return "flat", False
    if abs(move) >= MOSTLY * way:
        mostly = "" if abs(move) >= way * (1 - 1e-9) else "mostly "
        return mostly + ("rising" if move > 0 else "falling"), False
    valley, hill = line[[0, -1]] - line.min(), line.max() - line[[0, -1]]
    for sides, name in ((valley, "U-shaped"), (hill, "hump-shaped")):
        # Down and up once, or the other way round: a wave goes a longer way.
        if sides.min() >= DEEP * span and sides.sum() >= MOSTLY * way:
            return name, True
    return "without a single direction", True
