"""The search of hyperparameters on the earlier folds, and its confirmation on the last ones.

The best of many trials is the best in part by luck, so that its own score says too much. The
last folds take no part in the search: there the winner meets the default once, date by date.
The holdout stays closed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE, Config
from src.v2.errors import NotEnoughData
from src.v2.evaluation.guard import guard_rank_ic
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.paired import common_rows, daily_rank_ics
from src.v2.evaluation.significance import ewc_interval, ewc_test
from src.v2.evaluation_records import Interval, Outcome, Statistic
from src.v2.ledgers import counted
from src.v2.lifecycle.arms import count_trial
from src.v2.lifecycle.search_space import Dimension, at_point, own_point
from src.v2.lifecycle.study import OpenTrial, SearchStudy, TrialRecord
from src.v2.lifecycle.trial_walks import Folds, mean_rank_ic, walk_scored
from src.v2.modeling.folds import Fold
from src.v2.modeling.learners.xgboost_trees import leaf_weight
from src.v2.modeling.walk_forward import train_stride
from src.v2.preparation import Prepared

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class TrialRun:
    """What one trial's folds showed.

    Parameters
    ----------
    config
        Its configuration.
    daily
        | date | ic | rank_ic | tickers | over the dates of its folds.
    fold_ics
        Mean rank IC of each fold that was walked.
    rounds
        Median over them.
    """

    number: int
    config: Config
    daily: pl.DataFrame
    fold_ics: tuple[float, ...]
    rounds: int
    pruned: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The winner beside the default on folds that no trial saw.

    Parameters
    ----------
    margin
        Mean rank IC of the winner less that of the default, over common rows.
    test
        One-sided, for a margin above 0.
    guard
        Whether the winner's rank IC can be believed.
    """

    winner: Interval
    default: Interval
    margin: Interval
    test: Statistic
    guard: Outcome

    @property
    def held(self) -> bool:
        """Whether the winner is better beyond chance, and not too good to be true."""
        return self.test.p < LEVEL and self.guard != "implausible"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found.

    Parameters
    ----------
    default, best
        The trial of the configuration itself, and that of the highest score.
    confirmation
        None where the best is the default.
    importance
        Share of the scores' variance by parameter.
    """

    trials: tuple[TrialRecord, ...]
    default: TrialRecord
    best: TrialRecord
    config: Config
    folds: Folds
    confirmation: Confirmation | None
    importance: dict[str, float]

    @property
    def recommended(self) -> bool:
        """Whether the tuned configuration, rather than the default, is to be used."""
        return self.confirmation is not None and self.confirmation.held


def search(
    study: SearchStudy,
    space: Sequence[Dimension],
    prepared: Prepared,
    config: Config,
    folds: Folds,
) -> Iterator[TrialRun]:
    """Run trials until there are enough, or the time is over; the first is the default.

    Parameters
    ----------
    config
        The default; its section tune says how many trials and how long.

    Yields
    ------
    TrialRun
        Each new trial, when it is stored and counted in the trial log.
    """
    began = time.monotonic()
    check_universe(prepared)
    limit = config.tune.timeout or float("inf")
    study.enqueue(own_point(config, space))
    while len(study.ended()) < config.tune.n_trials and time.monotonic() - began < limit:
        with study.trial(space) as opened:
            run = _run_trial(opened, prepared, config, folds)
            facts = {
                "config_fingerprint": run.config.fingerprint,
                "fold_rank_ics": list(run.fold_ics),
                "rounds": run.rounds,
                "seconds": run.seconds,
            }
            study.end(opened, mean_rank_ic(run.daily), facts, pruned=run.pruned)
        yield run


def conclude(
    study: SearchStudy,
    space: Sequence[Dimension],
    prepared: Prepared,
    config: Config,
    folds: Folds,
) -> Tuned:
    """Choose the best trial, and confirm it on the folds kept out of the search.

    Raises
    ------
    NotEnoughData
        When no trial ran to its end.
    """
    trials = study.ended()
    whole = [trial for trial in trials if not trial.pruned and np.isfinite(trial.score)]
    start = own_point(config, space)
    default = next((trial for trial in whole if trial.point == start), None)
    if default is None:
        raise NotEnoughData(
            "The trial of the default has no score, so that nothing can be compared with it. Raise "
            "--tune.timeout, or give a longer history."
        )
    best = max(whole, key=lambda trial: (trial.score, -trial.number))
    tuned = config_of(config, best, prepared)
    confirmation = None
    if tuned.fingerprint != config.fingerprint:
        confirmation = _confirm(prepared, config, tuned, folds.confirming)
    return Tuned(trials, default, best, tuned, folds, confirmation, study.importance(config.seed))


def config_of(config: Config, trial: TrialRecord | OpenTrial, prepared: Prepared) -> Config:
    """Give the configuration of a trial."""
    stride = train_stride(config.validation, config.label.forward_days)
    weight = leaf_weight(
        config.model, config.label.forward_days, stride, len(prepared.plan.classes)
    )
    return at_point(config, trial.point, weight)


def check_universe(prepared: Prepared) -> None:
    """Refuse a universe whose ranking says nothing.

    Raises
    ------
    NotEnoughData
        Below 20 tickers.
    """
    count = len(prepared.coverage.tickers)
    if count < SMALL_UNIVERSE:
        raise NotEnoughData(
            f"The search goes by the rank IC, which needs at least {SMALL_UNIVERSE} tickers; got "
            f"{count}. Give more tickers."
        )


def _run_trial(opened: OpenTrial, prepared: Prepared, config: Config, folds: Folds) -> TrialRun:
    """Walk a trial over the searched folds, and count it as a configuration tried."""
    began = time.perf_counter()
    own = config_of(config, opened, prepared)
    known_by = folds.confirming[0].test_start
    tables, rounds, pruned = walk_scored(
        prepared, own, folds.searched, known_by, opened.is_hopeless
    )
    table = pl.concat(tables)
    if not np.isfinite(mean_rank_ic(daily_ic(table))):
        raise NotEnoughData(
            "No date of the searched folds has 10 tickers to rank. Give more tickers, or a longer "
            "history."
        )
    count_trial(table, prepared, own, counted(own, prepared.coverage).record_trial)
    return TrialRun(
        opened.trial.number,
        own,
        daily_ic(table),
        tuple(mean_rank_ic(daily_ic(each)) for each in tables),
        int(np.median(rounds)),
        pruned,
        time.perf_counter() - began,
    )


def _confirm(
    prepared: Prepared, config: Config, tuned: Config, folds: Sequence[Fold]
) -> Confirmation:
    """Walk both over the confirming folds, and compare them date by date."""
    tables = {}
    for name, own in (("default", config), ("tuned", tuned)):
        parts, _, _ = walk_scored(prepared, own, folds, None, lambda place, score: False)
        tables[name] = pl.concat(parts)
    horizon = config.label.forward_days
    daily = daily_rank_ics(common_rows(tables))
    winner, default = (daily[name].to_numpy() for name in ("tuned", "default"))
    level = ewc_interval(winner, horizon)
    return Confirmation(
        level,
        ewc_interval(default, horizon),
        ewc_interval(winner - default, horizon),
        ewc_test(winner - default, horizon),
        guard_rank_ic(level, daily.height, horizon),
    )
