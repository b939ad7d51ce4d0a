"""A model on disk: ``model.ubj`` and a JSON card in one folder.

The card holds all that a forecast needs and all that a reader asks. Nothing in the folder
runs code when it is read.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from src.v2.errors import ConfigError, ModelError
from src.v2.modeling.labels import Target
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.shown_return import RankMap
from src.v2.records import Mode

SCHEMA_VERSION = 1
CARD_NAME = "card.json"
MODEL_NAME = "model.ubj"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a saved model is, what it was made from and what it may be used for."""

    name: str
    mode: Mode
    learner: str
    features: tuple[str, ...]
    target: Target
    label_rule: str
    """How the label was made, in words."""
    classes: tuple[str, ...]
    forward_days: int
    entry_lag: int
    rounds: int
    trained_at: str
    train_first: str
    train_last: str
    training_rows: int
    tickers: tuple[str, ...]
    expanding_mean: float
    """Mean forward return known at the end of training, added to a forecast of excess."""
    rank_map: RankMap | None
    min_history: int
    data: dict[str, Any]
    """The data section of the configuration, for forecasts from the same source."""
    feature_settings: dict[str, Any]
    data_fingerprint: str
    config_fingerprint: str
    out_of_sample: dict[str, float]
    """Scores of the walk-forward and the holdout; the shipped model itself, refitted on all
    rows, has none of its own."""
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


def save_model(model: FittedModel, card: ModelCard, path: Path, *, overwrite: bool = False) -> Path:
    """Write a model folder, whole or not at all.

    Raises
    ------
    ConfigError
        When `path` exists and may not be replaced, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"The model path {path} exists. Choose another, or replace it with -y.")
    if path.exists() and not (path / CARD_NAME).is_file():
        raise ConfigError(f"{path} exists and is no model folder, so -y does not replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".model-", dir=path.parent))
    except OSError as error:
        raise ConfigError(f"No model can be written to {path}: {error.strerror}.") from error
    try:
        model.save(fresh / MODEL_NAME)
        text = json.dumps(asdict(card), indent=2, ensure_ascii=False)
        (fresh / CARD_NAME).write_text(text + "\n", encoding="utf-8")
        fresh.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return path


def read_card(path: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises
    ------
    ModelError
        When the folder is no model, is damaged, or has a newer schema than this code.
    """
    card = path / CARD_NAME
    if not card.is_file() or not (path / MODEL_NAME).is_file():
        raise ModelError(
            f"{path} is no model folder: it needs {MODEL_NAME} and {CARD_NAME}. Train one, or "
            "name another with --model."
        )
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        version = int(content["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{card} is damaged. Train again, or name another model.") from error
    if version > SCHEMA_VERSION:
        raise ModelError(
            f"{card} has schema version {version}; this code reads up to {SCHEMA_VERSION}. "
            "Update omninmo, or train again."
        )
    known = {item.name for item in fields(ModelCard)}
    try:
        tuples = {name: tuple(content[name]) for name in ("features", "classes", "tickers")}
        rank_map = content["rank_map"] and RankMap(
            tuple(content["rank_map"]["scores"]), tuple(content["rank_map"]["returns"])
        )
        kept = {name: value for name, value in content.items() if name in known}
        return ModelCard(**(kept | tuples | {"rank_map": rank_map}))
    except (TypeError, KeyError) as error:
        raise ModelError(f"{card} lacks what a model card holds. Train again.") from error


def newest_model(folder: Path) -> Path:
    """Find the model trained last.

    Raises
    ------
    ModelError
        When the folder holds none.
    """
    found = [card.parent for card in folder.glob(f"*/{CARD_NAME}")]
    if not found:
        raise ModelError(f"{folder} holds no model yet. Run make train-sample or make train first.")
    return max(found, key=lambda path: (read_card(path).trained_at, path.name))


def model_name(mode: Mode, now: dt.datetime) -> str:
    """Name of a new model folder.

    Examples
    --------
    >>> model_name("regression", dt.datetime(2024, 1, 2, 3, 4, 5))
    'st_predictor_regression_20240102_030405'
    """
    return f"st_predictor_{mode}_{now:%Y%m%d_%H%M%S}"
