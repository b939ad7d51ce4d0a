"""``python -m src.v2.runs``: list the runs in MLflow, or serve its pages."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.v2.config_sources import load_config
from src.v2.console import run_command, show_note

if TYPE_CHECKING:
    import polars as pl

    from src.v2.config import Config

COMMAND = "python -m src.v2.runs"
WIDTH_WITHOUT_TERMINAL = 120
SHORT_FLAGS = {
    "runs.columns": "columns",
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
List the runs of the experiment, newest first, as far as the terminal is wide, with the reason
of those that did not finish; with --ui serve MLflow's pages.

  python -m src.v2.runs --filter "metrics.cv_rank_ic_pooled > 0.01"
  python -m src.v2.runs --columns all
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
    from src.v2.tracking.run_table import chosen_columns

    columns = chosen_columns(config.runs.columns)
    table = search_runs(config.mlflow, config.runs)
    if config.runs.format == "table":
        _print_table(table, columns)
    else:
        _write(table.select(columns) if columns else table, config.runs.format)
    if table.is_empty():
        name = config.mlflow.experiment_name
        wish = (
            f" that fit --filter {config.runs.filter!r}" if config.runs.filter.strip() else " yet"
        )
        hint = " docs/metrics.md names the metrics." if "metrics." in config.runs.filter else ""
        show_note(f"no runs{wish} in experiment {name!r}. make train adds one.{hint}")
    return 0


def _print_table(table: pl.DataFrame, columns: Sequence[str]) -> None:
    """Print what fits the terminal, or the columns asked for."""
    from src.v2.tracking.run_table import fitting_table, whole_table

    if table.is_empty():
        return
    if columns:
        sys.stdout.write(whole_table(table.select(columns)) + "\n")
        return
    width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns
    text, less = fitting_table(table, width)
    sys.stdout.write(text + "\n")
    if less:
        sys.stdout.flush()
        show_note(
            "shortened to fit; --columns all shows everything, --columns run_id,verdict some, and "
            "--format csv or json is for machines."
        )


def _write(table: pl.DataFrame, form: str) -> None:
    """Write the table for machines, times in UTC."""
    import polars as pl

    if "start_time" in table.columns:
        stamp = pl.col("start_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        table = table.with_columns(stamp)
    sys.stdout.write(table.write_csv() if form == "csv" else table.write_json() + "\n")


if __name__ == "__main__":
    sys.exit(main())
