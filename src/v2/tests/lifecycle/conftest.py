"""Stores with registered versions, made without training."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import Config, MlflowConfig, PathsConfig, PromoteConfig
from src.v2.evaluation.audit_log import AuditKey, record_audit
from src.v2.evaluation_records import GuardCheck, Verdict
from src.v2.lifecycle.promotion import promote
from src.v2.lifecycle.registration import register_challenger
from src.v2.stored_records import encode
from src.v2.tests.synthetic import weekdays
from src.v2.tests.tracking.conftest import (  # noqa: F401
    _own_environment,
    boosters,
    empty_database,
    server_uri,
    sqlite_store,
)
from src.v2.tests.tracking.registered import CARD, log_model_run
from src.v2.tracking.registry import ModelVersion
from src.v2.tracking.tracked_run import TrackedRun

PASSES = GuardCheck("rank IC", 0.03, 0.01, 0.1, 0.2, "plausible")
EVIDENCE = Verdict("evidence", ("made up",), (), 1, (PASSES,))
NO_EVIDENCE = dataclasses.replace(EVIDENCE, word="no evidence")

MakeVersion = Callable[..., ModelVersion]


def make_forecasts(
    skill: float, *, tickers: int = 24, days: int = 300, seed: int = 5
) -> pl.DataFrame:
    """Forecasts whose daily rank IC is about `skill`, of returns that the seed decides."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.05, days * tickers)
    noise = np.random.default_rng(seed + 1).normal(0, 0.05, days * tickers)
    score = skill * returns + np.sqrt(1 - skill**2) * noise
    names = [f"T{number:02d}" for number in range(tickers)]
    return pl.DataFrame(
        {
            "date": [day for day in weekdays(days) for _ in names],
            "ticker": names * days,
            "fold": 1,
            "part": "walk_forward",
            "score": score,
            "prediction": score,
            "forward_return": returns,
        }
    )


class Bench:
    """A store of its own, in which versions are made at will."""

    def __init__(self, store: MlflowConfig, booster: Path, folder: Path) -> None:
        self.store, self.booster, self.folder = store, booster, folder

    def config(self, **wish: Any) -> Config:
        """The configuration of a promote command."""
        paths = PathsConfig(ledger_dir=self.folder / "ledger", models_dir=self.folder / "models")
        return Config(mlflow=self.store, paths=paths, promote=PromoteConfig(**wish))

    def version(
        self,
        skill: float,
        *,
        verdict: Verdict = EVIDENCE,
        audited: bool = True,
        last: dt.date | None = None,
        forecasts: pl.DataFrame | None = None,
        **changes: Any,
    ) -> ModelVersion:
        """Register a version as training does, of made-up forecasts."""
        card = dataclasses.replace(
            CARD,
            **{
                "verdict": verdict.word,
                "data_fingerprint": f"{skill:.6f}",
                "code_hash": "a" * 64,
                **changes,
            },
        )
        names = {field.name for field in dataclasses.fields(card)} - {"schema_version"}
        kept = {name: getattr(card, name) for name in names}
        run_id = log_model_run(self.store, self.booster, **kept)
        coverage = {"tickers": ["A", "B"], "last": str(last or dt.date.today())}
        record = {"result": {"coverage": coverage, "evaluation": {"verdict": encode(verdict)}}}
        (self.folder / "run.json").write_text(json.dumps(record))
        table = make_forecasts(skill) if forecasts is None else forecasts
        table.write_parquet(self.folder / "predictions.parquet")
        self.keep(run_id, "run.json", "predictions.parquet")
        if audited:
            self.audit(card.data_fingerprint, failed=[])
        return register_challenger(self.config(), run_id, card)

    def keep(self, run_id: str, *names: str) -> None:
        """Put files of this folder with a run."""
        from src.v2.tracking.store import open_store

        run = TrackedRun(open_store(self.store), run_id, keeps_files=True)
        run.log_files({name: self.folder / name for name in names})

    def audit(self, data_fingerprint: str, *, failed: list[str]) -> None:
        """Write down an audit."""
        key = AuditKey(data_fingerprint, CARD.config_fingerprint, "a" * 64)
        record_audit(self.folder / "ledger", key, failed, dt.datetime.now(dt.UTC), "a report")


@pytest.fixture
def bench(
    sqlite_store: MlflowConfig,  # noqa: F811
    boosters: dict[str, Path],  # noqa: F811
    tmp_path: Path,
) -> Bench:
    """A store without a version."""
    return Bench(sqlite_store, boosters["regression"], tmp_path)


@pytest.fixture(scope="session")
def crowned_template(
    empty_database: Path,  # noqa: F811
    boosters: dict[str, Path],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Folder of a store whose version 1, of skill 0.1, is champion; made once."""
    folder = tmp_path_factory.mktemp("crowned")
    shutil.copy(empty_database, folder / "mlruns.db")
    bench = Bench(_store_in(folder), boosters["regression"], folder)
    bench.version(0.1)
    assert promote(bench.config()).outcome == "promoted"
    with contextlib.closing(sqlite3.connect(folder / "mlruns.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def crowned(
    crowned_template: Path,
    boosters: dict[str, Path],  # noqa: F811
    tmp_path: Path,
) -> Bench:
    """A store of its own whose version 1 is champion; files of runs lie in the template."""
    shutil.copy(crowned_template / "mlruns.db", tmp_path / "mlruns.db")
    shutil.copytree(crowned_template / "ledger", tmp_path / "ledger")
    return Bench(_store_in(tmp_path), boosters["regression"], tmp_path)


def _store_in(folder: Path) -> MlflowConfig:
    return MlflowConfig(tracking_uri=f"sqlite:///{folder / 'mlruns.db'}")
