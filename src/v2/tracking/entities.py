"""Plain values as the records that MLflow's client takes, within its limits."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

PARAM_LENGTH = 6000
TAG_LENGTH = 8000
DIGEST_LENGTH = 36


def fit_text(text: str, length: int) -> str:
    """Shorten a text to a length, and say so at its end.

    Examples
    --------
    >>> fit_text("short", 10)
    'short'
    >>> fit_text("x" * 100, 40)
    'xxxxxxxxxxx … (shortened from 100 chars)'
    """
    if len(text) <= length:
        return text
    mark = f" … (shortened from {len(text)} chars)"
    return text[: length - len(mark)] + mark


def param_text(value: Any) -> str:
    """Write a setting as the configuration file writes it.

    Examples
    --------
    >>> param_text(("AAPL", "MSFT")), param_text(None), param_text(True)
    ('AAPL,MSFT', 'null', 'true')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(param_text(item) for item in value)
    return str(value)


def metric_entities(
    curves: Mapping[str, Sequence[float]], first_step: int = 0, model_id: str | None = None
) -> list[Any]:
    """Make one record for each value of each curve, its step counted from the first.

    Values that are not finite are left out: MLflow would sort an infinity first.
    """
    from mlflow.entities import Metric

    metric: Any = Metric
    now = int(time.time() * 1000)
    entities = [
        metric(name, float(value), now, first_step + position, model_id=model_id)
        for name, values in curves.items()
        for position, value in enumerate(values)
        if math.isfinite(value)
    ]
    missing = sum(len(values) for values in curves.values()) - len(entities)
    if missing:
        logger.debug("%d values are not finite and are left out of the run.", missing)
    return entities


def param_entities(params: Mapping[str, Any]) -> list[Any]:
    """Make one record for each setting, its value short enough for MLflow."""
    from mlflow.entities import Param

    param: Any = Param
    return [param(k, fit_text(param_text(value), PARAM_LENGTH)) for k, value in params.items()]


def tag_entities(tags: Mapping[str, str]) -> list[Any]:
    """Make one record for each tag, its value short enough for MLflow."""
    from mlflow.entities import RunTag

    tag: Any = RunTag
    return [tag(name, fit_text(str(value), TAG_LENGTH)) for name, value in tags.items()]


def dataset_input(
    name: str,
    source: str,
    digest: str,
    columns: Mapping[str, str],
    counts: Mapping[str, int],
) -> Any:
    """Make the record of a data set that a run was trained on."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset: Any = Dataset
    given: Any = DatasetInput
    tag: Any = InputTag
    place: dict[str, Any]
    if "://" in source:
        kind, place = "http", {"url": source}
    elif Path(source).exists():
        kind, place = "local", {"uri": str(Path(source).absolute())}
    else:
        kind, place = "code", {"tags": {"mlflow.source.name": source}}
    schema = [{"type": dtype, "name": column} for column, dtype in columns.items()]
    return given(
        dataset=dataset(
            name=name,
            digest=digest[:DIGEST_LENGTH],
            source_type=kind,
            source=json.dumps(place),
            schema=json.dumps({"mlflow_colspec": schema}) if schema else None,
            profile=json.dumps(dict(counts)) if counts else None,
        ),
        tags=[tag("mlflow.data.context", "training")],
    )
