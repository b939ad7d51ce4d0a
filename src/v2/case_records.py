"""Single forecasts, taken apart, as frozen records without logic.

Contributions are in units of what is explained; NaN stands for what is not known.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

CaseKind = Literal["best", "worst", "long", "short", "median", "latest long", "latest short"]
"""The largest gain and loss of the ranking, its extremes, its middle, and the newest date."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one feature contributes to one forecast.

    Parameters
    ----------
    value
        Of the feature; NaN where missing.
    contribution
        Its SHAP value.
    place
        Share of the date's tickers with a smaller value, ties counted half; for a feature that
        all tickers of a date share, of the earlier dates. NaN for a missing value.
    reason
        The same in words, as a reader without the formula needs it.
    """

    feature: str
    value: float
    contribution: float
    place: float
    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """One forecast, taken apart.

    Parameters
    ----------
    kind
        Why it is shown.
    fold
        Number of the fold whose model made it; 0 for the shipped model.
    score
        What tickers are ranked by.
    above
        The score less its date's mean; below 20 tickers the score itself, of classes less the
        middle. Below 0 the forecast is a short.
    rank, tickers
        Place in the ranking of the date (1 is the highest score), and its length.
    level
        Other tickers of the date with the same score, among which the place means nothing.
    realised
        The forward return that came; NaN where it is not known yet.
    base, total
        What the contributions start from and add up to, in units of what is explained.
    parts
        The largest |contribution| first.
    rest
        Sum of all other contributions.
    compactness
        Features that hold 90% of the sum of |contributions|.
    """

    kind: CaseKind
    date: dt.date
    ticker: str
    fold: int
    score: float
    above: float
    rank: int
    tickers: int
    level: int
    realised: float
    base: float
    total: float
    parts: tuple[Part, ...]
    rest: float
    compactness: int


@dataclass(frozen=True, slots=True)
class RankedTicker:
    """One ticker of the newest ranking.

    Parameters
    ----------
    rank
        1 is the highest score; equal scores stand in the order of their names.
    score, total
        What tickers are ranked by, and what is explained.
    reasons
        The strongest, in words.
    """

    rank: int
    ticker: str
    score: float
    total: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewestRanking:
    """The newest date, ranked by the shipped model, whose own forecasts nobody has judged.

    Parameters
    ----------
    tickers
        Length of the ranking.
    rows
        All of it, or both ends of a long one.
    """

    date: dt.date
    tickers: int
    rows: tuple[RankedTicker, ...]
