"""What the features of a model looked like in training, and how far they have moved since.

Any quarter of a year differs from the years around it, most where features persist: a market
that rose for three months gives a distance that no test for independent rows would forgive. The
distance of the newest quarter is therefore held against the distances that quarters inside the
training rows had from the rest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.explain.drift import SMALLEST_COUNT, bin_counts, count_missing, quantile_cuts
from src.v2.explain.feeds import feed_reference
from src.v2.explain.shap_values import sample_rows_by_date
from src.v2.modeling.panel import Panel

WINDOW_SESSIONS = 63
"""Sessions of a block, and of the rows that are held against training: a quarter of a year."""

GRID = 100
"""Bins of the distance; the index of stability has ten."""

MOST_ROWS = 50_000
LEAST_BLOCKS = 8
"""Fewer blocks tell nothing about what is usual."""

LEAST_DISTANCE = 1e-4
SEED = 0

Numbers = npt.NDArray[np.float64]
Column = npt.NDArray[np.floating[Any]]


def drift_reference(
    window: Panel, importance: Mapping[str, float], daily: Panel | None = None
) -> pl.DataFrame:
    """Describe each feature of the rows that a model was fitted on.

    Parameters
    ----------
    window
        The rows; at most 50,000 of them are looked at, spread evenly over their dates.
    importance
        Share of gain by feature; absent: 0.
    daily
        Rows of every session from the first to the last of the window, which itself may hold
        only every n-th; None: the window.

    Returns
    -------
    pl.DataFrame
        | feature | importance | rows | cuts | shares | fine_cuts | fine_shares | distances |
        least | most | most_missing | standstill |,
        one row a feature in the model's order: upper bounds and shares of bins of equal mass,
        ten and a hundred of them, the share of missing values last; and the distance of each
        block of 63 sessions from the other rows, as `distribution_distance` measures it. The
        last four are those of `src.v2.explain.feeds.feed_reference`.
    """
    chosen = sample_rows_by_date(window.session, MOST_ROWS, SEED)
    values = np.asarray(window.feature_rows[chosen])
    session = window.session[chosen]
    # Whole blocks, the newest one ending with the newest row.
    block = (session.max() - session) // WINDOW_SESSIONS
    blocks = int((session.max() - session.min() + 1) // WINDOW_SESSIONS)
    rows = [
        {
            "feature": name,
            "importance": float(importance.get(name, 0.0)),
            "rows": len(chosen),
            **_described(values[:, place], block, blocks),
        }
        for place, name in enumerate(window.names)
    ]
    lists = ("cuts", "shares", "fine_cuts", "fine_shares", "distances")
    kinds = {"feature": pl.String, "importance": pl.Float64, "rows": pl.Int64}
    table = pl.DataFrame(rows, schema=kinds | dict.fromkeys(lists, pl.List(pl.Float64)))
    feeds = feed_reference(window if daily is None else daily)
    return table.hstack(feeds.drop("feature"))


def _described(values: Column, block: npt.NDArray[Any], blocks: int) -> dict[str, list[float]]:
    """Bins of one feature, and the distances of its blocks."""
    ordered = np.sort(values)
    known = ordered[: len(ordered) - count_missing(ordered)]
    cuts, fine = quantile_cuts(known), quantile_cuts(known, GRID)
    shares, fine_shares = (bin_counts(ordered, each) / len(ordered) for each in (cuts, fine))
    return {
        "cuts": cuts.astype(np.float64).tolist(),
        "shares": shares.tolist(),
        "fine_cuts": fine.astype(np.float64).tolist(),
        "fine_shares": fine_shares.tolist(),
        "distances": _block_distances(values, fine, block, blocks),
    }


def _block_distances(
    values: Column, cuts: Column, block: npt.NDArray[Any], blocks: int
) -> list[float]:
    """Distance of each whole block from all other rows; blocks without rows are left out."""
    bins = np.searchsorted(cuts, values, side="left")
    bins[np.isnan(values)] = len(cuts) + 1
    width = len(cuts) + 2
    counts = np.bincount(block * width + bins, minlength=(int(block.max()) + 1) * width)
    table = counts.reshape(-1, width)
    total = table.sum(axis=0)
    pairs = [(own, total - own) for own in table[:blocks] if 0 < own.sum() < total.sum()]
    return (
        [distribution_distance(own / own.sum(), rest / rest.sum()) for own, rest in pairs]
        if len(pairs) > 1
        else []
    )


def distribution_distance(shares: Numbers, others: Numbers) -> float:
    """Largest gap between two distribution functions (Kolmogorov and Smirnov), on common bins.

    Missing values count as larger than all others.

    Examples
    --------
    >>> distribution_distance(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5]))
    0.5
    """
    return float(np.abs(np.cumsum(shares - others)).max())


def stability_index(shares: Numbers, rows: int, others: Numbers, other_rows: int) -> float:
    """Compute the population stability index: the sum of (q - p) log(q / p) over bins.

    A bin that only one side fills counts as half a row of the other; bins that neither fills
    are left out.
    """
    filled = shares + others > 0
    p = np.maximum(shares[filled], SMALLEST_COUNT / rows)
    q = np.maximum(others[filled], SMALLEST_COUNT / other_rows)
    return float(((q - p) * np.log(q / p)).sum())


def measure_drift(reference: pl.DataFrame, values: Column, dates: npt.NDArray[Any]) -> pl.DataFrame:
    """Measure how far each feature has moved from its reference.

    Parameters
    ----------
    reference
        As `drift_reference` gives it.
    values
        Array (rows, features), float32, NaN where missing, in the reference's order: those of
        the newest 63 sessions.
    dates
        Date, or number of the session, of each row.

    Returns
    -------
    pl.DataFrame
        | feature | importance | psi | distance | usual | p |, in the reference's order; `usual`
        is the geometric mean of the distances of training blocks, `p` the chance that a block
        like them lies as far away: by Student's t for the logarithm of the next distance. NaN
        where fewer than 8 blocks are known.
    """
    chosen = sample_rows_by_date(dates, MOST_ROWS, SEED)
    taken = values[chosen]
    rows = [
        _moved(row, np.sort(taken[:, place]))
        for place, row in enumerate(reference.iter_rows(named=True))
    ]
    names = ("feature", "importance", "psi", "distance", "usual", "p")
    return pl.DataFrame(
        rows, schema={name: pl.String if name == "feature" else pl.Float64 for name in names}
    )


def _moved(row: Mapping[str, Any], ordered: Column) -> dict[str, Any]:
    """Compare the newest values of one feature with its reference."""
    shares, fine_shares = (
        bin_counts(ordered, np.array(row[name], dtype=ordered.dtype)) / len(ordered)
        for name in ("cuts", "fine_cuts")
    )
    distance = distribution_distance(fine_shares, np.array(row["fine_shares"]))
    usual, p = usual_distance(distance, np.array(row["distances"]))
    return {
        "feature": row["feature"],
        "importance": row["importance"],
        "psi": stability_index(np.array(row["shares"]), row["rows"], shares, len(ordered)),
        "distance": distance,
        "usual": usual,
        "p": p,
    }


def usual_distance(distance: float, known: Numbers) -> tuple[float, float]:
    """Hold a distance against those of blocks: their geometric mean, and a one-sided p.

    NaN for p with fewer than 8 blocks.
    """
    from scipy import stats

    if not len(known):
        return float("nan"), float("nan")
    logs = np.log(np.maximum(known, LEAST_DISTANCE))
    usual = float(np.exp(logs.mean()))
    if len(known) < LEAST_BLOCKS:
        return usual, float("nan")
    spread = float(logs.std(ddof=1)) * (1 + 1 / len(known)) ** 0.5
    gap = float(np.log(max(distance, LEAST_DISTANCE))) - float(logs.mean())
    if spread == 0:
        return usual, float(gap <= 0)
    return usual, float(stats.t.sf(gap / spread, len(known) - 1))


def benjamini_hochberg(p: Numbers) -> Numbers:
    """Adjust p-values of several tests, so that those below q hold a share of q false ones.

    Benjamini and Hochberg (1995, Journal of the Royal Statistical Society B 57(1)). NaN stays
    NaN and counts as no test.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    adjusted = np.full(len(p), np.nan)
    there = np.flatnonzero(np.isfinite(p))
    order = there[np.argsort(-p[there], kind="stable")]
    ranks = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * len(order) / ranks), 1.0)
    return adjusted
