"""Who builds the panel and fits on it: this process, its disk, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from src.v2.console import Stages, Track
from src.v2.data.context import Context
from src.v2.features.compute import compute_features
from src.v2.features.registry import Feature
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.panel import Panel, build_panel
from src.v2.modeling.walk_forward import Trainer


@dataclass(frozen=True, slots=True)
class PanelInputs:
    """What a panel is built of.

    Parameters
    ----------
    bars
        Checked bars: | date | ticker | close | and, where known, more |; a table, or a scan of
        files.
    market
        | date | close | of the market, or None.
    context
        Series that all tickers share, and sectors.
    features
        Features wanted; those that the bars do not allow are left out.
    plan
        The label in force.
    min_history
        A ticker's own earlier bars before its rows enter.
    """

    bars: pl.DataFrame | pl.LazyFrame
    market: pl.DataFrame | None
    context: Context
    features: Sequence[Feature]
    plan: LabelPlan
    min_history: int


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
    place
        Where the features lie, in one line; None for the memory of this process.
    """

    panel: Panel
    stretched: int
    left_out: dict[str, str]
    infinite: dict[str, int]
    place: str | None = None


class Engine(Protocol):
    """Where the work of a run is done."""

    def build_panel(self, inputs: PanelInputs, stages: Stages, track: Track) -> BuiltPanel:
        """Compute features and labels.

        Parameters
        ----------
        inputs
            What the panel is built of.
        stages
            Where the time goes.
        track
            Shows progress where the panel is built by parts.
        """

    def lend(self, trainer: Trainer) -> Trainer:
        """Give a trainer that fits where this engine works, under the same rules."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Works in this process, the panel in memory."""

    def build_panel(self, inputs: PanelInputs, stages: Stages, track: Track) -> BuiltPanel:
        """Compute features and labels, see `Engine`."""
        bars = inputs.bars.lazy().collect()
        with stages.stage("features"):
            table = compute_features(bars, inputs.features, inputs.market, inputs.context)
        with stages.stage("panel"):
            panel, stretched = build_panel(bars, table.frame, inputs.plan, inputs.min_history)
        return BuiltPanel(panel, stretched, table.left_out, table.infinite)

    def lend(self, trainer: Trainer) -> Trainer:
        """Give the trainer as it is."""
        return trainer
