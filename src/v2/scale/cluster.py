"""The workers of a Dask cluster: how they are asked, waited for, and mended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.v2.config import ScaleConfig
from src.v2.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Future

RETURN_SEC = 30
"""Seconds that lost workers have to come back, before the others go on without them."""

ANSWER_SEC = 5
"""Seconds that a worker has to say what it does."""

THIS_MACHINE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers that take tasks.

    Parameters
    ----------
    client
        Dask's own.
    config
        How often and how long something is tried.
    threads
        Threads of a fit on each worker; None: as many as the worker has.
    own
        Whether the workers were started here, on this machine.
    size
        Number of workers at the start.
    """

    client: Any
    config: ScaleConfig
    threads: int | None
    own: bool
    size: int

    def workers(self) -> list[str]:
        """Give the addresses of the workers that are there, in the order of their names."""
        found: list[str] = self.client.sync(self.addresses, callback_timeout=ANSWER_SEC)
        return found

    async def addresses(self) -> list[str]:
        """Give them from within the client's own loop."""
        there = (await self.client.scheduler.identity(n_workers=-1))["workers"]
        return sorted(there, key=lambda address: (str(there[address]["name"]), address))

    async def host(self) -> str:
        """Give the scheduler's address as it tells it to workers, without port."""
        from distributed.comm.addressing import get_address_host

        return str(get_address_host((await self.client.scheduler.identity())["address"]))

    def submit(self, worker: str, function: Callable[..., Any], *values: Any) -> Future[Any]:
        """Start a task on a worker, or on another where that one is gone.

        Where Dask chooses by itself, tasks of one name may be spread over the workers without
        regard to what they read.
        """
        task: Future[Any] = self.client.submit(
            function, *values, workers=[worker], allow_other_workers=True, pure=False
        )
        return task

    def submit_there(self, worker: str, function: Callable[..., Any], *values: Any) -> Future[Any]:
        """Start a task that only this worker may do."""
        task: Future[Any] = self.client.submit(function, *values, workers=[worker], pure=False)
        return task

    def describe(self) -> str:
        """Say in words where the work is done."""
        there = self.client.scheduler_info(n_workers=-1)
        threads = sum(worker["nthreads"] for worker in there["workers"].values())
        count = len(there["workers"])
        whose = "started on this machine" if self.own else f"of the scheduler {there['address']}"
        return f"{count} Dask workers with {threads} threads in all, {whose}"

    def wait(self, future: Future[Any], what: str) -> Any:
        """Wait for the result of a task; what the task raises is raised here.

        Raises
        ------
        ClusterError
            When all workers are gone, or the time is up.
        """
        from distributed import KilledWorker

        end = time.monotonic() + self.config.time_limit_sec
        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=min(2.0, max(0.1, end - time.monotonic())))
            except TimeoutError:
                if future.status == "error":
                    raise
            except KilledWorker as error:
                raise ClusterError(
                    f"Every worker of the Dask cluster that was at work on {what} died, one "
                    f"after the other ({error.last_worker.address} was the last of "
                    f"{error.allowed_failures + 1}). Memory is the usual reason: give workers "
                    "more, or make the shares smaller with --scale.rows-at-once."
                ) from error
            now = time.monotonic()
            if self._alive():
                seen = now
            if now - seen > RETURN_SEC:
                raise ClusterError(
                    f"No worker of the Dask cluster is left for {what}, or its scheduler is gone; "
                    f"waited {RETURN_SEC} seconds for them to come back. Look into their own logs "
                    "(memory is the usual reason for a worker), and start again."
                )
            if now > end:
                raise ClusterError(
                    f"The cluster did not finish {what} within {self.config.time_limit_sec:g} "
                    "seconds. Raise --scale.time-limit-sec, or give more workers."
                )

    def _alive(self) -> bool:
        """Say whether the scheduler answers and has a worker."""
        try:
            return self.client.status == "running" and bool(self.workers())
        except (OSError, TimeoutError):
            return False

    def mend(self, deadline_sec: float = RETURN_SEC) -> None:
        """Wait for lost workers to come back, and start those anew that are stuck.

        Raises
        ------
        ClusterError
            When no worker is left, or a stuck one cannot be started anew.
        """
        end = time.monotonic() + deadline_sec
        while not self._complete() and time.monotonic() < end:
            time.sleep(0.2)
        if not self._alive():
            raise ClusterError(
                f"No worker of the Dask cluster is left, or its scheduler is gone; waited "
                f"{deadline_sec:g} seconds for them to come back. Look into their own logs (memory "
                "is the usual reason for a worker), and start again."
            )
        stuck = self._busy()
        idle_by = time.monotonic() + 5
        while stuck and time.monotonic() < idle_by:
            time.sleep(0.2)
            stuck = self._busy()
        if stuck:
            self._restart(stuck)

    def _complete(self) -> bool:
        """Say whether as many workers are there as at the start."""
        return self._alive() and len(self.workers()) >= self.size

    def _busy(self) -> list[str]:
        """Find the workers whose threads are at work, also on what nobody waits for."""

        async def ask(address: str) -> Any:
            found: Any = self.client.run(_running_tasks, workers=[address], on_error="return")
            return await found

        busy = []
        for address in self.workers():
            try:
                found = self.client.sync(ask, address, callback_timeout=ANSWER_SEC)
            except TimeoutError:
                found = {address: 1}
            if found.get(address) != 0:
                busy.append(address)
        return busy

    def _restart(self, stuck: list[str]) -> None:
        """End the processes of stuck workers, whose nannies then start them anew."""
        count = len(self.workers())
        self.client.run(_end_process, workers=stuck, on_error="ignore")
        end = time.monotonic() + RETURN_SEC
        while time.monotonic() < end:
            there = self.workers() if self._alive() else []
            if len(there) >= count and not set(there) & set(stuck):
                return
            time.sleep(0.2)
        raise ClusterError(
            f"{len(stuck)} of the Dask workers were stuck and ended; not all came back within "
            f"{RETURN_SEC} seconds. Start workers with a nanny, as `dask worker` does by default."
        )


def lost_errors() -> tuple[type[BaseException], ...]:
    """Give the errors that say that a task was lost, not that it failed."""
    from concurrent.futures import CancelledError as OfAnyPool

    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    return CancelledError, OfAnyPool, CommClosedError


def _running_tasks(dask_worker: Any) -> int:
    """Count the tasks that a worker's threads run."""
    return len(dask_worker.active_threads)


def _end_process() -> None:
    """End a worker that may be deep in work that no exception reaches."""
    os.kill(os.getpid(), signal.SIGKILL)
