"""Rankings by requests: what was computed for one is kept for the next, within bounds."""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from dataclasses import dataclass

import polars as pl

from src.v2.data.bars import bars_fingerprint
from src.v2.data.context import Context
from src.v2.data.universe import Universe
from src.v2.decision_rows import decision_inputs, decision_rows, model_features
from src.v2.errors import OmninmoError
from src.v2.forecasting import USUAL_COVERAGE, Forecast, rank_decision, shared_values
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.kept import KeptDay, Ready, change_day, keep_day
from src.v2.serving.reference import Reference
from src.v2.serving.requests import Request, joined_bars

DAYS_KEPT = 2
"""Decision dates whose features are kept ready."""

ANSWERS_KEPT = 64
"""Rankings kept, each of the tickers of a date at most."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A ranking, or the rows of it that were asked for, and how many tickers it ranks."""

    forecast: Forecast
    ranked: int


class Kept[Key, Value]:
    """The values used last, up to a number; one thread at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Key) -> Value | None:
        """Give a value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Add a value; the one that was not asked for the longest goes."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class Rankings:
    """Ranks dates by the bars of requests and a reference.

    One ranking is computed at a time: all cores work on it, and requests for the same wait for
    it rather than compute it again. Those that were answered before do not wait.

    Parameters
    ----------
    model, card
        From `src.v2.api.load`.
    reference
        The last sessions of its universe.

    Raises
    ------
    ModelError
        When own features, or the code of the others, are not those of the training.
    """

    def __init__(self, model: FittedModel, card: ModelCard, reference: Reference) -> None:
        self._model, self._card, self._reference = model, card, reference
        self._features = model_features(card)
        self._days: Kept[dt.date, KeptDay] = Kept(DAYS_KEPT)
        self._answers: Kept[tuple[dt.date, str, tuple[str, ...]], Ranked] = Kept(ANSWERS_KEPT)
        self._work = threading.Lock()

    def find(self, request: Request) -> Ranked:
        """Rank the date of a request, as `src.v2.api.predict` ranks its bars, to the bit.

        Returns
        -------
        Ranked
            Every ticker where the request changes no bar; else those asked for.

        Raises
        ------
        ModelError
            When the bars do not fit the model.
        """
        news = request.changed.height > 0
        content = bars_fingerprint(request.changed) if news else ""
        key = (request.day, content, request.tickers if news else ())
        found = self._answers.find(key)
        if found is None:
            with self._work:
                found = self._answers.find(key)
                if found is None:
                    found = self._changed(request) if news else self._held(request.day)
                    self._answers.keep(key, found)
        return found

    def _held(self, day: dt.date) -> Ranked:
        """Rank a date by the bars that are held."""
        return self._ranked(self._keep(day))

    def _changed(self, request: Request) -> Ranked:
        """Rank a date by the bars that are held and those of a request."""
        kept = self._kept(request.day)
        ready = None
        if kept is not None and kept.basis.inputs.day == request.day:
            names = request.changed["ticker"].unique()
            bars = joined_bars(self._reference, request, names)
            ready = change_day(kept, bars, self._card, self._reference.universe)
        return self._ranked(ready or self._anew(request), request.tickers)

    def _kept(self, day: dt.date) -> KeptDay | None:
        """Give what is kept of a date; None where the held bars alone allow no decision."""
        try:
            if self._days.find(day) is None:
                self._keep(day)
        except OmninmoError:
            return None
        return self._days.find(day)

    def _keep(self, day: dt.date) -> Ready:
        """Compute the features of a date by the bars that are held, and keep them."""
        held = self._reference.bars.filter(pl.col("date") <= day)
        inputs = decision_inputs(held, self._features, self._card, *self._beside(day))
        kept, ready = keep_day(inputs, self._card)
        self._days.keep(day, kept)
        return ready

    def _anew(self, request: Request) -> Ready:
        """Compute every feature of the bars that are held and those of a request."""
        bars = joined_bars(self._reference, request)
        decision = decision_rows(bars, self._card, *self._beside(request.day))
        compared = shared_values(decision.frame, decision.day, self._card.features)
        return Ready(decision, compared)

    def _beside(self, day: dt.date) -> tuple[pl.DataFrame | None, Context, Universe | None]:
        """Give the market, the series and the members, as known on a date."""
        held = self._reference
        market = None if held.market is None else held.market.filter(pl.col("date") <= day)
        return market, held.context.until(day), held.universe

    def _ranked(self, ready: Ready, explained: tuple[str, ...] | None = None) -> Ranked:
        """Rank the tickers of a decision."""
        level = usual_coverage(self._card)
        forecast = rank_decision(
            ready.decision, ready.compared, self._model, self._card, level, explained
        )
        return Ranked(forecast, ready.decision.table.height)


def usual_coverage(card: ModelCard) -> float:
    """Give the level of the intervals shown: 80%, or the first that the card holds."""
    if card.intervals is None or card.intervals.at(USUAL_COVERAGE) is not None:
        return USUAL_COVERAGE
    return card.intervals.levels[0].level
