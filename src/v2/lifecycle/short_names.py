"""Settings and their values in few letters, for the names of runs and for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHORT_NAMES: Mapping[str, str] = {
    "model.learning_rate": "lr",
    "model.max_depth": "depth",
    "model.n_estimators": "max_rounds",
    "model.early_stopping_rounds": "patience",
    "model.subsample": "rows",
    "model.colsample_bytree": "cols",
    "model.min_child_weight": "leaf",
    "model.reg_lambda": "lambda",
    "model.rate_drop": "drop",
    "label.forward_days": "days",
    "validation.half_life_sessions": "half_life",
}
"""Short names of settings in run names and tables; others go by their last part."""


def short_name(setting: str) -> str:
    """Name a setting in few letters.

    Examples
    --------
    >>> short_name("model.learning_rate"), short_name("label.mode")
    ('lr', 'mode')
    """
    return SHORT_NAMES.get(setting, setting.rpartition(".")[2])


def short_value(value: Any) -> str:
    """Write a value of a setting in few letters.

    Examples
    --------
    >>> short_value(0.050), short_value(None), short_value(["a", "b"])
    ('0.05', 'none', 'a+b')
    """
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return "+".join(short_value(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
