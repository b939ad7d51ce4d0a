"""What a server carries of the universe: its last sessions, to join given bars to."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.v2.config import FeaturesConfig
from src.v2.data.columns import SCHEMA
from src.v2.data.context import Context
from src.v2.data.universe import MEMBER, Universe
from src.v2.data.writing import write_parquet
from src.v2.errors import DataError, ModelError
from src.v2.features.families import active_features
from src.v2.model_source import ModelBars
from src.v2.modeling.intervals import VOLATILITY_BARS
from src.v2.modeling.model_card import ModelCard

SLACK = 252
"""Sessions carried beyond the longest look-back: recursive means settle in them, tickers with
gaps keep their look-backs, and earlier decision dates can be asked for."""

BARS_NAME = "bars.parquet"
MARKET_NAME = "market.parquet"
UNIVERSE_NAME = "universe.parquet"
SERIES_PREFIX = "series_"
ABOUT_NAME = "reference.json"


@dataclass(frozen=True, slots=True)
class Reference:
    """The last sessions of a model's universe, and what else its features read.

    Parameters
    ----------
    bars
        | date | ticker | open | high | low | close | volume | own columns |, as far as there,
        sorted by ticker and date.
    market
        | date | close | of the market ticker, for a model that was trained with one.
    context
        The series that the model reads.
    universe
        Who was a member when, for a model trained on a point-in-time universe.
    model
        Name of the model for a reader.
    sessions
        Distinct dates of the bars, sorted; found by itself.
    """

    bars: pl.DataFrame
    market: pl.DataFrame | None
    context: Context
    universe: Universe | None
    model: str
    sessions: pl.Series = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the sessions, once."""
        object.__setattr__(self, "sessions", self.bars["date"].unique().sort())


def needed_sessions(card: ModelCard) -> int:
    """Count the sessions, the decision's included, that a model's features look back over."""
    settings = FeaturesConfig(**card.feature_settings)
    longest = max((each.lookback for each in active_features(settings, card.series)), default=0)
    return max(longest, card.min_history, VOLATILITY_BARS) + 1


def cut_reference(held: ModelBars, card: ModelCard, model: str) -> Reference:
    """Take the last sessions of a model's bars: those needed and `SLACK` more.

    Parameters
    ----------
    held
        The bars that `src.v2.predict` would rank.
    model
        Name of the model for a reader.
    """
    days = held.bars["date"].unique().sort().tail(needed_sessions(card) + SLACK)
    first = days[0]
    oldest = first - dt.timedelta(days=held.context.max_age)
    series = {
        name: rows.filter(pl.col("date") >= oldest) for name, rows in held.context.series.items()
    }
    market = held.market
    return Reference(
        held.bars.filter(pl.col("date") >= first).drop(MEMBER, strict=False),
        None if market is None else market.filter(pl.col("date") >= first),
        Context(series),
        held.universe,
        model,
    )


def write_reference(reference: Reference, folder: Path) -> None:
    """Write a reference into a new folder: Parquet files, and a JSON file that says what it is."""
    folder.mkdir(parents=True)
    write_parquet(reference.bars, folder / BARS_NAME)
    if reference.market is not None:
        write_parquet(reference.market, folder / MARKET_NAME)
    if reference.universe is not None:
        write_parquet(reference.universe.spans, folder / UNIVERSE_NAME)
    for name, rows in reference.context.series.items():
        write_parquet(rows, folder / f"{SERIES_PREFIX}{name}.parquet")
    days = reference.sessions
    about = {
        "model": reference.model,
        "first": days[0].isoformat(),
        "last": days[-1].isoformat(),
        "sessions": len(days),
        "tickers": reference.bars["ticker"].n_unique(),
    }
    (folder / ABOUT_NAME).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_reference(folder: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises
    ------
    ModelError
        When a file is missing or damaged.
    """
    try:
        about = json.loads((folder / ABOUT_NAME).read_text(encoding="utf-8"))
        bars = _table(folder / BARS_NAME)
        market = _table(folder / MARKET_NAME) if (folder / MARKET_NAME).exists() else None
        spans = _table(folder / UNIVERSE_NAME) if (folder / UNIVERSE_NAME).exists() else None
        series = {
            file.stem.removeprefix(SERIES_PREFIX): _table(file)
            for file in sorted(folder.glob(f"{SERIES_PREFIX}*.parquet"))
        }
        model = str(about["model"])
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise ModelError(
            f"{folder} holds no bars to serve from, or is damaged. Build the package again: "
            "python -m src.v2.serve --build-only FOLDER."
        ) from error
    return Reference(
        bars, market, Context(series), None if spans is None else Universe(spans, 0), model
    )


def number_columns(reference: Reference) -> tuple[str, ...]:
    """Name the columns of numbers that given bars must have: those that the reference has."""
    return tuple(name for name in reference.bars.columns if name not in ("date", "ticker"))


def own_columns(reference: Reference) -> tuple[str, ...]:
    """Name the columns beside the usual ones."""
    return tuple(name for name in number_columns(reference) if name not in SCHEMA)


def _table(file: Path) -> pl.DataFrame:
    return pl.read_parquet(file, glob=False, hive_partitioning=False)


def check_reference(reference: Reference, card: ModelCard) -> None:
    """Refuse a reference too short for any decision.

    Raises
    ------
    DataError
        When it has fewer sessions than the model looks back over.
    """
    needed, found = card.min_history + 1, len(reference.sessions)
    if found < needed:
        raise DataError(
            f"The bars to serve from must have at least {needed} sessions, which the model's "
            f"features need; got {found}. Give more history (data.period, data.path)."
        )
