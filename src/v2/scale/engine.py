"""Who builds the panel and fits on it: this process, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, show_note
from src.v2.features.compute import compute_features
from src.v2.features.registry import Feature
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.walk_forward import Trainer


@dataclass(frozen=True, slots=True)
class BuiltPanel:
    """A panel, and what was left out of it.

    Parameters
    ----------
    panel
        Rows of enough history, sorted by date and ticker.
    stretched
        Rows without a label because a halt stretched it too far.
    left_out
        Features not computed, each with the reason.
    infinite
        Values that came out infinite or undefined and were made null, by feature.
    """

    panel: Panel
    stretched: int
    left_out: dict[str, str]
    infinite: dict[str, int]


class Engine(Protocol):
    """Where the work of a run is done."""

    def build_panel(
        self,
        bars: pl.DataFrame,
        market: pl.DataFrame | None,
        features: Sequence[Feature],
        plan: LabelPlan,
        min_history: int,
        stages: Stages,
    ) -> BuiltPanel:
        """Compute features and labels of bars.

        Parameters
        ----------
        bars
            Checked bars: | date | ticker | close | and, where known, more |.
        market
            | date | close | of the market, or None.
        features
            Features wanted; those that the bars do not allow are left out.
        plan
            The label in force.
        min_history
            A ticker's own earlier bars before its rows enter.
        stages
            Where the time goes.
        """

    def lend(self, trainer: Trainer) -> Trainer:
        """Give a trainer that fits where this engine works, under the same rules."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Works in this process, the panel in memory."""

    def build_panel(
        self,
        bars: pl.DataFrame,
        market: pl.DataFrame | None,
        features: Sequence[Feature],
        plan: LabelPlan,
        min_history: int,
        stages: Stages,
    ) -> BuiltPanel:
        """Compute features and labels of bars, see `Engine`."""
        with stages.stage("features"):
            table = compute_features(bars, features, market)
        with stages.stage("panel"):
            panel, stretched = build_panel(bars, table.frame, plan, min_history)
        return BuiltPanel(panel, stretched, table.left_out, table.infinite)

    def lend(self, trainer: Trainer) -> Trainer:
        """Give the trainer as it is."""
        return trainer


@contextmanager
def open_engine(config: Config, stages: Stages) -> Iterator[Engine]:
    """Open the engine that is configured, and close it in every case.

    Parameters
    ----------
    config
        The sections ``scale`` and, for the threads, ``model``.
    stages
        Where the time goes.

    Raises
    ------
    OmninmoError
        When a cluster cannot be reached or does not fit.
    """
    if config.scale.engine == "local":
        yield LocalEngine()
        return
    from src.v2.scale.cluster_opening import open_cluster
    from src.v2.scale.dask_engine import DaskEngine

    with ExitStack() as stack:
        with stages.stage("cluster"):
            cluster = stack.enter_context(open_cluster(config.scale, config.model))
        show_note(f"the work is done by {cluster.describe()}.")
        yield DaskEngine(cluster)
