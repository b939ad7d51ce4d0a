"""Arms without a fit: scores of a given quality."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from src.v2.lifecycle.arms import ArmResult, TrialNumbers
from src.v2.tests.synthetic import weekdays


def make_arm(name: str, skill: float, seed: int, **changes: Any) -> ArmResult:
    """Score 24 tickers on 400 dates as ``skill`` times what comes, plus noise of its own."""
    dates, tickers = 400, changes.pop("tickers", 24)
    returns = np.random.default_rng(0).normal(size=(dates, 24))[:, :tickers]
    noise = np.random.default_rng(seed).normal(size=(dates, tickers))
    keys = [(date, f"T{i:02d}") for date in weekdays(dates) for i in range(tickers)]
    table = pl.DataFrame(
        {
            "date": [date for date, _ in keys],
            "ticker": [ticker for _, ticker in keys],
            "score": (skill * returns + noise).ravel(),
            "forward_return": returns.ravel() / 100,
            "label": returns.ravel(),
        }
    )
    label = {"entry_lag": 1, "forward_days": changes.pop("forward_days", 5), "mode": "regression"}
    settings = {"label": label, "model": {"learning_rate": 0.01 * seed, "max_depth": 6}}
    parts: dict[str, Any] = {
        "run_name": f"exp_{name}",
        "data_fingerprint": "d" * 32,
        "config_fingerprint": f"{seed:012d}",
        "dataset": "made",
        "settings": settings,
        "predictions": table,
        "folds": (),
        "metrics": {"cv_rank_ic_mean": skill, "cv_rank_ic_std": 0.01, "cv_r2_pooled": np.nan},
        "tickers": tickers,
        "rounds": 20,
        "seconds": 1.5,
        "trial": TrialNumbers(weekdays(1)[0], weekdays(dates)[-1], skill, 0.01),
    }
    return ArmResult(name=name, **(parts | changes))
