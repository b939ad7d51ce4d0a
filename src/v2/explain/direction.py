"""The one signed quantity that is explained, and how its contributions are written.

A regression's forecast and a binary model's log-odds of "up" are one number already. Of more
classes a weighted sum of margins is explained, with weights that rise evenly from the lowest
class to the highest and sum to 0, as the ranking score's do: of five classes 2/3 of the
log-odds of the highest over the lowest and 1/3 of those of the second highest over the second
lowest. Its contributions are the same sums of theirs and so add up as exactly. Log-odds are those
of the model itself, before probabilities are calibrated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from src.v2.console import unsigned_zero
from src.v2.modeling.labels import LabelPlan
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]


def signed_values(values: Array) -> Array:
    """Contributions to the quantity that is explained.

    Parameters
    ----------
    values
        Array (rows, outputs, ...) of `ShapSample.values`, `ShapSample.base` or margins.

    Returns
    -------
    ndarray
        Array (rows, ...). Of K > 1 outputs, output k has the weight k - (K - 1) / 2, scaled so
        that the weights above 0 sum to 1.

    Examples
    --------
    >>> signed_values(np.array([[1.0, 4.0, 0.0, 7.0, 10.0]]))
    array([7.])
    """
    outputs = values.shape[1]
    if outputs == 1:
        return np.asarray(values[:, 0])
    weights = (np.arange(outputs) - (outputs - 1) / 2)[-(outputs // 2) :]
    weights = (weights / weights.sum()).astype(values.dtype)
    pairs = zip(weights[::-1], range(outputs // 2), strict=True)
    # Differences of opposite outputs: what all margins share cancels exactly.
    first, *others = (weight * (values[:, -1 - k] - values[:, k]) for weight, k in pairs)
    return np.asarray(sum(others, start=first))


def explained(sample: ShapSample) -> Array:
    """Contributions (rows, features) of a sample to the quantity that is explained."""
    return signed_values(sample.values)


def quantity_name(plan: LabelPlan) -> str:
    """Name what is explained, as "excess return" or "log-odds of up"."""
    if not plan.classes:
        names = {"return": "forward return", "excess": "excess return"}
        return names.get(plan.target, "rank within the date")
    if len(plan.classes) == 2:
        return f"log-odds of {plan.classes[-1]}"
    return "log-odds of higher over lower classes"


def uncalibrated(quantity: str) -> str:
    """Say that log-odds are those before calibration; empty for forecasts of returns.

    Examples
    --------
    >>> uncalibrated("log-odds of up"), uncalibrated("excess return")
    (', before calibration', '')
    """
    return ", before calibration" if quantity.startswith("log-odds") else ""


def quantity_axis(quantity: str) -> tuple[float, str]:
    """Give the factor and the words for an axis of contributions.

    Examples
    --------
    >>> quantity_axis("excess return")
    (100.0, 'percentage points of excess return')
    >>> quantity_axis("log-odds of up")
    (1.0, 'log-odds of up')
    """
    if quantity.endswith("return"):
        return 100.0, f"percentage points of {quantity}"
    return 1.0, quantity


def write_contribution(value: float, quantity: str) -> str:
    """Write one contribution with its unit.

    Examples
    --------
    >>> write_contribution(0.0083, "excess return")
    '+0.83%'
    >>> write_contribution(-0.02, "log-odds of up")
    '-0.020 log-odds'
    >>> write_contribution(0.004, "rank within the date")
    '+0.004 of the rank'
    >>> write_contribution(-0.00001, "excess return")
    '0.00%'
    """
    if quantity.endswith("return"):
        return unsigned_zero(f"{value:+.2%}")
    unit = "log-odds" if quantity.startswith("log-odds") else "of the rank"
    return f"{unsigned_zero(f'{value:+.3f}')} {unit}"
