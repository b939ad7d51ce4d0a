"""Bars into a panel, in memory or on disk, by one setting."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track
from src.v2.data.context import Context
from src.v2.errors import ConfigError
from src.v2.features.compute import compute_features
from src.v2.features.registry import Feature
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.panel import Panel, build_panel
from src.v2.scale.external import build_external
from src.v2.scale.scratch import scratch_folder


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Where a panel lies while its run lasts.

    Parameters
    ----------
    folder
        Of this run alone, removed at its end.
    bytes
        Taken there.
    blocks
        Files of features.
    """

    folder: Path
    bytes: int
    blocks: int

    def words(self) -> str:
        """Say it in one line."""
        files = f"{self.blocks} block{'s' if self.blocks != 1 else ''}"
        return f"on disk while the run lasted: {files}, {self.bytes / 1e9:.2f} GB in {self.folder}"


@dataclass(frozen=True, slots=True)
class Built:
    """A panel, and how it came about.

    Parameters
    ----------
    left_out, infinite
        As of `src.v2.features.compute.FeatureTable`.
    stretched
        Rows without a label because a halt stretched it too far.
    on_disk
        Where its features lie; None for memory.
    """

    panel: Panel
    left_out: dict[str, str]
    infinite: dict[str, int]
    stretched: int
    on_disk: OnDisk | None = None


def panel_folder(config: Config) -> AbstractContextManager[Path | None]:
    """Give the folder that the panel of a run lies in while the block lasts; None for memory.

    Raises
    ------
    ConfigError
        When `paths.scratch_dir` cannot be written.
    """
    if config.scale.mode == "memory":
        return nullcontext()
    return scratch_folder(config.paths.scratch_dir)


def make_panel(
    bars: pl.DataFrame,
    market: pl.DataFrame | None,
    context: Context | None,
    features: Sequence[Feature],
    plan: LabelPlan,
    config: Config,
    stages: Stages,
    scratch: Path | None,
    track: Track,
) -> Built:
    """Compute features and labels where `scale.mode` says.

    Parameters
    ----------
    bars, market, context
        As of `src.v2.pipeline.prepare_panel`.
    features
        Those wanted.
    plan
        The label in force.
    scratch
        From `panel_folder`.
    track
        Shows progress over the passes of a panel on disk.

    Raises
    ------
    ConfigError
        When the panel is to lie on disk and there is no folder, or no space.
    NotEnoughData
        When no row has both features and a label.
    """
    history = config.features.min_history
    if config.scale.mode == "memory":
        with stages.stage("features"):
            table = compute_features(bars, features, market, context)
        with stages.stage("panel"):
            panel, stretched = build_panel(bars, table.frame, plan, history)
        return Built(panel, table.left_out, table.infinite, stretched)
    if scratch is None:
        raise ConfigError(
            f"scale.mode {config.scale.mode} needs a folder that outlives the panel, which this "
            "command does not keep. Use --scale.mode memory; the panel is the same to the bit."
        )
    rows = config.scale.rows_at_once
    built = build_external(
        bars, features, market, context, plan, history, scratch, rows, stages, track
    )
    place = OnDisk(scratch, built.disk_bytes, built.blocks)
    return Built(built.panel, built.left_out, built.infinite, built.stretched, place)
