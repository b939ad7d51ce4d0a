"""The panel: features and labels side by side, one row a date and ticker."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.data.universe import MEMBER, decision_sessions, member_rows
from src.v2.errors import NotEnoughData
from src.v2.modeling.feature_rows import Matrix, Rows
from src.v2.modeling.folds import Mask, Sessions
from src.v2.modeling.labels import LabelPlan, add_expanding_mean, add_labels

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows that may be fitted on or scored, sorted by date and ticker.

    Parameters
    ----------
    keys
        | date | ticker | forward_return | label | label_end | expanding_mean |.
    feature_rows
        Rows (rows, features), float32, NaN where a value is missing: an array, or rows that
        lie elsewhere, see `src.v2.modeling.feature_rows`.
    names
        Names of the features, in the order of the array's columns.
    sessions
        Sorted distinct dates of the bars, from the first one with a member on.
    session, label_end
        Each row's date, and the date its label is known, as positions in `sessions`;
        -1 for a label not known.
    ticker, bar
        Code of each row's ticker, and the row's position among the ticker's own bars.
    """

    keys: pl.DataFrame
    feature_rows: Rows
    names: tuple[str, ...]
    sessions: tuple[dt.date, ...]
    session: Sessions
    label_end: Sessions
    ticker: Sessions
    bar: Sessions

    @property
    def features(self) -> Matrix:
        """The features as an array in memory; choose few rows first where they lie elsewhere."""
        return np.asarray(self.feature_rows)

    def take(self, mask: Mask) -> Panel:
        """Keep some rows, under the same sessions."""
        if mask.all():
            return self
        return Panel(
            self.keys.filter(mask),
            self.feature_rows[mask],
            self.names,
            self.sessions,
            self.session[mask],
            self.label_end[mask],
            self.ticker[mask],
            self.bar[mask],
        )

    def between(self, start: int, stop: int) -> Panel:
        """Keep the rows of sessions start to stop - 1; no copy is made."""
        first, last = (int(np.searchsorted(self.session, edge)) for edge in (start, stop))
        rows = slice(first, last)
        return Panel(
            self.keys[rows],
            self.feature_rows[rows],
            self.names,
            self.sessions,
            self.session[rows],
            self.label_end[rows],
            self.ticker[rows],
            self.bar[rows],
        )

    def labels(self) -> Matrix:
        """Give the labels as an array (rows,), NaN where unknown."""
        return self.keys["label"].to_numpy()


def build_panel(
    bars: pl.DataFrame, features: pl.DataFrame, plan: LabelPlan, min_history: int
) -> tuple[Panel, int]:
    """Join features and labels.

    Parameters
    ----------
    bars
        | date | ticker | close |, one row a date and ticker, and | is a member | where a
        universe says who was one: only their rows enter.
    features
        | date | ticker | one Float32 column a feature |, the same rows, sorted by date and
        ticker.
    plan
        The label in force.
    min_history
        A ticker's own earlier bars before its rows enter.

    Returns
    -------
    tuple
        The panel, and the number of rows without a label because a halt stretched it.

    Raises
    ------
    NotEnoughData
        When no row has both features and a label.
    """
    keys, bar, stretched = _label_bars(bars, plan)
    if keys.height != features.height or not keys["date"].equals(features["date"]):
        raise ValueError("features must hold one row for each bar, sorted by date and ticker")
    table = features.drop("date", "ticker")
    rows = _matrix(table, bar >= min_history)
    sessions = decision_sessions(bars)
    panel = _bring_together(keys, bar, rows, tuple(table.columns), sessions, min_history)
    refuse_unlabelled(panel, plan, min_history)
    return panel, stretched


def relabel_panel(
    panel: Panel, bars: pl.DataFrame, plan: LabelPlan, min_history: int
) -> tuple[Panel, int]:
    """Give a panel another label; its features stay where they lie.

    Which rows a panel has, and what their features are, no label decides.

    Parameters
    ----------
    panel
        Built of the same bars and `min_history`, under any label.
    bars, plan, min_history
        As for `build_panel`.

    Returns
    -------
    tuple
        As `build_panel`, to the bit; the features are shared with `panel`.

    Raises
    ------
    NotEnoughData
        When no row has both features and a label.
    """
    keys, bar, stretched = _label_bars(bars, plan)
    if int((bar >= min_history).sum()) != len(panel.feature_rows):
        raise ValueError("a panel can be labelled anew by the bars that it was built of alone")
    sessions = decision_sessions(bars)
    relabelled = _bring_together(keys, bar, panel.feature_rows, panel.names, sessions, min_history)
    refuse_unlabelled(relabelled, plan, min_history)
    return relabelled, stretched


def _label_bars(
    bars: pl.DataFrame, plan: LabelPlan
) -> tuple[pl.DataFrame, npt.NDArray[np.int32], int]:
    """Give the keys of every row, its place among its ticker's bars, and how many are stretched."""
    labels = add_labels(bars, plan)
    stretched = int(labels["stretched"].sum())
    keys = add_expanding_mean(labels.drop("stretched"))
    return keys, _earlier_bars(bars, keys), stretched


def _bring_together(
    keys: pl.DataFrame,
    bar: npt.NDArray[np.int32],
    rows: Rows,
    names: tuple[str, ...],
    sessions: pl.Series,
    min_history: int,
) -> Panel:
    """Put the features of the rows with enough history beside their keys."""
    kept = bar >= min_history
    return Panel(
        keys.filter(kept),
        rows,
        names,
        tuple(sessions.to_list()),
        session_positions(keys["date"], sessions)[kept],
        session_positions(keys["label_end"], sessions)[kept],
        ticker_codes(keys["ticker"])[kept],
        bar[kept],
    )


def refuse_unlabelled(panel: Panel, plan: LabelPlan, min_history: int) -> None:
    """Refuse a panel without any label.

    Raises
    ------
    NotEnoughData
        When no row has both features and a label.
    """
    if not (panel.label_end >= 0).any():
        raise NotEnoughData(
            f"No row has both {min_history} earlier bars and a label {plan.config.span} sessions "
            f"ahead; the bars span {len(panel.sessions)} sessions. Give a longer history, or a "
            "shorter --forward-days."
        )


def ticker_codes(tickers: pl.Series) -> npt.NDArray[np.int32]:
    """Give each row the number of its ticker, in the order in which they first appear."""
    numbered = tickers.unique(maintain_order=True).to_frame("ticker").with_row_index("code")
    rows = tickers.to_frame("ticker").join(numbered, on="ticker", how="left", maintain_order="left")
    return rows["code"].to_numpy().astype(np.int32)


def _earlier_bars(bars: pl.DataFrame, keys: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Count each row's earlier bars of its ticker, those outside the universe too."""
    place = pl.int_range(pl.len(), dtype=pl.Int32).over("ticker").alias("bar")
    if MEMBER in bars.columns:
        keys = member_rows(bars.sort("date", "ticker").with_columns(place))
    else:
        keys = keys.with_columns(place)
    return keys["bar"].to_numpy()


def _matrix(table: pl.DataFrame, kept: Mask) -> Matrix:
    """Copy the kept rows into one row-major array, piece by piece to hold no second copy."""
    matrix = np.empty((int(kept.sum()), table.width), dtype=np.float32)
    filled = 0
    for start in range(0, table.height, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        part = table[rows].to_numpy(order="c")[kept[rows]]
        matrix[filled : filled + len(part)] = part
        filled += len(part)
    return matrix


def session_positions(dates: pl.Series, sessions: pl.Series) -> npt.NDArray[np.int32]:
    """Find the position of each date among the sorted sessions, -1 for null."""
    found = sessions.search_sorted(dates.fill_null(sessions[0])).to_numpy().astype(np.int32)
    found[dates.is_null().to_numpy()] = -1
    return found
