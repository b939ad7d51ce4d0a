"""Whether a feature reads bars of later dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.features.compute import compute_features
from src.v2.features.registry import Feature

CUTS = (0.35, 0.6, 0.85)
"""Shares of the sessions after which the bars are cut away."""

TOLERANCE = 1e-5


def features_that_look_ahead(
    bars: pl.DataFrame, features: Sequence[Feature], market: pl.DataFrame | None = None
) -> list[str]:
    """Find features whose past values change when later bars are cut away.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, more |.
    features
        Those to try.
    market
        | date | close | of the market, if one is used.

    Returns
    -------
    list of str
        Names, in the order of the features.
    """
    full = compute_features(bars, features, market).frame
    sessions = bars["date"].unique().sort()
    guilty: set[str] = set()
    for share in CUTS:
        day = sessions[int(len(sessions) * share)]
        early = None if market is None else market.filter(pl.col("date") <= day)
        cut = compute_features(bars.filter(pl.col("date") <= day), features, early).frame
        past = full.filter(pl.col("date") <= day)
        for name in past.columns[2:]:
            if name not in cut.columns or not _equal(past[name], cut[name]):
                guilty.add(name)
    return [feature.name for feature in features if feature.name in guilty]


def _equal(some: pl.Series, others: pl.Series) -> bool:
    return np.allclose(
        some.to_numpy(), others.to_numpy(), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )
