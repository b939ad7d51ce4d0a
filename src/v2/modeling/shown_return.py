"""From a learner's score to the forward return that is shown.

A model of raw returns shows its score. A model of excess returns shows its score plus the
mean of the forward returns known at the date. A model of ranks shows what earlier
out-of-sample ranks turned into, by a rising step function, plus the same mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.modeling.labels import Target

MAP_POINTS = 101


@dataclass(frozen=True, slots=True)
class RankMap:
    """A rising map from score to excess return, linear between points and flat outside."""

    scores: tuple[float, ...]
    returns: tuple[float, ...]

    def apply(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Excess return (fraction) for each score."""
        return np.interp(scores, self.scores, self.returns)


def fit_rank_map(earlier: pl.DataFrame) -> RankMap | None:
    """Fit the map on out-of-sample forecasts whose outcome is known.

    Parameters
    ----------
    earlier
        | date | score | forward_return |; None is returned when it holds no row.
    """
    if earlier.is_empty():
        return None
    from sklearn.isotonic import IsotonicRegression

    excess = pl.col("forward_return") - pl.col("forward_return").mean().over("date")
    rows = earlier.select("score", excess.alias("excess")).drop_nulls()
    scores = rows["score"].to_numpy()
    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, rows["excess"].to_numpy())
    points = np.unique(np.quantile(scores, np.linspace(0, 1, MAP_POINTS)))
    return RankMap(tuple(points.tolist()), tuple(fitted.predict(points).tolist()))


def add_shown_return(
    predictions: pl.DataFrame, target: Target, rank_map: RankMap | None = None
) -> pl.DataFrame:
    """Add | prediction (fraction) |, the forward return shown for each row.

    Parameters
    ----------
    predictions
        | score | expanding_mean |.
    rank_map
        For target rank; without one the expanding mean alone is shown.
    """
    mean = pl.col("expanding_mean")
    shown = pl.col("score")
    if target == "excess":
        shown = shown + mean
    elif target == "rank":
        excess = np.zeros(predictions.height)
        if rank_map is not None:
            excess = rank_map.apply(predictions["score"].to_numpy())
        shown = pl.lit(pl.Series(excess)) + mean
    return predictions.with_columns(shown.alias("prediction"))
