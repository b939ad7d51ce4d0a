"""What the search of hyperparameters may try, and a configuration for each point of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from src.v2.config import Config, ModelConfig, ValidationConfig
from src.v2.errors import ConfigError

Value = float | int | None
Point = Mapping[str, Value]
"""A value by the name of each dimension."""

DIGITS = 3
"""Significant digits of a value that is tried."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter of the search.

    Parameters
    ----------
    low, high
        Range of a number; whole where both are.
    log
        Whether equal ratios are equally likely.
    choices
        The values, in place of a range.
    """

    name: str
    section: str = "model"
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    choices: tuple[Value, ...] = ()


LEAF = "min_child_weight"
"""Searched as a multiple of the default, which follows horizon and stride."""

KNOWN = (
    Dimension("learning_rate", low=0.01, high=0.2, log=True),
    Dimension("max_depth", low=2, high=10),
    Dimension(LEAF, low=0.25, high=8.0, log=True),
    Dimension("subsample", low=0.4, high=1.0),
    Dimension("colsample_bytree", low=0.2, high=1.0),
    Dimension("reg_lambda", low=0.1, high=100.0, log=True),
    Dimension("rate_drop", choices=(0.0, 0.05, 0.1, 0.2)),
    Dimension("half_life_sessions", "validation", choices=(None, 252.0, 504.0, 1008.0)),
)
"""Rounds are not among them: early stopping chooses them inside each training window."""


def search_space(config: Config) -> tuple[Dimension, ...]:
    """List what is searched, each range wide enough for the configuration's own value.

    Raises
    ------
    ConfigError
        When a name is none that can be searched, or the model is not XGBoost's.
    """
    if config.model.type != "xgboost":
        raise ConfigError(
            f"make tune searches the settings of model.type xgboost; got {config.model.type}. "
            "Compare files of settings instead: python -m src.v2.compare FILE..."
        )
    wanted = config.tune.parameters or tuple(each.name for each in KNOWN)
    by_name = {each.name: each for each in KNOWN}
    unknown = next((name for name in wanted if name not in by_name), None)
    if unknown is not None:
        raise ConfigError(
            f"tune.parameters must be of {', '.join(by_name)}; got {unknown!r}. Leave it empty to "
            "search all of them."
        )
    start = own_point(config, tuple(by_name[name] for name in wanted))
    return tuple(_widened(by_name[name], start[name]) for name in dict.fromkeys(wanted))


def own_point(config: Config, space: Sequence[Dimension]) -> dict[str, Value]:
    """Give the point of the configuration itself: the first trial."""
    return {
        each.name: 1.0 if each.name == LEAF else getattr(getattr(config, each.section), each.name)
        for each in space
    }


def at_point(config: Config, point: Point, leaf_weight: float) -> Config:
    """Give the configuration of a point.

    Parameters
    ----------
    leaf_weight
        Least sum of hessians in a leaf by the configuration itself.

    Returns
    -------
    Config
        Numbers are rounded to 3 digits, so that they read well in a file; the configuration's
        own values stay as they are.
    """
    sections = {each.name: each.section for each in KNOWN}
    own = own_point(config, [each for each in KNOWN if each.name in point])
    changed: dict[str, dict[str, Value]] = {"model": {}, "validation": {}}
    for name, value in point.items():
        if value == own[name]:
            continue
        written = value * leaf_weight if name == LEAF and value is not None else value
        changed[sections[name]][name] = rounded(written)
    model = ModelConfig(**(config.model.model_dump() | changed["model"]))
    rules = ValidationConfig(**(config.validation.model_dump() | changed["validation"]))
    return config.model_copy(update={"model": model, "validation": rules})


def refuse_strange(point: Point, space: Sequence[Dimension]) -> None:
    """Refuse a point that does not lie in the space.

    Raises
    ------
    ValueError
        Naming what is wrong with it.
    """
    if set(point) != {each.name for each in space}:
        raise ValueError(f"its parameters are {', '.join(point) or 'none'}")
    for each in space:
        value = point[each.name]
        inside = value in each.choices if each.choices else _within(value, each)
        if not inside:
            raise ValueError(f"{each.name} is {value}")


def _within(value: Value, dimension: Dimension) -> bool:
    return value is not None and dimension.low <= value <= dimension.high


def settings_at(config: Config, space: Sequence[Dimension]) -> dict[str, dict[str, Any]]:
    """Pick the searched settings of a configuration, by section, as a file would hold them."""
    found: dict[str, dict[str, Any]] = {}
    for each in space:
        value = getattr(getattr(config, each.section), each.name)
        found.setdefault(each.section, {})[each.name] = value
    return found


def space_print(space: Sequence[Dimension], config: Config, folds: int) -> str:
    """Give 8 hex digits of all that makes scores of two trials comparable, but for the bars."""
    tree = [[asdict(each) for each in space], config.fingerprint, folds]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:8]


def rounded(value: Value) -> Value:
    """Round to 3 significant digits.

    Examples
    --------
    >>> rounded(0.0123456), rounded(7), rounded(None)
    (0.0123, 7, None)
    """
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _widened(dimension: Dimension, own: Value) -> Dimension:
    """Let a dimension hold the configuration's own value."""
    if dimension.choices:
        more = () if own in dimension.choices else (own,)
        return replace(dimension, choices=(*dimension.choices, *more))
    assert own is not None
    if dimension.log and own <= 0:
        # No logarithm reaches 0: the same range, in equal steps.
        dimension = replace(dimension, log=False)
    return replace(dimension, low=min(dimension.low, own), high=max(dimension.high, own))
