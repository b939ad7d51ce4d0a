"""Small walk-forward runs whose features are known to mean something, or nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from src.v2.config import LabelConfig, ModelConfig, ValidationConfig
from src.v2.explain.folds import explain_folds
from src.v2.modeling.baseline_fits import permuted_fits
from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.folds import Fold, Schedule, schedule_folds
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, make_trainer, walk_forward
from src.v2.records import ShapSample
from src.v2.tests.synthetic import random_walk_bars

Array = np.ndarray[Any, Any]

SIGNAL = "past 'return' & more>"
NOISE = tuple(f'noise "{place}"' for place in range(6))
CONSTANT, MISSING, SHARED = "constant", "é\n{{ missing }}", "one a row"
NAMES = (NOISE[0], SIGNAL, *NOISE[1:], CONSTANT, MISSING, SHARED)
FAMILIES: Mapping[str, str] = {
    SIGNAL: "momentum",
    **dict.fromkeys(NOISE[:3], "chance <b>"),
    **dict.fromkeys(NOISE[3:], "more chance"),
    CONSTANT: "nothing",
    MISSING: "nothing",
    SHARED: "market",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A trainer with its fits and what explains them."""

    trainer: Trainer
    schedule: Schedule
    fits: tuple[FoldFit, ...]
    sample: ShapSample

    def null(self) -> ShapSample:
        """Explain fits on permuted labels."""
        fits = permuted_fits(self.trainer, self.schedule, self.fits, None, 1)
        return explain_folds(fits, self.trainer.plan, 300, 2)


def make_features(bars: pl.DataFrame, seed: int = 5) -> pl.DataFrame:
    """Past returns that forecast, noise, a constant, a missing and a shared feature."""
    rng = np.random.default_rng(seed)
    past = (pl.col("close") / pl.col("close").shift(20) - 1).over("ticker").fill_null(np.nan)
    table = bars.sort("ticker", "date").select("date", "ticker", past.alias(SIGNAL))
    table = table.sort("date", "ticker")
    noise = rng.normal(size=(table.height, len(NOISE)))
    noise[rng.random(noise.shape) < 0.05] = np.nan
    dates = table["date"].rank("dense").to_numpy() - 1
    shared = rng.normal(size=int(dates.max()) + 1)[dates]
    extra = [pl.Series(name, noise[:, place]) for place, name in enumerate(NOISE)]
    wanted = table.with_columns(
        *extra,
        pl.lit(1.0).alias(CONSTANT),
        pl.lit(float("nan")).alias(MISSING),
        pl.Series(SHARED, shared),
    )
    return wanted.select("date", "ticker", *(pl.col(name).cast(pl.Float32) for name in NAMES))


def make_run(
    tickers: int = 24,
    label: Mapping[str, object] | None = None,
    signal: float = 0.004,
    rows: int = 600,
    test_sessions: int = 150,
) -> Run:
    """Train a small walk-forward and explain it."""
    bars = random_walk_bars(tickers, 900, signal=signal if tickers > 1 else 0.0)
    config = LabelConfig.model_validate({"forward_days": 10, **(label or {})})
    plan = plan_label(config, tickers)
    panel, _ = build_panel(bars, make_features(bars), plan, 25)
    model = ModelConfig(n_estimators=25, early_stopping_rounds=0, max_depth=3, threads=1)
    rules = ValidationConfig(test_sessions=test_sessions, min_train_sessions=250)
    schedule = schedule_folds(panel.sessions, rules, config.span)
    trainer = make_trainer(panel, plan, model, rules, 1)
    fits = tuple(walk_forward(trainer, schedule))
    return Run(trainer, schedule, fits, explain_folds(fits, plan, rows, 2))


@dataclasses.dataclass
class Recorder:
    """A model that keeps what it was asked to forecast."""

    model: Any
    asked: list[Matrix] = dataclasses.field(default_factory=list)

    @property
    def rounds(self) -> int:
        """As of the model."""
        return int(self.model.rounds)

    def __getattr__(self, name: str) -> Any:
        """As of the model."""
        return getattr(self.model, name)

    def predict(self, features: Matrix) -> Matrix:
        """Keep a copy and forecast."""
        self.asked.append(features.copy())
        return np.asarray(self.model.predict(features))

    def importance(self) -> dict[str, float]:
        """As of the model."""
        return dict(self.model.importance())

    def save(self, path: object) -> None:
        """Save nothing."""


@dataclasses.dataclass
class Formula:
    """A model that forecasts a weighted sum of its columns."""

    weights: Sequence[float]
    names: Sequence[str]
    rounds: int = 1
    booster: Any = None

    def predict(self, features: Matrix) -> Matrix:
        """Sum up, missing values as 0."""
        weights = np.asarray(self.weights, dtype=np.float32)
        return np.asarray(np.nan_to_num(features) @ weights, dtype=np.float32)

    def importance(self) -> dict[str, float]:
        """Every column with a weight."""
        return {
            name: 1.0 for name, weight in zip(self.names, self.weights, strict=True) if weight != 0
        }

    def save(self, path: object) -> None:
        """Save nothing."""


def make_fit(
    session: Array,
    ticker: Array,
    features: Array,
    returns: Array,
    model: Any,
    *,
    number: int = 1,
    label: Array | None = None,
) -> FoldFit:
    """Make a fold of given rows, sorted by session and ticker, NaN returns being unknown."""
    count = int(session.max(initial=0)) + 30
    sessions = tuple(dt.date(2020, 1, 1) + dt.timedelta(days=day) for day in range(count))
    known = ~np.isnan(returns)
    values = pl.Series(returns.astype(np.float64)).fill_nan(None)
    target = pl.Series((returns if label is None else label).astype(np.float32))
    keys = pl.DataFrame(
        {
            "date": [sessions[place] for place in session],
            "ticker": [f"T{code}" for code in ticker],
            "forward_return": values,
            "label": target.fill_nan(None),
        }
    )
    end = np.where(known, session + 10, -1).astype(np.int32)
    names = tuple(f"f{place}" for place in range(features.shape[1]))
    test = Panel(keys, features, names, sessions, session, end, ticker, session)
    fold = Fold(number, 0, int(session.min(initial=0)), count, 0)
    return FoldFit(fold, model, None, (0, 1), 1, 0, (), test, model.predict(features))


def regression_plan(tickers: int = 100) -> LabelPlan:
    """Label of a regression over ten days."""
    return plan_label(LabelConfig.model_validate({"forward_days": 10}), tickers)
