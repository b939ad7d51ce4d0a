"""Forecast tables of real bars with made-up scores."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.v2.config import LabelConfig
from src.v2.modeling.labels import LabelPlan, add_expanding_mean, add_labels, plan_label
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import forecast_table


def make_walk(
    bars: pl.DataFrame, config: LabelConfig, skill: float = 0.3, seed: int = 0, folds: int = 3
) -> tuple[pl.DataFrame, LabelPlan]:
    """Score the bars of the middle 60% of sessions by their own future, noise and all.

    As in a run, dates whose labels are not known at the end of that part are left out, and rows
    of tickers that stopped trading stay without a label.
    """
    rng = np.random.default_rng(seed)
    plan = plan_label(config, bars["ticker"].n_unique())
    labels = add_expanding_mean(add_labels(bars, plan))
    sessions = labels["date"].unique().sort()
    first, last = sessions[len(sessions) // 5], sessions[len(sessions) * 4 // 5]
    known = pl.col("label_end") <= last
    inside = labels.filter((pl.col("date") >= first) & (pl.col("date") < last))
    newest = inside.filter(known)["date"].max()
    ended = pl.col("label_end").is_null() & (pl.col("date") <= newest)
    rows = inside.filter(known.fill_null(False) | ended)
    place = sessions.search_sorted(rows["date"]).to_numpy()
    block = (place - place.min()) * folds // (place.max() - place.min() + 1)
    future = rows["forward_return"].fill_null(0.0).to_numpy()
    signal = skill * future + (1 - skill) * rng.normal(0, future.std() or 1.0, len(future))
    classes = len(plan.classes)
    forecast = signal.astype(np.float32)
    if classes == 2:
        forecast = (1 / (1 + np.exp(-4 * forecast))).astype(np.float32)
    elif classes:
        powers = np.exp(np.outer(4 * signal, np.arange(classes)))
        forecast = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    tables = []
    for number in range(folds):
        mask = block == number
        empty = np.zeros(0, dtype=np.int32)
        none = np.zeros((0, 0), dtype=np.float32)
        panel = Panel(rows.filter(mask), none, (), (), empty, empty, empty, empty)
        tables.append(
            forecast_table(panel, forecast[mask], plan, fold=number + 1, part="walk_forward")
        )
    table = pl.concat(tables)
    if not classes:
        table = table.with_columns(prediction=pl.col("score") + pl.col("expanding_mean"))
    return table, plan
