"""The model as MLflow serves it: bars in, rows of the ranking out.

The package's own file, three lines, hands an instance of `ServedModel` to MLflow: nothing is
pickled. Every error becomes one message without a traceback; what was not foreseen is told by
an id, and stands under it in the server's log.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

# MLflow reads the hint of the frame that `ServedModel.predict` takes.
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from src.v2.errors import OmninmoError
from src.v2.serving.names import AS_OF, MODEL_ARTIFACT, REFERENCE_ARTIFACT

if TYPE_CHECKING:
    import polars as pl

    from src.v2.serving.answers import Scorer

log = logging.getLogger(__name__)

_BASE: Any = PythonModel


class ServedModel(_BASE):  # type: ignore[misc]
    """Answers requests."""

    def __init__(self) -> None:
        self._scorer: Scorer | None = None

    def load_context(self, context: Any) -> None:
        """Read the model and the bars of the package."""
        from src.v2.serving.answers import open_scorer

        folders: Mapping[str, str] = context.artifacts
        scorer = open_scorer(Path(folders[MODEL_ARTIFACT]), Path(folders[REFERENCE_ARTIFACT]))
        # No request then waits for compiled code to be loaded.
        scorer.warm_up()
        self._scorer = scorer

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        """Answer a request.

        Parameters
        ----------
        model_input
            pandas frame of bars, see `src.v2.serving.requests.read_request`.
        params
            ``as_of``: the decision date as text; the last date given without it.

        Returns
        -------
        pandas.DataFrame
            Of `src.v2.serving.answers.Scorer.answer`; dates are text, a missing value is None.

        Raises
        ------
        MlflowException
            With the code INVALID_PARAMETER_VALUE for what the sender can mend, and
            INTERNAL_ERROR for the rest.
        """
        assert self._scorer is not None
        try:
            rows = self._scorer.answer(_polars(model_input), str((params or {}).get(AS_OF) or ""))
            return _pandas(rows)
        except OmninmoError as error:
            raise _complaint(str(error), "INVALID_PARAMETER_VALUE") from None
        except Exception:
            number = uuid.uuid4().hex[:8]
            log.exception("request %s failed", number)
            text = (
                f"Something went wrong that was not foreseen; the server's log has it as {number}."
            )
            raise _complaint(text, "INTERNAL_ERROR") from None


def _complaint(text: str, code: str) -> Exception:
    from mlflow.protos import databricks_pb2

    exception: Any = MlflowException
    made: Exception = exception(text, error_code=getattr(databricks_pb2, code))
    return made


def _polars(frame: Any) -> pl.DataFrame:
    """Take a pandas frame column by column; cells that are neither text nor number refuse it."""
    import polars as pl

    from src.v2.serving.requests import RequestError

    columns = []
    for name in frame.columns:
        cells = frame[name]
        if str(cells.dtype) in ("object", "str", "string"):
            found = cells.astype(object).where(cells.notna(), None).tolist()
            if not all(cell is None or isinstance(cell, str) for cell in found):
                raise RequestError(f"A cell of {str(name)[:40]!r} is no text.")
            columns.append(pl.Series(str(name), found, dtype=pl.String))
        else:
            columns.append(pl.Series(str(name), cells.to_numpy()))
    return pl.DataFrame(columns)


def _pandas(rows: pl.DataFrame) -> Any:
    """Give a pandas frame of plain Python values, which MLflow writes as JSON."""
    import polars as pl

    plain = rows.with_columns(pl.col("date").dt.to_string("%Y-%m-%d"))
    return pd.DataFrame(
        {name: pd.Series(plain[name].to_list(), dtype=object) for name in plain.columns}
    )
