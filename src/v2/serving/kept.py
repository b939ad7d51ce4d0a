"""Features of a decision date kept ready, so that a request computes what its bars change.

A ticker-wise feature reads its own ticker's history and the market's three columns, nothing
else. So after some bars changed, the features of their tickers are computed anew, those of the
others where they read a column of the market that moved, and the rest is as it was. What the
tickers of a date share is computed anew on the few dates that an answer looks at. The history of
a ticker is never cut: recursive means and the blocks of windows begin where they began before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import FeaturesConfig
from src.v2.data.bars import clean_bars
from src.v2.data.universe import MEMBER, Universe, mark_members
from src.v2.decision_rows import Decision, DecisionInputs, decide, feature_matrix
from src.v2.errors import DataError
from src.v2.explain.places import shared_features, spread_dates
from src.v2.features.as_of import add_series
from src.v2.features.compute import FeatureTable, ticker_columns, usable_features
from src.v2.features.date_pass import add_date_features
from src.v2.features.feature_columns import FeatureColumns
from src.v2.features.inputs import MARKET_COLUMNS, market_sessions
from src.v2.features.registry import Feature
from src.v2.features.ticker_pass import features_that_read
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.tables import TickerTable, merged_tables, spliced_bars

Mask = npt.NDArray[np.bool_]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Basis:
    """Bars that can be decided on, and what all their tickers share.

    Parameters
    ----------
    inputs
        Checked bars and what stands beside them.
    features, left_out
        Of `src.v2.features.compute.usable_features`.
    sessions
        The market's columns and the series of context, one row a session.
    """

    inputs: DecisionInputs
    features: Sequence[Feature]
    left_out: Mapping[str, str]
    sessions: pl.DataFrame

    def of(self, scope: str) -> list[Feature]:
        """Name the features of a scope."""
        return [feature for feature in self.features if feature.scope == scope]


@dataclass(frozen=True, slots=True)
class KeptDay:
    """What is kept of a decision date.

    Parameters
    ----------
    basis
        The bars that are held, and what all tickers share.
    near
        Every ticker-wise feature, on the dates that an answer looks at: the decision's, and up
        to 32 that tell which features the tickers of a date share.
    whole
        On every date, those that such features are made of.
    shared
        Features of the model that the tickers of a date share.
    """

    basis: Basis
    near: TickerTable
    whole: TickerTable
    shared: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A decision, and what its reasons compare with, as `src.v2.forecasting.shared_values`."""

    decision: Decision
    compared: tuple[Mask, Array]


def keep_day(inputs: DecisionInputs, card: ModelCard) -> tuple[KeptDay, Ready]:
    """Compute the features of the last date of some bars, and keep what later bars may need.

    Returns
    -------
    tuple[KeptDay, Ready]
        With R rows of bars on D dates and F ticker-wise features, kept are the bars (60 bytes a
        row), some 33 / D * R * F numbers of 4 bytes, and R for each feature that shared ones are
        made of.

    Raises
    ------
    ModelError
        As `src.v2.decision_rows.decide`.
    """
    basis = _basis(inputs)
    every = _table(basis, basis.of("ticker"), inputs.bars)
    near = every.on(_looked_at(every.keys, inputs))
    decision, mask = _decided(basis, near, card)
    shared = frozenset(name for name, same in zip(card.features, mask, strict=True) if same)
    whole = every.only(_made_of(basis, shared))
    earlier = _earlier(basis, whole, [name for name in card.features if name in shared])
    return KeptDay(basis, near, whole, shared), Ready(decision, (mask, earlier))


def change_day(
    kept: KeptDay, bars: pl.DataFrame, card: ModelCard, universe: Universe | None = None
) -> Ready | None:
    """Compute the features of the last date again, after the bars of some tickers changed.

    Parameters
    ----------
    bars
        All bars of those tickers up to the date of what is kept, sorted by ticker and date.
    universe
        Who is a member when, for a model trained on a point-in-time universe.

    Returns
    -------
    Ready or None
        To the bit what computing everything would give; None where what was kept does not
        reach: other columns or features are there, other dates are looked at, or the tickers
        of a date share a feature that they did not share.
    """
    changed = bars["ticker"].unique().to_list()
    inputs = _changed_inputs(kept.basis.inputs, bars, card, universe)
    if inputs is None:
        return None
    basis = _basis(inputs)
    if _names(basis) != _names(kept.basis):
        return None
    theirs = pl.col("ticker").is_in(list(changed))
    fresh = _table(basis, basis.of("ticker"), inputs.bars.filter(theirs))
    moved = [
        name
        for name in MARKET_COLUMNS
        if not kept.basis.sessions[name].equals(basis.sessions[name])
    ]
    reading = features_that_read(basis.features, moved)
    others = inputs.bars.filter(~theirs)
    rest = _table(basis, reading, others) if reading and others.height else None
    whole = merged_tables(kept.whole, changed, fresh, rest)
    dates = kept.near.keys["date"].unique().sort()
    if whole.keys is not kept.whole.keys and not _looked_at(whole.keys, inputs).equals(dates):
        return None
    near = merged_tables(
        kept.near, changed, fresh.on(dates), None if rest is None else rest.on(dates)
    )
    decision, mask = _decided(basis, near, card)
    shared = [name for name, same in zip(card.features, mask, strict=True) if same]
    if not kept.shared.issuperset(shared):
        return None
    return Ready(decision, (mask, _earlier(basis, whole, shared)))


def _changed_inputs(
    held: DecisionInputs, bars: pl.DataFrame, card: ModelCard, universe: Universe | None
) -> DecisionInputs | None:
    """Put the bars of some tickers in the place of the held ones; None where they do not fit."""
    own = tuple(FeaturesConfig(**card.feature_settings).columns)
    try:
        fresh, _ = clean_bars(bars, 2, 1.0, own_columns=own)
    except DataError:
        return None
    if [*fresh.columns] != [name for name in held.bars.columns if name != MEMBER]:
        return None
    joined = spliced_bars(held.bars.drop(MEMBER, strict=False), fresh)
    if not joined["date"].unique().sort().equals(held.bars["date"].unique().sort()):
        return None
    try:
        joined = joined if universe is None else mark_members(joined, universe)
    except DataError:
        return None
    return dataclasses.replace(held, bars=joined)


def _basis(inputs: DecisionInputs) -> Basis:
    """Part the features that the bars allow, and work out the market."""
    features, left_out = usable_features(inputs.bars, inputs.features, inputs.context)
    sessions = add_series(market_sessions(inputs.bars, inputs.market), inputs.context)
    return Basis(inputs, features, left_out, sessions)


def _names(basis: Basis) -> tuple[str, ...]:
    return tuple(feature.name for feature in basis.features)


def _table(basis: Basis, features: Sequence[Feature], bars: pl.DataFrame) -> TickerTable:
    """Compute ticker-wise features of whole tickers."""
    names = [feature.name for feature in features]
    keys, columns = ticker_columns(features, bars, basis.sessions, names)
    return TickerTable(keys, columns.values)


def _looked_at(keys: pl.DataFrame, inputs: DecisionInputs) -> pl.Series:
    """Name the dates that an answer looks at, as far as they have rows."""
    dates = keys["date"]
    spread = pl.Series(spread_dates(dates.to_physical().to_numpy()), dtype=pl.Int32)
    wanted = pl.concat([spread.cast(pl.Date), pl.Series([inputs.day])]).unique().sort()
    return wanted.filter(wanted.is_in(dates.unique().implode()))


def _frame(basis: Basis, table: TickerTable, features: Sequence[Feature]) -> pl.DataFrame:
    """Add to ticker-wise features what the tickers of a date share."""
    names = [feature.name for feature in features]
    columns = FeatureColumns([*dict.fromkeys([*names, *table.values])], len(table.keys))
    for name, values in table.values.items():
        columns.values[name][:] = values
    dates, tickers = table.keys["date"], table.keys["ticker"]
    sectors = basis.inputs.context.sectors
    add_date_features(columns, features, basis.sessions, dates, tickers, sectors)
    return table.keys.hstack([columns.series(name) for name in names])


def _decided(basis: Basis, near: TickerTable, card: ModelCard) -> tuple[Decision, Mask]:
    """Take the decision's rows, and tell which features the tickers of a date share."""
    frame = _frame(basis, near, basis.features)
    decision = decide(basis.inputs, card, FeatureTable(frame, dict(basis.left_out), {}))
    session = frame["date"].to_physical().to_numpy()
    return decision, shared_features(feature_matrix(frame, card.features), session)


def _made_of(basis: Basis, names: Collection[str]) -> set[str]:
    """Name the ticker-wise features that some features are made of."""
    chosen = [feature for feature in basis.features if feature.name in names]
    return {
        root
        for feature in chosen
        if feature.scope != "session"
        for root in ([feature.name] if feature.scope == "ticker" else feature.needs)
    }


def _earlier(basis: Basis, whole: TickerTable, names: Sequence[str]) -> Array:
    """Give the value of each date before the decision's: (dates, features), float32."""
    of_dates = [item for item in basis.of("session") if item.name in names]
    others = [item for item in basis.features if item.name in names and item not in of_dates]
    before = whole.keys["date"] < basis.inputs.day
    dates = whole.keys["date"].filter(before)
    each = dates.unique().sort()
    alone = TickerTable(pl.DataFrame({"date": each, "ticker": [""] * len(each)}), {})
    found = _frame(basis, alone, of_dates)
    values = dict(zip(found.columns[2:], feature_matrix(found, found.columns[2:]).T, strict=True))
    if others and len(each):
        rows = feature_matrix(_frame(basis, whole, others).filter(before), _each(others))
        starts = np.flatnonzero(np.diff(dates.to_physical().to_numpy(), prepend=-(2**30)))
        highest = np.fmax.reduceat(rows, starts, axis=0)
        values |= dict(zip(_each(others), highest.T, strict=True))
    empty = np.empty(len(each), dtype=np.float32)
    return np.array([values.get(name, empty) for name in names], dtype=np.float32).T.reshape(
        len(each), len(names)
    )


def _each(features: Sequence[Feature]) -> list[str]:
    return [feature.name for feature in features]
