"""Whether the parts of forecasts add up to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.v2.errors import ModelError

Array = np.ndarray[Any, Any]

ADDITIVITY_TOLERANCE = 1e-4
"""Largest allowed error of a sum, as a share of what is wanted or of what is added up.

The larger of the two counts: the parts of one row can nearly cancel, and rounding is as large as
the parts are.
"""


def check_additivity(parts: Array, base: Array | float, wanted: Array, name: str) -> None:
    """Refuse sums of parts that differ from what they must add up to.

    Parameters
    ----------
    parts
        Array (..., features).
    base
        What the parts are added to, of the shape of what is wanted, or one number.
    wanted
        Array (...): what each row must add up to.
    name
        What is wanted, in words.

    Raises
    ------
    ModelError
        When a sum is off by more than the tolerance, or is NaN.
    """
    if not len(wanted):
        return
    sums = parts.sum(axis=-1, dtype=np.float64) + base
    sizes = (np.abs(wanted), np.abs(parts).sum(axis=-1, dtype=np.float64))
    scale = max(*(float(size.max()) for size in sizes), float(np.finfo(np.float32).tiny))
    error = float(np.abs(sums - wanted).max()) / scale
    if not error <= ADDITIVITY_TOLERANCE:  # also catches NaN
        raise ModelError(
            f"SHAP values must add up to the model's {name} within {ADDITIVITY_TOLERANCE:g} of "
            f"their scale; the largest error is {error:.2g}. The explanation would be of another "
            "model: check the rounds and the version of its library."
        )
