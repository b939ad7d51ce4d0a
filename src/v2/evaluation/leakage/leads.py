"""Whether a feature knows the return of a single later session.

A column that holds tomorrow's return correlates with a 60-session label by 0.13 only, which an
honest feature might; with that one return it correlates by 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.leakage.finding import Finding, skipped, some_names
from src.v2.evaluation.leakage.identity import MIN_ROWS, development_rows
from src.v2.modeling.panel import Panel

KNOWING = 0.2
"""Correlation with one later return from which a feature knows it; honest ones reach 0.05."""

CHANCE = 5.0
"""Standard errors that a correlation must stand out by; thousands are tried."""

MOST_LEADS = 63

Columns = npt.NDArray[np.float64]


def probe_leads(
    bars: pl.DataFrame, panel: Panel, span: int, development_end: int, own: Sequence[str], seed: int
) -> Finding:
    """Correlate every feature with the return of each session from the decision to the exit.

    Parameters
    ----------
    bars
        | date | ticker | close | that the panel was made of.
    span
        Sessions from a decision until its label is known; at most 63 are tried.
    development_end
        First session of the holdout, which stays closed.
    own
        Names of the user's own features, named first.
    """
    places = development_rows(panel, development_end, seed)
    if len(places) < MIN_ROWS:
        return skipped(f"{len(places)} labelled development rows, {MIN_ROWS} are needed")
    later = _later_returns(bars, panel.keys[places], min(span, MOST_LEADS))
    found = np.abs(_correlations(np.asarray(panel.feature_rows[places], dtype=np.float64), later))
    # Returns of one session share the market's move: a session counts once.
    limit = max(KNOWING, CHANCE / math.sqrt(len(np.unique(panel.session[places]))))
    size, lead = found.max(axis=1), found.argmax(axis=1) + 1
    guilty = [place for place in np.argsort(-size) if size[place] > limit]
    guilty.sort(key=lambda place: panel.names[place] not in own)
    top = int(size.argmax())
    numbers = {
        "rows": float(len(places)),
        "leads": float(later.shape[1]),
        "largest_correlation": float(size[top]),
        "guilty": float(len(guilty)),
    }
    if guilty:
        shown = some_names([f"{panel.names[n]} ({size[n]:.2f}, {_later(lead[n])})" for n in guilty])
        return Finding("fail", f"these features know a single later return: {shown}.", numbers)
    text = (
        f"largest |correlation| of {len(size)} features with one of the next {later.shape[1]} "
        f"returns: {size[top]:.3f} ({panel.names[top]}, {_later(lead[top])})."
    )
    return Finding("pass", text, numbers)


def _later(sessions: int) -> str:
    return f"{sessions} session{'s' if sessions > 1 else ''} later"


def _later_returns(bars: pl.DataFrame, keys: pl.DataFrame, leads: int) -> Columns:
    """Give each row the returns of its ticker's next bars: (rows, leads), NaN past the end."""
    daily = pl.col("close") / pl.col("close").shift(1) - 1
    table = (
        bars.select("date", "ticker", pl.col("close").cast(pl.Float64))
        .sort("ticker", "date")
        .with_columns(daily.over("ticker").alias("return"), pl.len().over("ticker").alias("bars"))
        .with_columns(bar=pl.int_range(pl.len()).over("ticker"))
        .with_row_index("place")
    )
    rows = keys.select("date", "ticker").join(
        table, on=["date", "ticker"], how="left", maintain_order="left"
    )
    returns = table["return"].to_numpy()
    place = rows["place"].to_numpy().astype(np.int64)
    left = (rows["bars"].cast(pl.Int64) - 1 - rows["bar"]).to_numpy()
    later = np.full((rows.height, leads), np.nan)
    for lead in range(1, leads + 1):
        there = left >= lead
        later[there, lead - 1] = returns[place[there] + lead]
    return later


def _correlations(features: Columns, later: Columns) -> Columns:
    """Pearson's correlation of each feature with each column, missing values at the mean."""
    products = _standardised(features).T @ _standardised(later)
    return np.asarray(products)


def _standardised(columns: Columns) -> Columns:
    """Centre and scale columns to length one; infinities and NaN count as the mean."""
    known = np.isfinite(columns)
    counts = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, columns, 0.0)
    centred = np.where(known, centred - centred.sum(axis=0) / counts, 0.0)
    length = np.sqrt((centred**2).sum(axis=0))
    return np.asarray(centred / np.where(length > 0, length, 1.0))
