"""The answer to a request: rows of the ranking that `src.v2.predict` would give."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from src.v2.api import load
from src.v2.forecasting import USUAL_COVERAGE, Forecast, rank_last_date
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.reference import Reference, check_reference, read_reference
from src.v2.serving.requests import RequestError, read_request

_NAMED = 5


class Scorer:
    """A model and the bars it is served with.

    Parameters
    ----------
    model, card
        From `src.v2.api.load`.
    reference
        The last sessions of its universe.

    Raises
    ------
    DataError
        When the reference is too short for any decision.
    """

    def __init__(self, model: FittedModel, card: ModelCard, reference: Reference) -> None:
        check_reference(reference, card)
        self.model, self.card, self.reference = model, card, reference

    def answer(self, rows: pl.DataFrame, as_of: str = "") -> pl.DataFrame:
        """Rank a date by given bars and the reference, and show the tickers given.

        Parameters
        ----------
        rows, as_of
            As `src.v2.serving.requests.read_request` takes them.

        Returns
        -------
        polars.DataFrame
            The rows of `src.v2.forecasting.Forecast`, with | ranked | (how many tickers the
            rank is among), | verdict | of the model, and | in_sample | (the model was fitted
            on what came after this date, so that the row is no forecast).

        Raises
        ------
        RequestError
            When the request is wrong, or a ticker of it cannot be forecast.
        ModelError
            When the reference does not fit the model.
        """
        request = read_request(rows, as_of, self.reference, self.card)
        day = request.day
        forecast = self._ranking(request.bars, day)
        ranked = forecast.rows
        absent = [name for name in request.tickers if name not in set(ranked["ticker"])]
        if absent:
            why = "; ".join(
                f"{name}: {forecast.absent.get(name, 'not ranked')}" for name in absent[:_NAMED]
            )
            more = ", …" if len(absent) > _NAMED else ""
            raise RequestError(
                f"{len(absent)} of {len(request.tickers)} tickers cannot be forecast on {day} "
                f"({why}{more}). Give more of their bars, or leave them out."
            )
        shown = ranked.filter(pl.col("ticker").is_in(list(request.tickers)))
        return shown.with_columns(
            pl.lit(ranked.height, dtype=pl.UInt32).alias("ranked"),
            pl.lit(self.card.verdict).alias("verdict"),
            pl.lit(forecast.in_sample).alias("in_sample"),
        )

    def warm_up(self) -> None:
        """Rank the last date of the reference: what does not fit together is told now.

        Raises
        ------
        ModelError
            When the reference does not fit the model.
        """
        self._ranking(self.reference.bars, self.reference.sessions[-1])

    def _ranking(self, bars: pl.DataFrame, day: dt.date) -> Forecast:
        held = self.reference
        market = held.market
        return rank_last_date(
            bars,
            self.model,
            self.card,
            None if market is None else market.filter(pl.col("date") <= day),
            held.context.until(day),
            held.universe,
            usual_coverage(self.card),
        )


def usual_coverage(card: ModelCard) -> float:
    """Give the level of the intervals shown: 80%, or the first that the card holds."""
    if card.intervals is None or card.intervals.at(USUAL_COVERAGE) is not None:
        return USUAL_COVERAGE
    return card.intervals.levels[0].level


def open_scorer(model: Path, reference: Path) -> Scorer:
    """Read a model folder and the reference beside it.

    Raises
    ------
    ModelError
        When either is missing or damaged.
    """
    fitted, card = load(model)
    return Scorer(fitted, card, read_reference(reference))
