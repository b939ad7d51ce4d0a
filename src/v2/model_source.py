"""Which model is meant, and the bars that it forecasts from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from src.v2.config import Config
from src.v2.console import progress_bar, show_note
from src.v2.data.context import Context, load_context
from src.v2.data.sources import load_bars, source_universe
from src.v2.data.universe import Universe
from src.v2.errors import DataError, ModelError, OmninmoError
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import newest_model, read_card
from src.v2.tracking.model_version import CHAMPION

REGISTERED = "models:/"
NEWEST = "newest"
"""Stands for the newest model folder, as ``champion`` does for the registry's champion."""

Chosen = Literal["named", "champion", "newest"]
REGISTRY_CACHE = ".registry"
"""Folder below the models that registered ones are kept in; `newest_model` passes it over."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model lies, why it is the one, and what the registry calls it.

    Parameters
    ----------
    registered, version
        Name and number in the registry; None for a folder.
    alias
        By which it was found; None without one.
    roles
        Every alias that the version has.
    chosen
        Whether the user named it, or it is the registry's champion or the newest folder.
    why
        The reason in words; empty where the user named it.
    newer
        A folder trained later than the champion; None without one.
    """

    path: Path
    registered: str | None = None
    version: str | None = None
    alias: str | None = None
    roles: tuple[str, ...] = ()
    chosen: Chosen = "named"
    why: str = ""
    newer: Path | None = None

    @property
    def shown(self) -> str:
        """Name for a reader."""
        if self.registered is None:
            return self.path.name
        alias = f" ({self.alias})" if self.alias else ""
        return f"{self.registered} version {self.version}{alias}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Why it is this model, and where a newer one lies, as sentences for a reader."""
        told = [f"it is {self.why}."] if self.why else []
        if self.newer is not None:
            told.append(
                f"{self.newer} was trained later and is not the champion: --model {NEWEST} takes "
                "it this once, make promote puts a registered model to use."
            )
        return tuple(told)


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
    """Find the model that is meant.

    Parameters
    ----------
    named
        A folder, a model of the registry as ``models:/name@alias``, ``champion`` or ``newest``;
        None for the champion of ``mlflow.registered_model_name``, or, where none was ever
        promoted, the newest folder.

    Raises
    ------
    ModelError
        When there is none, or the champion's files are gone, or its store has lost it though
        the log of promotions says that there was one: no other takes its place.
    TrackingError
        When the champion is meant and the registry cannot be asked, for the same reason.
    """
    if named is None:
        return _model_in_use(config)
    if named == NEWEST:
        return _newest_folder(config, ", as asked")
    if named == CHAMPION:
        return _champion(config, ", as asked")
    if named.startswith(REGISTERED):
        return _registered_model(named, config)
    return ModelSource(Path(named))


def _model_in_use(config: Config) -> ModelSource:
    """Take the champion where there is one; a registry that does not answer is an error."""
    from src.v2.tracking.aliases import has_champion

    try:
        if has_champion(config.mlflow):
            return _champion(config, ", since no model is named")
        _refuse_lost_champion(config)
    except OmninmoError as error:
        error.add_note(
            "no model is named, so the champion is meant, and no other is taken in its place; "
            f"--model {NEWEST} or --model FOLDER asks no registry"
        )
        raise
    name = config.mlflow.registered_model_name
    return _newest_folder(config, f": {_store(config)} has no champion of {name!r}")


def _refuse_lost_champion(config: Config) -> None:
    """Stop where the log of promotions knows a champion that its store has lost."""
    from src.v2.tracking.promotion_log import PROMOTIONS_NAME, last_promoted

    folder, name = config.paths.ledger_dir, config.mlflow.registered_model_name
    event = last_promoted(folder, _store(config), name)
    if event is not None:
        raise ModelError(
            f"{_store(config)} must have a champion of {name!r}: {folder / PROMOTIONS_NAME} says "
            f"that version {event.version} became it at {event.at}. It has none. Restore the store "
            f"from a copy, promote a version again, or name a model: --model {NEWEST} or --model "
            "FOLDER."
        )


def _newest_folder(config: Config, why: str) -> ModelSource:
    folder = config.paths.models_dir
    found = newest_model(folder)
    return ModelSource(found, chosen="newest", why=f"the newest in {folder}{why}")


def _champion(config: Config, why: str) -> ModelSource:
    """Bring the champion to this disk, and look for a folder trained later."""
    named = f"{REGISTERED}{config.mlflow.registered_model_name}@{CHAMPION}"
    found = _registered_model(named, config)
    newer = _newer_folder(config.paths.models_dir, found.path)
    why = f"the champion in {_store(config)}{why}"
    return replace(found, chosen="champion", why=why, newer=newer)


def _store(config: Config) -> str:
    from src.v2.tracking.uris import parse_address

    return parse_address(config.mlflow.tracking_uri).shown


def _newer_folder(folder: Path, champion: Path) -> Path | None:
    """Give the newest model folder if it was trained after the champion."""
    try:
        newest = newest_model(folder)
    except ModelError:
        return None
    later = read_card(newest).trained_at > read_card(champion).trained_at
    return newest if later else None


def _registered_model(named: str, config: Config) -> ModelSource:
    """Bring a registered model to this disk."""
    from src.v2.tracking.registry import resolve

    found = resolve(config.mlflow, named, config.paths.models_dir / REGISTRY_CACHE)
    _, _, alias = named.partition("@")
    version = found.version
    return ModelSource(
        found.folder, version.name, str(version.version), alias or None, version.aliases
    )


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
            f"The model {card.name} needs own features from {', '.join(unnamed)}. A model folder "
            f"may not make code run: name them yourself, --features.modules {' '.join(unnamed)}."
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
    oldest, newest = bars["date"].min(), bars["date"].max()
    assert isinstance(oldest, dt.date) and isinstance(newest, dt.date)
    if as_of is not None:
        bars = bars.filter(pl.col("date") <= as_of)
        market = None if market is None else market.filter(pl.col("date") <= as_of)
        if bars.is_empty():
            raise DataError(
                f"--as-of must not be before the first bar, of {oldest}; got {as_of}. Name a later "
                "date, or take more history: --period."
            )
    day = bars["date"].max()
    assert isinstance(day, dt.date)
    universe = source_universe(config.data)
    return ModelBars(bars, market, context, universe, day, day < newest)
