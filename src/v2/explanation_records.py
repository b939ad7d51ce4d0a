"""Why the model forecasts what it does, as frozen records without logic.

Every row that is explained is a row that the fold's model had not seen, explained by that
model. What is explained is one signed quantity: the forecast of a regression, the log-odds
of "up", or of more classes the log-odds of higher over lower ones, a weighted sum of their
margins. Log-odds are those before calibration. Contributions are in units of that quantity; NaN
stands for what cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from src.v2.case_records import Case, NewestRanking
from src.v2.evaluation_records import Interval

Measure = Literal["rank IC", "squared error", "log loss"]
"""What a permutation costs: a fall of the mean rank IC; or below 20 tickers a rise of the loss,
as a share of it."""

CohortKind = Literal["year", "volatility", "sector"]


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """How much one feature moves the forecast, and whether it helps.

    Parameters
    ----------
    shap
        Mean |SHAP value|, with its 95% date-block interval; `windows` is the number of blocks.
    share
        `shap` as a share of the sum over all features.
    permutation
        What the forecast loses when the feature is exchanged between the tickers of each date
        (between the dates of a fold where it is the same for all tickers of a date).
    null_share
        `share` in fits on permuted labels.
    direction
        Mean over folds of the rank correlation of the feature with its SHAP values.
    agreement
        Share of the folds that use it in which that correlation has the sign of `direction`.
    folds_used
        Folds that use it: those in which that correlation can be told.
    fold_shares
        `share` in each fold, in the order of `Agreement.folds`.
    probed_share
        `share` in the extra fits with columns of chance, these among the columns.
    better_than_noise
        Whether `probed_share` is above the noise line; None where no line can be drawn.
    """

    name: str
    family: str
    shap: Interval
    share: float
    permutation: Interval
    null_share: float
    direction: float
    agreement: float
    folds_used: int
    fold_shares: tuple[float, ...]
    probed_share: float
    better_than_noise: bool | None


@dataclass(frozen=True, slots=True)
class FamilyImportance:
    """The features of one family together.

    Parameters
    ----------
    shap
        Mean |sum of the family's SHAP values|, so that contributions that cancel do not count.
    share
        `shap` as a share of the sum over families.
    permutation
        As of a feature, with all features of the family exchanged by the same permutation.
    """

    name: str
    features: int
    shap: Interval
    share: float
    permutation: Interval


@dataclass(frozen=True, slots=True)
class NoiseKind:
    """What columns of one kind of chance reach.

    Parameters
    ----------
    name
        "one a row", "one a ticker", "one a date" or "a slow walk a ticker".
    mean, low, high
        Of its columns' shares of the mean |SHAP|, each the mean over the extra fits: their
        mean, the smallest and the largest.
    drop
        What the forecast loses when such a column is permuted, mean over the columns.
    """

    name: str
    mean: float
    low: float
    high: float
    drop: float


@dataclass(frozen=True, slots=True)
class NoiseLine:
    """What features without meaning reach, in one extra fit of each of a few folds.

    Parameters
    ----------
    folds
        Numbers of those folds.
    draws
        Columns of chance in each of the fits, over all kinds.
    limit
        The largest share of any such column: features whose `probed_share` is at or below it
        are no better than noise. 0 where no tree splits on a column of chance.
    below
        Those features, most important first; empty where `limit` is 0.
    """

    folds: tuple[int, ...]
    draws: int
    kinds: tuple[NoiseKind, ...]
    limit: float
    below: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Importance:
    """Which features move the forecast, and which help.

    Parameters
    ----------
    quantity
        What is explained, as "excess return" or "log-odds of up".
    measure, skill
        What a permutation is measured by, and its value before any.
    rows, dates, permuted_rows, permuted_dates
        Rows and dates explained, and those permuted.
    block_sessions
        Length of the blocks of dates that the intervals draw.
    compactness
        Features that hold 90% of a row's sum of |SHAP|, median over rows.
    features, families
        Largest mean |SHAP| first.
    """

    quantity: str
    measure: Measure
    skill: float
    rows: int
    dates: int
    permuted_rows: int
    permuted_dates: int
    block_sessions: int
    compactness: int
    features: tuple[FeatureImportance, ...]
    families: tuple[FamilyImportance, ...]
    noise: NoiseLine


@dataclass(frozen=True, slots=True)
class Cohort:
    """One year, state of the market or sector.

    Parameters
    ----------
    rank_ic
        Mean daily rank IC of its rows; NaN where its dates hold too few tickers.
    shares
        Share of the mean |SHAP| of each of `Agreement.top`.
    """

    kind: CohortKind
    name: str
    rows: int
    dates: int
    rank_ic: Interval
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the story holds over folds, years, states of the market and sectors.

    Parameters
    ----------
    folds
        Numbers of the folds.
    kendall
        Kendall's tau-b between the mean |SHAP| of each two folds, rows by columns.
    mean_kendall
        Mean over the pairs; NaN for one fold.
    top
        Features that the cohorts list, most important first.
    """

    folds: tuple[int, ...]
    kendall: tuple[tuple[float, ...], ...]
    mean_kendall: float
    top: tuple[str, ...]
    cohorts: tuple[Cohort, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """How the forecast changes along one feature (accumulated local effects).

    Parameters
    ----------
    partner, partner_strength
        The feature that it interacts with most, and mean |interaction|; empty and NaN without.
    edges
        Borders of the bins of the feature, rising; one more than the rows of a bin.
    effect, low, high
        At each edge, centred to mean 0 over the rows; 95% date-block bounds.
    rows
        Rows in each bin.
    """

    feature: str
    partner: str
    partner_strength: float
    edges: tuple[float, ...]
    effect: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two features whose effects do not add up.

    Parameters
    ----------
    strength
        Mean |interaction| (both halves), in units of what is explained.
    share
        Of the sum over all pairs.
    """

    first: str
    second: str
    strength: float
    share: float


@dataclass(frozen=True, slots=True)
class Interactions:
    """How features act together, by SHAP interaction values.

    Parameters
    ----------
    rows
        Rows explained by pairs.
    share
        Part of the interactions in the sum of |main effects| and |interactions|.
    names, matrix
        Mean |interaction| among the most important features, main effects on the diagonal.
    pairs
        The strongest, first to last.
    """

    rows: int
    share: float
    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class TrustCheck:
    """One question about the explanation itself, and what was found.

    Parameters
    ----------
    finding
        A sentence with its numbers.
    passed
        None where it only informs.
    numbers
        By name, as in the sentence.
    """

    name: str
    question: str
    finding: str
    passed: bool | None
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a feature moved between a fold's training rows and its test rows.

    Parameters
    ----------
    psi
        Population stability index over ten bins of equal training mass, missing values as an
        eleventh: below 0.1 little, above 0.25 much.
    within
        The same of a block of training rows as long as the test block against the training
        rows outside it, the largest over folds; NaN where the training rows hold no two blocks.
    """

    feature: str
    fold: int
    psi: float
    within: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that the model was asked about itself."""

    importance: Importance
    agreement: Agreement
    effects: tuple[Effect, ...]
    interactions: Interactions
    cases: tuple[Case, ...]
    newest: NewestRanking
    drift: tuple[Drift, ...]
    """The largest over folds for each feature, largest first."""
    checks: tuple[TrustCheck, ...]
