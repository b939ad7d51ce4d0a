"""Whether a feature reads bars, or series of context, of later dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.data.context import Context
from src.v2.features.compute import compute_features
from src.v2.features.registry import Feature

CUTS = (0.35, 0.6, 0.85)
"""Shares of the sessions after which the bars are cut away."""

WARM_UP_CUTS = 6
"""Most cuts inside the warm-up, where a backfill shows and nowhere else."""

TOLERANCE = 1e-5
"""Of a value, and of the feature's median size where that is below 1."""


def features_that_look_ahead(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    market: pl.DataFrame | None = None,
    context: Context | None = None,
) -> list[str]:
    """Find features whose past values change when all that is later is cut away.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, more |.
    features
        Those to try.
    market
        | date | close | of the market, if one is used.
    context
        Series and sectors, if there are any.

    Returns
    -------
    list of str
        Names, in the order of the features.
    """
    full = compute_features(bars, features, market, context).frame
    sessions = bars["date"].unique().sort()
    places = {int(len(sessions) * share) for share in CUTS}
    places |= set(warm_up_cuts(features, len(sessions)))
    guilty: set[str] = set()
    for place in sorted(places):
        day = sessions[place]
        early = None if market is None else market.filter(pl.col("date") <= day)
        known = None if context is None else context.until(day)
        cut = compute_features(bars.filter(pl.col("date") <= day), features, early, known).frame
        guilty |= set(changed_features(full.filter(pl.col("date") <= day), cut))
    return [feature.name for feature in features if feature.name in guilty]


def warm_up_cuts(features: Sequence[Feature], sessions: int, most: int = WARM_UP_CUTS) -> list[int]:
    """Choose sessions to cut after: the first, and those at which features get their first value.

    A value that was filled backwards is already there on its feature's first row, which is all
    that these cuts leave of it.

    Parameters
    ----------
    features
        Their look-backs are the places; some of them where there are many.
    sessions
        How many there are.
    most
        Most cuts chosen.

    Examples
    --------
    >>> warm_up_cuts([], 100)
    [0]
    """
    places = sorted({0, *(item.lookback for item in features if item.lookback < sessions)})
    if len(places) <= most:
        return places
    chosen = np.linspace(0, len(places) - 1, most).round().astype(int)
    return [places[number] for number in chosen]


def changed_features(before: pl.DataFrame, after: pl.DataFrame) -> list[str]:
    """Name the features that differ between two tables of the same rows.

    Parameters
    ----------
    before, after
        | date | ticker | features ... |, sorted by date and ticker. A feature that `after` lacks,
        because its inputs hold no value yet, counts as missing throughout.

    Returns
    -------
    list of str
        In the order of `before`. Differences below `TOLERANCE` are rounding.
    """
    if not before.select("date", "ticker").equals(after.select("date", "ticker")):
        raise ValueError("the tables must hold the same rows")
    return [
        name
        for name in before.columns[2:]
        if not _equal(before[name], after[name] if name in after.columns else None)
    ]


def _equal(some: pl.Series, others: pl.Series | None) -> bool:
    ours = some.to_numpy()
    missing = np.isnan(ours)
    theirs = np.full(len(ours), np.nan) if others is None else others.to_numpy()
    if missing.all() or np.array_equal(ours, theirs, equal_nan=True):
        return bool(np.isnan(theirs).all()) if missing.all() else True
    # A feature of small numbers would pass under any fixed tolerance.
    size = float(np.median(np.abs(ours[~missing])))
    return np.allclose(
        ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * min(1.0, size), equal_nan=True
    )
