"""A Dask cluster: joined or started, checked, and closed in every case."""

from __future__ import annotations

import hashlib
import logging
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.v2.config import ModelConfig, ScaleConfig
from src.v2.errors import ClusterError, ConfigError
from src.v2.modeling.learners.xgboost_trees import thread_count

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)

CONNECT_SEC = 10
"""Seconds until a scheduler must answer and show a worker."""

RETURN_SEC = 30
"""Seconds that lost workers have to come back, before the others go on without them."""

ANSWER_SEC = 5
"""Seconds that a worker has to say what it does."""

LIBRARIES = ("dask", "distributed", "numpy", "polars", "xgboost")
THIS_MACHINE = "127.0.0.1"
DEFAULT_WORKERS = 2


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
        found: list[str] = self.client.sync(self.addresses, callback_timeout=CONNECT_SEC)
        return found

    async def addresses(self) -> list[str]:
        """Give them from within the client's own loop."""
        there = (await self.client.scheduler.identity(n_workers=-1))["workers"]
        return sorted(there, key=lambda address: (str(there[address]["name"]), address))

    def submit(self, worker: str, function: Callable[..., Any], *values: Any) -> Future[Any]:
        """Start a task on a worker, or on another where that one is gone.

        Where Dask chooses by itself, tasks of one name may be spread over the workers without
        regard to what they read.
        """
        task: Future[Any] = self.client.submit(
            function, *values, workers=[worker], allow_other_workers=True, pure=False
        )
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
        end = time.monotonic() + self.config.time_limit_sec
        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=min(2.0, max(0.1, end - time.monotonic())))
            except TimeoutError:
                if future.status == "error":
                    raise
            now = time.monotonic()
            if self._alive():
                seen = now
            if now - seen > RETURN_SEC:
                raise ClusterError(
                    f"No worker of the Dask cluster is left for {what}; waited {RETURN_SEC} "
                    "seconds for one to come back. Look into the workers' own logs (memory is "
                    "the usual reason), and start again."
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
                f"No worker of the Dask cluster is left; waited {deadline_sec:g} seconds for one "
                "to come back. Look into the workers' own logs (memory is the usual reason), and "
                "start again."
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
        try:
            self.client.restart_workers(stuck, timeout=RETURN_SEC)
        except (ValueError, TimeoutError) as error:
            raise ClusterError(
                f"{len(stuck)} of the Dask workers are stuck and cannot be started anew: {error}. "
                "Start workers with a nanny, which `dask worker` does by default."
            ) from error


def lost_errors() -> tuple[type[BaseException], ...]:
    """Give the errors that say that a task was lost, not that it failed."""
    from concurrent.futures import CancelledError as ClosedPool

    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    return CancelledError, ClosedPool, KilledWorker, CommClosedError


@contextmanager
def open_cluster(config: ScaleConfig, model: ModelConfig) -> Iterator[Cluster]:
    """Join the cluster of a scheduler, or start workers on this machine.

    Parameters
    ----------
    config
        Section ``scale``.
    model
        Section ``model``, for the threads of a fit on each worker; by default those of the
        worker, and for workers started here an equal share of the cores.

    Yields
    ------
    Cluster
        With a worker at least; all of them hold the same code and libraries as this process.

    Raises
    ------
    ConfigError
        When Dask is not installed.
    ClusterError
        When no scheduler answers, no worker is there, or a worker differs.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ConfigError(
            f"scale.engine dask needs the extra `dask`, which is not installed ({error}). Run "
            "make setup, or take --scale.engine local."
        ) from error
    with ExitStack() as stack:
        # The bars travel with the tasks, so that lost work can be done again.
        settings: dict[str, Any] = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}
        if config.scheduler is None:
            settings |= {"distributed.scheduler.work-stealing": False}
        stack.enter_context(dask.config.set(settings))
        stack.enter_context(_quiet_logs())
        if config.scheduler is None:
            address: Any = stack.enter_context(_local_cluster(config, model))
        else:
            address = config.scheduler
        try:
            connect: Any = distributed.Client
            client = connect(address, timeout=CONNECT_SEC, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ClusterError(
                f"No Dask scheduler answers at {config.scheduler} within {CONNECT_SEC} seconds "
                f"({error}). Start one with `dask scheduler`, and workers with `dask worker "
                "ADDRESS` from this project's root; or leave --scale.scheduler out to start "
                "workers here."
            ) from error
        stack.callback(client.close, timeout=CONNECT_SEC)
        size = _check_workers(client, config)
        yield Cluster(client, config, model.threads, config.scheduler is None, size)


@contextmanager
def _local_cluster(config: ScaleConfig, model: ModelConfig) -> Iterator[Any]:
    """Start workers that nobody outside this machine can reach, and end them."""
    import distributed

    start: Any = distributed.LocalCluster
    workers = config.workers or DEFAULT_WORKERS
    each = model.threads or max(1, thread_count(model) // workers)
    with (
        tempfile.TemporaryDirectory(prefix="omninmo-dask-") as scratch,
        start(
            n_workers=workers,
            threads_per_worker=each,
            processes=True,
            host=THIS_MACHINE,
            dashboard_address=f"{THIS_MACHINE}:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            local_directory=scratch,
            preload=["src.v2.scale.quiet_worker"],
            env={"POLARS_MAX_THREADS": str(each), "OMP_WAIT_POLICY": "PASSIVE"},
        ) as cluster,
    ):
        yield cluster


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep Dask's own warnings off the terminal; what matters becomes an error of ours."""
    loggers = [logging.getLogger(name) for name in ("distributed", "bokeh", "tornado")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_workers(client: Any, config: ScaleConfig) -> int:
    """Refuse a cluster without workers, and workers that would compute something else."""
    address = client.scheduler_info(n_workers=-1)["address"]
    try:
        client.wait_for_workers(1, timeout=CONNECT_SEC)
    except TimeoutError as error:
        raise ClusterError(
            f"The Dask scheduler at {address} has no worker. Start some with `dask worker "
            f"{address}` from this project's root."
        ) from error
    try:
        found: dict[str, dict[str, str]] = client.run(identity_of_code)
    except Exception as error:
        raise ClusterError(
            f"The workers of {address} cannot run this project's code: {type(error).__name__}: "
            f"{error}. Start them in a copy of its root, with the environment of make setup."
        ) from error
    own = own_identity()
    for worker, facts in found.items():
        different = [name for name in own if facts.get(name) != own[name]]
        if different:
            name = different[0]
            raise ClusterError(
                f"All workers must have the code and libraries of this process; the worker "
                f"{worker} has {name} {facts.get(name)}, here it is {own[name]}. Bring it to the "
                "same state of the project, and run make setup there."
            )
    return len(found)


def own_identity() -> dict[str, str]:
    """Say what this process computes with."""
    return identity_of_code()


def identity_of_code() -> dict[str, str]:
    """Say what this process would compute with: Python, libraries, and a digest of our code."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if "tests" not in path.relative_to(root).parts:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "code of omninmo": digest.hexdigest()[:12],
    }


def _running_tasks(dask_worker: Any) -> int:
    """Count the tasks that a worker's threads run."""
    return len(dask_worker.active_threads)
