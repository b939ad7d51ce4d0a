"""What the forecast loses when features no longer belong to their rows.

Every row is forecast by the model of its own fold, which had not seen it. Features are
exchanged among the tickers of a date, so that a date keeps its values and loses only who has
which; a feature that all tickers of a date share is exchanged among the dates of the fold.
Exchanging the rows of all dates at once would also break what is alike on a date, which no
ranking can use (Fisher, Rudin and Dominici 2019 on permuting; Strobl et al. 2008 on doing so
within groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.v2.config import SMALL_UNIVERSE
from src.v2.evaluation.class_skill import SMALLEST_SHARE
from src.v2.evaluation.permutation import standardised_ranks
from src.v2.explanation_records import Measure
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE, LabelPlan
from src.v2.modeling.walk_forward import FoldFit, Forecast, class_probabilities, ranking_score

Array = np.ndarray[Any, Any]

MOST_TICKERS = 100
"""A date's rank IC over 100 tickers is nearly that over all; more dates tell more."""


@dataclass(frozen=True, slots=True)
class Drops:
    """What each permutation cost on each date.

    Parameters
    ----------
    measure, skill
        What is measured, and its mean over the dates before any permutation: the rank IC or
        the loss; NaN without rows.
    rows
        Rows forecast.
    session
        Array (dates,): position of each date among the panel's sessions, rising.
    values
        Array (dates, groups): rank IC before less that after; or the rise of the date's mean
        loss as a share of `skill`.
    """

    measure: Measure
    skill: float
    rows: int
    session: Array
    values: Array


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The chosen rows of one fold, sorted by date; `features` is a copy of its own."""

    fit: FoldFit
    plan: LabelPlan
    measure: Measure
    features: Array
    labels: Array
    returns: Array
    session: Array
    date: Array
    """Place of each row's date among those of the sheet."""
    first: Array
    """First row of each date."""

    def judge(self, forecast: Forecast) -> Array:
        """Rank IC or mean loss of each date."""
        if self.measure == "rank IC":
            scores = ranking_score(forecast, len(self.plan.classes))
            return np.asarray((self._ranks(scores) * self._ranks(self.returns)).sum(axis=1))
        loss = _losses(forecast, self.labels, self.plan)
        return np.asarray(np.bincount(self.date, loss) / np.bincount(self.date))

    def _ranks(self, values: Array) -> Array:
        """Lay rows out by date, and rank them within it."""
        count = np.bincount(self.date)
        grid = np.full((len(self.first), int(count.max())), np.nan)
        grid[self.date, np.arange(len(self.date)) - self.first[self.date]] = values
        return standardised_ranks(grid, np.arange(grid.shape[1]) < count[:, None])


def permutation_drops(
    fits: Sequence[FoldFit],
    plan: LabelPlan,
    groups: Sequence[Sequence[int]],
    rows: int,
    seed: int,
) -> Drops:
    """Measure what the forecast loses when groups of features are exchanged between rows.

    The features of a group move together, by one permutation in which no row keeps its own.
    A group that the fold's model does not use costs exactly 0.

    Parameters
    ----------
    fits
        Folds whose test rows are forecast again, by the fold's own model; they stay as they
        are. Only rows with a known label count.
    plan
        The label in force.
    groups
        Columns of each group; a single feature is a group of one.
    rows
        About how many rows to forecast, on whole dates spread evenly over the test dates, of
        at most 100 tickers each.
    seed
        Chooses tickers and permutations. That of a group depends on its first column only, so
        a family of one feature costs what the feature does.

    Returns
    -------
    Drops
        In rank IC where the fits hold 20 tickers or more and any date 10; otherwise in
        squared error, or log loss for classes, and features are exchanged among all chosen
        rows of the fold. NaN features are exchanged as any other value.

    Raises
    ------
    ValueError
        ``rows`` is below 1.
    """
    if rows < 1:
        raise ValueError(f"rows must be at least 1; got {rows}.")
    measure = _choose_measure(fits, plan)
    sheets = _choose_rows(fits, plan, measure, rows, seed)
    wide = _date_wide(sheets, max((max(group) for group in groups if group), default=-1) + 1)
    before = [sheet.judge(sheet.fit.model.predict(sheet.features)) for sheet in sheets]
    empty = np.zeros((0, len(groups)))
    after = [
        _permute_groups(*each, groups, wide, seed) for each in zip(sheets, before, strict=True)
    ]
    dates = np.concatenate([np.zeros(0), *before])
    skill = float(dates.mean()) if len(dates) else float("nan")
    change = np.concatenate([empty, *after]) - dates[:, None]
    if measure == "rank IC":
        values = -change
    else:
        values = change / skill if skill > 0 else np.zeros_like(change)
    session = [sheet.session[sheet.first] for sheet in sheets]
    count = sum(len(sheet.session) for sheet in sheets)
    return Drops(measure, skill, count, np.concatenate([np.zeros(0, int), *session]), values)


def _permute_groups(
    sheet: _Sheet, before: Array, groups: Sequence[Sequence[int]], wide: Array, seed: int
) -> Array:
    """Judge the fold's forecasts with one group after the other exchanged: (dates, groups)."""
    names = sheet.fit.test.names
    used = set(sheet.fit.model.importance())
    after = np.repeat(before[:, None], len(groups), axis=1)
    for place, group in enumerate(groups):
        columns = np.array([column for column in group if names[column] in used], dtype=np.int64)
        if not len(columns):
            continue
        rng = np.random.default_rng([seed, sheet.fit.fold.number, group[0]])
        held = sheet.features[:, columns]
        source = _exchange(_tickers_or_rows(sheet), rng)
        dates = _exchange(np.zeros(len(sheet.first), dtype=np.int64), rng)
        shared = sheet.first[dates][sheet.date]
        sheet.features[:, columns] = np.where(wide[columns], held[shared], held[source])
        after[:, place] = sheet.judge(sheet.fit.model.predict(sheet.features))
        sheet.features[:, columns] = held
    return after


def _tickers_or_rows(sheet: _Sheet) -> Array:
    """Rows of one code may exchange their values."""
    return sheet.date if sheet.measure == "rank IC" else np.zeros_like(sheet.date)


def _exchange(code: Array, rng: np.random.Generator) -> Array:
    """Give each position another one of its code, each used once: a random ring a code."""
    order = np.lexsort((rng.random(len(code)), code))
    sorted_code = code[order]
    last = np.flatnonzero(np.append(sorted_code[1:] != sorted_code[:-1], len(code) > 0))
    giver = np.roll(order, -1)
    giver[last] = order[np.append(0, last[:-1] + 1)[: len(last)]]
    source = np.empty_like(order)
    source[order] = giver
    return source


def _choose_measure(fits: Sequence[FoldFit], plan: LabelPlan) -> Measure:
    """Measure a ranking where there is one to measure."""
    tickers = np.unique(np.concatenate([fit.test.ticker for fit in fits]))
    largest = max(
        int(np.bincount(fit.test.session[_known(fit)], minlength=1).max()) for fit in fits
    )
    if len(tickers) >= SMALL_UNIVERSE and largest >= MIN_TICKERS_PER_DATE:
        return "rank IC"
    return "log loss" if plan.classes else "squared error"


def _known(fit: FoldFit) -> Array:
    """Which test rows have a label."""
    returns = fit.test.keys["forward_return"]
    known: Array = (fit.test.label_end >= 0) & returns.is_not_null().to_numpy()
    return known


def _choose_rows(
    fits: Sequence[FoldFit], plan: LabelPlan, measure: Measure, rows: int, seed: int
) -> list[_Sheet]:
    """Choose whole dates, evenly over those of all folds, and tickers at random within them."""
    session = np.concatenate([fit.test.session[_known(fit)] for fit in fits])
    dates, count = np.unique(session, return_counts=True)
    enough = count >= (MIN_TICKERS_PER_DATE if measure == "rank IC" else 1)
    dates, count = dates[enough], np.minimum(count[enough], MOST_TICKERS)
    if not len(dates):
        return []
    keep = int(np.clip(rows / count.mean(), 1, len(dates)))
    spaced = dates[((np.arange(keep) + 0.5) * len(dates) / keep).astype(np.int64)]
    rng = np.random.default_rng(seed)
    sheets = []
    for fit in fits:
        place = np.flatnonzero(_known(fit) & np.isin(fit.test.session, spaced))
        place = place[_few_of_each(fit.test.session[place], rng)]
        if len(place):
            sheets.append(_sheet(fit, plan, measure, place))
    return sheets


def _few_of_each(code: Array, rng: np.random.Generator) -> Array:
    """Rising positions of at most 100 rows of each code, at random; codes are sorted."""
    order = np.lexsort((rng.random(len(code)), code))
    turn = np.arange(len(code)) - np.searchsorted(code, code)
    return np.sort(order[turn < MOST_TICKERS])


def _sheet(fit: FoldFit, plan: LabelPlan, measure: Measure, place: Array) -> _Sheet:
    """Copy rows of a fold."""
    test = fit.test
    session = test.session[place]
    _, first, date = np.unique(session, return_index=True, return_inverse=True)
    returns = test.keys["forward_return"].to_numpy()[place]
    features, labels = np.array(test.feature_rows[place]), test.labels()[place]
    return _Sheet(fit, plan, measure, features, labels, returns, session, date, first)


def _date_wide(sheets: Sequence[_Sheet], columns: int) -> Array:
    """Tell which columns are the same for all tickers of each date, missing values alike."""
    wide = np.ones(columns, dtype=bool)
    for sheet in sheets:
        values = sheet.features[:, :columns]
        shared = values[sheet.first][sheet.date]
        wide &= ((values == shared) | (np.isnan(values) & np.isnan(shared))).all(axis=0)
    return wide


def _losses(forecast: Forecast, labels: Array, plan: LabelPlan) -> Array:
    """Squared error of a regression, or log loss of class probabilities, of each row."""
    if not plan.classes:
        return np.asarray((forecast.astype(np.float64) - labels) ** 2)
    shares = class_probabilities(forecast).astype(np.float64)
    came = shares[np.arange(len(labels)), labels.astype(np.int64)]
    return -np.log(np.clip(came, SMALLEST_SHARE, None))
