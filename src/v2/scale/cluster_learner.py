"""XGBoost on a cluster: each worker fits on the rows that it holds."""

from __future__ import annotations

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
from src.v2.scale.cluster import THIS_MACHINE, Cluster
from src.v2.scale.cluster_bins import Columns, Cuts, lowest_of_bins, quantile_cuts
from src.v2.scale.cluster_shares import Shares, share_evenly, share_rows
from src.v2.scale.cluster_store import ClusterStore

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)

Part = tuple[Matrix, Matrix, Matrix]
"""Features, labels and weights of rows."""

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
        found = self._try(rows.fit, rows.tail, self.config.n_estimators)
        losses = {name: next(iter(metrics.values())) for name, metrics in found["history"].items()}
        curve = LearningCurve(tuple(losses["train"]), tuple(losses["val"]))
        return int(found["booster"].best_iteration) + 1, curve

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Fit for a fixed number of rounds.

        Raises
        ------
        ClusterError
            When every try fails.
        """
        if not isinstance(rows.feature_rows, StoredRows):
            return XGBoostLearner.fit(self, rows, rounds)
        booster = self._try(rows, None, rounds)["booster"]
        booster.set_param({"nthread": thread_count(self.config)})
        return XGBoostModel(booster, rounds)

    def _try(self, rows: TrainingRows, tail: TrainingRows | None, rounds: int) -> dict[str, Any]:
        """Fit, and begin anew on the workers that are left when some are lost."""
        cluster, store = self.cluster, _store(rows)
        tries, limit = cluster.config.attempts, cluster.config.time_limit_sec
        for attempt in range(1, tries + 1):
            start = time.monotonic()
            try:
                found: dict[str, Any] = cluster.client.sync(
                    self._train, rows, tail, rounds, callback_timeout=limit
                )
                return found
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

    async def _train(
        self, rows: TrainingRows, tail: TrainingRows | None, rounds: int
    ) -> dict[str, Any]:
        """Fit once; everything left of a broken try is released with this call."""
        import xgboost as xgb
        from xgboost import dask as distributed_xgb

        client = self.cluster.client
        limit = math.ceil(self.cluster.config.time_limit_sec)
        rendezvous = xgb.collective.Config(
            timeout=limit,
            tracker_timeout=limit,
            tracker_host_ip=THIS_MACHINE if self.cluster.own else None,
        )
        # XGBoost looks for a current client even where it is given one.
        with client.as_current():
            shares = share_rows(_picks(rows), await self.cluster.addresses())
            fit = await self._on_workers(self._same_bins(self._parts(shares, rows), rows.weight))
            evals, patience = None, None
            if tail is not None:
                held = share_rows(_picks(tail), list(shares))
                if len(held) < len(shares):
                    held = share_evenly(_picks(tail), list(shares))
                stop = await self._on_workers(self._parts(held, tail), fit)
                evals = [(fit, "train"), (stop, "val")]
                patience = self.config.early_stopping_rounds
            found: dict[str, Any] = await distributed_xgb.train(
                client,
                self._parameters_on_workers(),
                fit,
                rounds,
                evals=evals,
                early_stopping_rounds=patience,
                verbose_eval=False,
                coll_cfg=rendezvous,
            )
        return found

    def _parameters_on_workers(self) -> dict[str, Any]:
        """Give the booster's parameters, with the threads of a worker."""
        parameters = self._parameters()
        del parameters["nthread"]
        if self.cluster.threads is not None:
            parameters["nthread"] = self.cluster.threads
        return parameters

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

    async def _on_workers(self, parts: Parts, ref: Any = None) -> Any:
        """Give the parts to XGBoost, which leaves them where they are."""
        from dask import array
        from dask.delayed import delayed
        from xgboost.dask import DaskQuantileDMatrix

        da: Any = array
        columns: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for worker, places, part in parts:
            shapes = ((len(places), len(self.feature_names)), (len(places),), (len(places),))
            for place, (column, shape) in enumerate(zip(columns, shapes, strict=True)):
                piece = delayed(self.cluster.submit(worker, _item, part, place))
                column.append(da.from_delayed(piece, shape=shape, dtype=np.float32))
        features, label, weight = (da.concatenate(column) for column in columns)
        return await DaskQuantileDMatrix(
            self.cluster.client,
            features,
            label,
            weight=weight,
            feature_names=list(self.feature_names),
            max_bin=self.config.max_bin,
            ref=ref,
        )


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


def _item(part: Part, place: int) -> Matrix:
    return part[place]


def _reason(error: Exception, seconds: float, limit: float) -> str:
    """Say in one line why a try failed."""
    if isinstance(error, TimeoutError) and seconds >= limit:
        return f"not done after {limit:g} seconds"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
