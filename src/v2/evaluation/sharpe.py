"""Sharpe ratios, how sure they are, and the fall from the peak.

Everything here is in units of one period: no square root of 252, no risk-free rate. The
standard error is that of returns that are not normal (Mertens 2002); it takes them as
independent of each other. Of fewer than two returns, or of returns that never vary, there is
no Sharpe ratio: NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Returns = npt.NDArray[np.float64]

NAN = float("nan")
EULER_MASCHERONI = 0.5772156649015329
ROUNDING = 1e-12
"""A standard deviation below this is that of a constant."""


def sharpe_ratio(returns: Returns) -> float:
    """Mean over standard deviation (n - 1 in its denominator).

    Parameters
    ----------
    returns
        One simple return a period, without NaN, as for every function here.

    Examples
    --------
    >>> round(sharpe_ratio(np.array([0.01, 0.03, -0.01])), 3)
    0.5
    """
    if len(returns) < 2:
        return NAN
    deviation = float(returns.std(ddof=1))
    return float(returns.mean()) / deviation if deviation > ROUNDING else NAN


def sharpe_standard_error(returns: Returns) -> float:
    """Tell how uncertain a Sharpe ratio of independent returns of any distribution is.

    The root of (1 - skewness SR + (kurtosis - 1) / 4 SR^2) / (n - 1), where a normal
    distribution has a kurtosis of 3 (Mertens 2002; Bailey and Lopez de Prado 2012, Journal of
    Risk 15(2)).
    """
    sharpe = sharpe_ratio(returns)
    if not np.isfinite(sharpe):
        return NAN
    return _standard_error(sharpe, len(returns), *_skewness_and_kurtosis(returns))


def probabilistic_sharpe(returns: Returns, benchmark: float = 0.0) -> float:
    """Chance that the true Sharpe ratio is above a benchmark (Bailey and Lopez de Prado 2012).

    Parameters
    ----------
    benchmark
        Sharpe ratio of one period.
    """
    sharpe = sharpe_ratio(returns)
    if not np.isfinite(sharpe):
        return NAN
    return chance_above(benchmark, sharpe, len(returns), *_skewness_and_kurtosis(returns))


def deflated_sharpe(returns: Returns, trial_sharpes: Sequence[float]) -> float:
    """Chance that the true Sharpe ratio is above what the best of all trials reaches by luck.

    Bailey and Lopez de Prado (2014, Journal of Portfolio Management 40(5)). Trials that are
    variations of each other are taken as independent, which asks too much rather than too
    little.

    Parameters
    ----------
    trial_sharpes
        Sharpe ratios of one period of the other trials; this one is added to them. A trial
        with NaN counts among the trials, but not in their variance. Without others the result
        is `probabilistic_sharpe` at 0.

    Returns
    -------
    float
        NaN where fewer than two of several trials have a Sharpe ratio.
    """
    trials = np.array([*trial_sharpes, sharpe_ratio(returns)], dtype=np.float64)
    known = trials[np.isfinite(trials)]
    if len(trials) == 1:
        return probabilistic_sharpe(returns)
    if len(known) < 2:
        return NAN
    return probabilistic_sharpe(returns, best_by_luck(len(trials), float(known.var(ddof=1))))


def best_by_luck(trials: int, variance: float) -> float:
    """Sharpe ratio that the best of several trials without skill is expected to reach.

    Parameters
    ----------
    trials
        Independent trials; the best of one is expected at 0.
    variance
        Of the trials' Sharpe ratios.

    Examples
    --------
    The example of the paper: 100 trials, of which annual Sharpe ratios vary by 1/2, at 250
    periods a year.

    >>> round(best_by_luck(100, 1 / 2 / 250), 4)
    0.1132
    """
    if trials < 2:
        return 0.0
    normal = NormalDist()
    usual = normal.inv_cdf(1 - 1 / trials)
    rare = normal.inv_cdf(1 - 1 / (trials * np.e))
    return float(variance**0.5 * ((1 - EULER_MASCHERONI) * usual + EULER_MASCHERONI * rare))


def chance_above(
    benchmark: float, sharpe: float, periods: int, skewness: float, kurtosis: float
) -> float:
    """Chance that the true Sharpe ratio is above a benchmark, from the moments of the returns.

    Parameters
    ----------
    benchmark, sharpe
        Of one period.
    kurtosis
        3 for a normal distribution.

    Examples
    --------
    The paper's example goes on: five years at an annual Sharpe ratio of 2.5.

    >>> round(chance_above(0.1132, 2.5 / 250**0.5, 1250, skewness=-3, kurtosis=10), 3)
    0.9
    """
    error = _standard_error(sharpe, periods, skewness, kurtosis)
    return NormalDist().cdf((sharpe - benchmark) / error) if error > 0 else NAN


def max_drawdown(returns: Returns) -> float:
    """Largest fall of the compounded wealth from its peak, as a fraction from 0 to 1.

    The peak may be the start. A loss of all wealth or more is 1. NaN without returns.

    Examples
    --------
    >>> round(max_drawdown(np.array([0.25, -0.2, -0.1, 0.5])), 3)
    0.28
    """
    return float(drawdowns(returns).max()) if len(returns) else NAN


def drawdowns(returns: Returns) -> Returns:
    """Fall of the compounded wealth from its peak so far, one fraction a period."""
    wealth = np.cumprod(np.maximum(1 + returns, 0.0))
    return np.asarray(1 - wealth / np.maximum(np.maximum.accumulate(wealth), 1.0))


def _standard_error(sharpe: float, periods: int, skewness: float, kurtosis: float) -> float:
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    return float((max(variance, 0.0) / (periods - 1)) ** 0.5)


def _skewness_and_kurtosis(returns: Returns) -> tuple[float, float]:
    """Third and fourth standardised moment of the sample, without correction of bias."""
    scaled = (returns - returns.mean()) / returns.std()
    return float(np.mean(scaled**3)), float(np.mean(scaled**4))
