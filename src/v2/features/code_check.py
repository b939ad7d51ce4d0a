"""Whether the features of this code are those that a model was trained with.

Each feature is computed on bars made by a formula and summed up in one number. The same code
written otherwise gives the same numbers within rounding; another formula does not.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import FeaturesConfig
from src.v2.data.context import Context
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features

TOLERANCE = 1e-5
"""Largest difference of a number that counts as rounding, in sizes of the feature."""

TICKERS, SESSIONS, LATER = 12, 760, 7
"""Tickers and sessions of the made-up bars; each ticker starts some sessions after the last."""

FIRST = dt.date(2001, 1, 1)
Array = npt.NDArray[np.float64]


def code_hash() -> str:
    """SHA-256 of the sources of the features: names and contents of the files in this folder."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{digest}  {path.name}\n".encode())
    return total.hexdigest()


def feature_numbers(
    settings: FeaturesConfig,
    names: Sequence[str],
    *,
    with_market: bool,
    series: Sequence[str] = (),
) -> dict[str, float]:
    """Sum up each feature of the made-up bars in one number.

    Parameters
    ----------
    settings
        The features in force.
    names
        Those asked for; features of a user's own files are left out.
    with_market
        Whether market features read the market's own bars, rather than the universe's mean.
    series
        Series of context that features read; sectors are always made up.

    Returns
    -------
    dict
        A weighted mean over the rows and twice the size (root mean square), in units of the
        feature; a missing value counts as two sizes. 0 where the made-up bars give no value.
    """
    found = _numbers(settings, names, with_market, series)
    return {name: number for name, (number, _) in found.items()}


def changed_features(
    settings: FeaturesConfig,
    known: Mapping[str, float],
    *,
    with_market: bool,
    series: Sequence[str] = (),
) -> list[str]:
    """Name the features whose numbers are no longer the known ones.

    Parameters
    ----------
    known
        Of `feature_numbers`, as the model was trained.
    """
    found = _numbers(settings, tuple(known), with_market, series)
    changed = []
    for name, number in known.items():
        if name not in found:
            changed.append(name)
            continue
        now, size = found[name]
        if not abs(now - number) <= TOLERANCE * size:
            changed.append(name)
    return changed


def _numbers(
    settings: FeaturesConfig,
    names: Sequence[str],
    with_market: bool,
    series: Sequence[str] = (),
) -> dict[str, tuple[float, float]]:
    """Give the number and the size (root mean square) of each feature that there still is."""
    # A user's own file is known by its hash, and may not understand made-up bars.
    features = active_features(settings.model_copy(update={"modules": ()}), series)
    bars = made_up_bars(tuple(settings.columns))
    market = _made_up_market(bars) if with_market else None
    frame = compute_features(bars, features, market, _made_up_context(bars, series)).frame
    weights = _spread(np.arange(frame.height))
    return {
        name: _number(frame[name].cast(pl.Float64).to_numpy(), weights)
        for name in names
        if name in frame.columns
    }


def _number(values: Array, weights: Array) -> tuple[float, float]:
    there = ~np.isnan(values)
    if not there.any():
        return 0.0, 0.0
    size = float(np.sqrt(np.mean(values[there] ** 2)))
    filled = np.where(there, values, 2 * size)
    # With the size in it no number is near 0, where another scale would go unnoticed.
    return float(np.mean(filled * weights)) + 2 * size, size


def made_up_bars(columns: Sequence[str] = ()) -> pl.DataFrame:
    """Make bars by a formula, equal on every machine.

    Returns
    -------
    pl.DataFrame
        | date | ticker | open | high | low | close | volume | and the own columns |; tickers
        start one after the other, and one halts for a while.
    """
    tables = [_ticker_bars(number, columns) for number in range(TICKERS)]
    return pl.concat(tables).sort("date", "ticker")


def _ticker_bars(number: int, columns: Sequence[str]) -> pl.DataFrame:
    """Make one ticker's bars: returns that never repeat, a range about them, a volume."""
    session = np.arange(number * LATER, SESSIONS)
    if number == 1:
        session = session[(session < 200) | (session >= 210)]
    place = session + 1000.0 * number
    # Waves as of a market, deep enough for every state that a feature tells apart.
    common = 0.006 * _spread(session + 0.5) + 0.004 * np.sin(session / 25)
    close = 20 * (1 + number) * np.exp(np.cumsum(common + 0.015 * _spread(place)))
    open_ = close * (1 + 0.006 * _spread(place + 0.1))
    table = pl.DataFrame(
        {
            "date": session,
            "ticker": [f"M{number:02d}"] * len(session),
            "open": open_,
            "high": np.maximum(close, open_) * (1 + 0.006 * (1 + _spread(place + 0.2))),
            "low": np.minimum(close, open_) * (1 - 0.006 * (1 + _spread(place + 0.3))),
            "close": close,
            "volume": np.round(1e6 * np.exp(0.5 * _spread(place + 0.4))),
            **{name: _spread(place + 0.5 + 0.01 * order) for order, name in enumerate(columns)},
        }
    )
    dates = pl.Series([_date(day) for day in session.tolist()], dtype=pl.Date)
    return table.with_columns(dates.alias("date"))


def _date(session: int) -> dt.date:
    """Count weekdays from the first date, a Monday."""
    weeks, day = divmod(session, 5)
    return FIRST + dt.timedelta(days=7 * weeks + day)


def _made_up_market(bars: pl.DataFrame) -> pl.DataFrame:
    dates = bars["date"].unique().sort()
    place = np.arange(len(dates))
    steps = 0.008 * _spread(place + 0.7) + 0.004 * np.sin(place / 25)
    return pl.DataFrame({"date": dates, "close": 100 * np.exp(np.cumsum(steps))})


def _made_up_context(bars: pl.DataFrame, series: Sequence[str]) -> Context:
    dates = bars["date"].unique().sort()
    place = np.arange(len(dates))
    values = {
        name: pl.DataFrame({"date": dates, "value": 20 + 5 * _spread(place + 0.8 + 0.01 * order)})
        for order, name in enumerate(series)
    }
    tickers = bars["ticker"].unique().sort().to_list()
    return Context(values, {name: f"S{number % 2}" for number, name in enumerate(tickers)})


def _spread(place: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Array:
    """Spread numbers over (-1, 1) without a pattern that a feature could share."""
    turned = np.sin(place.astype(np.float64) * 12.9898 + 78.233) * 43758.5453
    return 2 * (turned - np.floor(turned)) - 1
