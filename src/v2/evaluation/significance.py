"""How sure a mean over overlapping dates is.

Forward returns of neighbouring dates share most of their days, so a series of daily
correlations holds far fewer independent values than dates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from src.v2.evaluation_records import Interval

MIN_COSINES = 6
"""Fewer give no interval: the series is shorter than 12 horizons."""


def ewc_interval(
    series: npt.NDArray[np.float64], horizon: int, confidence: float = 0.95
) -> Interval:
    """Confidence interval of the mean of a serially correlated series.

    Equal-weighted cosine estimator of the long-run variance with nu cosines and Student's t
    with nu degrees of freedom (Lazarus, Lewis, Stock and Watson 2018, Journal of Business and
    Economic Statistics 36(4)). nu = T // (2 horizon): the spectrum of overlapping sums falls
    off before the frequency of one cosine a horizon, and T // horizon of them rejected a true
    zero 9% of the time instead of 5%.

    Parameters
    ----------
    series
        One value a date, in date order, without gaps for missing dates.
    horizon
        Dates over which neighbouring values overlap.

    Returns
    -------
    Interval
        With NaN bounds where fewer than 6 cosines fit the series.
    """
    from scipy import stats

    count = len(series)
    cosines_kept = count // (2 * horizon)
    windows = count // horizon
    mean = float(series.mean()) if count else float("nan")
    if cosines_kept < MIN_COSINES:
        return Interval(mean, float("nan"), float("nan"), windows)
    time = (np.arange(1, count + 1) - 0.5) / count
    order = np.arange(1, cosines_kept + 1)[:, None]
    cosines = np.sqrt(2 / count) * np.cos(np.pi * order * time)
    variance = float(np.mean((cosines @ (series - mean)) ** 2))
    half = float(stats.t.ppf((1 + confidence) / 2, cosines_kept)) * (variance / count) ** 0.5
    return Interval(mean, mean - half, mean + half, windows)


def skill_interval(
    losses: npt.NDArray[np.float64],
    base_losses: npt.NDArray[np.float64],
    horizon: int,
    confidence: float = 0.95,
) -> Interval:
    """Confidence interval of a skill: 1 - sum of losses / sum of the baseline's losses.

    The ratio is linearised about its value, and the mean of the dates' influences gets the
    interval of `ewc_interval`.

    Parameters
    ----------
    losses, base_losses
        One sum (or mean) a date, in date order.
    horizon
        Dates over which neighbouring values overlap.

    Returns
    -------
    Interval
        NaN throughout where the baseline has no loss.
    """
    if not len(losses) or not base_losses.sum() > 0:
        nan = float("nan")
        return Interval(nan, nan, nan, len(losses) // horizon)
    ratio = float(losses.sum() / base_losses.sum())
    influences = 1 - ratio - (losses - ratio * base_losses) / base_losses.mean()
    return ewc_interval(influences, horizon, confidence)
