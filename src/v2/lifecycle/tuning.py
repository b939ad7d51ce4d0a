"""The search of hyperparameters on the earlier folds, and its confirmation on the last ones.

The best of many trials is the best in part by luck, so that its own score says too much. The
last folds take no part in the search: there the winner meets the default once, date by date.
The holdout stays closed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE, Config
from src.v2.errors import NotEnoughData
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
from src.v2.ledgers import counted
from src.v2.lifecycle.arms import TrialNumbers, count_trial, trial_numbers
from src.v2.lifecycle.confirmation import Confirmation, confirm, guard_searched
from src.v2.lifecycle.search_space import Dimension, at_point, own_point, refuse_strange
from src.v2.lifecycle.study import OpenTrial, SearchStudy, TrialRecord, refusals_told
from src.v2.lifecycle.trial_walks import Folds, mean_rank_ic, walk_scored
from src.v2.modeling.learners.xgboost_trees import leaf_weight
from src.v2.modeling.walk_forward import train_stride
from src.v2.preparation import Prepared
from src.v2.stored_records import decode, encode


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
    numbers
        Its line in the trial log.
    """

    number: int
    config: Config
    daily: pl.DataFrame
    fold_ics: tuple[float, ...]
    rounds: int
    pruned: bool
    seconds: float
    numbers: TrialNumbers


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

    Raises
    ------
    OmninmoError
        When the study is damaged, of another search, or cannot be written.
    """
    began = time.monotonic()
    check_universe(prepared)
    for own, numbers in _known(study, space, prepared, config):
        # Of another call, which may have had another log.
        _count(own, prepared, numbers)
    limit = config.tune.timeout or float("inf")
    study.enqueue(own_point(config, space))
    while len(study.ended()) < config.tune.n_trials and time.monotonic() - began < limit:
        with study.trial(space) as opened:
            run = _run_trial(opened, prepared, config, folds)
            _count(run.config, prepared, run.numbers)
            study.end(opened, mean_rank_ic(run.daily), _facts(run), pruned=run.pruned)
        yield run


def _facts(run: TrialRun) -> dict[str, Any]:
    """Note beside a score what cannot be made of it again."""
    ranked = ewc_interval(run.daily["rank_ic"].to_numpy(), run.config.label.forward_days)
    return {
        "config_fingerprint": run.config.fingerprint,
        "fold_rank_ics": list(run.fold_ics),
        "rounds": run.rounds,
        "seconds": run.seconds,
        "rank_ic": encode(ranked),
        "dates": run.daily.height,
        "trial": encode(run.numbers),
    }


def _count(config: Config, prepared: Prepared, numbers: TrialNumbers) -> None:
    """Count a configuration as tried."""
    count_trial(numbers, counted(config, prepared.coverage).record_trial)


def _known(
    study: SearchStudy, space: Sequence[Dimension], prepared: Prepared, config: Config
) -> list[tuple[Config, TrialNumbers]]:
    """Read the trials of earlier calls; one that no search of this space wrote is refused."""
    found = []
    for trial in study.ended():
        with refusals_told(study.path):
            refuse_strange(trial.point, space)
            guard_searched(trial, config.label.forward_days)
            own = config_of(config, trial, prepared)
            if "trial" in trial.facts:
                found.append((own, decode(TrialNumbers, trial.facts["trial"], {})))
    return found


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
        guard = guard_searched(best, config.label.forward_days)
        confirmation = confirm(prepared, config, tuned, folds.confirming, guard)
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
    numbers = trial_numbers(table, prepared, own)[0]
    if pruned:
        # Of few dates a Sharpe ratio varies for that alone, and luck would seem to reach further.
        numbers = replace(numbers, sharpe=math.nan)
    return TrialRun(
        opened.trial.number,
        own,
        daily_ic(table),
        tuple(mean_rank_ic(daily_ic(each)) for each in tables),
        int(np.median(rounds)),
        pruned,
        time.perf_counter() - began,
        numbers,
    )
