"""Cards and logs made up for the tests of what happens after training."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from src.v2.lifecycle.prediction_log import KINDS, model_id
from src.v2.lifecycle.realised import outcomes
from src.v2.modeling.intervals import IntervalLevel, ReturnIntervals, horizon_volatility
from src.v2.modeling.model_card import ModelCard

INTERVALS = ReturnIntervals(2000, 400, 1900, (IntervalLevel(0.8, 1.2816, 0.8, 0.79, 0.81),))


def make_card(**changes: Any) -> ModelCard:
    """Make the card of a small model of excess returns over 5 sessions."""
    content: dict[str, Any] = {
        "name": "made_up",
        "mode": "regression",
        "learner": "xgboost",
        "features": ("a", "b"),
        "target": "excess",
        "label_rule": "excess",
        "classes": (),
        "forward_days": 5,
        "entry_lag": 1,
        "rounds": 20,
        "trained_at": "2010-01-01T00:00:00+00:00",
        "train_first": "2000-01-04",
        "train_last": "2009-12-31",
        "training_rows": 1,
        "tickers": tuple(f"T{number:03d}" for number in range(24)),
        "expanding_mean": 0.0,
        "rank_map": None,
        "min_history": 60,
        "with_market": False,
        "data": {},
        "feature_settings": {},
        "module_hashes": {},
        "data_fingerprint": "0" * 32,
        "config_fingerprint": "0" * 12,
        "out_of_sample": {},
        "verdict": "no evidence",
        "intervals": None if changes.get("classes") else INTERVALS,
    }
    return ModelCard(**content | changes)


def made_log(
    bars: pl.DataFrame,
    card: ModelCard,
    *,
    skill: float,
    seed: int,
    dates: Sequence[dt.date],
    multiple: float = 1.2816,
) -> pl.DataFrame:
    """Make the log of a model whose scores hold a planted share of what comes.

    Parameters
    ----------
    skill
        Correlation of the scores with the outcome, within a date.
    dates
        Decided on; each ranking is made on the evening of its date.
    multiple
        Half the intervals' width in volatilities; the default holds 80% of a normal.
    """
    rng = np.random.default_rng(seed)
    came = outcomes(bars, card).select("date", "ticker", "forward_return")
    future = pl.col("forward_return")
    within = ((future - future.mean()) / future.std()).over("date").fill_null(0.0)
    half = multiple * pl.col("volatility")
    rows = (
        bars.filter(pl.col("date").is_in(list(dates)))
        .join(came, on=["date", "ticker"], how="left")
        .join(horizon_volatility(bars, card.forward_days), on=["date", "ticker"])
        .sort("date", "ticker")
        .with_columns(within.alias("within"))
    )
    noise = pl.Series(rng.normal(size=rows.height))
    fixed = {
        "schema_version": 2,
        "model": card.name,
        "model_id": model_id(card),
        "mode": card.mode,
        "forward_days": card.forward_days,
        "entry_lag": card.entry_lag,
        "data_fingerprint": "f" * 32,
        "config_fingerprint": card.config_fingerprint,
        "in_sample": False,
        "hindsight": False,
        "coverage": None if card.classes else 0.8,
        "predicted_return": None if card.classes else 0.0,
        "rating": card.verdict,
    }
    made = rows.with_columns(
        (skill * pl.col("within") + (1 - skill**2) ** 0.5 * noise).alias("score"),
        (pl.col("date").cast(pl.Datetime("us")) + pl.duration(hours=22))
        .dt.replace_time_zone("UTC")
        .alias("made_at"),
        (-half).alias("return_low"),
        half.alias("return_high"),
        *(pl.lit(value).alias(name) for name, value in fixed.items()),
    ).with_columns(pl.col("score").rank("ordinal", descending=True).over("date").alias("rank"))
    there = [name if name in made.columns else pl.lit(None).alias(name) for name in KINDS]
    return made.select(there).cast(dict(KINDS))  # type: ignore[arg-type]
