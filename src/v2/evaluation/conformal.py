"""Intervals of forecast returns from what out-of-sample forecasts missed by.

Split conformal prediction for groups. Tickers of one date move together, and dates whose labels
overlap repeat each other, so rows are no independent outcomes: a market that fell is one event,
not four hundred. Every date therefore weighs the same whatever its number of tickers (the pooled
distribution of Dunn, Wasserman and Ramdas 2023, Journal of the American Statistical Association
118(544)), and the correction for a finite sample counts blocks of one horizon, not rows (Lee,
Barber and Willett, arXiv 2306.06342: the new group takes the place of one of K + 1). For groups
that may be exchanged this holds the level on average. Months that differ from those before are
no such groups, so the level is no promise: the coverage is measured on later folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.evaluation.significance import ewc_interval, ewc_standard_error
from src.v2.modeling.intervals import IntervalLevel, ReturnIntervals, horizon_volatility

LEVELS = (0.5, 0.8, 0.9, 0.95)

CALM = 0.2
"""Share of the dates that count as the calmest."""


def return_intervals(
    predictions: pl.DataFrame, closes: pl.DataFrame, horizon: int
) -> ReturnIntervals:
    """Find the multiples of volatility that hold each level, and measure what they held.

    Parameters
    ----------
    predictions
        Forecasts of the walk-forward: | date | ticker | fold | prediction (fraction) |
        forward_return (fraction) | label_end |; rows without an outcome are left out.
    closes
        | date | ticker | close | of the universe.
    horizon
        Sessions of a label.

    Returns
    -------
    ReturnIntervals
        The multiples are those of all folds together. The coverage is that of each fold under
        the multiples of what was known at its first date.
    """
    scores = miss_scores(predictions, closes, horizon)
    found = score_multiples(scores, LEVELS, horizon)
    held = held_shares(scores, LEVELS, horizon).join(
        _usual_move(closes, horizon), on="date", how="left", maintain_order="left"
    )
    dates = scores["date"].n_unique()
    return ReturnIntervals(
        dates=dates,
        blocks=dates // horizon,
        measured_dates=held["date"].n_unique(),
        levels=tuple(
            _level(level, multiple, held.filter(pl.col("level") == level), horizon)
            for level, multiple in zip(LEVELS, found, strict=True)
        ),
    )


def _usual_move(closes: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Give | date | move |: the median volatility of a date's tickers."""
    volatility = horizon_volatility(closes, horizon)
    return volatility.group_by("date").agg(pl.col("volatility").median().alias("move"))


def _level(level: float, multiple: float, held: pl.DataFrame, horizon: int) -> IntervalLevel:
    """Measure one level over its dates, which are sorted."""
    series = held["held"].to_numpy()
    measured = ewc_interval(series, horizon)
    error, _ = ewc_standard_error(series, horizon)
    known = held.drop_nulls("move")
    calm = known.filter(pl.col("move") <= pl.col("move").quantile(CALM))
    return IntervalLevel(
        level,
        multiple=_known(multiple),
        coverage=_known(measured.mean),
        low=_known(max(measured.low, 0.0)),
        high=_known(min(measured.high, 1.0)),
        error=_known(error),
        dates=held.height,
        later=_mean(held["held"].tail(held.height // 2)),
        calm=_mean(calm["held"]),
        other=_mean(known.join(calm, on="date", how="anti")["held"]),
    )


def _mean(held: pl.Series) -> float | None:
    """Average shares of dates; None without a date."""
    return float(held.to_numpy().mean()) if held.len() else None


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def miss_scores(predictions: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Measure how far each outcome lay from its forecast, in volatilities of the horizon.

    Returns
    -------
    pl.DataFrame
        | date | ticker | fold | label_end | score |, sorted by date and ticker; rows without
        an outcome or a volatility are left out.
    """
    missed = (pl.col("forward_return") - pl.col("prediction")).abs()
    return (
        predictions.join(horizon_volatility(closes, horizon), on=["date", "ticker"], how="left")
        .select(
            "date", "ticker", "fold", "label_end", (missed / pl.col("volatility")).alias("score")
        )
        .filter(pl.col("score").is_finite())
        .sort("date", "ticker")
    )


def score_multiples(
    scores: pl.DataFrame, levels: Sequence[float], horizon: int
) -> tuple[float, ...]:
    """Find the score that a share of outcomes stays below, every date weighing the same.

    Parameters
    ----------
    scores
        | date | score | of outcomes that are known.

    Returns
    -------
    tuple
        One multiple a level; NaN where the blocks of one horizon are too few for it, as 4 of
        them are for 0.9: a fifth one beyond all of them would come once in five.
    """
    blocks = scores["date"].n_unique() // horizon
    values = scores["score"].to_numpy()
    order = np.argsort(values, kind="stable")
    weights = (1.0 / scores.select(pl.len().over("date")).to_series().to_numpy())[order]
    reached = np.cumsum(weights) / max(float(weights.sum()), 1e-300)
    found = []
    for level in levels:
        wanted = level * (blocks + 1) / blocks if blocks else 2.0
        place = int(np.searchsorted(reached, wanted * (1 - 1e-12)))
        found.append(float(values[order[place]]) if place < len(values) else float("nan"))
    return tuple(found)


def held_shares(scores: pl.DataFrame, levels: Sequence[float], horizon: int) -> pl.DataFrame:
    """Measure what share of each date's outcomes the intervals held.

    The multiples of a fold are those of earlier folds' outcomes that were known at its first
    date.

    Returns
    -------
    pl.DataFrame
        | date | fold | level | multiple | held (fraction) |, sorted by level and date; folds
        before which too little was known for a level are left out of it.
    """
    parts = [_empty()]
    for fold in scores["fold"].unique().sort():
        own = scores.filter(pl.col("fold") == fold)
        known = scores.filter(
            (pl.col("fold") < fold) & (pl.col("label_end") <= pl.lit(own["date"].min()))
        )
        for level, multiple in zip(levels, score_multiples(known, levels, horizon), strict=True):
            if np.isfinite(multiple):
                parts.append(_held(own, level, multiple))
    return pl.concat(parts).sort("level", "date")


def _held(own: pl.DataFrame, level: float, multiple: float) -> pl.DataFrame:
    """Share of each date's outcomes within a multiple."""
    return (
        own.group_by("date", "fold")
        .agg(
            pl.lit(level).alias("level"),
            pl.lit(multiple).alias("multiple"),
            (pl.col("score") <= multiple).mean().alias("held"),
        )
        .select(_empty().columns)
    )


def _empty() -> pl.DataFrame:
    kinds = {"date": pl.Date, "fold": pl.Int32, "level": pl.Float64, "multiple": pl.Float64}
    return pl.DataFrame(schema=kinds | {"held": pl.Float64})


def interval_metrics(intervals: ReturnIntervals | None) -> dict[str, float]:
    """Name the coverage of each level, as ``cv_interval_80_held``; NaN where it is not known."""
    found: dict[str, float] = {}
    for each in intervals.levels if intervals is not None else ():
        name = f"cv_interval_{each.level * 100:.0f}"
        values = {
            "multiple": each.multiple,
            "held": each.coverage,
            "low": each.low,
            "high": each.high,
            "later": each.later,
            "calm": each.calm,
            "other": each.other,
        }
        for end, value in values.items():
            found[f"{name}_{end}"] = float("nan") if value is None else value
    return found
