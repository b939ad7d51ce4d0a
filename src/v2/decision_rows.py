"""The rows of the last date of some bars, as a model was trained to read them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import FeaturesConfig, file_hashes
from src.v2.data.bars import clean_bars
from src.v2.data.context import Context
from src.v2.data.universe import Universe, mark_members
from src.v2.errors import ModelError
from src.v2.features.as_of import as_of
from src.v2.features.compute import FeatureTable, compute_features
from src.v2.features.families import active_features
from src.v2.features.registry import Feature
from src.v2.modeling.code_match import check_feature_code
from src.v2.modeling.intervals import VOLATILITY_BARS, horizon_volatility
from src.v2.modeling.model_card import ModelCard

Array = np.ndarray[Any, Any]
Mask = npt.NDArray[np.bool_]

LEAST_UNIVERSE = 0.5


@dataclass(frozen=True, slots=True)
class Decision:
    """What is known of the last date of the bars.

    Parameters
    ----------
    day
        That date.
    table
        | date | ticker | one column a feature | close |, one row a ticker that can be forecast.
    matrix
        Array (rows, features of the model), float32, NaN where missing.
    frame
        | date | ticker | one column a feature |, every date that was computed.
    absent
        Reason by ticker that cannot be forecast.
    docs
        What each feature says, by name.
    volatility
        | date | ticker | volatility | of the horizon, see
        `src.v2.modeling.intervals.horizon_volatility`.
    in_sample
        Whether a row or a label that the model was fitted on lies after the date.
    """

    day: dt.date
    table: pl.DataFrame
    matrix: Array
    frame: pl.DataFrame
    absent: Mapping[str, str]
    docs: Mapping[str, str]
    volatility: pl.DataFrame
    in_sample: bool


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """What the features of a last date are made of, checked against the model.

    Parameters
    ----------
    bars
        Checked bars of the universe, sorted by ticker and date, members marked where a file
        names them.
    tickers
        Whom the last date may rank.
    day
        Last date of the bars.
    features
        Those in force, whether the bars allow them or not.
    market
        | date | close | of the market, or None.
    context
        The model's series and sectors, by its own rules.
    """

    bars: pl.DataFrame
    tickers: tuple[str, ...]
    day: dt.date
    features: Sequence[Feature]
    market: pl.DataFrame | None
    context: Context


def decision_rows(
    bars: pl.DataFrame,
    card: ModelCard,
    market: pl.DataFrame | None,
    context: Context | None = None,
    universe: Universe | None = None,
) -> Decision:
    """Make the features of the last date, and tell which tickers have none.

    Raises
    ------
    ModelError
        As `src.v2.api.predict`.
    """
    inputs = decision_inputs(bars, model_features(card), card, market, context, universe)
    computed = compute_features(inputs.bars, inputs.features, inputs.market, inputs.context)
    return decide(inputs, card, computed)


def model_features(card: ModelCard) -> Sequence[Feature]:
    """Gather the features that a model was trained with.

    Raises
    ------
    ModelError
        When own features, or the code of the others, are not those of the training.
    """
    settings = FeaturesConfig(**card.feature_settings)
    _check_modules(settings, card)
    check_feature_code(settings, card)
    return active_features(settings, card.series)


def decision_inputs(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    card: ModelCard,
    market: pl.DataFrame | None,
    context: Context | None = None,
    universe: Universe | None = None,
) -> DecisionInputs:
    """Check bars and what stands beside them against what a model was trained with.

    Parameters
    ----------
    features
        From `model_features`.

    Raises
    ------
    ModelError
        As `src.v2.api.predict`.
    """
    if card.with_market and market is None:
        raise ModelError("The model was trained with a market; give its bars as market.")
    known = _context_of_model(context, card)
    own = tuple(FeaturesConfig(**card.feature_settings).columns)
    bars, _ = clean_bars(bars, 2, 1.0, own_columns=own)
    bars, tickers = _bars_of_universe(bars, card, universe)
    day = bars["date"].max()
    assert isinstance(day, dt.date)
    _check_series(known, bars["date"].unique().sort())
    return DecisionInputs(bars, tickers, day, features, market, known)


def decide(inputs: DecisionInputs, card: ModelCard, computed: FeatureTable) -> Decision:
    """Take the rows of the last date from computed features, and tell which tickers have none.

    Parameters
    ----------
    computed
        Features of the inputs; of the last date at least, whole dates alone.

    Raises
    ------
    ModelError
        When a feature of the model is not among them.
    """
    _check_columns(computed, card)
    bars, day, tickers = inputs.bars, inputs.day, inputs.tickers
    absent = _absent_tickers(bars, day, tickers, card.min_history)
    closes = bars.filter(pl.col("date") == day).select("ticker", "close")
    table = (
        computed.frame.filter(
            (pl.col("date") == day)
            & pl.col("ticker").is_in(list(tickers))
            & ~pl.col("ticker").is_in(list(absent))
        )
        .join(closes, on="ticker", how="left")
        .sort("ticker")
    )
    docs = {feature.name: feature.doc for feature in inputs.features}
    newest = bars.group_by("ticker").tail(VOLATILITY_BARS + 1)
    volatility = horizon_volatility(newest, card.forward_days)
    matrix = feature_matrix(table, card.features)
    seen = bool(table.height) and _in_sample(day, bars["date"], card)
    return Decision(day, table, matrix, computed.frame, absent, docs, volatility, seen)


def _in_sample(day: dt.date, dates: pl.Series, card: ModelCard) -> bool:
    """Tell whether a row or a label that the model was fitted on lies after a decision."""
    fitted = dt.date.fromisoformat(card.train_last)
    if day <= fitted:
        return True
    if card.labels_last is not None:
        return day < dt.date.fromisoformat(card.labels_last)
    # An older card does not tell: labels reach the trade's lag and the horizon beyond the rows.
    since = dates.filter((dates > fitted) & (dates <= day)).n_unique()
    return since < card.entry_lag + card.forward_days


def _context_of_model(context: Context | None, card: ModelCard) -> Context:
    """Take the series that the model reads, by its own rules, and the sectors as trained."""
    given = {} if context is None else context.series
    lacking = [name for name in card.series if name not in given]
    if lacking:
        name = lacking[0]
        raise ModelError(
            f"The model reads the series {', '.join(lacking)} of data.context, which is not given. "
            f"Name its file: --data.context {name}=FILE (in a notebook, give a context)."
        )
    return Context(
        {name: given[name] for name in card.series},
        card.sectors,
        card.data.get("context_lag", 0),
        card.data.get("context_max_age", 0),
    )


def _check_series(context: Context, sessions: pl.Series) -> None:
    """Refuse a series that shows nothing on the last session."""
    for name, rows in context.series.items():
        shown = as_of(sessions, rows, context.lag, context.max_age)
        if len(shown) and shown[-1] is None:
            until = rows.filter(pl.col("date") <= sessions[-1])["date"].to_list()
            last = f"its last value is of {until[-1]}" if until else "it has no value up to then"
            raise ModelError(
                f"The series {name} of data.context must have a value for {sessions[-1]}, at most "
                f"{context.max_age} days old (data.context_max_age as trained) and "
                f"{context.lag} sessions late (data.context_lag); {last}. Bring its file up to "
                f"date, or name another: --data.context {name}=FILE."
            )


def _bars_of_universe(
    bars: pl.DataFrame, card: ModelCard, universe: Universe | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Keep what the market and the ranks are made of, and name whom the last date may rank."""
    if universe is None:
        if card.data.get("universe") is not None:
            raise ModelError(
                "The model was trained on a point-in-time universe; give its file as universe."
            )
        tickers, known = card.tickers, card.tickers
    else:
        last = bars["date"].max()
        assert isinstance(last, dt.date)
        tickers, known = universe.members_on(last), universe.tickers
    bars = bars.filter(pl.col("ticker").is_in(list(known)))
    there = len(set(bars["ticker"].unique()) & set(tickers))
    if not tickers or there < LEAST_UNIVERSE * len(tickers):
        whose = "the model's" if universe is None else "the universe's"
        raise ModelError(
            f"The bars hold {there} of {whose} {len(tickers)} tickers; ranks and the market need "
            "at least half. Give the bars of its universe, or train again."
        )
    return bars if universe is None else mark_members(bars, universe), tickers


def _check_modules(features: FeaturesConfig, card: ModelCard) -> None:
    """Refuse own features that are not those that the model was trained with."""
    found = file_hashes(features.modules)
    for path in features.modules:
        if path not in found or found[path] != card.module_hashes.get(path):
            raise ModelError(
                f"The model was trained with own features from {path}, which is missing or has "
                "changed since. Bring the file back, or train again."
            )


def _check_columns(computed: FeatureTable, card: ModelCard) -> None:
    """Refuse bars that cannot make a feature of the model."""
    lacking = [name for name in card.features if name not in computed.frame.columns]
    if lacking:
        reasons = {
            computed.left_out.get(name, "not made by the features in force") for name in lacking
        }
        raise ModelError(
            f"The model needs {len(lacking)} features that these bars cannot make "
            f"({', '.join(lacking[:5])}{', …' if len(lacking) > 5 else ''}: "
            f"{'; '.join(sorted(reasons))}). Give bars like those it was trained on, or train "
            "again."
        )


def _absent_tickers(
    bars: pl.DataFrame, day: dt.date, tickers: tuple[str, ...], min_history: int
) -> dict[str, str]:
    """Say why tickers of the universe cannot be forecast on a day."""
    bars = bars.filter(pl.col("ticker").is_in(list(tickers)))
    history = bars.group_by("ticker").agg(
        pl.len().alias("bars"), pl.col("date").max().alias("last")
    )
    absent = {ticker: "no bars" for ticker in sorted(set(tickers) - set(history["ticker"]))}
    for ticker, count, last in history.sort("ticker").iter_rows():
        if last != day:
            absent[ticker] = f"last bar on {last}"
        elif count <= min_history:
            absent[ticker] = f"{count} bars, {min_history + 1} needed"
    return absent


def feature_matrix(table: pl.DataFrame, names: Sequence[str]) -> Array:
    """Take features as an array (rows, features), float32, NaN where missing."""
    return table.select(names).to_numpy(order="c").astype(np.float32)
