"""Every family by name, the user's own features, and the table of features for the docs."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import polars as pl

from src.v2.config import FeaturesConfig
from src.v2.errors import ConfigError
from src.v2.features.alpha158 import alpha158_features
from src.v2.features.context import context_features
from src.v2.features.cross_section import cross_section_features
from src.v2.features.drawdown import drawdown_features
from src.v2.features.market import market_features
from src.v2.features.momentum import momentum_features
from src.v2.features.oscillators import oscillator_features
from src.v2.features.price_range import range_features
from src.v2.features.registry import Family, Feature, collect_features
from src.v2.features.seasonality import calendar_features
from src.v2.features.trend import trend_features
from src.v2.features.volatility import volatility_features
from src.v2.features.volume import volume_features

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "momentum": momentum_features,
        "trend": trend_features,
        "oscillators": oscillator_features,
        "volatility": volatility_features,
        "drawdown": drawdown_features,
        "range": range_features,
        "volume": volume_features,
        "market": market_features,
        "calendar": calendar_features,
        "cross_section": cross_section_features,
        "context": context_features,
    }
)
"""The families, in the order of the configuration's default."""

OPTIONAL_FAMILIES: Mapping[str, Family] = MappingProxyType({"alpha158": alpha158_features})
"""Families that a configuration must name."""


def active_features(config: FeaturesConfig, series: Iterable[str] = ()) -> list[Feature]:
    """Gather every feature that a configuration asks for: families, own files, own columns.

    Parameters
    ----------
    config
        The section ``features``.
    series
        Names of the series of context, each of which has features of its own.

    Raises
    ------
    ConfigError
        An unknown family or excluded name, two features of one name, or an unusable file.
    """
    own = [*load_own_features(config.modules), *column_features(config.columns)]
    known: dict[str, Family] = {**FAMILIES, **OPTIONAL_FAMILIES}
    known["context"] = partial(context_features, series)
    return collect_features(known, config.families, config.exclude, own)


def load_own_features(paths: Iterable[str | Path]) -> list[Feature]:
    """Read the user's files of features.

    Parameters
    ----------
    paths
        Python files, each with a function ``features() -> list[Feature]``.

    Raises
    ------
    ConfigError
        A file that is missing, cannot be imported, or does not give a list of features.
    """
    features: list[Feature] = []
    for position, path in enumerate(map(Path, paths)):
        features += _read_own(path, f"own_features_{position}")
    return features


def _read_own(path: Path, module_name: str) -> list[Feature]:
    """Import one file and call its function."""
    rule = "features.modules must name Python files with features() -> list[Feature]"
    if not path.is_file():
        raise ConfigError(f"{rule}; {path} does not exist.")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{rule}; {path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        # What the file prints may not stand between the rows of a CSV.
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
            make = getattr(module, "features", None)
            made = make() if callable(make) else None
    except (Exception, SystemExit) as error:  # the file is the user's: any failure is one line
        detail = " ".join(str(error).split())
        message = f"{rule}; {path} failed with {type(error).__name__}: {detail}."
        raise ConfigError(message) from error
    if not callable(make):
        raise ConfigError(f"{rule}; {path} has no such function.")
    if not isinstance(made, list) or not all(isinstance(item, Feature) for item in made):
        raise ConfigError(f"{rule}; {path} returned a {_describe(made)}.")
    return made


def _describe(made: object) -> str:
    """Name a wrong return value: its type, or the first wrong item's."""
    if not isinstance(made, list):
        return type(made).__name__
    wrong = next(item for item in made if not isinstance(item, Feature))
    return f"list with a {type(wrong).__name__}"


def column_features(columns: Mapping[str, int]) -> list[Feature]:
    """Make features of the user's own numeric columns.

    Parameters
    ----------
    columns
        For each column of the bars its ``available_lag``: the sessions of the ticker after
        which a value is known. The feature shows the value of that many rows ago.
    """
    for name, lag in columns.items():
        if lag < 0:
            raise ConfigError(
                f"features.columns must give an available_lag of at least 0; "
                f"got {lag} for {name}: a negative one would look ahead."
            )
    return [
        Feature(
            name,
            "columns",
            pl.col(name).cast(pl.Float64).shift(lag),
            (name,),
            lag,
            f"own column {name}, as known {lag} sessions later",
            "own",
        )
        for name, lag in columns.items()
    ]


def features_page() -> str:
    """Return the page of features: the defaults, then each family that must be asked for."""
    parts = [features_markdown(active_features(FeaturesConfig()))]
    for name, family in OPTIONAL_FAMILIES.items():
        parts.append(f"## Optional: `--features.families {name}`")
        parts.append("Not computed unless the configuration names it, alone or with others.")
        parts.append(features_markdown(family()))
    return "\n\n".join(parts) + "\n"


def features_markdown(features: Iterable[Feature]) -> str:
    """Return the table of features as Markdown, one row each.

    Examples
    --------
    >>> print(features_markdown(calendar_features()[:1]))
    | name | family | look-back | needs | what | source |
    |---|---|---|---|---|---|
    | `month_sin` | calendar | 0 | date | sine of the month as an angle | Heston and Sadka 2008 |
    """
    lines = ["| name | family | look-back | needs | what | source |", "|---|---|---|---|---|---|"]
    for feature in features:
        needs = ", ".join((*feature.inputs, *feature.needs, *feature.context)) or "date"
        cells = (f"`{feature.name}`", feature.family, str(feature.lookback), needs)
        lines.append("| " + " | ".join((*cells, feature.doc, feature.source)) + " |")
    return "\n".join(lines)
