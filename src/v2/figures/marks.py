"""Marks that several pictures of the page share: intervals, signs, dates and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from src.v2.evaluation_records import Interval
from src.v2.figures.style import INK, PAPER, QUIET, Array, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ON_LIGHT, ON_DARK = "#111111", "#FFFFFF"
EQUAL_CONTRAST = 0.1916
"""Luminance of a fill on which both read equally well."""
"""Texts upon a filled cell, which stays as it is when the page turns dark."""


def columns(intervals: Sequence[Interval], factor: float = 1.0) -> tuple[Array, Array]:
    """Give means and what to draw below and above them.

    Parameters
    ----------
    factor
        What every number is multiplied by, as 100 for percentages.

    Returns
    -------
    tuple
        Array (intervals,) of means, and array (2, intervals) of distances to the bounds, NaN
        where there are none.

    Examples
    --------
    >>> means, errors = columns([Interval(0.5, 0.25, 1.0, 9)])
    >>> means.tolist(), errors.tolist()
    ([0.5], [[0.25], [0.5]])
    """
    table = factor * np.array([(each.mean, each.low, each.high) for each in intervals])
    mean, low, high = table.reshape(-1, 3).T
    return mean, np.maximum(np.vstack([mean - low, high - mean]), 0.0)


def upright_intervals(
    axes: Axes, x: Array, intervals: Sequence[Interval], factor: float = 1.0, **look: Any
) -> Any:
    """Draw means with upright bars from bound to bound; without bounds, the mean alone."""
    mean, errors = columns(intervals, factor)
    options: dict[str, Any] = {
        "fmt": "o", "ms": 6, "elinewidth": 1.4, "capsize": 3, "zorder": 4, "markeredgecolor": PAPER,
    }  # fmt: skip
    return axes.errorbar(x, mean, yerr=errors, **(options | look))


def zero_line(axes: Axes) -> None:
    """Draw where nothing is."""
    axes.axhline(0, color=QUIET, lw=0.8, zorder=1)


def text_on(color: Sequence[float] | Array) -> str:
    """Choose the colour of a text upon a fill of red, green and blue from 0 to 1.

    The luminance is that of WCAG 2; at the limit both contrasts are equal.

    Examples
    --------
    >>> text_on((1.0, 1.0, 0.6)), text_on((0.1, 0.1, 0.4))
    ('#111111', '#FFFFFF')
    """
    rgb = np.asarray(color[:3], dtype=np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return ON_LIGHT if float(linear @ (0.2126, 0.7152, 0.0722)) > EQUAL_CONTRAST else ON_DARK


def percent_ticks(axis: Any, steps: int = 5) -> None:
    """Write the ticks of an axis that is in percent, with true minus signs."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(steps, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{number(round(value, 9), 'g')}%"))


def plain_ticks(axis: Any, steps: int = 5) -> None:
    """Write the ticks of an axis as numbers, with true minus signs."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(steps, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 9), "g")))


def date_ticks(axes: Axes) -> None:
    """Write three to eight short dates below an axis."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def thinned(values: Array, most: int = 900) -> npt.NDArray[np.intp]:
    """Choose the points of a long line that its picture needs: no peak and no trough is lost.

    Parameters
    ----------
    values
        Of the line, in order; NaN is a gap.
    most
        Points to be left, about; a shorter line keeps all of its own.

    Returns
    -------
    ndarray
        Their places, rising: both ends of the line, and of each of ``most / 3`` equal stretches
        the first, lowest and highest point.

    Examples
    --------
    >>> thinned(np.array([0.0, 5.0, 1.0, 2.0, -3.0, 0.0]), 3).tolist()
    [0, 1, 4, 5]
    """
    if len(values) <= most:
        return np.arange(len(values))
    kept = [0, len(values) - 1]
    for stretch in np.array_split(np.arange(len(values)), max(most // 3, 1)):
        part = values[stretch]
        kept += [int(stretch[0])]
        if np.isfinite(part).any():
            kept += [int(stretch[np.nanargmin(part)]), int(stretch[np.nanargmax(part)])]
    return np.unique(np.array(kept, dtype=np.intp))


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, as little as it takes, in their order.

    Examples
    --------
    >>> spread([0.0, 5.0, 0.0], 1.0)
    [-0.5, 5.0, 0.5]
    """
    order = np.argsort(values, kind="stable")
    groups: list[list[float]] = []
    for place in order:
        groups.append([float(values[place])])
        while len(groups) > 1 and _close(groups[-2], groups[-1], gap):
            last = groups.pop()
            groups[-1] = groups[-1] + last
    moved = [place for group in groups for place in _even(group, gap)]
    placed = dict(zip(order.tolist(), moved, strict=True))
    return [placed[place] for place in range(len(values))]


def _even(group: Sequence[float], gap: float) -> list[float]:
    """Place the members of a group a gap apart, around their mean."""
    start = sum(group) / len(group) - gap * (len(group) - 1) / 2
    return [start + gap * place for place in range(len(group))]


def _close(below: Sequence[float], above: Sequence[float], gap: float) -> bool:
    return _even(above, gap)[0] - _even(below, gap)[-1] < gap


def end_labels(axes: Axes, x: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name lines at their right end: height, text and colour of each."""
    low, high = axes.get_ylim()
    inches = axes.get_figure().get_size_inches()[1]  # type: ignore[union-attr]
    heights = spread([height for height, _, _ in ends], 0.19 / inches * (high - low))
    for height, (_, text, color) in zip(heights, ends, strict=True):
        axes.annotate(
            text, (x, height), xytext=(5, 0), textcoords="offset points", va="center",
            color=color or INK, size=8.5, annotation_clip=False,
        )  # fmt: skip
