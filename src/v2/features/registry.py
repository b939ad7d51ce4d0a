"""What a feature is, and the list of those in force.

A feature is a record that carries its own formula. Families are functions that make
records; nothing is registered at import, so the order of the columns is the order of the
families in the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from src.v2.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

NAME = re.compile(r"[a-z][a-z0-9_]*")
BAR_COLUMNS = ("open", "high", "low", "close", "volume")
"""Columns of the bars that a feature may ask for."""

RESERVED = frozenset((*BAR_COLUMNS, "date", "ticker"))


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the panel, and how it comes about.

    Parameters
    ----------
    name
        Column name: lower case, digits and underscores; windows in sessions at its end.
    family
        Group that the feature is shown in.
    expression
        Polars expression without ``.over``; ``scope`` says what it sees. What rolls it reads
        from columns that kernels make; a window of its own works too, at a higher price.
    inputs
        Bar columns that must be present, own columns included; a feature that lacks one is
        left out, by name.
    lookback
        The ticker's own earlier rows before the first value; rows before that are null.
        A recursive feature asks for ten windows. With ``scope`` session: earlier sessions.
    doc
        One line: what it says, and its unit.
    source
        Who described it, or "own".
    scope
        ``ticker``: the rows of one ticker in date order, with the bar columns (prices
        divided by the ticker's first close) and the columns of `src.v2.features.inputs` and
        `src.v2.features.shared`. ``session``: one row a session, with the date, the market's
        columns and the series of context; every ticker of the date gets the same value.
        ``date``: all tickers of one date, with the columns of the ticker-wise features.
        ``rank``: the expression is the column of a ticker-wise feature, and its centred rank
        among the tickers of the date becomes the feature. ``sector``: each row alone, with the
        columns of the ticker-wise features and, beside each, ``<name>_sector`` and
        ``<name>_date``, its means over the tickers of the row's sector and date.
        ``sector_rank``: as rank, among the tickers of the sector.
    needs
        With ``scope`` date, rank, sector or sector_rank: the ticker-wise features that the
        expression reads.
    context
        Series of context that must be given, by name, or ``sector``; a feature that lacks one
        is left out, by name.
    """

    name: str
    family: str
    expression: pl.Expr
    inputs: tuple[str, ...]
    lookback: int
    doc: str
    source: str
    scope: Literal["ticker", "session", "date", "rank", "sector", "sector_rank"] = "ticker"
    needs: tuple[str, ...] = ()
    context: tuple[str, ...] = ()


Family = Callable[[], list[Feature]]


def collect_features(
    families: Mapping[str, Family],
    chosen: Iterable[str],
    exclude: Iterable[str] = (),
    own: Iterable[Feature] = (),
) -> list[Feature]:
    """Gather the features of the chosen families and the user's own ones.

    Parameters
    ----------
    families
        Every family known, by name.
    chosen
        Names of the families wanted, in order.
    exclude
        Names of features left out.
    own
        Features made outside the families.

    Raises
    ------
    ConfigError
        An unknown family or excluded name, two features of one name, or a feature whose name
        or expression cannot be used.
    """
    features: list[Feature] = []
    for name in chosen:
        if name not in families:
            known = ", ".join(families)
            raise ConfigError(f"features.families must be of {known}; got {name!r}.")
        features += families[name]()
    features += own
    by_name: dict[str, Feature] = {}
    for feature in features:
        if not NAME.fullmatch(feature.name) or feature.name in RESERVED:
            raise ConfigError(
                "A feature's name must be lower-case letters, digits and underscores, and no "
                f"column of the bars; got {feature.name!r} in family {feature.family}."
            )
        if not hasattr(feature.expression, "meta"):
            kind = type(feature.expression).__name__
            raise ConfigError(
                f"The expression of the feature {feature.name!r} must be Polars'; got a {kind}."
            )
        if feature.name in by_name:
            raise ConfigError(
                f"A feature's name must be its own; {feature.name!r} is made by the families "
                f"{by_name[feature.name].family} and {feature.family}. Rename one of them."
            )
        by_name[feature.name] = feature
    excluded = set(exclude)
    unknown = sorted(excluded - by_name.keys())
    if unknown:
        raise ConfigError(f"features.exclude must name features; got {', '.join(unknown)}.")
    return [feature for feature in features if feature.name not in excluded]
