"""What mlforecast (Nixtla) can say of Alpha158, with its own lag transforms.

Its features are made of lags of one target a run: a mean, deviation, lowest, highest or quantile
of a window, a lag, and pairs of them. Of the 158 that is 35, in two runs: ROC, MA, STD, QTLU and
QTLD over the close, VMA and VSTD over the volume, each of five windows. What reads two columns
(MAX over the close, the shape of a bar, correlations), the order of values (RANK, IMAX) or
changes of a target in a window (CNTP, SUMP) is beyond the vocabulary. Runs in an environment
with mlforecast and polars.
"""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Any

import polars as pl

from benchmarks.measure import timed

WINDOWS = (5, 10, 20, 30, 60)
TARGETS = {"close": ("ROC", "MA", "STD", "QTLU", "QTLD"), "volume": ("VMA", "VSTD")}
EXPRESSIBLE = sum(len(names) for names in TARGETS.values()) * len(WINDOWS)


def mlforecast_factors(bars: pl.DataFrame, threads: int) -> tuple[pl.DataFrame, dict[str, float]]:
    """Compute the factors that the vocabulary has, in 64 bits: running deviations need them.

    Parameters
    ----------
    bars
        | date | ticker | close | volume |, sorted by ticker and date.
    threads
        As for mlforecast's `num_threads`.

    Returns
    -------
    tuple
        | date | ticker | 35 factors under qlib's names |, and the seconds of both runs.
    """
    place = pl.int_range(pl.len()).over("ticker").alias("ds")
    frames = {
        target: bars.select(
            pl.col("ticker").alias("unique_id"), place, pl.col(target).cast(pl.Float64).alias("y")
        )
        for target in TARGETS
    }
    found, seconds = timed(
        lambda: {target: _run(frame, target, threads) for target, frame in frames.items()}
    )
    keys = bars.select("date", "ticker", place)
    for target, names in TARGETS.items():
        wanted = [f"{name}{window}" for name in names for window in WINDOWS]
        columns = found[target].columns[3:]
        # Its features of a step are made of the steps before: ours of a session include it.
        named = found[target].select(
            pl.col("unique_id").alias("ticker"),
            pl.col("ds") - 1,
            *(pl.col(theirs).alias(ours) for theirs, ours in zip(columns, wanted, strict=True)),
        )
        keys = keys.join(named, on=["ticker", "ds"], how="left")
    return keys.drop("ds"), seconds


def _run(frame: pl.DataFrame, target: str, threads: int) -> pl.DataFrame:
    """Compute the features of one target."""
    mlforecast: Any = import_module("mlforecast")
    transforms = [_transform(name, window) for name in TARGETS[target] for window in WINDOWS]
    model = mlforecast.MLForecast(
        models=[], freq=1, lag_transforms={1: transforms}, num_threads=threads
    )
    made: pl.DataFrame = model.preprocess(frame, dropna=False, static_features=[])
    return made


def _transform(name: str, window: int) -> Any:
    """Write a factor as mlforecast does: two transforms and the division of one by the other."""
    lags: Any = import_module("mlforecast.lag_transforms")
    level = lags.RollingMean(1)
    parts = {
        "ROC": lambda: lags.Offset(lags.RollingMean(1), window),
        "MA": lambda: lags.RollingMean(window),
        "STD": lambda: lags.RollingStd(window),
        "QTLU": lambda: lags.RollingQuantile(0.8, window),
        "QTLD": lambda: lags.RollingQuantile(0.2, window),
        "VMA": lambda: lags.RollingMean(window),
        "VSTD": lambda: lags.RollingStd(window),
    }
    return lags.Combine(parts[name](), level, operator.truediv)
