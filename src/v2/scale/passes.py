"""The panel in two passes, each over a share of the rows.

The first pass takes whole tickers, the second whole dates of all tickers; no value depends on
which tickers or dates are worked on together. Both are plain functions from table to table:
where the shares lie, and who works on them, is for others to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.features.compute import add_ticker_features
from src.v2.features.date_pass import add_date_features
from src.v2.features.feature_columns import FeatureColumns
from src.v2.features.registry import Feature
from src.v2.modeling.feature_rows import Matrix, Places
from src.v2.modeling.labels import LabelPlan, future_returns, label_dates

ROWS_TURNED = 8_192
"""Rows turned from columns into rows at once: as much as a processor's cache holds."""

KEYS = ("date", "ticker", "bar", "session", "forward_return", "label_end", "stretched")
"""Columns of the first pass beside the features."""


@dataclass(frozen=True, slots=True)
class PanelPlan:
    """What a pass must know of all the bars.

    Parameters
    ----------
    features
        The features in force, from `src.v2.features.compute.usable_features` of all bars.
    market
        One row a session, from `src.v2.features.inputs.market_sessions`.
    sessions
        Sorted distinct dates of all bars.
    label
        The label in force.
    min_history
        A ticker's own earlier bars before its rows enter the panel.
    """

    features: tuple[Feature, ...]
    market: pl.DataFrame
    sessions: pl.Series
    label: LabelPlan
    min_history: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the panel's columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def ticker_names(self) -> tuple[str, ...]:
        """Names of those that the first pass makes."""
        return tuple(item.name for item in self.features if item.scope == "ticker")


@dataclass(frozen=True, slots=True)
class TickerRows:
    """What the first pass makes of some tickers.

    Parameters
    ----------
    table
        | date | ticker | bar | session | forward_return | label_end | stretched | one Float32
        column a ticker-wise feature, NaN where missing |, sorted by ticker and date. `bar` is
        the row's position among its ticker's bars, `session` its date's among the sessions.
    infinite
        Values that came out infinite or undefined, by feature; only features with any.
    """

    table: pl.DataFrame
    infinite: dict[str, int]


@dataclass(frozen=True, slots=True)
class DateRows:
    """What the second pass makes of some dates.

    Parameters
    ----------
    keys
        | date | ticker | forward_return | label | label_end | stretched | bar | session |,
        every row, sorted by date and ticker.
    features
        Array (rows of enough history, features), float32, row-major, NaN where missing.
    infinite
        As of the first pass, for the features made here.
    """

    keys: pl.DataFrame
    features: Matrix
    infinite: dict[str, int]


def ticker_pass(bars: pl.DataFrame, plan: PanelPlan) -> TickerRows:
    """Compute ticker-wise features and look up forward returns.

    Parameters
    ----------
    bars
        Whole tickers, sorted by ticker and date, with the columns of all bars.
    plan
        Made of all bars.
    """
    columns = FeatureColumns(plan.ticker_names, bars.height)
    places = np.arange(bars.height, dtype=np.int64)
    add_ticker_features(columns, plan.features, bars, plan.market, places)
    future = future_returns(bars, plan.sessions, plan.label)
    bar = pl.int_range(pl.len(), dtype=pl.Int32).over("ticker").alias("bar")
    keys = future.with_columns(bar, pl.col("session").cast(pl.Int32)).select(KEYS)
    found = [pl.Series(name, values) for name, values in columns.values.items()]
    return TickerRows(keys.hstack(found), _counted(columns.infinite))


def date_pass(rows: pl.DataFrame, plan: PanelPlan) -> DateRows:
    """Label whole dates, compare their tickers, and bring the features into rows.

    Parameters
    ----------
    rows
        Rows of the first pass, of all tickers on some whole dates, in any order.
    plan
        As in the first pass.
    """
    rows = rows.sort("date", "ticker")
    columns = FeatureColumns(plan.names, rows.height)
    for name in plan.ticker_names:
        columns.values[name][:] = rows[name].to_numpy()
    rows = rows.select(KEYS)
    add_date_features(columns, plan.features, plan.market, rows["date"])
    known = rows.with_columns(pl.col("session").cast(pl.UInt32))
    labels = label_dates(known, plan.sessions, plan.label)
    keys = labels.with_columns(rows["bar"], rows["session"])
    kept = np.flatnonzero(rows["bar"].to_numpy() >= plan.min_history)
    return DateRows(keys, _in_rows(columns, plan.names, kept), _counted(columns.infinite))


def add_counts(counts: dict[str, int], more: dict[str, int]) -> None:
    """Add what a share of the rows counted to the counts so far."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def _counted(counts: dict[str, int]) -> dict[str, int]:
    """Keep the features with any."""
    return {name: count for name, count in counts.items() if count}


def _in_rows(columns: FeatureColumns, names: Sequence[str], kept: Places) -> Matrix:
    """Turn columns into rows, some at a time."""
    matrix = np.empty((len(kept), len(names)), dtype=np.float32)
    for start in range(0, len(kept), ROWS_TURNED):
        rows = kept[start : start + ROWS_TURNED]
        np.stack(
            [columns.values[name][rows] for name in names],
            axis=1,
            out=matrix[start : start + ROWS_TURNED],
        )
    return matrix
