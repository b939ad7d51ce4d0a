"""The engine that a configuration asks for, closed in every case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from src.v2.config import Config
from src.v2.console import Stages, show_note
from src.v2.scale.engine import Engine, LocalEngine


@contextmanager
def open_engine(config: Config, stages: Stages) -> Iterator[Engine]:
    """Open the engine that is configured, and close it in every case.

    Parameters
    ----------
    config
        The sections ``scale``, ``paths`` and, for the threads, ``model``.
    stages
        Where the time goes.

    Raises
    ------
    OmninmoError
        When a cluster cannot be reached or does not fit, or the disk cannot be written.
    """
    with ExitStack() as stack:
        if config.scale.engine == "dask":
            from src.v2.scale.cluster_opening import open_cluster
            from src.v2.scale.dask_engine import DaskEngine

            with stages.stage("cluster"):
                cluster = stack.enter_context(open_cluster(config.scale, config.model))
            show_note(f"the work is done by {cluster.describe()}.")
            yield DaskEngine(cluster)
        elif config.scale.mode == "external":
            from src.v2.run_folders import scratch_folder
            from src.v2.scale.disk_engine import DiskEngine

            folder = stack.enter_context(scratch_folder(config.paths.scratch_dir))
            yield DiskEngine(folder, config.scale.rows_at_once)
        else:
            yield LocalEngine()
