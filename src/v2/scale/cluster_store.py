"""Blocks of rows in the memory of a cluster's workers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.v2.errors import ClusterError
from src.v2.modeling.feature_rows import Matrix, Pick, Places
from src.v2.scale.cluster import Cluster, lost_errors

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)

TASKS_A_WORKER = 4
"""Results on their way at once, for each worker: what is read to this process stays small."""


@dataclass(frozen=True, slots=True)
class ClusterStore:
    """Blocks that lie on workers; a lost one is computed again from the bars.

    Parameters
    ----------
    cluster
        Where they lie.
    blocks
        A task for each block, whose result is its rows.
    starts
        First row of each block, and the number of rows at the end.
    width
        Number of features.
    """

    cluster: Cluster
    blocks: Sequence[Future[Matrix]]
    starts: Places
    width: int

    def run[Result](
        self, picks: Iterable[Pick], work: Callable[[Matrix], Result]
    ) -> Iterator[Result]:
        """Give what ``work`` makes of each pick's rows, in the order of the picks.

        Raises
        ------
        ClusterError
            When the workers are lost more often than is tried.
        """
        shared = self.cluster.client.submit(same, work, pure=False)
        workers = self.cluster.workers()
        ahead = TASKS_A_WORKER * self.cluster.size
        waiting: deque[tuple[Pick, Future[Result]]] = deque()
        for pick in picks:
            if len(waiting) >= ahead:
                yield self._result(*waiting.popleft(), shared)
            waiting.append((pick, self._start(pick, shared, workers)))
        while waiting:
            yield self._result(*waiting.popleft(), shared)

    def _start(self, pick: Pick, work: Future[Any], workers: Sequence[str]) -> Future[Any]:
        """Start a task on the worker that holds the block by rule."""
        block, rows = pick
        worker = workers[block % len(workers)]
        return self.cluster.submit(worker, _work_on, self.blocks[block], work, rows)

    def _result(self, pick: Pick, future: Future[Any], work: Future[Any]) -> Any:
        """Wait for a result, and begin anew when workers were lost."""
        what = f"block {pick[0]} of {len(self.blocks)}"
        tries = self.cluster.config.attempts
        for attempt in range(1, tries + 1):
            try:
                return self.cluster.wait(future, what)
            except lost_errors() as error:
                log.warning("%s was lost, try %d of %d: %s", what, attempt, tries, error)
                reason = error
            self.cluster.mend()
            self.revive()
            future = self._start(pick, work, self.cluster.workers())
        raise ClusterError(
            f"Workers of the Dask cluster were lost {tries} times at work on {what} "
            f"(scale.attempts); the last reason: {reason!r}. Give workers more memory, or make "
            "blocks smaller with --scale.rows-at-once."
        )

    def revive(self) -> None:
        """Let blocks be computed again whose workers died under them."""
        failed = [block for block in self.blocks if block.status == "error"]
        if failed:
            self.cluster.client.retry(failed)


def same[Value](value: Value) -> Value:
    """Give a value back: as a task, it can be sent again to whoever lost it."""
    return value


def _work_on(block: Matrix, work: Callable[[Matrix], Any], rows: slice | Places) -> Any:
    """Work on some rows of a block, where it lies."""
    return work(block[rows])
