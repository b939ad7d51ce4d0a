"""Whether the story holds over folds, years, states of the market and sectors.

A model that leans on other features in every fold explains its training window, not the
market. Expanding windows share most of their rows, though: folds that disagree say more than
folds that agree. Shares are of the rows explained; skill is of every row that was forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from src.v2.detail_records import RegimeSkill
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation_records import Interval
from src.v2.explain.blocks import date_block_bounds
from src.v2.explain.direction import explained
from src.v2.explanation_records import Agreement, Cohort, CohortKind
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

TOP_FEATURES = 12
MOST_SECTORS = 15
OTHER = "other"
"""Sector of the tickers without one, and of all beyond the largest 15."""

FORECAST = ("date", "ticker", "score", "forward_return")
REGIMES = ("calm", "middle", "stormy")
NOT_FORECAST = Interval(float("nan"), float("nan"), float("nan"), 0)
KINDS: tuple[CohortKind, ...] = ("year", "volatility", "sector")


def agreement(
    sample: ShapSample,
    walked: pl.DataFrame,
    regimes: pl.DataFrame,
    regime_skill: Sequence[RegimeSkill],
    sectors: Mapping[str, str],
    block_sessions: int,
    seed: int,
) -> Agreement:
    """Compare importance between folds, and importance and skill between cohorts.

    Parameters
    ----------
    sample
        SHAP values of out-of-sample rows, each by the model of its own fold.
    walked
        | date | ticker | score | forward_return |, every row that the walk-forward forecast;
        a null return is not known.
    regimes
        | date | regime |: calm, middle or stormy; null where the state is not known.
    regime_skill
        Skill in each of these states, as it was judged: one number has one interval.
    sectors
        Sector by ticker; without any, no sector is listed.
    block_sessions
        Dates of a block, which the intervals of years and sectors draw.
    seed
        Seed of the draws.

    Returns
    -------
    Agreement
        Cohorts hold an explained row at least; the tickers of no known sector are in "other".
        Bounds are NaN where fewer than 5 blocks hold dates of the cohort, shares where its
        contributions are all 0, and Kendall's tau where all features of a fold are equal.
    """
    size = np.abs(explained(sample).astype(np.float64))
    folds, kendall = fold_agreement(size, sample.rows["fold"].to_numpy())
    top = np.argsort(-size.mean(axis=0), kind="stable")[:TOP_FEATURES]
    named = _Names(regimes, _sector_table(walked, sectors))
    forecast, told = named.add(walked.select(FORECAST)), named.add(sample.rows)
    cohorts: list[Cohort] = []
    for kind in KINDS:
        if kind == "volatility":
            skill = {each.name: each.rank_ic for each in regime_skill}
        else:
            skill = _skill_by_cohort(forecast, kind, block_sessions, seed)
        cohorts += _cohorts(kind, told, size, top, skill)
    return Agreement(
        folds=tuple(folds.tolist()),
        kendall=tuple(tuple(row) for row in kendall.tolist()),
        mean_kendall=_mean(kendall[np.triu_indices(len(folds), 1)]),
        top=tuple(sample.feature_names[place] for place in top),
        cohorts=tuple(cohorts),
    )


def fold_agreement(size: Array, fold: Array) -> tuple[Array, Array]:
    """Compare the ranking of the features between folds.

    Kendall's tau-b (1945, Biometrika 33(3)), which allows for the ties of unused features.

    Parameters
    ----------
    size
        Array (rows, features): |contributions|.
    fold
        Array (rows,): number of each row's fold.

    Returns
    -------
    folds : ndarray
        Array (folds,): the numbers, rising.
    kendall : ndarray
        Array (folds, folds): between the means of two folds; NaN where the features of either
        are all equal.

    Examples
    --------
    >>> size = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    >>> fold_agreement(size, np.array([1, 2]))[1].tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    from scipy import stats

    folds = np.unique(fold)
    means = [size[fold == number].mean(axis=0) for number in folds]
    kendall = np.full((len(folds), len(folds)), np.nan)
    for row, column in zip(*np.triu_indices(len(folds)), strict=True):
        if means[row].min() == means[row].max() or means[column].min() == means[column].max():
            continue
        tau = stats.kendalltau(means[row], means[column], method="asymptotic").statistic
        kendall[row, column] = kendall[column, row] = tau
    return folds, kendall


@dataclass(frozen=True, slots=True)
class _Names:
    """How the cohorts of a row are named.

    Parameters
    ----------
    regimes
        | date | regime |.
    sectors
        | ticker | sector |; empty where none is known.
    """

    regimes: pl.DataFrame
    sectors: pl.DataFrame

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add | year | volatility | sector | to rows of | date | ticker |, null for none."""
        state = self.regimes.select("date", pl.col("regime").alias("volatility"))
        rest = None if self.sectors.is_empty() else OTHER
        return (
            rows.with_columns(pl.col("date").dt.year().cast(pl.String).alias("year"))
            .join(state, on="date", how="left", validate="m:1", maintain_order="left")
            .join(self.sectors, on="ticker", how="left", validate="m:1", maintain_order="left")
            .with_columns(pl.col("sector").fill_null(rest) if rest else pl.col("sector"))
        )


def _sector_table(walked: pl.DataFrame, sectors: Mapping[str, str]) -> pl.DataFrame:
    """Tickers and their sectors, | ticker | sector |, those of the most rows alone."""
    known = pl.DataFrame(
        {"ticker": list(sectors), "sector": list(sectors.values())},
        schema={"ticker": pl.String, "sector": pl.String},
    )
    rows = walked.select("ticker").join(known, on="ticker").group_by("sector").agg(pl.len())
    largest = rows.sort(["len", "sector"], descending=[True, False]).head(MOST_SECTORS)
    return known.join(largest.select("sector"), on="sector", how="semi")


def _in_order(kind: CohortKind, names: pl.Series) -> list[str]:
    """Cohorts of one kind: years and sectors by name, states from calm to stormy."""
    present = names.drop_nulls().unique().to_list()
    if kind == "volatility":
        return [name for name in REGIMES if name in present]
    return sorted(present, key=lambda name: (kind == "sector" and name == OTHER, name))


def _cohorts(
    kind: CohortKind, told: pl.DataFrame, size: Array, top: Array, skill: Mapping[str, Interval]
) -> Iterator[Cohort]:
    """Give the cohorts of one kind that hold explained rows."""
    for name in _in_order(kind, told[kind]):
        rows = (told[kind] == name).fill_null(False).arg_true().to_numpy()
        dates = told["date"].gather(rows).n_unique()
        shares = _shares(size[rows], top)
        yield Cohort(kind, name, len(rows), dates, skill.get(name, NOT_FORECAST), shares)


def _skill_by_cohort(
    forecast: pl.DataFrame, kind: CohortKind, block_sessions: int, seed: int
) -> dict[str, Interval]:
    """Mean daily rank IC of each cohort, under the same draws of blocks for all."""
    dates = forecast["date"].unique().sort()
    names = _in_order(kind, forecast[kind])
    series = np.full((len(dates), len(names)), np.nan)
    for column, name in enumerate(names):
        daily = daily_ic(forecast.filter(pl.col(kind) == name))
        series[dates.search_sorted(daily["date"]).to_numpy(), column] = daily["rank_ic"]
    session = np.arange(len(dates))
    bounds = date_block_bounds(series, session, block_sessions, seed)
    block = session // block_sessions
    windows = [len(np.unique(block[~np.isnan(column)])) for column in series.T]
    return {
        name: replace(bounds.interval(column), windows=windows[column])
        for column, name in enumerate(names)
    }


def _shares(size: Array, top: Array) -> tuple[float, ...]:
    """Shares of the mean |contribution| of some features; NaN where all are 0."""
    mean = size.mean(axis=0)
    total = mean.sum()
    return tuple((mean[top] / total if total > 0 else np.full(len(top), np.nan)).tolist())


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
