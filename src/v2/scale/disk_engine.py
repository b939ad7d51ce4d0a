"""The panel on this machine's disk, the work in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from src.v2.console import Stages, Track
from src.v2.modeling.walk_forward import Trainer
from src.v2.scale.engine import BuiltPanel, PanelInputs
from src.v2.scale.external import ExternalPanel, build_external


@dataclass(frozen=True, slots=True)
class DiskEngine:
    """Works in this process, a chunk of tickers or a block of dates in memory at a time.

    Parameters
    ----------
    folder
        Of this run alone, from `src.v2.run_folders.scratch_folder`; it must outlive the panel.
    rows_at_once
        Rows of a chunk or block.
    """

    folder: Path
    rows_at_once: int

    def build_panel(self, inputs: PanelInputs, stages: Stages, track: Track) -> BuiltPanel:
        """Compute features and labels, see `src.v2.scale.engine.Engine`."""
        built = build_external(inputs, self.folder, self.rows_at_once, stages, track)
        place = _words(built, self.folder)
        return BuiltPanel(built.panel, built.stretched, built.left_out, built.infinite, place)

    def lend(self, trainer: Trainer) -> Trainer:
        """Give the trainer as it is: the learner reads rows wherever they lie."""
        return trainer


def _words(built: ExternalPanel, folder: Path) -> str:
    """Say where a panel lies."""
    files = f"{built.blocks} block{'s' if built.blocks != 1 else ''}"
    return f"on disk while the run lasted: {files}, {built.disk_bytes / 1e9:.2f} GB in {folder}"
