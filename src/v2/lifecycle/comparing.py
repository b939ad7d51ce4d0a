"""Running the arms of a comparison, those alone that did not finish before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from src.v2.console import Stages, Track
from src.v2.ledgers import counted
from src.v2.lifecycle.arm_store import arm_store
from src.v2.lifecycle.arms import ArmResult, count_trial, run_arm
from src.v2.lifecycle.bench import Bench, features_key, panel_key
from src.v2.lifecycle.variations import Arm
from src.v2.modeling.learners.xgboost_trees import check_device

COMPARED = ("date", "ticker", "score", "forward_return")


@dataclass(frozen=True, slots=True)
class Finished:
    """Arms that are finished.

    Parameters
    ----------
    results
        In the order of the arms, their forecasts cut to the columns that are compared.
    reused
        Names of those that were read.
    trials
        Configurations that the trial log counts on the same data, these included.
    """

    results: tuple[ArmResult, ...]
    reused: frozenset[str]
    trials: int


def finish_arms(
    arms: Sequence[Arm], bench: Bench, stages: Stages, track: Track, *, fresh: bool = False
) -> Finished:
    """Run every arm, or read it where it finished before, and count it as a trial.

    Parameters
    ----------
    bench
        Arms with equal features, and of these the ones with equal panels, are run one after the
        other, so that each is made once.
    fresh
        Whether finished arms are run again.

    Raises
    ------
    OmninmoError
        Saying what stands in the way; arms that finished before it are kept.
    """
    for arm in arms:
        check_device(arm.config.model)
    found: dict[str, ArmResult] = {}
    reused: set[str] = set()
    trials = 0
    for arm in _by_panel(arms):
        found[arm.name], stored, counted_ones = _finish(arm, bench, stages, track, fresh=fresh)
        reused |= {arm.name} if stored else set()
        trials = max(trials, counted_ones)
    return Finished(tuple(found[arm.name] for arm in arms), frozenset(reused), trials)


def _by_panel(arms: Sequence[Arm]) -> list[Arm]:
    """Bring arms with equal features together, and of these the ones with equal panels."""
    keys = [(features_key(arm.config), panel_key(arm.config)) for arm in arms]
    features = list(dict.fromkeys(own for own, _ in keys))
    panels = list(dict.fromkeys(own for _, own in keys))
    places = [(features.index(some), panels.index(other)) for some, other in keys]
    return [arms[at] for at in sorted(range(len(arms)), key=places.__getitem__)]


def _finish(
    arm: Arm, bench: Bench, stages: Stages, track: Track, *, fresh: bool
) -> tuple[ArmResult, bool, int]:
    """Give an arm's result, whether it was there before, and how many trials there are."""
    coverage = bench.load(arm.config).coverage
    store = arm_store(arm.config.paths.reports_dir, coverage.fingerprint)
    with store.only_one(arm):
        stored = None if fresh else store.load(arm)
        result = stored
        if result is None:
            try:
                prepared = bench.prepare(arm.config)
                coverage = prepared.coverage
                with stages.stage(f"arm {arm.name}"):
                    result = run_arm(arm, prepared, track)
            except Exception as error:
                error.add_note(f"in the arm {arm.name}")
                raise
        # Before it is kept: what was looked at counts, in whichever log this call has.
        trials = count_trial(result.trial, counted(arm.config, coverage).record_trial)
        if stored is None:
            store.save(result)
    return _slim(result), stored is not None, trials.count


def _slim(result: ArmResult) -> ArmResult:
    """Keep the columns that a comparison reads, since many arms lie in memory together."""
    return dataclasses.replace(result, predictions=result.predictions.select(COMPARED))
