"""What tells a dead or broken source of a feature, whatever the quarters were like.

A feature of the market alone has one value a session, so a quarter of it is one event, and no
test of distributions finds anything unusual in it. A value that is not there, does not move, or
lies where none ever lay needs no test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.explain.places import daily_values, shared_features
from src.v2.explain.shap_values import sample_rows_by_date
from src.v2.modeling.panel import Panel

WEEK = 5
"""Newest sessions that are looked at, and the fewest that count as a standstill."""

MOST_ROWS = 50_000
SEED = 0
KINDS = {
    "least": pl.Float64,
    "most": pl.Float64,
    "most_missing": pl.Float64,
    "standstill": pl.Int64,
}
"""Columns that the reference of a model has since these are looked at."""

Numbers = npt.NDArray[np.float64]
Array = np.ndarray[Any, Any]


def feed_reference(rows: Panel) -> pl.DataFrame:
    """Describe where the values of each feature lay, and how long they stood still.

    Parameters
    ----------
    rows
        Of every session from the first to the last that a model was fitted on; at most 50,000
        of them are looked at for the range, spread evenly over their dates.

    Returns
    -------
    pl.DataFrame
        | feature | least | most | most_missing | standstill |, one row a feature in the
        model's order: smallest and largest value, null without one; the largest share of values
        missing in any five sessions since the first value; and the most sessions in a row of
        the same value, null for features that tickers of a date do not share.
    """
    chosen = sample_rows_by_date(rows.session, MOST_ROWS, SEED)
    values = np.asarray(rows.feature_rows[chosen])
    known = np.isfinite(values)
    least = np.where(known, values, np.inf).min(axis=0)
    most = np.where(known, values, -np.inf).max(axis=0)
    shared = shared_features(rows.feature_rows, rows.session)
    runs = runs_of_sessions(daily_values(rows.feature_rows, rows.session, shared)).max(axis=0)
    there = known.any(axis=0)
    longest = dict(zip(np.flatnonzero(shared).tolist(), runs.tolist(), strict=True))
    return pl.DataFrame(
        {
            "feature": list(rows.names),
            "least": [float(v) if k else None for v, k in zip(least, there, strict=True)],
            "most": [float(v) if k else None for v, k in zip(most, there, strict=True)],
            "most_missing": _most_missing(known, rows.session[chosen]),
            "standstill": [longest.get(place) for place in range(len(rows.names))],
        },
        schema={"feature": pl.String, **KINDS},
    )


def _most_missing(known: npt.NDArray[np.bool_], session: Array) -> Numbers:
    """Find the largest share missing in a week; what lies before the first value is no week."""
    week = (session - session[0]) // WEEK
    starts = np.flatnonzero(np.diff(week, prepend=-1))
    sizes = np.diff(np.append(starts, len(week)))[:, None]
    there = np.add.reduceat(known, starts, axis=0, dtype=np.int64) / sizes
    begun = np.maximum.accumulate(there > 0, axis=0)
    return np.asarray(np.where(begun, 1 - there, 0.0).max(axis=0))


def measure_feeds(reference: pl.DataFrame, values: Array, dates: Array) -> pl.DataFrame:
    """Measure what the newest values of each feature lack.

    Parameters
    ----------
    reference
        As `feed_reference` gives it.
    values
        Array (rows, features), NaN where missing, in the reference's order.
    dates
        Date, or number of the session, of each row, rising.

    Returns
    -------
    pl.DataFrame
        | feature | missing | most_missing | outside | standing | longest |, in the reference's
        order: the share of values missing in the newest five sessions, and the most in training;
        the share of their known values further outside the range of training than that range is
        wide; the sessions for which the newest value has not moved, and the most in training,
        null for features that tickers of a date do not share.
    """
    week = values[dates >= np.unique(dates)[-WEEK:][0]]
    known = np.isfinite(week)
    least, most = (reference[name].fill_null(float("nan")).to_numpy() for name in ("least", "most"))
    width = most - least
    with np.errstate(invalid="ignore"):
        far = known & ((week < least - width) | (week > most + width))
    outside = far.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    longest = reference["standstill"]
    shared = longest.is_not_null().to_numpy()
    runs = runs_of_sessions(daily_values(values, dates, shared))[-1]
    standing = dict(zip(np.flatnonzero(shared).tolist(), runs.tolist(), strict=True))
    return pl.DataFrame(
        {
            "feature": reference["feature"],
            "missing": 1 - known.mean(axis=0),
            "most_missing": reference["most_missing"],
            "outside": outside,
            "standing": [standing.get(place) for place in range(reference.height)],
            "longest": longest,
        },
        schema_overrides={"standing": pl.Int64},
    )


def runs_of_sessions(values: Array) -> npt.NDArray[np.int64]:
    """Count for each value how many in a row up to it are the same.

    Parameters
    ----------
    values
        Array (sessions, features); a missing value is no standstill, and counts 0.

    Examples
    --------
    >>> runs_of_sessions(np.array([[1.0], [1.0], [2.0], [np.nan], [2.0]])).ravel().tolist()
    [1, 2, 1, 0, 1]
    """
    runs = np.isfinite(values).astype(np.int64)
    for place in range(1, len(values)):
        same = values[place] == values[place - 1]
        runs[place] += np.where(same, runs[place - 1], 0)
    return runs
