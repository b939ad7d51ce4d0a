"""Single forecasts, each taken apart by the model that made it.

Shown are the best and the worst forecast of the walk-forward, the ends and the middle of the
ranking in its last fold, and the ends of the newest ranking. They are chosen by what they are:
the best one is no proof of skill, as the worst is none of its lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from src.v2.case_records import Case, CaseKind, Part
from src.v2.config import SMALL_UNIVERSE
from src.v2.explain.direction import quantity_name, signed_values
from src.v2.explain.importance import features_for_most
from src.v2.explain.phrases import phrases
from src.v2.explain.places import daily_values, places, shared_features
from src.v2.explain.reasons import strongest, write_reason
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import FittedModel, forecast_rows
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, ranking_score

Array = np.ndarray[Any, Any]

PARTS = 8
"""Contributions that a case lists one by one."""


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Rows forecast by one model."""

    fold: int
    model: FittedModel
    rows: Panel
    score: Array
    above: Array
    """The score less what is neither long nor short."""
    known: Array
    """Whether the label of a row is known."""
    outcome: Array
    """The forward return, NaN where not known."""
    won: Array
    """The outcome less its date's mean; below 20 tickers the outcome."""


Row = tuple[_Ranking, int]
Candidates = tuple[CaseKind, list[Row]]
"""A kind of case and its rows, the first choice first."""

CANDIDATES = 7
"""Rows kept of each kind: one for each of the kinds that may take another's row."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """What parts are compared with and named by."""

    panel: Panel
    shared: Array
    daily: Array
    """Values of the shared features, one row a date."""
    dates: Array
    """Sessions of these rows."""
    words: Mapping[str, str]
    docs: Mapping[str, str]
    quantity: str


def cases(
    fits: Sequence[FoldFit],
    panel: Panel,
    shipped: FittedModel,
    plan: LabelPlan,
    docs: Mapping[str, str],
) -> tuple[Case, ...]:
    """Choose single forecasts and take each apart.

    Parameters
    ----------
    fits
        The walk-forward's folds, in time order.
    panel
        Every row; places are taken among all tickers of a date, whether scored or not.
    shipped
        The model fitted last, which ranks the newest date.
    plan
        The label in force.
    docs
        What each feature says, by name, as in `FeatureReport.docs`.

    Returns
    -------
    tuple
        At most one case of each kind, and no row twice. "best" and "worst" have the largest
        and smallest product of score and forward return, each less its date's mean; "long"
        and "short" the highest and lowest score of the last fold, in deviations of its date;
        "median" is the middle of the last date that is scored. All of these have a label, and
        the last three are of dates whose scores are not all equal, where there are such.
        "latest long" and "latest short" are the ends of the newest date's ranking, by
        `shipped`. Below 20 tickers scores and returns stand for themselves, probabilities less
        the middle. A kind for which no row is left is left out. A feature that contributes
        nothing is no part.

    Raises
    ------
    ModelError
        When the contributions do not add up to a forecast.
    """
    small = _is_small(fits)
    ranking = partial(_ranking, plan=plan, small=small)
    rankings = [ranking(fit.fold.number, fit.model, fit.test, fit.forecast) for fit in fits]
    walked = [each for each in rankings if each.known.any()]
    last = int(panel.session[-1])
    newest = panel.between(last, last + 1)
    latest = ranking(0, shipped, newest, forecast_rows(shipped, newest.feature_rows))
    kinds = [*_walked_kinds(walked, small=small), *_latest_kinds(latest)]
    reader = _reader(panel, plan, docs)
    return tuple(_take_apart(kind, row, reader) for kind, row in _distinct(kinds))


def _reader(panel: Panel, plan: LabelPlan, docs: Mapping[str, str]) -> _Reader:
    shared = shared_features(panel.feature_rows, panel.session)
    return _Reader(
        panel,
        shared,
        daily_values(panel.feature_rows, panel.session, shared),
        np.unique(panel.session),
        phrases(panel.names, docs),
        docs,
        quantity_name(plan),
    )


def _is_small(fits: Sequence[FoldFit]) -> bool:
    """Tell whether the folds with labels hold too few tickers for means of a date."""
    tickers = [np.unique(fit.test.ticker) for fit in fits if _known(fit.test).any()]
    return bool(tickers) and len(np.unique(np.concatenate(tickers))) < SMALL_UNIVERSE


def _known(rows: Panel) -> Array:
    outcome = rows.keys["forward_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.asarray(rows.keys["label"].is_not_null().to_numpy() & np.isfinite(outcome))


def _ranking(
    fold: int, model: FittedModel, rows: Panel, forecast: Array, *, plan: LabelPlan, small: bool
) -> _Ranking:
    """Score rows, and say what of score and outcome counts."""
    classes = len(plan.classes)
    score, known = ranking_score(forecast, classes), _known(rows)
    outcome = rows.keys["forward_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    if small:
        middle = (classes - 1) / 2 if classes else 0.0
        return _Ranking(fold, model, rows, score, score - middle, known, outcome, outcome)
    judged = known if known.any() else np.ones(len(score), dtype=np.bool_)
    above = score - _date_means(rows.session, judged, score)
    won = outcome - _date_means(rows.session, known, outcome)
    return _Ranking(fold, model, rows, score, above, known, outcome, won)


def _walked_kinds(walked: Sequence[_Ranking], *, small: bool) -> Iterator[Candidates]:
    """Order the labelled rows of the walk-forward for each kind."""
    if not walked:
        return
    rows = [np.flatnonzero(each.known) for each in walked]
    gains = [(each.above * each.won)[row] for each, row in zip(walked, rows, strict=True)]
    gain = np.concatenate(gains)
    yield "best", _first(walked, rows, -gain)
    yield "worst", _first(walked, rows, gain)
    last, row = walked[-1], _ranked(walked[-1], rows[-1])
    deviation = 1.0 if small else _deviation(last)
    stretch = (last.above / deviation)[row]
    yield "long", _first([last], [row], -stretch)
    yield "short", _first([last], [row], stretch)
    row = row[last.rows.session[row] == last.rows.session[row[-1]]]
    yield "median", _first([last], [row], np.abs(last.score[row] - np.median(last.score[row])))


def _ranked(ranking: _Ranking, rows: Array) -> Array:
    """Keep the rows of dates whose scores are not all equal; all rows where there are none."""
    dates = pl.DataFrame({"date": ranking.rows.session[rows], "score": ranking.score[rows]})
    spread = pl.col("score").max() > pl.col("score").min()
    told = dates.select(spread.over("date")).to_series().to_numpy()
    return rows[told] if told.any() else rows


def _latest_kinds(latest: _Ranking) -> Iterator[Candidates]:
    """Order the newest date from both ends."""
    rows = np.arange(len(latest.score))
    yield "latest long", _first([latest], [rows], -latest.score)
    yield "latest short", _first([latest], [rows[::-1]], latest.score[::-1])


def _first(rankings: Sequence[_Ranking], rows: Sequence[Array], key: Array) -> list[Row]:
    """Keep the rows with the smallest keys, the first of equals first."""
    owner = np.repeat(np.arange(len(rankings)), [len(each) for each in rows])
    row = np.concatenate(rows)
    order = np.argsort(key, kind="stable")[:CANDIDATES]
    return [(rankings[owner[place]], int(row[place])) for place in order]


def _distinct(kinds: Iterable[Candidates]) -> Iterator[tuple[CaseKind, Row]]:
    """Give each kind its first row that no kind before it has taken."""
    taken: set[tuple[int, int]] = set()
    for kind, rows in kinds:
        for ranking, row in rows:
            key = int(ranking.rows.session[row]), int(ranking.rows.ticker[row])
            if key not in taken:
                taken.add(key)
                yield kind, (ranking, row)
                break


def _date_means(session: Array, known: Array, values: Array) -> Array:
    """Mean of the known rows of each row's date; 0 without any."""
    most = int(session.max(initial=0)) + 1
    sums = np.bincount(session[known], values[known], minlength=most)
    counts = np.bincount(session[known], minlength=most)
    return np.asarray((sums / np.maximum(counts, 1))[session])


def _deviation(ranking: _Ranking) -> Array:
    """Deviation of each row's date; 1 where all scores of a date are equal."""
    found = np.sqrt(_date_means(ranking.rows.session, ranking.known, ranking.above**2))
    noise = np.finfo(np.float32).eps * np.abs(ranking.score).max()
    return np.where(found > noise, found, 1.0)


def _take_apart(kind: CaseKind, choice: Row, reader: _Reader) -> Case:
    """Explain one row by the model that forecast it."""
    ranking, row = choice
    rows, model = ranking.rows, ranking.model
    features = np.asarray(rows.feature_rows[row : row + 1])
    values, base = model.contributions(features)
    found = signed_values(values).astype(np.float64)
    start = float(signed_values(base)[0])
    parts = _parts(features, found, int(rows.session[row]), reader)
    same = np.flatnonzero(rows.session == rows.session[row])
    ahead = ranking.score[same] > ranking.score[row]
    level = ranking.score[same] == ranking.score[row]
    return Case(
        kind=kind,
        date=rows.sessions[rows.session[row]],
        ticker=rows.keys["ticker"][row],
        fold=ranking.fold,
        score=float(ranking.score[row]),
        above=float(ranking.above[row]),
        rank=int((ahead | (level & (same < row))).sum()) + 1,
        tickers=len(same),
        level=int(level.sum()) - 1,
        realised=float(ranking.outcome[row]),
        base=start,
        total=start + float(found.sum()),
        parts=parts,
        rest=float(found.sum()) - sum(part.contribution for part in parts),
        compactness=int(features_for_most(found)[0]),
    )


def _parts(values: Array, contributions: Array, session: int, reader: _Reader) -> tuple[Part, ...]:
    """Say what the strongest contributions of one row are made by."""
    tickers = reader.panel.between(session, session + 1).features
    earlier = reader.daily[reader.dates < session]
    where = places(values, tickers, earlier, reader.shared)
    names = reader.panel.names
    parts = []
    for column in strongest(contributions, PARTS)[0].tolist():
        name, value = names[column], float(values[0, column])
        contribution = float(contributions[0, column])
        if contribution == 0:
            break
        doc = reader.docs.get(name, "")
        reason = write_reason(
            reader.words[name], doc, value, where.words(0, column), contribution, reader.quantity
        )
        place = float(where.place[0, column])
        parts.append(Part(name, value, contribution, place, reason))
    return tuple(parts)
