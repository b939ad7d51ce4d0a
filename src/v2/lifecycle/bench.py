"""What arms have in common: bars read once, and panels shared between equal settings."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track
from src.v2.data.context import load_context
from src.v2.data.sources import load_bars
from src.v2.errors import OmninmoError
from src.v2.preparation import Prepared, prepare_panel, relabel
from src.v2.records import Coverage
from src.v2.scale.opening import open_engine

BY_FIT = {"half_life_sessions", "train_stride"}
"""Settings of validation that only a fit reads: panels of any of them are the same."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Bars as they were read: those of the universe, those of the market, what they are."""

    bars: pl.DataFrame
    market: pl.DataFrame | None
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class _Panel:
    """A panel, and the settings that its features and all of it are made by."""

    features: str
    key: str
    prepared: Prepared


@dataclass(slots=True)
class Bench:
    """Reads bars, computes features and lays labels over them, each once for equal settings.

    Every set of bars asked for is kept, and the newest panel with the engine that built it. Used
    as a context, at whose end the engine is closed: disk and cluster are free again.
    """

    stages: Stages
    track: Track
    _loaded: dict[str, Loaded] = field(default_factory=dict)
    _panel: _Panel | None = None
    _engine: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Give the bench itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the panel go, and close its engine."""
        self._release()

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
        """Make the panel of a configuration, or give the newest one where it is the same.

        Where the label or the folds alone differ from those of the newest, its features stay.
        """
        key, features = panel_key(config), features_key(config)
        if self._panel is None or self._panel.key != key:
            if self._panel is not None and self._panel.features == features:
                bars = self.load(config).bars
                prepared = relabel(self._panel.prepared, bars, config, self.stages)
            else:
                prepared = self._build(config)
            self._panel = _Panel(features, key, prepared)
        return self._panel.prepared

    def _build(self, config: Config) -> Prepared:
        """Build a panel on an engine of its own, when the one before is gone."""
        self._release()
        found = self.load(config)
        context = load_context(config.data)
        engine = self._engine.enter_context(open_engine(config, self.stages))
        return prepare_panel(
            *(found.bars, found.market, found.coverage, config),
            *(self.stages, context, engine, self.track),
        )

    def _release(self) -> None:
        self._panel = None
        self._engine.close()


def panel_key(config: Config) -> str:
    """Write down every setting that a panel and its folds are made by."""
    return features_key(config) + _key(config, ("label", "validation"))


def features_key(config: Config) -> str:
    """Write down every setting that the features of a panel, and where they lie, are made by."""
    # Workers started here share the cores by the threads of a fit.
    threads = config.model.threads if config.scale.engine == "dask" else None
    return _key(config, ("data", "features", "scale")) + json.dumps(threads)


def check_settings(config: Config) -> None:
    """Refuse a folder now, rather than after minutes of work.

    Raises
    ------
    OmninmoError
        Naming the flag.
    """
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
