"""What the verdict says of panels whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2 import api
from src.v2.evaluation.metrics import daily_ic
from src.v2.modeling.folds import Fold, known_mask
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.tests.synthetic import random_walk_bars

TICKERS, SESSIONS = 100, 3000
SHUFFLED_FOLDS = 6
SIGNAL_DAYS = 60
SETTINGS = {
    "features": {"families": ["momentum", "trend", "volatility", "market", "cross_section"]},
    "model": {"n_estimators": 60, "early_stopping_rounds": 0},
    "explain": {"shap_rows": 50},
}
"""Fewer features and rounds than the defaults, so that a panel takes seconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One panel and what was said of it."""

    seed: int
    word: str
    rank_ic: float
    low: float
    high: float
    p: float
    dates: int
    windows: int
    detectable: float
    oracle: float
    """Mean rank IC of the planted score itself on the same dates."""


def judge_panel(seed: int, forward_days: int, signal: float = 0.0) -> Judged:
    """Run the whole pipeline on random walks, with a planted momentum or without one."""
    bars = random_walk_bars(TICKERS, SESSIONS, seed, signal=signal, signal_days=SIGNAL_DAYS)
    settings = SETTINGS | {"label": {"forward_days": forward_days}, "seed": seed}
    result = api.train(bars, settings).result
    evaluation = result.evaluation
    assert evaluation.ranking is not None
    ranking = evaluation.ranking
    return Judged(
        seed,
        evaluation.verdict.word,
        ranking.rank_ic.mean,
        ranking.rank_ic.low,
        ranking.rank_ic.high,
        ranking.permutation_p,
        ranking.dates,
        ranking.rank_ic.windows,
        ranking.detectable,
        _oracle(bars, result.predictions),
    )


@contextmanager
def shuffled_splitter() -> Iterator[None]:
    """Plant the split of many public pipelines: rows shuffled into folds, overlaps and all."""
    honest = Trainer.fold

    def shuffled(self: Trainer, fold: Fold, development_end: int) -> FoldFit:
        def number(panel: Panel) -> npt.NDArray[np.int64]:
            mixed = (panel.session.astype(np.int64) * 7919 + panel.ticker * 104_729) % 1_000_003
            return np.asarray(mixed % SHUFFLED_FOLDS)

        panel, strided = self.panel, self.strided
        of_fold = (fold.number - 1) % SHUFFLED_FOLDS
        known = known_mask(strided.label_end, development_end)
        window = strided.take(known & (number(strided) != of_fold))
        test = panel.take(known_mask(panel.label_end, development_end) & (number(panel) == of_fold))
        model = self.fit(window, self.config.n_estimators)
        ends = int(window.session[0]), int(window.session[-1])
        rows = len(window.session)
        return FoldFit(fold, model, None, ends, rows, 0, (), test, model.predict(test.features))

    Trainer.fold = shuffled  # type: ignore[method-assign]
    try:
        yield
    finally:
        Trainer.fold = honest  # type: ignore[method-assign]


def _oracle(bars: pl.DataFrame, predictions: pl.DataFrame) -> float:
    """Mean rank IC of the planted momentum on the dates of the walk-forward."""
    past = bars.sort("ticker", "date").with_columns(
        (pl.col("close") / pl.col("close").shift(SIGNAL_DAYS) - 1).over("ticker").alias("score")
    )
    walked = predictions.filter(pl.col("part") == "walk_forward").drop("score")
    joined = walked.join(past.select("date", "ticker", "score"), on=["date", "ticker"])
    return float(daily_ic(joined)["rank_ic"].to_numpy().mean())
