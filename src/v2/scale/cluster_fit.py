"""One fit by several workers, each on the rows that it holds.

XGBoost's collective adds up what each worker finds in its rows, so all of them grow the same
trees. What is here runs on the workers, but for the rendezvous, which the scheduler keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.v2.modeling.feature_rows import Matrix, Places
from src.v2.modeling.learners.boosting import RowDraws, boost, find_rounds

if TYPE_CHECKING:
    import xgboost

    from src.v2.records import LearningCurve

Part = tuple[Matrix, Matrix, Matrix]
"""Features, labels and weights of rows."""

Rendezvous = dict[str, Any]
"""Where the workers of a fit find one another."""


@dataclass(frozen=True, slots=True)
class FitTask:
    """What all workers fit.

    Parameters
    ----------
    parameters
        Of the booster; threads are the worker's own where none are given.
    names
        Of the features.
    rounds
        Rounds to fit, or most rounds to try.
    patience
        Rounds without a lower loss after which a search ends; of no meaning without a tail.
    share, seed
        Of the rows that a round draws.
    total
        Rows on all workers.
    """

    parameters: Mapping[str, Any]
    names: tuple[str, ...]
    rounds: int
    patience: int
    share: float
    seed: int
    total: int


def rendezvous_opener() -> Callable[[str, int, int], Rendezvous]:
    """Give a function that listens for the workers of one fit until it ends.

    It takes the address at which the workers reach the process that it is called in, their number,
    and the seconds that they have to come together and that one waits for the others' sums. It
    is made here so that it travels as code: a scheduler needs XGBoost, and nothing of this package.
    """

    def open_rendezvous(host: str, workers: int, limit_sec: int) -> Rendezvous:
        from threading import Thread

        from xgboost.core import XGBoostError
        from xgboost.tracker import RabitTracker

        tracker = RabitTracker(workers, host, sortby="task", timeout=limit_sec)
        tracker.start()

        def listen() -> None:
            # How a fit fails, its workers say.
            with suppress(ValueError, XGBoostError):
                tracker.wait_for()
            with suppress(ValueError, XGBoostError):
                tracker.free()

        Thread(target=listen, daemon=True).start()
        return {**tracker.worker_args(), "dmlc_timeout": limit_sec}

    return open_rendezvous


def fit_share(
    task: FitTask,
    rank: int,
    part: Part,
    places: Places,
    tail: Part | None,
    rendezvous: Rendezvous,
) -> xgboost.Booster | tuple[int, LearningCurve] | None:
    """Do this worker's share of a fit, or of a search for the number of rounds.

    Parameters
    ----------
    task
        What all workers fit.
    rank
        Of this worker: sums are taken in this order, which decides their last bits.
    part
        Rows to fit on.
    places
        Of these rows among those of all workers.
    tail
        Rows to stop by; None: fit all rounds.
    rendezvous
        From `rendezvous_opener`.

    Returns
    -------
    Booster, or tuple, or None
        The booster; with a tail, what `find_rounds` gives; None but for the first worker.
    """
    import xgboost as xgb
    from distributed import get_worker

    threads = task.parameters.get("nthread") or get_worker().state.nthreads
    parameters = {**task.parameters, "nthread": threads}
    draws = RowDraws(part[2], task.share, task.seed, places, task.total)
    with xgb.collective.CommunicatorContext(**rendezvous, dmlc_task_id=f"{rank:06d}"):
        matrix = _binned(part, task.names, parameters)
        found: xgboost.Booster | tuple[int, LearningCurve]
        if tail is None:
            found = boost(parameters, matrix, draws, task.rounds)
        else:
            held = _binned(tail, task.names, parameters, matrix)
            found = find_rounds(parameters, matrix, draws, held, task.rounds, task.patience)
    return found if rank == 0 else None


def _binned(
    rows: Part,
    names: Sequence[str],
    parameters: Mapping[str, Any],
    ref: xgboost.DMatrix | None = None,
) -> xgboost.DMatrix:
    """Bin rows as the workers do together, or by the bins of other rows."""
    import xgboost as xgb

    features, label, weight = rows
    return xgb.QuantileDMatrix(
        features,
        label,
        weight=weight,
        feature_names=list(names),
        max_bin=parameters["max_bin"],
        nthread=parameters["nthread"],
        ref=ref,
    )
