"""``python -m src.v2.runs``: list the runs in MLflow, or serve its pages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.v2.config_sources import load_config
from src.v2.console import run_command, show_note

if TYPE_CHECKING:
    import polars as pl

    from src.v2.config import Config

COMMAND = "python -m src.v2.runs"
SHORT_FLAGS = {
    "runs.filter": "filter",
    "runs.format": "format",
    "runs.order-by": "order-by",
    "runs.max-results": "max-results",
    "runs.ui": "ui",
    "runs.port": "port",
    "mlflow.experiment-name": "experiment-name",
    "mlflow.tracking-uri": "tracking-uri",
}
ABOUT = """\
List the runs of the experiment, newest first; with --ui serve MLflow's pages.

  python -m src.v2.runs --filter "metrics.cv_rank_ic_pooled > 0.01"
  python -m src.v2.runs --format csv > runs.csv
  python -m src.v2.runs --ui --port 5001"""


def main(argv: Sequence[str] | None = None) -> int:
    """List runs or serve the pages, and give the exit code."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, SHORT_FLAGS, command=COMMAND, about=ABOUT)
    if config.runs.ui:
        from src.v2.tracking.ui import serve_ui

        serve_ui(config.mlflow, config.runs.port)
        return 0
    return _list_runs(config)


def _list_runs(config: Config) -> int:
    from src.v2.tracking.query import search_runs

    table = search_runs(config.mlflow, config.runs)
    if config.runs.format == "csv":
        sys.stdout.write(table.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ"))
    elif config.runs.format == "json":
        import polars as pl

        stamp = pl.col("start_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        sys.stdout.write(table.with_columns(stamp).write_json() + "\n")
    elif not table.is_empty():
        sys.stdout.write(_aligned(table) + "\n")
    if table.is_empty():
        name = config.mlflow.experiment_name
        wish = (
            f" that fit --filter {config.runs.filter!r}" if config.runs.filter.strip() else " yet"
        )
        hint = " docs/metrics.md names the metrics." if "metrics." in config.runs.filter else ""
        show_note(f"no runs{wish} in experiment {name!r}. make train adds one.{hint}")
    return 0


def _aligned(table: pl.DataFrame) -> str:
    """Write a table as aligned text, one line a run; columns without any value are left out."""
    filled = [name for name in table.columns if table[name].null_count() < table.height]
    rows = [filled, *([_text(row[name]) for name in filled] for row in table.to_dicts())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(filled))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _text(value: object) -> str:
    """Write one cell."""
    import datetime as dt

    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dt.datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
