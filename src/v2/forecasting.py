"""The ranking of the last date of some bars by a fitted model, with its reasons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import SMALL_UNIVERSE, LabelConfig
from src.v2.data.context import Context
from src.v2.data.universe import Universe
from src.v2.decision_rows import Decision, decision_rows, feature_matrix
from src.v2.errors import ConfigError
from src.v2.evaluation.ratings import rate
from src.v2.explain.direction import quantity_name, signed_values
from src.v2.explain.places import places, shared_features, spread_dates
from src.v2.explain.reasons import reason_rows
from src.v2.modeling.intervals import add_interval
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.shown_return import add_shown_return
from src.v2.modeling.walk_forward import class_probabilities, probability_column, ranking_score

Array = np.ndarray[Any, Any]
Mask = npt.NDArray[np.bool_]

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
        Whether the model was fitted on rows of this date or later ones, or on earlier rows
        whose labels reach beyond it: it then knows what followed, and the rows are no forecast.
    """

    rows: pl.DataFrame
    absent: Mapping[str, str]
    in_sample: bool


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
    compared = shared_values(decision.frame, decision.day, card.features)
    return rank_decision(decision, compared, model, card, coverage)


def rank_decision(
    decision: Decision,
    compared: tuple[Mask, Array],
    model: FittedModel,
    card: ModelCard,
    coverage: float = USUAL_COVERAGE,
    explained: Collection[str] | None = None,
) -> Forecast:
    """Rank the tickers of a decision.

    Parameters
    ----------
    compared
        From `shared_values`.
    coverage
        Level of the intervals.
    explained
        Tickers whose rows, with their reasons, are wanted; None for all. Ranks and ratings are
        those among all tickers.
    """
    rows = _scored(decision, model, card, interval_multiple(card, coverage))
    rows = rows.with_columns(pl.Series("rating", _ratings(rows, card), dtype=pl.String))
    rows = rows.sort(["score", "ticker"], descending=[True, False]).with_row_index("rank", offset=1)
    if explained is not None:
        rows = rows.filter(pl.col("ticker").is_in(list(explained)))
    reasons = _reasons(decision, compared, model, card, rows["ticker"])
    rows = rows.join(reasons, on="ticker", how="left", maintain_order="left")
    return Forecast(rows, decision.absent, decision.in_sample)


def _scored(
    decision: Decision, model: FittedModel, card: ModelCard, multiple: float | None
) -> pl.DataFrame:
    """Forecast each ticker, and show the forecast as it was evaluated."""
    raw = _asked(model, decision, len(card.classes))
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


def _asked(model: FittedModel, decision: Decision, classes: int) -> npt.NDArray[np.float32]:
    """Ask the model; without a row libraries give arrays of other shapes, so it is not asked."""
    if decision.table.height:
        return model.predict(decision.matrix)
    return np.zeros((0, classes) if classes else 0, dtype=np.float32)


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


def _reasons(
    decision: Decision,
    compared: tuple[Mask, Array],
    model: FittedModel,
    card: ModelCard,
    tickers: pl.Series,
) -> pl.DataFrame:
    """Say what moved the model most, as | ticker | reasons | of some tickers."""
    asked = decision.table["ticker"].is_in(tickers.implode())
    wanted = asked.to_numpy()
    reasons: list[list[str]] = []
    if wanted.any():
        matrix, told = decision.matrix, decision.matrix[wanted]
        # The last bit of a sampled value may depend on the rows beside it; an exact one's does not.
        alone = model.exact
        values = model.contributions(told)[0] if alone else model.contributions(matrix)[0][wanted]
        shared, earlier = compared
        where = places(told, matrix, earlier, shared)
        reasons = reason_rows(
            told,
            signed_values(values),
            where,
            card.features,
            decision.docs,
            explained_quantity(card),
            REASONS,
        )
    told_of = decision.table.select("ticker").filter(asked)
    return told_of.with_columns(pl.Series("reasons", reasons, dtype=pl.List(pl.String)))


def shared_values(frame: pl.DataFrame, day: dt.date, names: tuple[str, ...]) -> tuple[Mask, Array]:
    """Tell which features the tickers of a date share, and their values before a day."""
    days = frame["date"].to_physical()
    looked_at = frame.filter(days.is_in(spread_dates(days.to_numpy()).tolist()))
    session = looked_at["date"].to_physical().to_numpy()
    shared = shared_features(feature_matrix(looked_at, names), session)
    common = [name for name, same in zip(names, shared, strict=True) if same]
    before = frame.lazy().filter(pl.col("date") < day).group_by("date").agg(pl.col(common).max())
    return shared, feature_matrix(before.collect(), common)
