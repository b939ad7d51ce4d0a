"""Whether the parts of forecasts add up to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.v2.errors import ModelError

Array = np.ndarray[Any, Any]

ADDITIVITY_TOLERANCE = 1e-4
"""Largest allowed error of a row's sum, as a share of the largest absolute value wanted."""


def check_additivity(sums: Array, wanted: Array, name: str) -> None:
    """Refuse sums of parts that differ from what they must add up to.

    Parameters
    ----------
    sums, wanted
        Arrays of one shape.
    name
        What is wanted, in words.

    Raises
    ------
    ModelError
        When a sum is off by more than the tolerance, or is NaN.
    """
    if not len(wanted):
        return
    scale = max(float(np.abs(wanted).max()), float(np.finfo(np.float32).tiny))
    error = float(np.abs(sums - wanted).max()) / scale
    if not error <= ADDITIVITY_TOLERANCE:  # also catches NaN
        raise ModelError(
            f"SHAP values must add up to the model's {name} within {ADDITIVITY_TOLERANCE:g} of "
            f"their scale; the largest error is {error:.2g}. The explanation would be of another "
            "model: check the rounds and the version of its library."
        )
