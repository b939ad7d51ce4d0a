"""The keys of a panel on disk: written a block at a time, brought together at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from src.v2.modeling.feature_rows import BlockStore, all_rows
from src.v2.modeling.labels import add_expanding_mean
from src.v2.modeling.panel import Panel, refuse_unlabelled, session_positions
from src.v2.scale.bar_chunks import Survey
from src.v2.scale.passes import PanelPlan

COLUMNS = ("date", "ticker", "forward_return", "label", "label_end")
"""Keys of a panel, but for the mean of all known returns."""

KNOWN = ("date", "forward_return", "label_end")
"""Columns that the mean of all known returns is made of."""


def write_keys(folder: Path, number: int, keys: pl.DataFrame) -> None:
    """Write the keys of a block, as the second pass gives them."""
    keys.write_parquet(folder / f"{number:05d}.parquet", compression="lz4")


def read_keys(folder: Path) -> pl.LazyFrame:
    """Scan the keys of all blocks, in the order of the rows."""
    return pl.scan_parquet(sorted(folder.glob("*.parquet")), glob=False)


def collect_panel(
    keys: pl.LazyFrame, store: BlockStore, plan: PanelPlan, survey: Survey
) -> tuple[Panel, int]:
    """Make the panel of the keys of all dates.

    Parameters
    ----------
    keys
        Of `src.v2.scale.passes.DateRows`, every row of the bars, sorted by date and ticker.
    store
        Where the features of the rows with enough history lie, in the same order.
    plan
        That of the passes.
    survey
        Of the bars.

    Returns
    -------
    tuple
        The panel, and the number of rows without a label because a halt stretched it.

    Raises
    ------
    NotEnoughData
        When no row has both features and a label.
    """
    enough = pl.col("bar") >= plan.min_history
    stretched = int(keys.select(pl.col("stretched").sum()).collect().item())
    # Rows without enough history enter the mean of what is known, as they do in memory.
    mean = add_expanding_mean(keys.select(KNOWN).collect())["expanding_mean"]
    mean = mean.filter(keys.select(enough).collect().to_series())
    kept = keys.filter(enough)
    # One column after the other, so that no second copy of all is held.
    rows = pl.DataFrame([_column(kept, name) for name in COLUMNS]).with_columns(mean)
    panel = Panel(
        rows,
        all_rows(store),
        plan.names,
        tuple(survey.decisions.to_list()),
        session_positions(rows["date"], survey.decisions),
        session_positions(rows["label_end"], survey.decisions),
        _codes(rows["ticker"], survey.tickers),
        _column(kept, "bar").to_numpy(),
    )
    refuse_unlabelled(panel, plan.label, plan.min_history)
    return panel, stretched


def _column(keys: pl.LazyFrame, name: str) -> pl.Series:
    """Read one column into one piece of memory."""
    return keys.select(name).collect().to_series().rechunk()


def _codes(rows: pl.Series, tickers: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Give each row the number of its ticker, as `src.v2.modeling.panel.ticker_codes` does."""
    ordered = (
        tickers.sort("first", "ticker", nulls_last=True).select("ticker").with_row_index("code")
    )
    found = rows.to_frame().join(ordered, on="ticker", how="left", maintain_order="left")
    return found["code"].to_numpy().astype(np.int32)
