"""What else is fitted on the folds of a run: linear models, and trees on labels of others.

The permuted labels show what the whole procedure reaches where there is nothing to learn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.modeling.folds import Schedule, Sessions, stop_split
from src.v2.modeling.learners.base import forecast_rows
from src.v2.modeling.learners.linear import LinearLearner, LinearModel
from src.v2.modeling.panel import Panel
from src.v2.modeling.rules import show_by_rank
from src.v2.modeling.shown_return import add_shown_return
from src.v2.modeling.walk_forward import FoldFit, Trainer, class_shares, forecast_table

MOST_ROWS = 60_000
"""A longer training window gives a linear model evenly spaced dates of it only: their labels
overlap, so the dates between would add seconds and little else."""

NEARLY_EQUAL = 0.05
"""Share of the sessions by which tickers may differ and still exchange labels at random."""


def linear_forecasts(trainer: Trainer, schedule: Schedule, fits: Sequence[FoldFit]) -> pl.DataFrame:
    """Fit a linear model to each fold's training window and forecast its test rows.

    Ridge regression, or logistic regression for classes: the same features, label, weights
    and windows as the trees have, the penalty chosen on the same purged tail.

    Parameters
    ----------
    trainer
        That of the run.
    schedule
        Its folds.
    fits
        What the walk-forward gave, one a fold.

    Returns
    -------
    pl.DataFrame
        The table of `forecast_table` for the test rows of all folds, with `prediction` for
        regression, by the rule of the run's own shown return.
    """
    plan = trainer.plan
    tables = []
    for fold, fit in zip(schedule.folds, fits, strict=True):
        model = _fit_linear(trainer, trainer.window(fold))
        forecast = forecast_rows(model, fit.test.feature_rows)
        tables.append(
            forecast_table(fit.test, forecast, plan, fold=fold.number, part="walk_forward")
        )
    walked = pl.concat(tables)
    if plan.classes:
        return walked
    if plan.target != "rank":
        return add_shown_return(walked, plan.target)
    sessions = trainer.panel.sessions
    return show_by_rank(walked, {fold.number: sessions[fold.known_by] for fold in schedule.folds})


def permute_labels(panel: Panel, seed: int) -> Panel:
    """Move the label history of every ticker to another one.

    One exchange for all dates: labels keep their overlap, their trends and, on each date,
    their cross-section; only what ties them to the features of their ticker is cut. Partners
    are drawn among tickers of nearly equal coverage, so that few labels have no row to go to.

    Parameters
    ----------
    panel
        Rows of at least two tickers.
    seed
        Decides the exchange.

    Returns
    -------
    Panel
        The same rows and the same array of features. `label`, `forward_return` and
        `label_end` are those of the partner on the row's date; null (-1 in the array) where
        it has none.
    """
    return exchange_labels(panel, draw_partners(panel, seed))


def permuted_fits(
    trainer: Trainer,
    schedule: Schedule,
    fits: Sequence[FoldFit],
    folds: Collection[int] | None,
    seed: int,
) -> tuple[FoldFit, ...]:
    """Fit the run's own learner on permuted labels, for as many rounds as the real fits had.

    Parameters
    ----------
    trainer
        That of the run; the copy made of it shares its features.
    schedule
        Its folds.
    fits
        What the walk-forward gave, one a fold.
    folds
        Numbers of the folds to fit; None for the last and one in the middle.
    seed
        Decides which tickers exchange labels.

    Returns
    -------
    tuple
        Fits without a curve, whose test rows hold the permuted labels too; empty for a single
        ticker.
    """
    if len(np.unique(trainer.panel.ticker)) < 2:
        return ()
    if folds is None:
        folds = [schedule.folds[place].number for place in ((len(fits) - 1) // 2, -1)]
    partners = draw_partners(trainer.panel, seed)
    permuted = dataclasses.replace(
        trainer,
        panel=exchange_labels(trainer.panel, partners),
        strided=exchange_labels(trainer.strided, partners),
    )
    chosen = [fit for fit in fits if fit.fold.number in folds]
    return tuple(_fit_permuted(permuted, fit, partners) for fit in chosen)


def draw_partners(panel: Panel, seed: int) -> dict[int, int]:
    """Draw for each ticker another one to take its labels from, by code.

    Of all exchanges without a ticker that keeps its own, the one that loses fewest labels,
    where differences of a few sessions are outweighed by chance.
    """
    from scipy.optimize import linear_sum_assignment

    codes, place = np.unique(panel.ticker, return_inverse=True)
    if len(codes) < 2:
        raise ValueError("labels of a single ticker cannot move to another one")
    rows = np.zeros((len(panel.sessions), len(codes)), dtype=np.float32)
    rows[panel.session, place] = 1
    labels = np.zeros_like(rows)
    known = panel.label_end >= 0
    labels[panel.session[known], place[known]] = 1
    lost = labels.sum(axis=0) - rows.T @ labels
    chance = np.random.default_rng(seed).random(lost.shape)
    cost = lost + NEARLY_EQUAL * len(panel.sessions) * chance
    np.fill_diagonal(cost, 1e3 * len(panel.sessions) * len(codes))
    takers, givers = linear_sum_assignment(cost)
    return {
        int(codes[taker]): int(codes[giver]) for taker, giver in zip(takers, givers, strict=True)
    }


def exchange_labels(panel: Panel, partners: dict[int, int]) -> Panel:
    """Give each row the label of its ticker's partner on the same date, if there is one."""
    source = _row_of(panel, partners)
    there = source >= 0
    taken = pl.Series(np.where(there, source, 0)).set(pl.Series(~there), None)
    keys = panel.keys.with_columns(
        pl.col("label", "forward_return", "label_end").gather(pl.lit(taken))
    )
    label_end = np.where(there, panel.label_end[source], np.int32(-1))
    return dataclasses.replace(panel, keys=keys, label_end=label_end)


def _row_of(panel: Panel, partners: dict[int, int]) -> npt.NDArray[np.int64]:
    """Find each row's date among the rows of its ticker's partner, -1 where there is none."""
    width = max(max(partners), int(panel.ticker.max(initial=0))) + 1
    partner = np.arange(width)
    partner[list(partners)] = list(partners.values())
    place = np.full((len(panel.sessions), width), -1, dtype=np.int64)
    place[panel.session, panel.ticker] = np.arange(len(panel.session))
    found: npt.NDArray[np.int64] = place[panel.session, partner[panel.ticker]]
    return found


def _fit_permuted(permuted: Trainer, fit: FoldFit, partners: dict[int, int]) -> FoldFit:
    """Fit one fold; its test rows are those of the real fit."""
    fold = fit.fold
    window = permuted.window(fold)
    model = permuted.fit(window, fit.model.rounds)
    before = permuted.strided.between(fold.train_start, fold.test_start)
    return FoldFit(
        fold,
        model,
        None,
        (int(window.session[0]), int(window.session[-1])),
        len(window.session),
        len(before.session) - len(window.session),
        class_shares(window, permuted.plan),
        exchange_labels(fit.test, partners),
        forecast_rows(model, fit.test.feature_rows),
    )


def _fit_linear(trainer: Trainer, window: Panel) -> LinearModel:
    """Fit one training window, the penalty chosen on its purged tail."""
    plan = trainer.plan
    window = _thinned(window, MOST_ROWS)
    split = stop_split(
        window.session, window.label_end, trainer.config.stop_share, plan.config.span
    )
    return LinearLearner(len(plan.classes)).fit(trainer.rows(window), split)


def _thinned(window: Panel, most: int) -> Panel:
    """Keep evenly spaced dates, of so many rows at most."""
    if len(window.session) <= most:
        return window
    dates: Sessions = np.unique(window.session)
    keep = max(1, len(dates) * most // len(window.session))
    spaced = dates[np.linspace(0, len(dates) - 1, keep).astype(np.int64)]
    return window.take(np.isin(window.session, spaced))
