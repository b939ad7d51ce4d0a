"""What a run knows, as frozen records without logic.

The console, the JSON file, the MLflow run and the figures all read these, so they
cannot disagree. Shares and returns are fractions; a horizon is in trading sessions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from src.v2.detail_records import SkillDetail
from src.v2.evaluation_records import Evaluation
from src.v2.explanation_records import Explanation

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

Mode = Literal["regression", "classification"]


@dataclass(frozen=True, slots=True)
class Drop:
    """Rows, or a whole ticker, that a check left out.

    Parameters
    ----------
    ticker
        The ticker as the source named it.
    reason
        The rule that was broken, in a few words.
    rows
        Rows left out; 0 when the source gave none at all.
    whole_ticker
        Whether nothing of the ticker is used.
    failed
        Whether the source failed, rather than the ticker's bars being unfit.
    """

    ticker: str
    reason: str
    rows: int
    whole_ticker: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class UniverseCoverage:
    """What a point-in-time universe left out, and what is unknown of its members.

    Parameters
    ----------
    members
        Tickers that are ever members between the first and the last bar.
    without_bars
        Those of them without a single bar.
    member_days
        Sessions times members: each session inside a span counts once.
    missing_days
        Those of them without a bar.
    history_rows
        Bars of members outside their spans: look-backs and forward returns alone read them.
    outside_tickers
        Tickers of the source that are never members.
    merged_spans
        Spans that overlapped another one of their ticker.
    """

    members: int
    without_bars: tuple[str, ...]
    member_days: int
    missing_days: int
    history_rows: int
    outside_tickers: int
    merged_spans: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the run was trained on, and what was left out and why."""

    source: str
    dataset_name: str
    tickers: tuple[str, ...]
    drops: tuple[Drop, ...]
    rows: int
    sessions: int
    first: dt.date
    last: dt.date
    fingerprint: str
    """32 hex digits of the bars' content."""
    notes: tuple[str, ...] = ()
    universe: UniverseCoverage | None = None
    """None where no universe file was given."""

    @property
    def skipped(self) -> tuple[Drop, ...]:
        """Tickers whose bars were unfit."""
        return tuple(drop for drop in self.drops if drop.whole_ticker and not drop.failed)

    @property
    def errors(self) -> tuple[Drop, ...]:
        """Tickers that the source failed to give."""
        return tuple(drop for drop in self.drops if drop.whole_ticker and drop.failed)


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """Which features a run used, and which it had to leave out."""

    names: tuple[str, ...]
    families: Mapping[str, str]
    """Family of each feature, by name."""
    docs: Mapping[str, str]
    left_out: Mapping[str, str]
    """Reason by the name of the feature left out."""
    infinite: Mapping[str, int]
    """Values that came out infinite or undefined, and are null, by feature."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Loss by round, on the rows fitted and on the purged tail that stops the fit."""

    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One step of the walk-forward."""

    number: int
    train_first: dt.date
    train_last: dt.date
    test_first: dt.date
    test_last: dt.date
    train_rows: int
    purged_rows: int
    test_rows: int
    rounds: int
    metrics: Mapping[str, float]
    curve: LearningCurve | None
    importance: Mapping[str, float]
    """Share of each feature in what the fold's own model is made of."""


@dataclass(frozen=True, slots=True)
class HoldoutResult:
    """The last sessions, scored once by a model fitted on development rows only."""

    first: dt.date
    last: dt.date
    rows: int
    train_rows: int
    metrics: Mapping[str, float]
    opening: int | None
    """How many distinct pairs of data and configuration were scored on this holdout so far;
    None where it is not counted."""
    seen: int | None = None
    """How many configurations tried before had folds that reached into it."""


@dataclass(frozen=True, slots=True)
class ShapSample:
    """SHAP values of out-of-sample rows, each by the model of its own fold.

    Parameters
    ----------
    rows
        | date | ticker | fold |, one row an explained row.
    features
        Array (rows, features), float32, NaN where a feature is missing.
    values
        Array (rows, outputs, features) in units of the model's margin.
    base
        Array (rows, outputs): the bias that the values add up from.
    outputs
        Name of each output: one for regression and binary, one a class otherwise.
    """

    rows: pl.DataFrame
    features: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    base: np.ndarray[Any, Any]
    outputs: tuple[str, ...]
    feature_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Everything that a training run found."""

    mode: Mode
    target: str
    classes: tuple[str, ...]
    """Names of the classes, lowest first; empty for regression."""
    settings: Mapping[str, Any]
    """The effective configuration, nested, as plain values."""
    config_fingerprint: str
    coverage: Coverage
    features: FeatureReport
    train_stride: int
    panel_rows: int
    stretched_rows: int
    """Rows without a label because a halt stretched it too far."""
    training_rows: int
    """Rows that the shipped model was fitted on."""
    folds: tuple[FoldResult, ...]
    predictions: pl.DataFrame
    """Out-of-sample: | date | ticker | fold | part | score | prediction or p_<class> |
    label | forward_return | expanding_mean | label_end |."""
    evaluation: Evaluation
    """What the walk-forward's forecasts showed, and the verdict."""
    detail: SkillDetail
    """How that skill is spread over time, horizons, quantiles and errors."""
    explanation: Explanation
    """Why the model forecasts what it does."""
    metrics: Mapping[str, float]
    """Every number by its key in MLflow."""
    holdout: HoldoutResult
    curve: LearningCurve | None
    rounds: int
    importance: Mapping[str, float]
    """Mean over folds of each feature's share of total gain, largest first."""
    stability: float
    shap: ShapSample
    stages: Mapping[str, float]
    """Wall seconds by stage, in order."""

    @property
    def judged_dates(self) -> tuple[dt.date, dt.date]:
        """First and last date of the walk-forward whose outcome is known inside it."""
        walked = self.predictions.filter(self.predictions["part"] == "walk_forward")
        dates = walked.drop_nulls("forward_return")["date"]
        first, last = dates.min(), dates.max()
        assert isinstance(first, dt.date) and isinstance(last, dt.date)
        return first, last


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Name every leaf of nested settings by its path, joined with dots.

    Examples
    --------
    >>> flatten({"label": {"mode": "regression"}, "seed": 1})
    {'label.mode': 'regression', 'seed': 1}
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, path)
        else:
            flat[path] = value
    return flat
