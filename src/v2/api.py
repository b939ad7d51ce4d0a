"""Training and forecasting for notebooks: data frames in, records out.

Nothing is left on disk here, and the holdout's ledger is not touched: an opening made in a
notebook is the notebook's to count.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.v2.config_sources import load_config
from src.v2.console import Stages, let_waiting_threads_sleep, no_progress
from src.v2.data.bars import bars_fingerprint, clean_bars
from src.v2.data.context import Context, series_of
from src.v2.data.universe import (
    Universe,
    load_universe,
    mark_members,
    universe_coverage,
    universe_lines,
)
from src.v2.decision_rows import decision_rows
from src.v2.errors import ConfigError, DataError, ModelError
from src.v2.forecasting import USUAL_COVERAGE, Forecast, rank_last_date
from src.v2.ledgers import uncounted
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.learners.making import load_learned
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import check_model_files, read_card
from src.v2.pipeline import Trained, train_model
from src.v2.preparation import prepare_panel
from src.v2.records import Coverage, Drop, UniverseCoverage
from src.v2.scale.opening import open_engine

if TYPE_CHECKING:
    import pandas as pd
    import shap

    Frame = pl.DataFrame | pd.DataFrame


FRAME_SETTINGS = {
    "min_history",
    "max_dropped_share",
    "context_lag",
    "context_max_age",
    "universe",
}
"""Settings of the section data that mean something for a frame."""

MARKET_NOTE = "market features read the market given"


def train(
    bars: Frame,
    settings: Mapping[str, Any] | None = None,
    market: pl.DataFrame | None = None,
    context: Context | None = None,
) -> Trained:
    """Train on a data frame.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, | open | high | low | volume |.
    settings
        Settings by section, as in ``{"label": {"forward_days": 60}}``; the rest are defaults.
        Where bars come from is not among them: the frame is the universe, or holds the bars
        of those whom the file of ``data.universe`` names.
    market
        | date | close | of the market; absent: the equal-weight mean of the universe.
    context
        From `make_context`: series that all tickers share, and sectors. Its lag and age are
        those of the settings.

    Returns
    -------
    Trained
        `.result` holds every number, `.model` the fitted model, `.card` what it is.

    Raises
    ------
    OmninmoError
        As the train command does.
    """
    let_waiting_threads_sleep()
    config = load_config((), environ={}, overlay=dict(settings or {}), files=False)
    ignored = set(dict(settings or {}).get("data", {})) - FRAME_SETTINGS
    if ignored:
        raise ConfigError(
            f"api.train takes its bars from the frame; data.{min(ignored)} would do nothing. "
            "Filter the frame instead."
        )
    cleaned, drops = clean_bars(
        as_polars(bars),
        config.data.min_history,
        config.data.max_dropped_share,
        own_columns=tuple(config.features.columns),
    )
    stages = Stages()
    members = None
    if config.data.universe is not None:
        cleaned, members = _in_universe(cleaned, load_universe(config.data.universe))
    coverage = _frame_coverage(cleaned, drops, market, members)
    known = dataclasses.replace(
        context or Context(), lag=config.data.context_lag, max_age=config.data.context_max_age
    )
    with open_engine(config, stages) as engine:
        prepared = prepare_panel(cleaned, market, coverage, config, stages, known, engine)
        return train_model(prepared, config, stages, uncounted(), no_progress)


def _in_universe(bars: pl.DataFrame, universe: Universe) -> tuple[pl.DataFrame, UniverseCoverage]:
    """Mark the members among bars, without the tickers that never are."""
    first, last = bars["date"].min(), bars["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    universe = universe.between(first, last)
    others = set(bars["ticker"].unique()) - set(universe.tickers)
    marked = mark_members(bars.filter(~pl.col("ticker").is_in(list(others))), universe)
    return marked, universe_coverage(marked, universe, others)


def _frame_coverage(
    bars: pl.DataFrame,
    drops: tuple[Drop, ...],
    market: pl.DataFrame | None,
    universe: UniverseCoverage | None,
) -> Coverage:
    first, last = bars["date"].min(), bars["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    return Coverage(
        source="a data frame",
        dataset_name="frame",
        tickers=tuple(bars["ticker"].unique().sort().to_list()),
        drops=drops,
        rows=bars.height,
        sessions=bars["date"].n_unique(),
        first=first,
        last=last,
        fingerprint=bars_fingerprint(bars),
        notes=(
            *((MARKET_NOTE,) * (market is not None)),
            *(universe_lines(universe) if universe is not None else ()),
        ),
        universe=universe,
    )


def make_context(
    series: Mapping[str, Frame] | None = None, sectors: Mapping[str, str] | None = None
) -> Context:
    """Take what is known beside the bars.

    Parameters
    ----------
    series
        By name, each | date | close | or a date and one other column of numbers; ``vix`` is a
        volatility index in percent a year.
    sectors
        Sector by ticker.

    Raises
    ------
    DataError
        When a frame has no such columns, no value, or two values of a date.
    """
    read: dict[str, pl.DataFrame] = {}
    notes: list[str] = []
    for name, frame in (series or {}).items():
        read[name], remarks = series_of(as_polars(frame), f"the series {name}")
        notes += remarks
    return Context(read, dict(sectors or {}), notes=tuple(notes))


def predict(
    bars: Frame,
    model: FittedModel,
    card: ModelCard,
    market: pl.DataFrame | None = None,
    context: Context | None = None,
    universe: Universe | None = None,
    coverage: float = USUAL_COVERAGE,
) -> Forecast:
    """Rank the last date of the bars.

    Parameters
    ----------
    bars
        Bars of the model's universe up to the decision, at least `card.min_history` each.
    model, card
        From `train` or `load`.
    market
        | date | close | of the market that the model was trained with, if any.
    context
        The series that the model was trained with, if any, up to the decision; its sectors are
        those of the card.
    universe
        Of `src.v2.data.universe.load_universe`, for a model that was trained with
        ``data.universe``: its members of the last date are ranked.
    coverage
        Level of the intervals around forecast returns: one that the card holds.

    Raises
    ------
    ConfigError
        When the card holds no such level.
    ModelError
        When the bars cannot make a feature that the model needs, hold less than half of its
        universe, or come without the market, the universe or a series that it was trained
        with, or with a series that is too old.
    """
    return rank_last_date(as_polars(bars), model, card, market, context, universe, coverage)


def explain(
    bars: Frame,
    model: FittedModel,
    card: ModelCard,
    market: pl.DataFrame | None = None,
    context: Context | None = None,
    universe: Universe | None = None,
) -> shap.Explanation:
    """Explain the forecasts of the last date of the bars, for the plots of ``shap``.

    Raises
    ------
    ModelError
        As `predict`, and when the values do not add up to the forecast.
    """
    import shap

    matrix = decision_rows(as_polars(bars), card, market, context, universe).matrix
    values, base = model.contributions(matrix)
    single = values.shape[1] == 1
    return shap.Explanation(
        values=values[:, 0] if single else np.moveaxis(values, 1, 2),
        base_values=base[:, 0] if single else base,
        data=matrix,
        feature_names=list(card.features),
        output_names=None if single else list(card.classes),
    )


def load(path: Path | str) -> tuple[FittedModel, ModelCard]:
    """Read a model folder.

    Raises
    ------
    ModelError
        When it is none, is damaged or is of a newer schema.
    """
    let_waiting_threads_sleep()
    folder = Path(path)
    card = read_card(folder)
    check_model_files(folder, card)
    model = load_learned(card.learner, folder)
    if model.feature_names != card.features:
        raise ModelError(f"The card of {folder} names other features than its model. Train again.")
    return model, card


def as_polars(frame: Frame) -> pl.DataFrame:
    """Take a Polars or a pandas frame; an index that is named becomes columns."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if hasattr(frame, "reset_index"):
        named = any(name is not None for name in frame.index.names)
        return pl.from_pandas(frame.reset_index() if named else frame)
    raise DataError(f"bars must be a Polars or pandas frame; got {type(frame).__name__}.")
