"""XGBoost on a cluster: each worker fits on the rows that it holds."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.errors import ClusterError
from src.v2.modeling.feature_rows import Matrix, Pick, Places, StoredRows
from src.v2.modeling.learners.base import FittedModel, StopRows, TrainingRows
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner, XGBoostModel, thread_count
from src.v2.records import LearningCurve
from src.v2.scale.cluster import Cluster
from src.v2.scale.cluster_bins import Columns, Cuts, lowest_of_bins, quantile_cuts
from src.v2.scale.cluster_fit import FitTask, Part, fit_share, rendezvous_opener
from src.v2.scale.cluster_shares import Shares, share_evenly, share_rows
from src.v2.scale.cluster_store import ClusterStore

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)

Parts = list[tuple[str, Places, "Future[Part]"]]
"""Address of a worker, which of the rows fitted on it has, and the rows there."""


@dataclass(frozen=True, slots=True)
class ClusterLearner(XGBoostLearner):
    """Fits XGBoost's histogram trees where the rows lie.

    Rows in memory are fitted in this process, as the plain learner does.

    Parameters
    ----------
    cluster
        Whose workers fit.
    """

    cluster: Cluster

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Find after how many rounds the tail's weighted loss is lowest.

        Raises
        ------
        ClusterError
            When every try fails.
        """
        if not isinstance(rows.fit.feature_rows, StoredRows):
            return XGBoostLearner.choose_rounds(self, rows)
        found: tuple[int, LearningCurve] = self._try(rows.fit, rows.tail, self.config.n_estimators)
        return found

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds.

        Raises
        ------
        ClusterError
            When every try fails.
        """
        if not isinstance(rows.feature_rows, StoredRows):
            return XGBoostLearner.fit(self, rows, rounds)
        booster = self._try(rows, None, rounds)
        booster.set_param({"nthread": thread_count(self.config)})
        return XGBoostModel(booster, rounds)

    def _try(self, rows: TrainingRows, tail: TrainingRows | None, rounds: int) -> Any:
        """Fit, and begin anew on the workers that are left when some are lost."""
        cluster, store = self.cluster, _store(rows)
        tries, limit = cluster.config.attempts, cluster.config.time_limit_sec
        for attempt in range(1, tries + 1):
            start = time.monotonic()
            try:
                return cluster.client.sync(self._train, rows, tail, rounds, callback_timeout=limit)
            except Exception as error:
                log.warning("a fit failed, try %d of %d", attempt, tries, exc_info=True)
                reason = _reason(error, time.monotonic() - start, limit)
            cluster.mend()
            store.revive()
        raise ClusterError(
            f"The fit failed on the Dask cluster {tries} times (scale.attempts), each with "
            f"{limit:g} seconds (scale.time_limit_sec); the last reason: {reason}. Look into the "
            "workers' own logs; memory is the usual reason."
        )

    async def _train(self, rows: TrainingRows, tail: TrainingRows | None, rounds: int) -> Any:
        """Fit once; everything left of a broken try is released with this call."""
        from distributed import MultiLock

        client = self.cluster.client
        shares = share_rows(_picks(rows), await self.cluster.addresses())
        parts = self._same_bins(self._parts(shares, rows), rows.weight)
        workers = [worker for worker, _, _ in parts]
        tails: list[Future[Part] | None] = [None] * len(parts)
        if tail is not None:
            held = share_rows(_picks(tail), workers)
            if len(held) < len(workers):
                held = share_evenly(_picks(tail), workers)
            there = {worker: part for worker, _, part in self._parts(held, tail)}
            tails = [there[worker] for worker in workers]
        task = self._task(len(rows.label), rounds)
        # Fits of two commands, each waiting for workers that the other one has, would never end.
        async with MultiLock(workers, client):
            rendezvous = await client.run_on_scheduler(
                rendezvous_opener(), await self.cluster.host(), len(workers), self._limit()
            )
            fits = [
                self.cluster.submit_there(
                    worker, fit_share, task, rank, part, places, stop, rendezvous
                )
                for rank, ((worker, places, part), stop) in enumerate(
                    zip(parts, tails, strict=True)
                )
            ]
            return await _first_of_all(fits)

    def _task(self, total: int, rounds: int) -> FitTask:
        """Say what all workers fit, with the threads of a worker."""
        parameters = self._parameters() | {"nthread": self.cluster.threads}
        config = self.config
        return FitTask(
            parameters,
            tuple(self.feature_names),
            rounds,
            config.early_stopping_rounds,
            config.subsample,
            self.seed,
            total,
        )

    def _limit(self) -> int:
        return math.ceil(self.cluster.config.time_limit_sec)

    def _parts(self, shares: Shares, rows: TrainingRows) -> Parts:
        """Put the rows of each worker together there, with labels and weights beside them."""
        store, parts = _store(rows), []
        for worker, share in shares.items():
            places = np.concatenate([item.places for item in share])
            part = self.cluster.submit(
                worker,
                _gather,
                [store.blocks[item.block] for item in share],
                [item.rows for item in share],
                rows.label[places],
                rows.weight[places],
            )
            parts.append((worker, places, part))
        return parts

    def _same_bins(self, parts: Parts, weight: Matrix) -> Parts:
        """Bin the features as one process would, some columns on each worker."""
        submit, width = self.cluster.submit, len(self.feature_names)
        groups = [group for group in np.array_split(np.arange(width), len(parts)) if len(group)]
        cuts = [
            submit(
                worker,
                quantile_cuts,
                [submit(at, _columns, part, group, places) for at, places, part in parts],
                weight,
                self.config.max_bin,
            )
            for (worker, _, _), group in zip(parts, groups, strict=False)
        ]
        return [(at, places, submit(at, _binned, part, cuts)) for at, places, part in parts]


def _store(rows: TrainingRows) -> ClusterStore:
    """Give the store of rows that lie on a cluster."""
    stored = rows.feature_rows
    if not isinstance(stored, StoredRows) or not isinstance(stored.store, ClusterStore):
        raise TypeError("a cluster fits on rows that lie on its workers")
    return stored.store


def _picks(rows: TrainingRows) -> list[Pick]:
    stored = rows.feature_rows
    assert isinstance(stored, StoredRows)
    return stored.picks()


def _gather(
    blocks: Sequence[Matrix], rows: Sequence[slice | Any], label: Matrix, weight: Matrix
) -> Part:
    """Put the chosen rows of blocks into one array, on a worker."""
    features = np.empty((len(label), blocks[0].shape[1]), dtype=np.float32)
    filled = 0
    for block, inside in zip(blocks, rows, strict=True):
        chosen = block[inside]
        features[filled : filled + len(chosen)] = chosen
        filled += len(chosen)
    return features, label, weight


def _columns(part: Part, group: Places, places: Places) -> Columns:
    return Columns(np.ascontiguousarray(part[0][:, group]), places)


def _binned(part: Part, cuts: Sequence[Cuts]) -> Part:
    """Bin a part's features; the cuts come some columns at a time, in order."""
    return lowest_of_bins(part[0], [column for group in cuts for column in group]), *part[1:]


async def _first_of_all(fits: Sequence[Future[Any]]) -> Any:
    """Wait for all workers, or for the first that fails, and give what the first one found."""
    waiting = {asyncio.ensure_future(fit.result()) for fit in fits}
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        for fit in done:
            fit.result()
    finally:
        for fit in waiting:
            fit.cancel()
    return await fits[0].result()


def _reason(error: Exception, seconds: float, limit: float) -> str:
    """Say in one line why a try failed."""
    if isinstance(error, TimeoutError) and seconds >= limit:
        return f"not done after {limit:g} seconds"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
