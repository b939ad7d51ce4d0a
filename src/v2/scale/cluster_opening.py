"""A Dask cluster is joined or started, checked, and closed in every case."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.v2.config import ModelConfig, ScaleConfig
from src.v2.errors import ClusterError, ConfigError
from src.v2.modeling.learners.xgboost_trees import thread_count
from src.v2.run_folders import temporary_folder
from src.v2.scale.cluster import THIS_MACHINE, Cluster

CONNECT_SEC = 10
"""Seconds until a scheduler must answer and show a worker."""

LIBRARIES = ("dask", "distributed", "numpy", "polars", "xgboost")
DEFAULT_WORKERS = 2


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
            settings["distributed.scheduler.work-stealing"] = False
            settings["distributed.scheduler.allowed-failures"] = config.attempts - 1
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
                f"({error}). Start one from this project's root with `PYTHONPATH=. dask "
                "scheduler`, and workers with `PYTHONPATH=. dask worker ADDRESS`; or leave "
                "--scale.scheduler out to start workers here."
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
        temporary_folder("omninmo-dask-") as scratch,
        start(
            n_workers=workers,
            threads_per_worker=each,
            processes=True,
            host=THIS_MACHINE,
            dashboard_address=f"{THIS_MACHINE}:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            local_directory=str(scratch),
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
            f"The Dask scheduler at {address} has no worker. Start some from this project's root "
            f"with `PYTHONPATH=. dask worker {address}`."
        ) from error
    try:
        found: dict[str, dict[str, str]] = client.run(identity_of_code)
        scheduler: dict[str, str] = client.run_on_scheduler(identity_of_code)
    except Exception as error:
        raise ClusterError(
            f"The scheduler {address} or a worker of it cannot run this project's code: "
            f"{type(error).__name__}: {error}. Start all of them in a copy of its root, with the "
            "environment of make setup and PYTHONPATH=. before the command."
        ) from error
    own = own_identity()
    for worker, facts in {**found, "on the scheduler's machine": scheduler}.items():
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
