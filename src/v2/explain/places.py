"""Where a value stands: among the tickers of its date, or among the earlier dates.

A feature that all tickers of a date share, as the market's volatility, has no place among
them; it is compared with what it was before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from src.v2.modeling.feature_rows import StoredRows

Array = np.ndarray[Any, Any]
Rows = Array | StoredRows
Mask = npt.NDArray[np.bool_]

DATES_LOOKED_AT = 32
DATES_AT_ONCE = 64
MANY_TIED = 0.1
"""Share of equal values from which on they are told."""

TOP_SHARES = (1, 5, 10)
MIDDLE = 0.05
FEW = 20
"""Tickers below which a place is counted rather than given as a share."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where each value of some rows stands.

    Parameters
    ----------
    place
        Array (rows, features): share of the values compared with that are smaller, ties
        counted half; NaN for a missing value, or with nothing to compare.
    tied
        Array (rows, features): share of them that are equal; among tickers the value itself
        is one.
    compared
        How many values each feature is compared with, one a feature.
    shared
        Whether they are those of earlier dates rather than of the date's tickers, one a
        feature.
    """

    place: Array
    tied: Array
    compared: Array
    shared: Mask

    def words(self, row: int, column: int) -> str:
        """Say where one value stands, as `place_words` does."""
        return place_words(
            float(self.place[row, column]),
            float(self.tied[row, column]),
            int(self.compared[column]),
            shared=bool(self.shared[column]),
        )


def shared_features(features: Rows, session: Array) -> Mask:
    """Tell which features are the same for all tickers of a date.

    Parameters
    ----------
    features
        Rows (rows, features), NaN where missing.
    session
        Each row's date, as rising numbers.

    Returns
    -------
    ndarray
        One a feature, from 32 dates spread over the rows. Where no date has two tickers,
        every feature is shared.

    Examples
    --------
    >>> shared_features(np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([0, 0])).tolist()
    [False, True]
    """
    shared = np.ones(features.shape[1], dtype=np.bool_)
    for date in spread_dates(session):
        first, stop = (int(np.searchsorted(session, date, side)) for side in ("left", "right"))
        rows = np.asarray(features[first:stop])
        shared &= ~(np.fmax.reduce(rows) > np.fmin.reduce(rows))
    return shared


def spread_dates(session: Array) -> Array:
    """Choose up to 32 dates with two rows or more, spread over all of them."""
    dates, counts = np.unique(session, return_counts=True)
    several = dates[counts > 1]
    if not len(several):
        return several
    spread = np.linspace(0, len(several) - 1, DATES_LOOKED_AT).round().astype(np.int64)
    return np.asarray(several[np.unique(spread)])


def daily_values(features: Rows, session: Array, shared: Mask) -> Array:
    """Give the value of each date, for features that its tickers share.

    Parameters
    ----------
    features, session
        As of `shared_features`.
    shared
        From there.

    Returns
    -------
    ndarray
        Array (dates, shared features): the largest value of each date, NaN where all are
        missing.
    """
    starts = np.flatnonzero(np.diff(session, prepend=session[:1] - 1))
    edges = np.append(starts, len(session))
    parts = [np.empty((0, int(shared.sum())), dtype=np.float32)]
    # Some dates at a time: rows that lie on disk may be too many for memory.
    for first in range(0, len(starts), DATES_AT_ONCE):
        dates = starts[first : first + DATES_AT_ONCE]
        rows = slice(int(dates[0]), int(edges[first + len(dates)]))
        parts.append(np.fmax.reduceat(features[rows, shared], dates - dates[0], axis=0))
    return np.concatenate(parts)


def places(values: Array, tickers: Array, earlier: Array, shared: Mask) -> Places:
    """Find where values stand.

    Parameters
    ----------
    values
        Array (rows, features) of rows of one date, NaN where missing.
    tickers
        Array (tickers, features) of all tickers of the date, these rows among them.
    earlier
        Array (dates, shared features) of the dates before.
    shared
        Which features the tickers of a date share, one a feature.

    Examples
    --------
    >>> values = np.array([[1.0], [2.0], [2.0], [np.nan]])
    >>> places(values, values, np.empty((0, 0)), np.array([False])).place[:, 0].tolist()
    [0.16666666666666666, 0.6666666666666666, 0.6666666666666666, nan]
    """
    place = np.full(values.shape, np.nan)
    tied = np.full(values.shape, np.nan)
    compared = np.zeros(values.shape[1], dtype=np.int64)
    column = np.cumsum(shared) - 1
    for number in range(values.shape[1]):
        others = earlier[:, column[number]] if shared[number] else tickers[:, number]
        others = np.sort(others)[: len(others) - int(np.isnan(others).sum())]
        compared[number] = len(others)
        known = ~np.isnan(values[:, number])
        if not len(others) or not known.any():
            continue
        smaller = np.searchsorted(others, values[known, number], side="left")
        up_to = np.searchsorted(others, values[known, number], side="right")
        place[known, number] = (smaller + up_to) / (2 * len(others))
        tied[known, number] = (up_to - smaller) / len(others)
    return Places(place, tied, compared, shared)


def place_words(place: float, tied: float, compared: int, *, shared: bool) -> str:
    """Say in words where a value stands.

    Parameters
    ----------
    place, tied, compared, shared
        Of one value, as in `Places`.

    Examples
    --------
    >>> place_words(0.98, 0.01, 100, shared=False)
    'in the top 5% of the market'
    >>> place_words(0.7, 0.01, 100, shared=False)
    'above 70% of the market'
    >>> place_words(0.92, 0.0, 2500, shared=True)
    'higher than on 92% of earlier dates'
    >>> place_words(0.9, 0.2, 5, shared=False)
    'the highest of 5 tickers'
    """
    if np.isnan(place):
        return "with nothing to compare"
    below, above = place - tied / 2, 1 - place - tied / 2
    if shared:
        return _among_dates(below, above, tied)
    if compared < FEW:
        return _among_few(round(below * compared), round(above * compared), compared)
    return _among_many(below, above, tied)


def _among_dates(below: float, above: float, tied: float) -> str:
    """Compare with the earlier dates."""
    if tied >= 1:
        return "the same as on all earlier dates"
    if tied > MANY_TIED:
        level = f"the same as on {_percent(tied)} of earlier dates"
        rest = "higher" if above <= 0 else "lower"
        return f"{level}, {_than_rest(below, above, f'{rest} than on', 'higher than on')}"
    if abs(below - above) < 2 * MIDDLE:
        return "near its median over earlier dates"
    side, share = ("higher", below) if below > above else ("lower", above)
    return f"{side} than on {'all' if share >= 1 else f'{_percent(share)} of'} earlier dates"


def _among_many(below: float, above: float, tied: float) -> str:
    """Compare with the tickers of a date, as shares."""
    if tied >= 1:
        return "the same for the whole market"
    if tied > MANY_TIED:
        level = f"level with {_percent(tied)} of the market"
        rest = "above" if above <= 0 else "below"
        return f"{level}, {_than_rest(below, above, rest, 'above')}"
    for share in TOP_SHARES:
        if 100 * (1 - below) <= share + 1e-6:
            return f"in the top {share}% of the market"
        if 100 * (1 - above) <= share + 1e-6:
            return f"in the lowest {share}% of the market"
    if abs(below - above) < 2 * MIDDLE:
        return "near the middle of the market"
    side, least = ("above", below) if below > above else ("below", above)
    return f"{side} {_percent(least)} of the market"


def _than_rest(below: float, above: float, at_an_end: str, between: str) -> str:
    """Say how a value that many share stands to the others."""
    if min(below, above) <= 0:
        return f"{at_an_end} the rest"
    return f"{between} {_percent(below)}"


def _among_few(below: int, above: int, compared: int) -> str:
    """Compare with the tickers of a date, by counting."""
    if compared == 1:
        return "known for no other ticker"
    if below == above == 0:
        return f"the same for all {compared} tickers"
    side, ahead = ("highest", above) if above <= below else ("lowest", below)
    joint = "joint " if compared - below - above > 1 else ""
    return f"the {joint}{_ordinal(ahead + 1)}{side} of {compared} tickers"


def _ordinal(number: int) -> str:
    """Write 2nd, 3rd, 4th and so on before a superlative; nothing for the first."""
    if number == 1:
        return ""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 // 10 != 1 else 0, "th")
    return f"{number}{ending} "


def _percent(share: float) -> str:
    """Write a share that is neither nothing nor all as 1% to 99%."""
    return f"{min(max(round(100 * share), 1), 99)}%"
