"""What arms have in common: bars read once, and panels shared between equal settings."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track
from src.v2.data.context import load_context
from src.v2.data.sources import load_bars
from src.v2.errors import ConfigError, OmninmoError
from src.v2.preparation import Prepared, prepare_panel
from src.v2.records import Coverage

BY_FIT = {"half_life_sessions", "train_stride"}
"""Settings of validation that only a fit reads: panels of any of them are the same."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Bars as they were read: those of the universe, those of the market, what they are."""

    bars: pl.DataFrame
    market: pl.DataFrame | None
    coverage: Coverage


@dataclass(slots=True)
class Bench:
    """Reads bars and prepares panels, each once for equal settings.

    Every set of bars asked for is kept, and the newest panel.
    """

    stages: Stages
    track: Track
    _loaded: dict[str, Loaded] = field(default_factory=dict)
    _prepared: tuple[str, Prepared] | None = None

    def load(self, config: Config) -> Loaded:
        """Read the bars that a configuration asks for.

        Raises
        ------
        OmninmoError
            As `src.v2.data.sources.load_bars`.
        """
        key = _key(config, ("data",)) + json.dumps(sorted(config.features.columns))
        if key not in self._loaded:
            with self.stages.stage("bars"):
                self._loaded[key] = Loaded(
                    *load_bars(
                        config.data,
                        tuple(config.features.columns),
                        config.paths.bars_dir,
                        self.track,
                    )
                )
        return self._loaded[key]

    def prepare(self, config: Config) -> Prepared:
        """Make the panel of a configuration, or give the newest one where it is the same."""
        key = panel_key(config)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = None
            found = self.load(config)
            context = load_context(config.data)
            panel = prepare_panel(
                found.bars, found.market, found.coverage, config, self.stages, context
            )
            self._prepared = key, panel
        return self._prepared[1]


def panel_key(config: Config) -> str:
    """Write down every setting that a panel and its folds are made by."""
    return _key(config, ("data", "features", "label", "validation", "scale"))


def check_settings(config: Config) -> None:
    """Refuse now what would be refused after minutes of work: a folder, or where a panel lies.

    Raises
    ------
    OmninmoError
        Naming the flag.
    """
    if (config.scale.mode, config.scale.engine) != ("memory", "local"):
        raise ConfigError(
            "Configurations are compared on one panel in memory; got "
            f"scale.mode {config.scale.mode}, scale.engine {config.scale.engine}. Use "
            "--scale.mode memory --scale.engine local, and fewer tickers if it does not fit."
        )
    paths = config.paths
    for flag, folder in (("reports-dir", paths.reports_dir), ("ledger-dir", paths.ledger_dir)):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OmninmoError(
                f"The folder {folder} cannot be written: {error.strerror}. Mend it, or name "
                f"another with --paths.{flag}."
            ) from error


def _key(config: Config, sections: tuple[str, ...]) -> str:
    tree = config.model_dump(mode="json", include=set(sections))
    if "validation" in tree:
        tree["validation"] = {k: v for k, v in tree["validation"].items() if k not in BY_FIT}
    return json.dumps(tree, sort_keys=True)
