"""What the evaluation of a run found, as frozen records without logic.

Everything here is taken on rows that no fit has seen. Returns are fractions; correlations
are per date over the tickers, then averaged; NaN stands for what these rows cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Word = Literal["evidence", "no evidence", "implausible: check for leakage"]
Outcome = Literal["plausible", "suspicious", "implausible"]
AuditOutcome = Literal["pass", "warn", "fail", "skipped"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over dates, its 95% bounds, and how many independent windows stand behind it."""

    mean: float
    low: float
    high: float
    windows: int


@dataclass(frozen=True, slots=True)
class Statistic:
    """A test statistic and its one-sided p-value: small where the model is better."""

    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class NullBin:
    """A bar of the histogram of mean rank ICs with exchanged tickers."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class RankingSkill:
    """How well scores order the tickers of a date.

    Parameters
    ----------
    dates, tickers
        Dates with at least 10 scored tickers, and distinct tickers on them.
    ewc, demeaned_ewc
        Student's t of the interval's standard error, one-sided.
    icir
        Mean daily rank IC over its standard deviation; no t-statistic.
    positive_share
        Share of dates with a rank IC above 0.
    permutation_p
        One-sided: share of the permutations of ticker identity, once for all dates, that
        reach the mean rank IC; NaN where too few tickers may be exchanged.
    exchangeable
        Tickers that may be exchanged with another one of equal coverage.
    non_overlapping
        Student's t over every H-th date; the median over the H offsets.
    newey_west
        At lag horizon - 1; for comparison, it rejects a true zero too often.
    demeaned_rank_ic
        Of scores less each ticker's own mean so far in the fold: what is left when a static
        ranking is taken away.
    detectable
        Smallest true mean rank IC that this many dates find with a chance of 80%.
    yearly
        (year, dates, mean rank IC).
    null
        Histogram of the permutations' mean rank IC; empty without a test.
    """

    dates: int
    tickers: int
    ic: Interval
    rank_ic: Interval
    ewc: Statistic
    rank_ic_std: float
    icir: float
    positive_share: float
    permutation_p: float
    permutations: int
    exchangeable: int
    non_overlapping: Statistic
    newey_west: Statistic
    demeaned_rank_ic: Interval
    demeaned_ewc: Statistic
    detectable: float
    yearly: tuple[tuple[int, int, float], ...]
    null: tuple[NullBin, ...]


@dataclass(frozen=True, slots=True)
class ReturnSkill:
    """How close shown returns come to the returns that followed.

    Parameters
    ----------
    r2, r2_zero
        Against the expanding mean of the labels known at each date (Campbell and Thompson
        2008), and against zero (Gu, Kelly and Xiu 2020).
    r2_demeaned
        Of returns and forecasts less their means of the date, against zero.
    clark_west_mean, clark_west_zero
        Whether the model beats the simpler forecast that it holds inside (Clark and West 2007).
    """

    r2: Interval
    r2_zero: Interval
    r2_demeaned: Interval
    clark_west_mean: Statistic
    clark_west_zero: Statistic


@dataclass(frozen=True, slots=True)
class SideSkill:
    """Share of rows on the right side, beside what naming one side always reaches."""

    hit_rate: float
    base_rate: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of about equal forecast: how often the class came, with its 95% interval."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class ClassSkill:
    """How good class probabilities are.

    Parameters
    ----------
    brier, log_loss
        Mean over rows; Brier's over all classes.
    brier_skill, log_loss_skill
        1 - loss / loss of the shares of the classes in the rows fitted on.
    ece, ece_null
        Expected calibration error over ten bins of equal mass, and its 95% quantile if the
        probabilities were right: an error below it is none.
    auc
        Per date, then averaged; of the upper half of the classes against the lower.
    roc_auc, pr_auc, pr_base
        Over all rows, one class against the rest and averaged; `pr_base` is the average share
        of a class.
    confusion
        Rows by true class (rows) and likeliest class (columns), lowest first.
    curve
        Of P(highest class).
    """

    brier: float
    brier_skill: Interval
    log_loss: float
    log_loss_skill: Interval
    ece: float
    ece_null: float
    auc: Interval
    roc_auc: float
    pr_auc: float
    pr_base: float
    balanced_accuracy: float
    mcc: float
    confusion: tuple[tuple[int, ...], ...]
    curve: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True)
class RatingReturn:
    """What became of the tickers of one rating: mean return over the date's mean."""

    name: str
    rows: int
    excess: Interval


@dataclass(frozen=True, slots=True)
class BaselineScore:
    """One simple rule on the same dates and rows as the model.

    Parameters
    ----------
    rank_ic
        NaN bounds and mean for a rule that does not rank.
    r2
        Of its shown return against the expanding mean; NaN where it shows none.
    margin
        Daily rank IC of the model less that of the rule, on the dates of both.
    diebold_mariano
        Whether the model's squared error is smaller; NaN where the rule shows no return.
    folds
        Folds that it was fitted or scored on.
    """

    name: str
    about: str
    rank_ic: Interval
    r2: float
    margin: Interval
    diebold_mariano: Statistic
    folds: int


@dataclass(frozen=True, slots=True)
class Book:
    """One way to trade the scores, net of costs.

    Parameters
    ----------
    annual_return
        Compounded to a year of 252 sessions.
    annual_volatility
        Standard deviation of daily returns, times the root of 252.
    sharpe
        Annual, without a risk-free rate; bounds by its standard error (Mertens 2002).
    psr, dsr
        Chance that the true Sharpe ratio is above 0, and above what the best of the trials
        would reach by luck (Bailey and Lopez de Prado 2012, 2014).
    max_drawdown
        Largest fall from a peak, a fraction from 0 to 1.
    turnover
        Mean share of the book traded in a session, one way.
    """

    name: str
    annual_return: float
    annual_volatility: float
    sharpe: Interval
    psr: float
    dsr: float
    max_drawdown: float
    turnover: float


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What trading the scores would have brought.

    Parameters
    ----------
    quantile
        Share of the tickers in each of the two ends.
    daily
        | date | long_short | top | equal_weight | long_short_gross | top_gross |: daily
        simple returns, net but for the columns that say gross.
    yearly
        (year, long_short, top, equal_weight): compounded returns.
    sectors
        Mean net weight of the long-short book by sector; empty without a sector file.
    """

    quantile: float
    cost_bps: float
    sessions: int
    books: tuple[Book, ...]
    daily: pl.DataFrame
    yearly: tuple[tuple[int, float, float, float], ...]
    sectors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Stability:
    """Whether the folds find the same features important; no sign of skill.

    Parameters
    ----------
    spearman
        Mean rank correlation of the features' gain between every two folds.
    phi, phi_null
        Nogueira's Phi of the top `top` groups by mean |SHAP| on test rows, and the same of the
        fits on permuted labels.
    phi_low, phi_high
        95% bounds; NaN where the folds share training rows.
    phi_pair
        Phi on the very folds and rows of `phi_null`, which alone it may be compared with.
    groups
        Groups of features correlated above 0.9, each counted as one.
    """

    spearman: float
    phi: float
    phi_low: float
    phi_high: float
    phi_null: float
    phi_pair: float
    groups: int
    top: int


@dataclass(frozen=True, slots=True)
class GuardCheck:
    """One number beside what is believable.

    Parameters
    ----------
    low
        Lower 95% bound; NaN where there is none.
    suspicious, implausible
        Limits at this horizon.
    """

    quantity: str
    value: float
    low: float
    suspicious: float
    implausible: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Hurdle:
    """A test that a verdict of evidence rests on, and that more trials make harder.

    Parameters
    ----------
    p
        One-sided.
    level
        Of a first trial; it is divided by the number of trials.
    """

    quantity: str
    p: float
    level: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an honest reader may conclude.

    Parameters
    ----------
    word
        The verdict.
    reasons
        What decided it, most telling first; whole sentences.
    beside
        What stands beside the word, as "no better than ridge".
    trials
        Configurations tried on these data so far, this one included.
    guard
        Every plausibility check that was made.
    hurdles
        What `src.v2.evaluation.verdict.fallen_hurdles` judges again when more was tried.
    """

    word: Word
    reasons: tuple[str, ...]
    beside: tuple[str, ...]
    trials: int
    guard: tuple[GuardCheck, ...]
    hurdles: tuple[Hurdle, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that the walk-forward's forecasts showed."""

    ranking: RankingSkill | None
    """None below 20 tickers, where no cross-sectional claim is made."""
    returns: ReturnSkill | None
    """None for classification."""
    sides: SideSkill
    classes: ClassSkill | None
    """None for regression."""
    ratings: tuple[RatingReturn, ...]
    """Empty below 20 tickers."""
    baselines: tuple[BaselineScore, ...]
    portfolio: Portfolio | None
    """None below 20 tickers."""
    stability: Stability
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """One question that the audit asked, and what it found."""

    name: str
    question: str
    outcome: AuditOutcome
    evidence: str
    """What was tried and found, with its numbers, in a sentence or two."""
    numbers: Mapping[str, float]
