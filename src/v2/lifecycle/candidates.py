"""What the store keeps of a version, gathered for the gate."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.v2.api import load
from src.v2.config import Config, FeaturesConfig, MlflowConfig
from src.v2.errors import DataError, ModelError
from src.v2.evaluation.trial_log import Tried, count_trials
from src.v2.evaluation_records import Verdict
from src.v2.lifecycle.audits import find_audit
from src.v2.lifecycle.gate import Evidence, Rival
from src.v2.lifecycle.margin import forecast_margin
from src.v2.modeling.code_match import check_feature_code
from src.v2.run_store import RECORD_NAME, TABLE_NAMES
from src.v2.stored_records import decode
from src.v2.tracking.downloads import download_files
from src.v2.tracking.registry import CHAMPION, ModelVersion, Registry

PREDICTIONS_NAME = TABLE_NAMES["predictions"]
CACHE_NAME = ".registry"
"""Folder of fetched models, inside ``paths.models_dir``."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version and what its training run found.

    Parameters
    ----------
    tickers
        Of the universe.
    bars_last
        Last date of the bars.
    predictions
        As `src.v2.records.TrainingResult` holds them.
    """

    version: ModelVersion
    verdict: Verdict
    tickers: tuple[str, ...]
    bars_last: dt.date
    predictions: pl.DataFrame


def gather(config: Config, registry: Registry, version: ModelVersion) -> Evidence:
    """Gather what the gate looks at.

    Raises
    ------
    DataError
        When the version's run keeps no record of what it found, or a damaged one.
    TrackingError
        When the store cannot be reached.
    """
    candidate = load_candidate(config.mlflow, version)
    damage, remarks = _try_folder(config, registry, version)
    number = registry.aliases().get(CHAMPION)
    rival = None
    if number is not None:
        champion = registry.by_number(number)
        rival = _stand_beside(config.mlflow, candidate, champion)
        remarks += _differences(version.tags, champion.tags)
    return Evidence(
        candidate.verdict,
        find_audit(config, version.tags),
        rival,
        damage,
        candidate.bars_last,
        trials_by_now(config.paths.ledger_dir, candidate),
        remarks,
    )


def trials_by_now(ledger_dir: Path, candidate: Candidate) -> int:
    """Count the configurations tried on a version's data, by the log or by its own training.

    Parameters
    ----------
    ledger_dir
        Folder of the trial log; it may lack what was tried on another machine.

    Returns
    -------
    int
        The larger count of the two.
    """
    part, tags = pl.col("part") == "walk_forward", candidate.version.tags
    scored = candidate.predictions.filter(part).drop_nulls("forward_return")["date"]
    first, last = scored.min(), scored.max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        return candidate.verdict.trials
    names = ("data_fingerprint", "config_fingerprint", "code_hash")
    prints = {name: tags.get(name, "") for name in names}
    tried = Tried(candidate.tickers, first, last, candidate.bars_last, **prints)
    return max(candidate.verdict.trials, count_trials(ledger_dir, tried))


def load_candidate(config: MlflowConfig, version: ModelVersion) -> Candidate:
    """Fetch what the run of a version found.

    Raises
    ------
    DataError
        When the run keeps no record, or a damaged one.
    TrackingError
        When the store cannot be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        names = (RECORD_NAME, PREDICTIONS_NAME)
        download_files(config, version.run_id, names, Path(scratch))
        try:
            record = json.loads(Path(scratch, RECORD_NAME).read_text(encoding="utf-8"))
            found = record["result"]
            coverage = found["coverage"]
            return Candidate(
                version,
                decode(Verdict, found["evaluation"]["verdict"], {}),
                tuple(map(str, coverage["tickers"])),
                dt.date.fromisoformat(coverage["last"]),
                pl.read_parquet(Path(scratch, PREDICTIONS_NAME)),
            )
        except (OSError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"The run {version.run_id} of version {version.version} keeps a damaged record: "
                f"{type(error).__name__} in {RECORD_NAME} or {PREDICTIONS_NAME}. Train again."
            ) from error


def stand_beside(ours: Candidate, theirs: Candidate) -> Rival:
    """Compare a challenger's forecasts with the champion's, where they forecast one thing."""
    mine, other = ours.version.tags, theirs.version.tags
    number = theirs.version.version
    if "forward_days" not in mine or "forward_days" not in other:
        hindrance = "one of the two was not registered by this project and names no horizon"
        return Rival(number, None, hindrance, refresh=False)
    for key, unit in (("forward_days", "sessions ahead"), ("entry_lag", "sessions of entry lag")):
        if mine.get(key) != other.get(key):
            hindrance = f"it forecasts {other.get(key)} {unit}, this one {mine.get(key)}"
            return Rival(number, None, hindrance, refresh=False)
    margin = forecast_margin(ours.predictions, theirs.predictions, int(mine["forward_days"]))
    same = all(mine.get(key) == other.get(key) for key in ("config_fingerprint", "code_hash"))
    return Rival(number, margin, "", refresh=same and ours.bars_last > theirs.bars_last)


def cache_folder(config: Config) -> Path:
    """Folder that models of the registry are fetched to."""
    return config.paths.models_dir / CACHE_NAME


def _stand_beside(config: MlflowConfig, ours: Candidate, champion: ModelVersion) -> Rival:
    try:
        return stand_beside(ours, load_candidate(config, champion))
    except DataError as error:
        return Rival(champion.version, None, str(error), refresh=False)


def _try_folder(
    config: Config, registry: Registry, version: ModelVersion
) -> tuple[str, tuple[str, ...]]:
    """Fetch and load a model; give what is wrong with it, and whether this code may use it."""
    try:
        _, card = load(registry.package(version, cache_folder(config)))
    except ModelError as error:
        return str(error), ()
    try:
        check_feature_code(FeaturesConfig(**card.feature_settings), card)
    except ModelError as error:
        return "", (f"predict would refuse it here: {error}",)
    return "", ()


def _differences(mine: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Name what else differs between challenger and champion."""
    told = {"mode": "mode", "target": "target", "tickers": "number of tickers"}
    return tuple(
        f"the champion's {what} is {other.get(key)}, this one's {mine.get(key)}"
        for key, what in told.items()
        if mine.get(key) != other.get(key)
    )
