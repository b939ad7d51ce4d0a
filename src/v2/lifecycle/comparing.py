"""Running the arms of a comparison, those alone that did not finish before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from src.v2.console import Stages, Track
from src.v2.ledgers import counted
from src.v2.lifecycle.arm_store import arm_store
from src.v2.lifecycle.arms import ArmResult, run_arm
from src.v2.lifecycle.bench import Bench, panel_key
from src.v2.lifecycle.variations import Arm
from src.v2.modeling.learners.xgboost_trees import check_device

COMPARED = ("date", "ticker", "score", "forward_return")


def finish_arms(
    arms: Sequence[Arm], bench: Bench, stages: Stages, track: Track, *, fresh: bool = False
) -> tuple[list[ArmResult], frozenset[str]]:
    """Run every arm, or read it where it finished before.

    Parameters
    ----------
    bench
        Arms with equal panels are run one after the other, so that each panel is made once.
    fresh
        Whether finished arms are run again.

    Returns
    -------
    tuple
        The results in the order of the arms, their forecasts cut to the columns that are compared,
        and the names of those that were read.

    Raises
    ------
    OmninmoError
        Saying what stands in the way; arms that finished before it are kept.
    """
    for arm in arms:
        check_device(arm.config.model)
    found: dict[str, ArmResult] = {}
    reused: set[str] = set()
    keys = [panel_key(arm.config) for arm in arms]
    for key in dict.fromkeys(keys):
        for arm in (arm for arm, own in zip(arms, keys, strict=True) if own == key):
            found[arm.name], stored = _finish(arm, bench, stages, track, fresh=fresh)
            reused |= {arm.name} if stored else set()
    return [found[arm.name] for arm in arms], frozenset(reused)


def _finish(
    arm: Arm, bench: Bench, stages: Stages, track: Track, *, fresh: bool
) -> tuple[ArmResult, bool]:
    """Give an arm's result, and whether it was there before."""
    store = arm_store(arm.config.paths.reports_dir, bench.load(arm.config).coverage.fingerprint)
    with store.only_one(arm):
        stored = None if fresh else store.load(arm)
        if stored is not None:
            return _slim(stored), True
        try:
            prepared = bench.prepare(arm.config)
            with stages.stage(f"arm {arm.name}"):
                ledgers = counted(arm.config, prepared.coverage)
                result = run_arm(arm, prepared, ledgers.record_trial, track)
        except Exception as error:
            error.add_note(f"in the arm {arm.name}")
            raise
        store.save(result)
    return _slim(result), False


def _slim(result: ArmResult) -> ArmResult:
    """Keep the columns that a comparison reads, since many arms lie in memory together."""
    return dataclasses.replace(result, predictions=result.predictions.select(COMPARED))
