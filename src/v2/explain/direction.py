"""The one signed quantity that is explained, and how its contributions are written.

A regression's forecast and a binary model's log-odds of "up" are one number already. Of more
classes the log-odds of the highest over the lowest is explained: the difference of their two
margins, whose contributions are the differences of theirs and so add up as exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
        Array (rows, ...).
    """
    if values.shape[1] == 1:
        return np.asarray(values[:, 0])
    return np.asarray(values[:, -1] - values[:, 0])


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
    return f"log-odds of {plan.classes[-1]} over {plan.classes[0]}"


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
    """
    if quantity.endswith("return"):
        return f"{value:+.2%}"
    return f"{value:+.3f} {'log-odds' if quantity.startswith('log-odds') else 'of the rank'}"
