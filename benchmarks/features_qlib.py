"""Alpha158 in qlib: its expression engine, and the data handler that its users write.

Runs in an environment with pyqlib and polars. The bars are written as qlib's binary files first,
which is not counted, and no cache is used.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.measure import timed


def qlib_factors(
    bars: pl.DataFrame, kernels: int, *, handler: bool
) -> tuple[pl.DataFrame | None, dict[str, float]]:
    """Ask qlib for the 158 factors.

    Parameters
    ----------
    bars
        | date | ticker | open | high | low | close | volume | vwap |, 32-bit, without a missing
        session inside a ticker.
    kernels
        Processes that qlib may use.
    handler
        Run the handler with its default processors and its label rather than the expressions.

    Returns
    -------
    tuple
        The factors (None for the handler, which adds its label), and the seconds.
    """
    qlib: Any = import_module("qlib")
    oracles: Any = import_module("src.v2.tests.golden.make_alpha158_oracles")
    codes = {name: f"T{place:05d}" for place, name in enumerate(bars["ticker"].unique().sort())}
    back = {code: name for name, code in codes.items()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        oracles.write_provider(bars.with_columns(pl.col("ticker").replace_strict(codes)), root)
        settings = {"expression_cache": None, "dataset_cache": None, "logging_level": 40}
        qlib.init(provider_uri=str(root), region="us", kernels=kernels, **settings)
        if handler:
            _, seconds = timed(lambda: _handler(bars))
            return None, seconds
        found, seconds = timed(oracles.qlib_factors)
    return found.with_columns(pl.col("ticker").replace_strict(back)), seconds


def _handler(bars: pl.DataFrame) -> Any:
    """Make the handler, and take the features that a model would learn from."""
    handlers: Any = import_module("qlib.contrib.data.handler")
    days = bars["date"].unique().sort()
    first, split, last = (str(days[place]) for place in (0, int(len(days) * 0.8), -1))
    handler = handlers.Alpha158(
        instruments="all",
        start_time=first,
        end_time=last,
        fit_start_time=first,
        fit_end_time=split,
    )
    return handler.fetch(col_set="feature", data_key=handler.DK_L)
