"""The ranking of the last date of some bars by a fitted model, with its reasons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import SMALL_UNIVERSE, FeaturesConfig, LabelConfig, file_hashes
from src.v2.data.bars import clean_bars
from src.v2.data.context import Context
from src.v2.data.universe import Universe, mark_members
from src.v2.errors import ConfigError, ModelError
from src.v2.evaluation.ratings import rate
from src.v2.explain.direction import quantity_name, signed_values
from src.v2.explain.places import places, shared_features, spread_dates
from src.v2.explain.reasons import reason_rows
from src.v2.features.as_of import as_of
from src.v2.features.compute import FeatureTable, compute_features
from src.v2.features.families import active_features
from src.v2.modeling.code_match import check_feature_code
from src.v2.modeling.intervals import VOLATILITY_BARS, add_interval, horizon_volatility
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.shown_return import add_shown_return
from src.v2.modeling.walk_forward import class_probabilities, probability_column, ranking_score

Array = np.ndarray[Any, Any]
Mask = npt.NDArray[np.bool_]

LEAST_UNIVERSE = 0.5
REASONS = 3
USUAL_COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class Forecast:
    """The ranked rows of one date.

    Parameters
    ----------
    rows
        | rank | ticker | date | close | score |, then | predicted_return | return_low |
        return_high | (fractions; the bounds null where the card holds no interval) for
        regression or | p_<class> ... | for classification, and | rating | reasons |; best
        first. A rating is the fifth of the ranking, from Strong Sell to Strong Buy; without
        evidence of skill it is the verdict instead, and null below 20 tickers. Reasons are a
        list of up to three sentences on what moved the model most, strongest first, each with
        its contribution to what is explained (`src.v2.explain.direction.quantity_name`; log-odds
        are those before calibration): they tell of the model, not of what the stock will do.
    absent
        Reason by ticker of the model's universe, or by member of the date where a file names
        them, that could not be forecast.
    in_sample
        Whether the model was fitted on rows of this date or later ones: it then knows what
        followed, and the rows are no forecast.
    """

    rows: pl.DataFrame
    absent: Mapping[str, str]
    in_sample: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is known of the last date of the bars.

    Parameters
    ----------
    table
        | date | ticker | one column a feature | close |, one row a ticker that can be forecast.
    matrix
        Array (rows, features of the model), float32, NaN where missing.
    frame
        | date | ticker | one column a feature |, every date.
    absent
        Reason by ticker that cannot be forecast.
    docs
        What each feature says, by name.
    volatility
        | date | ticker | volatility | of the horizon, see
        `src.v2.modeling.intervals.horizon_volatility`.
    """

    table: pl.DataFrame
    matrix: Array
    frame: pl.DataFrame
    absent: Mapping[str, str]
    docs: Mapping[str, str]
    volatility: pl.DataFrame


def rank_last_date(
    bars: pl.DataFrame,
    model: FittedModel,
    card: ModelCard,
    market: pl.DataFrame | None,
    context: Context | None = None,
    universe: Universe | None = None,
    coverage: float = USUAL_COVERAGE,
) -> Forecast:
    """Rank the last date of the bars, as `src.v2.api.predict` does."""
    decision = decision_rows(bars, card, market, context, universe)
    rows = _scored(decision, model, card, interval_multiple(card, coverage))
    rows = rows.with_columns(
        pl.Series("rating", _ratings(rows, card), dtype=pl.String),
        pl.Series("reasons", _reasons(decision, model, card), dtype=pl.List(pl.String)),
    ).sort(["score", "ticker"], descending=[True, False])
    in_sample = rows["date"][0] <= dt.date.fromisoformat(card.train_last) if rows.height else False
    return Forecast(rows.with_row_index("rank", offset=1), decision.absent, in_sample)


def _scored(
    decision: Decision, model: FittedModel, card: ModelCard, multiple: float | None
) -> pl.DataFrame:
    """Forecast each ticker, and show the forecast as it was evaluated."""
    raw = model.predict(decision.matrix)
    rows = decision.table.select("ticker", "date", "close").with_columns(
        pl.Series("score", ranking_score(raw, len(card.classes)))
    )
    if not card.classes:
        rows = rows.with_columns(pl.lit(card.expanding_mean).alias("expanding_mean"))
        rows = add_shown_return(rows, card.target, card.rank_map)
        rows = rows.rename({"prediction": "predicted_return"}).drop("expanding_mean")
        return add_interval(rows, decision.volatility, multiple)
    shares = class_probabilities(raw).astype(np.float64)
    if card.probability_map is not None:
        shares = card.probability_map.apply(shares)
    return rows.hstack(
        [
            pl.Series(probability_column(name), shares[:, code])
            for code, name in enumerate(card.classes)
        ]
    )


def interval_multiple(card: ModelCard, coverage: float) -> float | None:
    """Give the multiple of volatility that a card has for a level; None where it has none.

    Raises
    ------
    ConfigError
        When the card holds other levels than this one.
    """
    if card.intervals is None:
        return None
    found = card.intervals.at(coverage)
    if found is None:
        levels = ", ".join(f"{each.level:g}" for each in card.intervals.levels)
        raise ConfigError(
            f"predict.coverage must be a level that the model's card holds: {levels}; got "
            f"{coverage:g}."
        )
    return found.multiple


def _ratings(rows: pl.DataFrame, card: ModelCard) -> list[str | None]:
    """Rate each row by its fifth of the ranking, or say that the ratings mean nothing."""
    if card.verdict != "evidence":
        return [card.verdict] * rows.height
    if rows.height < SMALL_UNIVERSE:
        return [None] * rows.height
    return [*rate(rows["score"])]


def explained_quantity(card: ModelCard) -> str:
    """Name what the reasons of a model's forecasts add up to."""
    return quantity_name(LabelPlan(LabelConfig(), card.target, None, card.classes))


def _reasons(decision: Decision, model: FittedModel, card: ModelCard) -> list[list[str]]:
    """Say what moved the model most, for each row."""
    if decision.table.is_empty():
        return []
    matrix = decision.matrix
    values, _ = model.contributions(matrix)
    day = decision.table["date"][0]
    shared, earlier = shared_values(decision.frame, day, card.features)
    where = places(matrix, matrix, earlier, shared)
    quantity = explained_quantity(card)
    return reason_rows(
        matrix, signed_values(values), where, card.features, decision.docs, quantity, REASONS
    )


def shared_values(frame: pl.DataFrame, day: dt.date, names: tuple[str, ...]) -> tuple[Mask, Array]:
    """Tell which features the tickers of a date share, and their values before a day."""
    days = frame["date"].to_physical()
    looked_at = frame.filter(days.is_in(spread_dates(days.to_numpy()).tolist()))
    session = looked_at["date"].to_physical().to_numpy()
    shared = shared_features(_matrix(looked_at, names), session)
    common = [name for name, same in zip(names, shared, strict=True) if same]
    before = frame.lazy().filter(pl.col("date") < day).group_by("date").agg(pl.col(common).max())
    return shared, _matrix(before.collect(), common)


def _matrix(table: pl.DataFrame, names: Sequence[str]) -> Array:
    """Take features as an array (rows, features), float32, NaN where missing."""
    return table.select(names).to_numpy(order="c").astype(np.float32)


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
    settings = FeaturesConfig(**card.feature_settings)
    _check_modules(settings, card)
    check_feature_code(settings, card)
    if card.with_market and market is None:
        raise ModelError("The model was trained with a market; give its bars as market.")
    known = _context_of_model(context, card)
    bars, _ = clean_bars(bars, 2, 1.0, own_columns=tuple(settings.columns))
    bars, tickers = _bars_of_universe(bars, card, universe)
    day = bars["date"].max()
    assert isinstance(day, dt.date)
    _check_series(known, bars["date"].unique().sort())
    features = active_features(settings, card.series)
    computed = compute_features(bars, features, market, known)
    _check_columns(computed, card)
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
    docs = {feature.name: feature.doc for feature in features}
    newest = bars.sort("date").group_by("ticker").tail(VOLATILITY_BARS + 1)
    volatility = horizon_volatility(newest, card.forward_days)
    return Decision(table, _matrix(table, card.features), computed.frame, absent, docs, volatility)


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
