"""Training and forecasting for notebooks: data frames in, records out.

Nothing is written to disk here, and the holdout's ledger is not touched: an opening made in a
notebook is the notebook's to count.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import SMALL_UNIVERSE, FeaturesConfig, module_hashes
from src.v2.config_sources import load_config
from src.v2.console import Stages, no_progress
from src.v2.data.bars import bars_fingerprint, clean_bars
from src.v2.errors import ConfigError, DataError, ModelError
from src.v2.evaluation.ratings import rate
from src.v2.explain.shap_values import explain_rows
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.ledgers import uncounted
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.learners.xgboost_trees import load_xgboost
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import MODEL_NAME, read_card
from src.v2.modeling.shown_return import add_shown_return
from src.v2.modeling.walk_forward import probability_column
from src.v2.pipeline import Trained, prepare_panel, train_model
from src.v2.records import Coverage, Drop

if TYPE_CHECKING:
    import pandas as pd
    import shap

    Frame = pl.DataFrame | pd.DataFrame


FRAME_SETTINGS = {"min_history", "max_dropped_share"}
"""Settings of the section data that mean something for a frame."""

MARKET_NOTE = "market features read the market given"
LEAST_UNIVERSE = 0.5


@dataclass(frozen=True, slots=True)
class Forecast:
    """The ranked rows of one date.

    Parameters
    ----------
    rows
        | rank | ticker | date | close | score |, then | predicted_return (fraction) | for
        regression or | p_<class> ... | for classification, and | rating |; best first. A
        rating is the fifth of the ranking, from Strong Sell to Strong Buy; without evidence of
        skill it is the verdict instead, and null below 20 tickers.
    absent
        Reason by ticker of the model's universe that could not be forecast.
    in_sample
        Whether the model was fitted on rows of this date or later ones: it then knows what
        followed, and the rows are no forecast.
    """

    rows: pl.DataFrame
    absent: Mapping[str, str]
    in_sample: bool


def train(
    bars: Frame,
    settings: Mapping[str, Any] | None = None,
    market: pl.DataFrame | None = None,
) -> Trained:
    """Train on a data frame.

    Parameters
    ----------
    bars
        | date | ticker | close | and, where known, | open | high | low | volume |.
    settings
        Settings by section, as in ``{"label": {"forward_days": 60}}``; the rest are defaults.
        Where bars come from is not among them: the frame is the universe.
    market
        | date | close | of the market; absent: the equal-weight mean of the universe.

    Returns
    -------
    Trained
        `.result` holds every number, `.model` the fitted model, `.card` what it is.

    Raises
    ------
    OmninmoError
        As the train command does.
    """
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
    coverage = _frame_coverage(cleaned, drops, market)
    prepared = prepare_panel(cleaned, market, coverage, config, stages)
    return train_model(prepared, config, stages, uncounted(), no_progress)


def _frame_coverage(
    bars: pl.DataFrame, drops: tuple[Drop, ...], market: pl.DataFrame | None
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
        notes=() if market is None else (MARKET_NOTE,),
    )


def predict(
    bars: Frame, model: FittedModel, card: ModelCard, market: pl.DataFrame | None = None
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

    Raises
    ------
    ModelError
        When the bars cannot make a feature that the model needs, hold less than half of its
        universe, or come without the market that it was trained with.
    """
    table, absent = _decision_rows(as_polars(bars), card, market)
    matrix = table.select(card.features).to_numpy(order="c").astype(np.float32)
    raw = model.predict(matrix)
    rows = table.select("ticker", "date", "close")
    if card.classes:
        wide = np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw
        shares: npt.NDArray[np.float64] = wide.astype(np.float64)
        names = [probability_column(name) for name in card.classes]
        score = shares @ np.arange(len(names), dtype=np.float64)
        if card.probability_map is not None:
            shares = card.probability_map.apply(shares)
        rows = rows.with_columns(pl.Series("score", score)).hstack(
            [pl.Series(name, shares[:, code]) for code, name in enumerate(names)]
        )
    else:
        scored = rows.with_columns(
            pl.Series("score", raw.astype(np.float64)),
            pl.lit(card.expanding_mean).alias("expanding_mean"),
        )
        rows = add_shown_return(scored, card.target, card.rank_map)
        rows = rows.rename({"prediction": "predicted_return"}).drop("expanding_mean")
    rows = _rated(rows, card).sort(["score", "ticker"], descending=[True, False])
    in_sample = rows["date"][0] <= dt.date.fromisoformat(card.train_last) if rows.height else False
    return Forecast(rows.with_row_index("rank", offset=1), absent, in_sample)


def _rated(rows: pl.DataFrame, card: ModelCard) -> pl.DataFrame:
    """Rate each row by its fifth of the ranking, or say that the ratings mean nothing."""
    if card.verdict != "evidence":
        ratings: list[str | None] = [card.verdict] * rows.height
    elif rows.height < SMALL_UNIVERSE:
        ratings = [None] * rows.height
    else:
        ratings = rate(rows["score"])
    return rows.with_columns(pl.Series("rating", ratings, dtype=pl.String))


def explain(
    bars: Frame, model: FittedModel, card: ModelCard, market: pl.DataFrame | None = None
) -> shap.Explanation:
    """Explain the forecasts of the last date of the bars, for the plots of ``shap``.

    Raises
    ------
    ModelError
        As `predict`, and when the values do not add up to the forecast.
    """
    import shap

    table, _ = _decision_rows(as_polars(bars), card, market)
    matrix = table.select(card.features).to_numpy(order="c").astype(np.float32)
    values, base = explain_rows(model.booster, matrix, card.features, model.rounds)
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
    folder = Path(path)
    card = read_card(folder)
    model = load_xgboost(folder / MODEL_NAME)
    if tuple(model.booster.feature_names or ()) != card.features:
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


def _check_modules(features: FeaturesConfig, card: ModelCard) -> None:
    """Refuse own features that are not those that the model was trained with."""
    found = module_hashes(features.modules)
    for path in features.modules:
        if path not in found or found[path] != card.module_hashes.get(path):
            raise ModelError(
                f"The model was trained with own features from {path}, which is missing or has "
                "changed since. Bring the file back, or train again."
            )


def _decision_rows(
    bars: pl.DataFrame, card: ModelCard, market: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Features of the last date, one row a ticker, and the tickers that have none."""
    features_config = FeaturesConfig(**card.feature_settings)
    _check_modules(features_config, card)
    if card.with_market and market is None:
        raise ModelError("The model was trained with a market; give its bars as market.")
    bars, _ = clean_bars(bars, 2, 1.0, own_columns=tuple(features_config.columns))
    bars = bars.filter(pl.col("ticker").is_in(list(card.tickers)))
    there = bars["ticker"].n_unique()
    if there < LEAST_UNIVERSE * len(card.tickers):
        raise ModelError(
            f"The bars hold {there} of the model's {len(card.tickers)} tickers; ranks and the "
            "market need at least half. Give the bars of its universe, or train again."
        )
    features = active_features(features_config)
    computed = compute_features(bars, features, market)
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
    day = bars["date"].max()
    history = bars.group_by("ticker").agg(
        pl.len().alias("bars"), pl.col("date").max().alias("last")
    )
    absent: dict[str, str] = {
        ticker: "no bars" for ticker in sorted(set(card.tickers) - set(history["ticker"]))
    }
    for ticker, count, last in history.sort("ticker").iter_rows():
        if last != day:
            absent[ticker] = f"last bar on {last}"
        elif count <= card.min_history:
            absent[ticker] = f"{count} bars, {card.min_history + 1} needed"
    closes = bars.filter(pl.col("date") == day).select("ticker", "close")
    table = (
        computed.frame.filter((pl.col("date") == day) & ~pl.col("ticker").is_in(list(absent)))
        .join(closes, on="ticker", how="left")
        .sort("ticker")
    )
    return table, absent
