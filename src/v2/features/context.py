"""What surrounds a ticker: series that all share, the market's regime, and its sector.

A series is any daily index. Only the one named vix, a volatility index in percent a year, is also
shown as a level: the level of a price says nothing that lasts.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from src.v2.data.context import SECTOR
from src.v2.features.formulas import ANNUAL, TINY
from src.v2.features.registry import Feature

FAMILY = "context"
CLOSE = ("close",)
VOLATILITY_INDEX = "vix"
YEAR = 252
REGIME_WINDOW = 504
"""Sessions that a regime of volatility is a third of: two years."""

CORRECTION, BEAR = -0.1, -0.2
"""Falls from the top of a year at which a market's regime changes."""

IN_SECTOR = (
    *("return_5", "return_20", "return_60", "momentum_252_21"),
    *("volatility_60", "volume_trend_5_60", "beta_252"),
)
"""Ticker-wise features that are compared inside the sector."""

OF_SECTOR = ("return_20", "return_60")
"""Ticker-wise features whose mean over the sector is compared with that over the date."""


def context_features(series: Iterable[str] = ()) -> list[Feature]:
    """Return the features of the series given and of vix, of the regimes, and of sectors."""
    records: list[Feature] = []
    for name in dict.fromkeys((VOLATILITY_INDEX, *series)):
        records += _of_series(name)
    return [*records, *_of_volatility_index(), *_regimes(), *_sector_relative(), *_own_momentum()]


def _of_series(name: str) -> list[Feature]:
    """Describe where a series stands and how it moved, whatever its unit."""
    value = pl.col(name)
    log = pl.when(value > 0).then(value.log())
    mean, spread = value.rolling_mean(YEAR), _deviation(value, YEAR)
    low, high = value.rolling_min(YEAR), value.rolling_max(YEAR)
    records = [
        _shared(
            f"{name}_change_{window}",
            log - log.shift(window),
            window,
            f"log change of {name} over {window} sessions",
            "Ang, Hodrick, Xing and Zhang 2006",
            name,
        )
        for window in (5, 20)
    ]
    return [
        *records,
        _shared(
            f"{name}_zscore_{YEAR}",
            (value - mean) / spread,
            YEAR - 1,
            f"{name} against its mean of {YEAR} sessions: in its deviations",
            "own",
            name,
        ),
        _shared(
            f"{name}_place_{YEAR}",
            pl.when(high > low).then((value - low) / (high - low)),
            YEAR - 1,
            f"place of {name} between its lowest and highest of {YEAR} sessions, 0 to 1",
            "own",
            name,
        ),
        _shared(
            f"{name}_slope_20",
            _slope(value, 20) / spread,
            YEAR - 1,
            f"slope of {name} over 20 sessions: a session, in its deviations of {YEAR}",
            "own",
            name,
        ),
    ]


def _of_volatility_index() -> list[Feature]:
    """Describe the volatility that options expect."""
    name = VOLATILITY_INDEX
    level = pl.col(name) / 100
    return [
        _shared(
            f"{name}_level",
            level,
            0,
            "annual volatility that the options of an index expect (fraction)",
            "Whaley 2000",
            name,
        ),
        _shared(
            f"{name}_premium_20",
            level - ANNUAL * _deviation(pl.col("market_return"), 20),
            20,
            "expected annual volatility minus the market's of 20 sessions (fraction)",
            "Bollerslev, Tauchen and Zhou 2009",
            name,
        ),
        _shared(
            f"regime_{name}",
            _third(pl.col(name)),
            REGIME_WINDOW - 1,
            f"regime of {name}: 0 in the lowest third of {REGIME_WINDOW} sessions, 1 middle, "
            "2 highest",
            "Hamilton and Susmel 1994",
            name,
        ),
    ]


def _regimes() -> list[Feature]:
    """Name the market's state by its own return."""
    level = pl.col("market_level")
    mean = level.rolling_mean(200)
    rises = mean - mean.shift(20)
    fall = level / level.rolling_max(YEAR) - 1
    volatility = _deviation(pl.col("market_return"), 20)
    return [
        _shared(
            "regime_bull",
            _flag((level > mean) & (rises > 0)),
            219,
            "the market above its mean of 200 sessions and that mean rising: 1 if both, else 0",
            "Faber 2007",
        ),
        _shared(
            "regime_bear",
            _flag((level < mean) & (rises < 0)),
            219,
            "the market below its mean of 200 sessions and that mean falling: 1 if both, else 0",
            "Faber 2007",
        ),
        _shared(
            "regime_volatility",
            _third(volatility),
            REGIME_WINDOW + 19,
            "regime of the market's volatility of 20 sessions: 0 calm, 1 usual, 2 stormy third "
            f"of {REGIME_WINDOW} sessions",
            "Hamilton and Susmel 1994",
        ),
        _shared(
            "regime_drawdown",
            _flag(fall <= CORRECTION) + _flag(fall <= BEAR),
            YEAR - 1,
            f"regime of the market's drawdown from its top of {YEAR} sessions: 0 less than 10%, "
            "1 less than 20%, 2 more",
            "Lunde and Timmermann 2004",
        ),
    ]


def _sector_relative() -> list[Feature]:
    """Compare a ticker with those of its sector."""
    differences = [
        Feature(
            f"{name}_in_sector",
            FAMILY,
            pl.col(name) - pl.col(f"{name}_sector"),
            (),
            0,
            f"{name} minus its mean over the tickers of the sector",
            "Asness, Porter and Stevens 2000",
            scope="sector",
            needs=(name,),
            context=(SECTOR,),
        )
        for name in IN_SECTOR
    ]
    ranks = [
        Feature(
            f"{name}_sector_rank",
            FAMILY,
            pl.col(name),
            (),
            0,
            f"centred rank of {name} among the tickers of the sector",
            "Asness, Porter and Stevens 2000",
            scope="sector_rank",
            needs=(name,),
            context=(SECTOR,),
        )
        for name in IN_SECTOR
    ]
    return differences + ranks


def _own_momentum() -> list[Feature]:
    """Compare a sector with all tickers of the date."""
    return [
        Feature(
            f"sector_{name}",
            FAMILY,
            pl.col(f"{name}_sector") - pl.col(f"{name}_date"),
            (),
            0,
            f"mean of {name} over the tickers of the sector minus that over all",
            "Moskowitz and Grinblatt 1999",
            scope="sector",
            needs=(name,),
            context=(SECTOR,),
        )
        for name in OF_SECTOR
    ]


def _shared(
    name: str, expression: pl.Expr, lookback: int, doc: str, source: str, series: str | None = None
) -> Feature:
    """Make a record that every ticker of a date shares."""
    inputs = CLOSE if series is None else ()
    context = () if series is None else (series,)
    return Feature(
        name, FAMILY, expression, inputs, lookback, doc, source, scope="session", context=context
    )


def _deviation(values: pl.Expr, window: int) -> pl.Expr:
    """Return the sample deviation in the window, null where it is rounding noise."""
    found = values.rolling_std(window)
    return pl.when(found > TINY * values.abs().rolling_max(window)).then(found)


def _slope(values: pl.Expr, window: int) -> pl.Expr:
    """Return the slope per session of the least-squares line through the window."""
    row = pl.int_range(pl.len()).cast(pl.Float64)
    middle = row - (window - 1) / 2
    covariance = (row * values).rolling_mean(window) - middle * values.rolling_mean(window)
    return covariance * (12 / (window**2 - 1))


def _flag(condition: pl.Expr) -> pl.Expr:
    """Turn yes and no into 1 and 0; unknown stays null."""
    return condition.cast(pl.Float64)


def _third(values: pl.Expr) -> pl.Expr:
    """Return 0, 1 or 2 for the third of its own last two years that a value lies in."""
    low, high = (
        values.rolling_quantile(share, "linear", REGIME_WINDOW) for share in (1 / 3, 2 / 3)
    )
    return _flag(values > low) + _flag(values > high)
