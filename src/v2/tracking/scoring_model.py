"""The booster as an MLflow model: a folder that ``mlflow.pyfunc.load_model`` reads.

The native booster file is kept, never a pickle. Through MLflow the model answers what the
booster answers: a return, the probability of the upper class, or one probability a class. Models
of other types are kept as files under a flavour of this project's own: MLflow has none for them
that would not pickle.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

MODEL_NAME = "model"
BOOSTER_NAME = "model.ubj"
"""File of the booster in MLflow's model folder, and in ours."""

OWN_FLAVOUR = "omninmo"
"""Of models that only `src.v2.api.load` reads."""

_NEEDED = ("mlflow", "xgboost", "pandas", "numpy")


def save_scoring_model(
    booster_file: Path,
    folder: Path,
    *,
    example: pl.DataFrame,
    classes: Sequence[str],
    metadata: Mapping[str, Any],
    identity: Mapping[str, str],
) -> None:
    """Write the booster as an MLflow model.

    Parameters
    ----------
    booster_file
        The fitted booster, saved by XGBoost; or the first file of a model of another type.
    folder
        New folder of the MLflow model.
    example
        A few rows with one numeric column a feature, in the booster's order. MLflow
        takes whole numbers for another type, so all columns count as double.
    classes
        Names of the classes, lowest first; empty for a regression.
    metadata
        Kept with the model, as plain values.
    identity
        ``run_id`` and ``model_id``, where the model belongs to a run.
    """
    from mlflow.models import Model

    model: Any = Model
    signature = _signature(example.columns, classes)
    metadata = {**metadata, "classes": list(classes)}
    if booster_file.suffix != Path(BOOSTER_NAME).suffix:
        kept = model(**identity, signature=signature, metadata=metadata)
        kept.add_flavor(OWN_FLAVOUR, data=booster_file.name)
        folder.mkdir()
        kept.save(str(folder / "MLmodel"))
        shutil.copyfile(booster_file, folder / booster_file.name)
        return
    import mlflow.xgboost
    import polars as pl
    import xgboost

    save: Any = mlflow.xgboost.save_model
    booster = xgboost.Booster(model_file=str(booster_file))
    save(
        booster,
        path=str(folder),
        mlflow_model=model(**identity),
        signature=signature,
        input_example=example.cast(pl.Float64).to_pandas(),
        conda_env=environment(_NEEDED),
        metadata=metadata,
    )
    # MLflow saves the booster anew under its own name; its bytes must stay those of the card.
    shutil.copyfile(booster_file, folder / BOOSTER_NAME)


def environment(packages: Sequence[str]) -> dict[str, Any]:
    """Say what a model needs, so that MLflow does not find out in a process of its own."""
    pins = [f"{name}=={version(name)}" for name in packages]
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": pins}],
    }


def _signature(features: Sequence[str], classes: Sequence[str]) -> Any:
    """Say which columns the model takes and which array it gives."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    column: Any = ColSpec
    schema: Any = Schema
    tensor: Any = TensorSpec
    signature: Any = ModelSignature
    shape = (-1, len(classes)) if len(classes) > 2 else (-1,)
    output = "probability" if classes else "prediction"
    return signature(
        inputs=schema([column("double", name) for name in features]),
        outputs=schema([tensor(np.dtype("float32"), shape, output)]),
    )
