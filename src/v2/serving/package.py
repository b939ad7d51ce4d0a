"""A folder that MLflow serves: code, model, and the bars of its universe; nothing pickled."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import src.v2
from src.v2.errors import ConfigError, OmninmoError
from src.v2.modeling.model_card import ModelCard
from src.v2.modeling.model_file import package_files, read_card, side_files
from src.v2.serving.answers import Scorer, open_scorer
from src.v2.serving.names import AS_OF, MODEL_ARTIFACT, REFERENCE_ARTIFACT
from src.v2.serving.reference import ABOUT_NAME, Reference, number_columns, write_reference
from src.v2.tracking.complaints import quiet_libraries
from src.v2.tracking.scoring_model import environment
from src.v2.tracking.store import set_environment

KIND = "omninmo_serving"
"""Key of the metadata that marks a folder as ours; its value is the schema version."""

SCHEMA_VERSION = 1
DESCRIPTION = "MLmodel"
ARTIFACTS = "artifacts"
"""Folder in which MLflow keeps what a model reads."""

MODEL_CODE = """\
from mlflow.models import set_model

from src.v2.serving.pyfunc_model import ServedModel

set_model(ServedModel())
"""
_LEFT_OUT = ("tests", "sample", "__pycache__", "*.pyc")
_NEEDED = (
    *("mlflow", "xgboost", "scikit-learn", "skops"),
    *("pandas", "numpy", "polars", "numba", "pydantic-settings"),
)


def is_package(folder: Path) -> bool:
    """Tell whether a folder is a package that `build_package` wrote."""
    file = folder / DESCRIPTION
    return file.is_file() and f"{KIND}:" in file.read_text(encoding="utf-8", errors="replace")


def refuse_foreign_folder(folder: Path) -> None:
    """Refuse to write where something else lies.

    Raises
    ------
    ConfigError
        When the folder exists and is no package.
    """
    if folder.exists() and not is_package(folder):
        raise ConfigError(
            f"{folder} exists and is no package of this command, so it is not replaced. Name a new "
            "folder with --build-only."
        )


def build_package(folder: Path, model: Path, card: ModelCard, reference: Reference) -> Path:
    """Write a package, whole or not at all; an earlier package is replaced.

    Parameters
    ----------
    folder
        Of the package: new, or a package.
    model
        The model's folder.
    reference
        The last sessions of its universe.

    Raises
    ------
    ConfigError
        When the folder is something else.
    OmninmoError
        When it cannot be written.
    """
    refuse_foreign_folder(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".package-", dir=folder.parent) as scratch:
            fresh, old = Path(scratch, "fresh"), Path(scratch, "old")
            _write(fresh, Path(scratch), model, card, reference)
            if folder.exists():
                os.replace(folder, old)
            os.replace(fresh, folder)
    except OSError as error:
        raise OmninmoError(
            f"No package can be written to {folder}: {_reason(error)}. Mend the folder and the "
            "space on its disk, or name another with --build-only."
        ) from error
    return folder


def _reason(error: OSError) -> str:
    """Say why a file was refused; the copy of a folder has a list of reasons."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return str(error.strerror or error)


def _write(fresh: Path, scratch: Path, model: Path, card: ModelCard, reference: Reference) -> None:
    """Gather the parts and let MLflow write the folder."""
    set_environment()
    with quiet_libraries():
        import mlflow.pyfunc

        parts = {name: scratch / name for name in (MODEL_ARTIFACT, REFERENCE_ARTIFACT)}
        parts[MODEL_ARTIFACT].mkdir()
        for name in {*package_files(model), *(file.name for file in side_files(model))}:
            shutil.copyfile(model / name, parts[MODEL_ARTIFACT] / name)
        write_reference(reference, parts[REFERENCE_ARTIFACT])
        entry = scratch / "served_model.py"
        entry.write_text(MODEL_CODE, encoding="utf-8")
        save: Any = mlflow.pyfunc.save_model
        save(
            path=str(fresh),
            python_model=str(entry),
            artifacts={name: str(path) for name, path in parts.items()},
            code_paths=[str(_code(scratch))],
            signature=_signature(card, reference),
            conda_env=environment(_NEEDED),
            metadata={KIND: SCHEMA_VERSION, "model": card.name},
        )


def _code(scratch: Path) -> Path:
    """Copy this project's source, without tests and samples."""
    source = Path(src.v2.__file__).parent
    target = scratch / "src"
    shutil.copytree(source, target / "v2", ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (target / "__init__.py").write_text("", encoding="utf-8")
    return target


def _signature(card: ModelCard, reference: Reference) -> Any:
    """Say which columns a request has, and which an answer."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    column: Any = ColSpec
    schema: Any = Schema
    spec: Any = ParamSpec
    params: Any = ParamSchema
    signature: Any = ModelSignature
    texts = [column("string", name) for name in ("date", "ticker")]
    numbers = [column("double", name) for name in number_columns(reference)]
    return signature(inputs=schema([*texts, *numbers]), params=params([spec(AS_OF, "string", "")]))


def package_card(folder: Path) -> ModelCard:
    """Read the card of a package's model.

    Raises
    ------
    ModelError
        When it is damaged.
    """
    return read_card(folder / ARTIFACTS / MODEL_ARTIFACT)


def package_scorer(folder: Path) -> Scorer:
    """Open a package without MLflow."""
    return open_scorer(folder / ARTIFACTS / MODEL_ARTIFACT, folder / ARTIFACTS / REFERENCE_ARTIFACT)


def packaged_model(folder: Path) -> str:
    """Name the model of a package, and the sessions that it carries, for a reader."""
    about = folder / ARTIFACTS / REFERENCE_ARTIFACT / ABOUT_NAME
    try:
        found = json.loads(about.read_text(encoding="utf-8"))
        return (
            f"{found['model']}, with bars of {found['tickers']} tickers from {found['first']} to "
            f"{found['last']}"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} is damaged. Build it again with --build-only.") from error
