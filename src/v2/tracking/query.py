"""The runs of an experiment as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from src.v2.errors import ConfigError
from src.v2.tracking.complaints import reason_of, refusals
from src.v2.tracking.lifecycle import END_REASON
from src.v2.tracking.store import is_missing, open_client
from src.v2.tracking.uris import StoreAddress, parse_address

if TYPE_CHECKING:
    import polars as pl

    from src.v2.config import MlflowConfig, RunsConfig

PARAMS: Mapping[str, tuple[str, ...]] = {
    "mode": ("mode", "label.mode"),
    "forward_days": ("forward_days", "label.forward_days"),
}
"""Columns read from the parameters: the first name that a run has."""

METRICS = (
    "cv_rank_ic_mean",
    "cv_r2_mean",
    "final_r2",
    "final_rank_ic",
    "book_long_short_sharpe",
    "feature_stability",
    "runtime_sec",
)
"""Columns read from the metrics, under the same names."""

COLUMNS = (
    *("run_id", "run_name", "status", "start_time", "mode", "forward_days", "verdict"),
    *METRICS,
    END_REASON,
)
"""Every column, in order."""

_PAGE = 1000
_TOP_LEVEL = "tags.`mlflow.parentRunId` IS NULL"


def search_runs(config: MlflowConfig, query: RunsConfig, *, children: bool = False) -> pl.DataFrame:
    """List the runs of the configured experiment; a missing store is never created.

    Parameters
    ----------
    config
        Where runs are kept.
    query
        The filter, the order and the most runs.
    children
        Whether the runs of single folds are listed too.

    Returns
    -------
    pl.DataFrame
        | run_id | run_name | status | start_time (UTC) | mode | forward_days | verdict |, the
        columns of `METRICS`, and | end_reason | of runs that did not finish; null where a run
        lacks one. Empty when there are no runs yet.

    Raises
    ------
    ConfigError
        When MLflow does not understand the filter or the order.
    TrackingError
        When the store cannot be reached.
    """
    import polars as pl

    address = parse_address(config.tracking_uri)
    found = [] if is_missing(address) else _fetch(address, config, query, children)
    schema: dict[str, Any] = dict.fromkeys(COLUMNS, pl.String)
    schema |= {"start_time": pl.Int64, **dict.fromkeys(METRICS, pl.Float64)}
    table = pl.DataFrame([_row(run) for run in found], schema=schema)
    return table.with_columns(
        pl.from_epoch("start_time", "ms").dt.replace_time_zone("UTC"),
        pl.col("forward_days").cast(pl.Int64, strict=False),
    )


def experiment_id(config: MlflowConfig) -> str | None:
    """Find the experiment's id; None when the store or the experiment is not there yet."""
    address = parse_address(config.tracking_uri)
    if is_missing(address):
        return None
    with refusals(address):
        found = open_client(address).get_experiment_by_name(config.experiment_name)
    return None if found is None else str(found.experiment_id)


def _fetch(
    address: StoreAddress, config: MlflowConfig, query: RunsConfig, children: bool
) -> list[Any]:
    """Ask MLflow for the runs, at most as many as the query allows."""
    with refusals(address):
        client = open_client(address)
        experiment = client.get_experiment_by_name(config.experiment_name)
        if experiment is None:
            return []
        question: dict[str, Any] = {
            "experiment_ids": [experiment.experiment_id],
            "filter_string": query.filter.strip(),
            "order_by": [part.strip() for part in query.order_by.split(",") if part.strip()],
        }
        if query.filter.strip():
            # Asked alone first: a complaint then shows nothing but the user's own words.
            next(_pages(client, **question, max_results=1), None)
        wanted = [query.filter.strip(), "" if children else _TOP_LEVEL]
        question["filter_string"] = " and ".join(part for part in wanted if part)
        pages = _pages(client, **question)
        return [run for run, _ in zip(pages, range(query.max_results), strict=False)]


def _pages(client: Any, *, max_results: int = _PAGE, **question: Any) -> Iterator[Any]:
    """Give run by run, page by page."""
    from mlflow.exceptions import MlflowException

    token: str | None = None
    while True:
        try:
            page = client.search_runs(**question, max_results=max_results, page_token=token)
        except MlflowException as error:
            if getattr(error, "error_code", "") != "INVALID_PARAMETER_VALUE":
                raise
            raise ConfigError(
                "runs.filter and runs.order_by must be in MLflow's search language; "
                f"got: {reason_of(error)}. Examples: --filter 'metrics.cv_r2_pooled > 0 and "
                "params.mode = \"regression\"' --order-by 'metrics.cv_rank_ic_pooled DESC'."
            ) from error
        yield from page
        token = page.token
        if not token:
            return


def _row(run: Any) -> dict[str, Any]:
    """Take the columns of the table from one run."""
    params, metrics = run.data.params, run.data.metrics
    return {
        "run_id": run.info.run_id,
        "run_name": run.info.run_name,
        "status": run.info.status,
        "start_time": run.info.start_time,
        **{
            column: next((params[name] for name in names if name in params), None)
            for column, names in PARAMS.items()
        },
        "verdict": run.data.tags.get("verdict"),
        **{name: metrics.get(name) for name in METRICS},
        END_REASON: run.data.tags.get(END_REASON),
    }
