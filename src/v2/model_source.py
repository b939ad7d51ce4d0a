"""Which model is meant, and the bars that it forecasts from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.v2.config import Config
from src.v2.console import progress_bar, show_note
from src.v2.data.context import Context, load_context
from src.v2.data.sources import load_bars, source_universe
from src.v2.data.universe import Universe
from src.v2.errors import DataError, ModelError
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import newest_model

REGISTERED = "models:/"
REGISTRY_CACHE = ".registry"
"""Folder below the models that registered ones are kept in; `newest_model` passes it over."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model lies, and what it is called in the registry, where it comes from there."""

    path: Path
    registered: str | None = None
    version: str | None = None
    alias: str | None = None

    @property
    def shown(self) -> str:
        """Name for a reader."""
        if self.registered is None:
            return self.path.name
        alias = f" ({self.alias})" if self.alias else ""
        return f"{self.registered} version {self.version}{alias}"


@dataclass(frozen=True, slots=True)
class ModelBars:
    """Bars that a model forecasts from.

    Parameters
    ----------
    bars, market
        As `src.v2.data.sources.load_bars` gives them, up to the date asked for.
    context
        The series that the model reads.
    universe
        Who was a member when, for a model trained on a point-in-time universe.
    day
        Last date of the bars.
    cut
        Whether the source has later bars: what followed is then known.
    """

    bars: pl.DataFrame
    market: pl.DataFrame | None
    context: Context
    universe: Universe | None
    day: dt.date
    cut: bool


def find_model(named: str | None, config: Config) -> ModelSource:
    """Find the model that is named: a folder, a model of the registry, or the newest one.

    Raises
    ------
    ModelError
        When there is none.
    """
    if named is None:
        return ModelSource(newest_model(config.paths.models_dir))
    if named.startswith(REGISTERED):
        return _registered_model(named, config)
    return ModelSource(Path(named))


def _registered_model(named: str, config: Config) -> ModelSource:
    """Bring a registered model to this disk."""
    from src.v2.tracking.registry import resolve

    found = resolve(config.mlflow, named, config.paths.models_dir / REGISTRY_CACHE)
    _, _, alias = named.partition("@")
    return ModelSource(found.folder, found.version.name, str(found.version.version), alias or None)


def card_overlay(card: ModelCard) -> Mapping[str, Any]:
    """Give the settings of the model's own bars and features; the last date is left open.

    A point-in-time universe names its own tickers, also those that joined after the training.
    """
    data = dict(card.data) | {"end": None, "max_dropped_share": 1.0}
    if data.get("universe") is None:
        data["tickers"] = list(card.tickers)
    features = dict(card.feature_settings) | {"modules": list(card.module_hashes)}
    return {"data": data, "features": features}


def refuse_unnamed_modules(config: Config, card: ModelCard) -> None:
    """Run no file only because a card names it: the user must name it too."""
    unnamed = [path for path in card.module_hashes if path not in config.features.modules]
    if unnamed:
        raise ModelError(
            f"The model needs own features from {', '.join(unnamed)}. A model folder may not make "
            f"code run: name them yourself, --features.modules {' '.join(unnamed)}."
        )


def load_model_bars(config: Config, card: ModelCard, as_of: dt.date | None = None) -> ModelBars:
    """Load the universe of a model, with the settings of `card_overlay`, up to a date.

    Raises
    ------
    DataError
        When there are no bars up to that date.
    """
    context = load_context(config.data.model_copy(update={"sectors": None}), card.series)
    for note in context.notes:
        show_note(note)
    bars, market, _ = load_bars(
        config.data, tuple(config.features.columns), config.paths.bars_dir, progress_bar
    )
    newest = bars["date"].max()
    if as_of is not None:
        bars = bars.filter(pl.col("date") <= as_of)
        market = None if market is None else market.filter(pl.col("date") <= as_of)
        if bars.is_empty():
            raise DataError(f"--as-of must not be before the first bar; got {as_of}.")
    day = bars["date"].max()
    assert isinstance(day, dt.date) and isinstance(newest, dt.date)
    universe = source_universe(config.data)
    return ModelBars(bars, market, context, universe, day, day < newest)
