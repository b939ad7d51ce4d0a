"""Made-up training results, from a seed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from src.v2.records import (
    Coverage,
    FeatureReport,
    FoldResult,
    HoldoutResult,
    LearningCurve,
    ShapSample,
    TrainingResult,
)
from src.v2.tests.evaluations import make_evaluation
from src.v2.tests.explanations import make_detail, make_explanation

FAMILIES = (
    *("momentum", "trend", "oscillators", "volatility", "drawdown", "range", "volume"),
    *("market", "calendar", "cross_section"),
)
RATING = ("Strong Sell", "Sell", "Hold", "Buy", "Strong Buy")
DAY = dt.date(2020, 1, 1)


def make_names(count: int) -> tuple[str, ...]:
    """Name features after their families, with windows."""
    windows = (5, 10, 21, 42, 63, 126, 189, 252, 378, 504)
    pairs = [(family, window) for window in windows for family in FAMILIES]
    return tuple(f"{family}_{window}" for family, window in pairs[:count])


def make_shap(
    rng: np.random.Generator,
    names: tuple[str, ...],
    outputs: tuple[str, ...],
    rows: int,
    missing: float,
    scale: float,
) -> ShapSample:
    """Make SHAP values that are bent functions of the features, with one interaction."""
    p = len(names)
    features = rng.normal(size=(rows, p))
    features[:, 1] = np.exp(2 * features[:, 1])
    features[:, 2] = rng.integers(0, 5, rows)
    weight = scale * np.exp(-0.12 * np.arange(p)) * rng.choice([-1, 1], p)
    bent = np.tanh(features) + 0.15 * rng.normal(size=(rows, p))
    bent[:, 0] *= 1 + 0.8 * np.tanh(features[:, min(3, p - 1)])
    tilt = np.linspace(-1, 1, len(outputs)) if len(outputs) > 1 else np.ones(1)
    values = bent[:, None, :] * weight * (tilt[:, None] + 0.1)
    features[rng.random((rows, p)) < missing] = np.nan
    frame = pl.DataFrame({"date": [DAY] * rows, "ticker": ["A"] * rows, "fold": [1] * rows})
    base = np.zeros((rows, len(outputs)))
    return ShapSample(frame, features.astype(np.float32), values, base, outputs, names)


def make_predictions(rng: np.random.Generator, classes: tuple[str, ...], days: int) -> pl.DataFrame:
    """Make forecasts with a little skill, 20 tickers a day."""
    n, span = days * 20, 31
    day = np.repeat(np.arange(days), 20)
    market = np.repeat(rng.normal(0.01, 0.04, days // span + 1), span)[:days]
    forecast = rng.normal(0.01, 0.015, n)
    actual = 0.5 * forecast + market[day] + rng.normal(0, 0.08, n)
    dates = pl.Series("date", [DAY + dt.timedelta(days=int(number)) for number in day])
    frame = pl.DataFrame(
        {
            "date": dates,
            "ticker": [f"T{number % 20}" for number in range(n)],
            "fold": 1 + day * 5 // days,
            "part": np.where(day < days * 0.8, "walk_forward", "holdout"),
            "score": forecast,
            "forward_return": actual,
            "label_end": dates.dt.offset_by(f"{span}d"),
        }
    )
    if not classes:
        return frame.with_columns(prediction=pl.col("score"), label=pl.col("forward_return"))
    k = len(classes)
    edges = np.linspace(0, 1, k + 1)[1:-1]
    return frame.with_columns(
        label=pl.Series(np.searchsorted(np.quantile(actual, edges), actual).astype(np.float32)),
        predicted_class=pl.Series(np.searchsorted(np.quantile(forecast, edges), forecast)),
    )


def make_result(
    kind: str = "regression",
    count: int = 30,
    rows: int = 400,
    missing: float = 0.0,
    days: int = 400,
    names: tuple[str, ...] | None = None,
) -> TrainingResult:
    """Make a run of one kind: regression, binary or rating."""
    rng = np.random.default_rng(7)
    names = names or make_names(count)
    classes = {"regression": (), "binary": ("down", "up"), "rating": RATING}[kind]
    outputs = {"regression": ("forecast",), "binary": ("up",), "rating": RATING}[kind]
    raw = rng.dirichlet(4 * np.exp(-0.06 * np.arange(len(names))), 8)
    shares = [dict(zip(names, row.tolist(), strict=True)) for row in raw]
    mean = dict(zip(names, raw.mean(axis=0).tolist(), strict=True))
    rounds = np.arange(1, 121)
    curve = LearningCurve(
        tuple((0.1 - 0.02 * (1 - np.exp(-rounds / 60))).tolist()),
        tuple((0.1 - 0.003 * np.exp(-(((rounds - 70) / 50) ** 2))).tolist()),
    )
    folds = tuple(
        FoldResult(i + 1, DAY, DAY, DAY, DAY, 1, 0, 1, 70, {}, curve, shares[i])
        for i in range(len(shares))
    )
    families = {name: FAMILIES[i % len(FAMILIES)] for i, name in enumerate(names)}
    settings: dict[str, Any] = {}
    return TrainingResult(
        mode="regression" if kind == "regression" else "classification",
        target="excess" if kind == "regression" else kind,
        classes=classes,
        settings=settings,
        config_fingerprint="0" * 12,
        coverage=Coverage("sample", "made up", ("A",), (), 1, 1, DAY, DAY, "0" * 32),
        features=FeatureReport(names, families, {}, {}, {}),
        train_stride=5,
        panel_rows=1,
        stretched_rows=0,
        training_rows=1,
        folds=folds,
        predictions=make_predictions(rng, classes, days),
        evaluation=make_evaluation(len(classes)),
        detail=make_detail(rng, classes, days),
        explanation=make_explanation(rng, names, families, len(shares), kind),
        metrics={},
        holdout=HoldoutResult(DAY, DAY, 1, 1, {}, 1),
        curve=curve,
        rounds=72,
        importance=dict(sorted(mean.items(), key=lambda item: -item[1])),
        stability=0.8,
        shap=make_shap(rng, names, outputs, rows, missing, 0.01 if kind == "regression" else 0.3),
        stages={},
    )
