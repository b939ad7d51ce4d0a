"""A model on disk: its own files, by type, and a JSON card in one folder.

The card holds all that a forecast needs and all that a reader asks. Nothing in the folder
runs code when it is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from src.v2.errors import ConfigError, ModelError, OmninmoError, PathTaken
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.learners.making import model_files
from src.v2.modeling.model_card import SCHEMA_VERSION, ModelCard

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger(__name__)

CARD_NAME = "card.json"
DRIFT_NAME = "drift_reference.parquet"
OPTIONAL_FILES = (DRIFT_NAME,)
"""Files that a model folder may have beside the card and those of its type."""


def save_model(
    model: FittedModel,
    card: ModelCard,
    path: Path,
    *,
    overwrite: bool = False,
    drift_reference: pl.DataFrame | None = None,
) -> Path:
    """Write a model folder, whole or not at all.

    Parameters
    ----------
    overwrite
        Replace a model that lies there.
    drift_reference
        What the features looked like in training, see `src.v2.explain.drift_reference`.

    Raises
    ------
    ConfigError
        When `path` exists and may not be replaced, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise PathTaken(f"The model path {path} exists. Choose another, or replace it with -y.")
    if path.exists() and not (path / CARD_NAME).is_file():
        raise ConfigError(f"{path} exists and is no model folder, so -y does not replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".model-", dir=path.parent))
    except OSError as error:
        raise OmninmoError(f"No model can be written to {path}: {error.strerror}.") from error
    from src.v2.data.writing import write_parquet

    try:
        model.save(fresh)
        hashes = {file.name: _sha256(file) for file in sorted(fresh.iterdir())}
        card = replace(card, model_hashes=hashes)
        text = json.dumps(asdict(card), indent=2, ensure_ascii=False)
        (fresh / CARD_NAME).write_text(text + "\n", encoding="utf-8")
        if drift_reference is not None:
            write_parquet(drift_reference, fresh / DRIFT_NAME)
        fresh.chmod(0o755)
        _put_in_place(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return path


def _put_in_place(fresh: Path, path: Path) -> None:
    """Move a finished folder to its path; an old one is put aside first and removed last."""
    old = fresh.with_name(fresh.name + ".old")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(fresh, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise PathTaken(f"The model path {path} exists. Choose another.") from error
        raise
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


def read_card(path: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises
    ------
    ModelError
        When the folder is no model, is damaged, or has a newer schema than this code.
    """
    card = path / CARD_NAME
    if not card.is_file():
        raise _no_folder(path, (CARD_NAME,))
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        version = int(content["schema_version"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{card} is damaged. Train again, or name another model.") from error
    if version > SCHEMA_VERSION:
        raise ModelError(
            f"{card} has schema version {version}; this code reads up to {SCHEMA_VERSION}. "
            "Update omninmo, or train again."
        )
    known = {item.name for item in fields(ModelCard)}
    try:
        kept = {name: value for name, value in content.items() if name in known}
        found = TypeAdapter(ModelCard).validate_python(kept)
    except (ValidationError, AttributeError, RecursionError) as error:
        raise ModelError(f"{card} lacks what a model card holds. Train again.") from error
    needed = model_files(found.learner)
    if not all((path / name).is_file() for name in needed):
        raise _no_folder(path, (*needed, CARD_NAME))
    return found


def check_model_files(path: Path, card: ModelCard) -> None:
    """Refuse model files that are not those that a card was written for.

    Raises
    ------
    ModelError
        When a file is another one; cards of before the hashes were kept tell nothing.
    """
    for name, wanted in card.model_hashes.items():
        if name in model_files(card.learner) and _sha256(path / name) != wanted:
            raise ModelError(
                f"{path / name} is not the file that {CARD_NAME} was written for: it is damaged, "
                "or of another model. Bring the folder back as it was saved, or train again."
            )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _no_folder(path: Path, needed: Sequence[str]) -> ModelError:
    return ModelError(
        f"{path} is no model folder: it needs {' and '.join(needed)}. Train one, or name another "
        "with --model."
    )


def package_files(path: Path) -> tuple[str, ...]:
    """Name the files that a model folder must have: the card, and those of the type it names.

    Raises
    ------
    ModelError
        When the card is missing, damaged or of an unknown type.
    """
    card = path / CARD_NAME
    try:
        kind = str(json.loads(card.read_text(encoding="utf-8"))["learner"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{card} is missing or damaged. Train again.") from error
    return (CARD_NAME, *model_files(kind))


def side_files(path: Path) -> list[Path]:
    """List what a model folder holds beside the first file of its type."""
    card, _, *others = package_files(path)
    return [path / name for name in (card, *others, *OPTIONAL_FILES) if (path / name).is_file()]


def package_hash(path: Path) -> str | None:
    """SHA-256 of a model folder's files and their names; None where one must not be missing."""
    total = hashlib.sha256()
    try:
        needed = package_files(path)
    except ModelError:
        return None
    for name in (*needed, *OPTIONAL_FILES):
        if not (path / name).is_file():
            if name in OPTIONAL_FILES:
                continue
            return None
        total.update(f"{_sha256(path / name)}  {name}\n".encode())
    return total.hexdigest()


def read_drift_reference(path: Path) -> pl.DataFrame | None:
    """Read what the features looked like in training; None where a model was saved without.

    Raises
    ------
    ModelError
        When the file is damaged.
    """
    import polars as pl

    file = path / DRIFT_NAME
    if not file.is_file():
        return None
    try:
        return pl.read_parquet(file, glob=False, hive_partitioning=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ModelError(f"{file} is damaged. Train again, or remove it.") from error


def newest_model(folder: Path) -> Path:
    """Find the model trained last.

    Raises
    ------
    ModelError
        When the folder holds none.
    """
    usable: list[tuple[str, str, Path]] = []
    for card in folder.glob(f"*/{CARD_NAME}"):
        try:
            usable.append((read_card(card.parent).trained_at, card.parent.name, card.parent))
        except ModelError as error:
            log.warning("passed over: %s", error)
    if not usable:
        raise ModelError(f"{folder} holds no model yet. Run make train-sample or make train first.")
    return max(usable)[2]
