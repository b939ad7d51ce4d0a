"""A workplace for commands: bars, folders and an MLflow store of their own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl

from src.v2 import train

SMALL = (
    *("--forward-days", "5", "--validation.test-sessions", "120"),
    *("--model.n-estimators", "40", "--model.early-stopping-rounds", "10"),
    *("--model.min-rounds", "1"),
    *("--explain.shap-rows", "200", "--explain.dependence-features", "1"),
    *("--explain.permutation-rows", "400", "--explain.interaction-rows", "20"),
)
"""Settings that keep a run small."""


@dataclasses.dataclass(frozen=True)
class Workplace:
    """Folders of its own, and the flags that lead there."""

    folder: Path

    @property
    def store(self) -> str:
        """URI of its MLflow store."""
        return f"sqlite:///{self.folder / 'mlruns.db'}"

    def flags(self, bars: Path | None = None) -> list[str]:
        """Flags that keep a command inside this workplace."""
        words = ["--mlflow.tracking-uri", self.store]
        for name in ("models", "logs", "reports", "ledger", "bars", "predictions"):
            words += [f"--paths.{name}-dir", str(self.folder / name)]
        if bars is not None:
            words += ["--data.source", "files", "--data.path", str(bars)]
        return words

    def bars(self, name: str, table: pl.DataFrame) -> Path:
        """Write bars to a file of this workplace."""
        path = self.folder / f"{name}.parquet"
        table.write_parquet(path)
        return path

    def train(self, bars: Path, *words: str) -> int:
        """Run the train command on a file of bars."""
        return train.main([*self.flags(bars), *SMALL, *words])

    def summary(self) -> dict[str, Any]:
        """The newest summary that a run wrote."""
        found = sorted(
            (self.folder / "logs" / "training").glob("training_summary_*.json"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        content: dict[str, Any] = json.loads(found[-1].read_text())
        return content
