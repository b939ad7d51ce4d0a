"""The answer to a request: rows of the ranking that `src.v2.predict` would give."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.v2.api import load
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.rankings import Rankings
from src.v2.serving.reference import Reference, check_reference, read_reference
from src.v2.serving.requests import Request, RequestError, read_request, rules_of

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
    ModelError
        When the features are not computed as they were for the training.
    """

    def __init__(self, model: FittedModel, card: ModelCard, reference: Reference) -> None:
        check_reference(reference, card)
        self.model, self.card, self.reference = model, card, reference
        self._rankings = Rankings(model, card, reference)
        self._rules = rules_of(card)

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
        request = read_request(rows, as_of, self.reference, self._rules)
        day = request.day
        found = self._rankings.find(request)
        forecast, ranked = found.forecast, found.forecast.rows
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
            pl.lit(found.ranked, dtype=pl.UInt32).alias("ranked"),
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
        held = self.reference
        self._rankings.find(Request(held.bars.clear(), (), held.sessions[-1]))


def open_scorer(model: Path, reference: Path) -> Scorer:
    """Read a model folder and the reference beside it.

    Raises
    ------
    ModelError
        When either is missing or damaged.
    """
    fitted, card = load(model)
    return Scorer(fitted, card, read_reference(reference))
