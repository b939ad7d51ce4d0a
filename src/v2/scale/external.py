"""A panel on disk, built within the memory of a chunk of tickers or a block of dates.

The first pass goes by chunks of whole tickers and leaves its columns in Parquet files by year;
the second takes them up again by blocks of whole dates and leaves rows of features, a file a
block. Every value is that of the panel in memory, to the bit.
"""

from __future__ import annotations

import datetime as dt
import errno
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from src.v2.console import Stages, Track, no_progress
from src.v2.errors import OmninmoError
from src.v2.features.as_of import add_series
from src.v2.features.compute import usable_features
from src.v2.features.inputs import MeanReturns, add_levels, own_returns
from src.v2.modeling.feature_rows import Places
from src.v2.modeling.panel import Panel
from src.v2.run_folders import check_space, folder_bytes
from src.v2.scale.bar_chunks import BarChunks, Survey, chunk_bars, survey_bars
from src.v2.scale.disk_store import DiskStore, write_block
from src.v2.scale.engine import PanelInputs
from src.v2.scale.keys import collect_panel, read_keys, write_keys
from src.v2.scale.passes import PanelPlan, add_counts, date_pass, ticker_pass
from src.v2.scale.pieces import drop_years, read_pieces, write_pieces

KEY_BYTES = 48
"""Of a row beside its features, in the files of either pass."""

Span = tuple[dt.date, dt.date]
"""First and last date of a block."""


@dataclass(frozen=True, slots=True)
class ExternalPanel:
    """A panel whose features lie on disk.

    Parameters
    ----------
    panel
        Its keys are in memory, some 70 bytes a row; its features are read block by block.
    left_out, infinite
        As `src.v2.features.compute.FeatureTable` tells them.
    stretched
        Rows without a label because a halt stretched it too far.
    disk_bytes
        What the panel takes.
    blocks
        In how many files its features lie.
    """

    panel: Panel
    left_out: dict[str, str]
    infinite: dict[str, int]
    stretched: int
    disk_bytes: int
    blocks: int


def build_external(
    inputs: PanelInputs,
    folder: Path,
    rows_at_once: int,
    stages: Stages,
    track: Track = no_progress,
) -> ExternalPanel:
    """Build a panel on disk.

    Parameters
    ----------
    inputs
        What the panel is built of; bars that are a scan of files are never read whole.
    folder
        Empty but for the lock of its owner; the panel lives as long as it does.
    rows_at_once
        About how many rows a chunk of tickers and a block of dates has. A ticker, or a date, is
        never parted.
    stages
        Times the passes as "features" and "panel".
    track
        Shows progress over the chunks and over the blocks.

    Returns
    -------
    ExternalPanel
        Equal to the one of `src.v2.modeling.panel.build_panel` in every value.

    Raises
    ------
    ConfigError
        When the disk is too small.
    NotEnoughData
        When no row has both features and a label.
    """
    with _full_disk_told(folder), stages.stage("features"):
        survey = survey_bars(inputs.bars, rows_at_once)
        dates = survey.dates["date"]
        kept, left_out = usable_features(survey.known, inputs.features, inputs.context, dates)
        spans = _cut_dates(survey.dates.filter(pl.col("rows") > 0), rows_at_once)
        chunks = chunk_bars(inputs.bars, survey, folder / "bars", rows_at_once)
        sessions = add_series(_market_sessions(chunks, survey, inputs.market), inputs.context)
        plan = PanelPlan(
            *(tuple(kept), sessions, dates, inputs.plan, inputs.min_history, inputs.context.sectors)
        )
        what = f"The panel of {survey.rows:,} rows and {len(kept)} features"
        check_space(folder, bytes_needed(survey.dates, spans, plan), what)
        infinite = _first_pass(chunks, survey.chunks, plan, folder / "pieces", track)
        shutil.rmtree(folder / "bars", ignore_errors=True)
    with _full_disk_told(folder), stages.stage("panel"):
        starts = _second_pass(spans, plan, folder, infinite, track)
        store = DiskStore(folder / "blocks", starts, len(kept))
        panel, stretched = collect_panel(read_keys(folder / "keys"), store, plan, survey)
    ordered = {name: infinite[name] for name in plan.names if name in infinite}
    return ExternalPanel(panel, left_out, ordered, stretched, folder_bytes(folder), len(spans))


def bytes_needed(dates: pl.DataFrame, spans: Sequence[Span], plan: PanelPlan) -> int:
    """Give the most bytes that pieces and blocks take together; pieces go year by year.

    Parameters
    ----------
    dates
        | date | rows |, sorted.
    spans
        First and last date of each block.
    plan
        Of the features.
    """
    rows = dates["rows"].to_numpy().astype(np.int64)
    pieces = rows * (KEY_BYTES + 4 * len(plan.ticker_names))
    blocks = np.cumsum(rows * (KEY_BYTES + 4 * len(plan.names)))
    year = dates["date"].dt.year().to_numpy()
    stops = [int(dates["date"].search_sorted(last, side="right")) for _, last in spans]
    return max(
        int(pieces[year >= first.year].sum()) + int(blocks[stop - 1])
        for (first, _), stop in zip(spans, stops, strict=True)
    )


def _cut_dates(dates: pl.DataFrame, rows_at_once: int) -> list[Span]:
    """Cut the dates into blocks of about so many rows."""
    before = pl.col("rows").cast(pl.Int64).cum_sum() - pl.col("rows")
    blocks = (
        dates.with_columns((before // rows_at_once).alias("block"))
        .group_by("block", maintain_order=True)
        .agg(pl.col("date").first().alias("first"), pl.col("date").last().alias("last"))
    )
    return list(blocks.select("first", "last").iter_rows())


def _market_sessions(
    chunks: BarChunks, survey: Survey, market: pl.DataFrame | None
) -> pl.DataFrame:
    """Make `src.v2.features.inputs.market_sessions` of all bars, chunk by chunk."""
    dates = survey.dates["date"]
    if market is not None:
        return add_levels(own_returns(market, dates))
    means = MeanReturns(dates)
    for bars in chunks:
        means.add(bars)
    return add_levels(means.table(), survey.decisions.item(0))


def _first_pass(
    chunks: BarChunks, count: int, plan: PanelPlan, folder: Path, track: Track
) -> dict[str, int]:
    """Write what the tickers give by themselves; return what was not finite."""
    infinite: dict[str, int] = {}
    steps = cast(Iterable[pl.DataFrame], track(chunks, "features by ticker", count))
    for number, bars in enumerate(steps):
        found = ticker_pass(bars, plan)
        add_counts(infinite, found.infinite)
        write_pieces(found.table, folder, number)
    return infinite


def _second_pass(
    spans: Sequence[Span],
    plan: PanelPlan,
    folder: Path,
    infinite: dict[str, int],
    track: Track,
) -> Places:
    """Write a block of rows for each span; return where the blocks start, and the end."""
    for name in ("blocks", "keys"):
        (folder / name).mkdir()
    starts = [0]
    steps = cast(Iterable[Span], track(spans, "panel by date", len(spans)))
    for number, (first, last) in enumerate(steps):
        found = date_pass(read_pieces(folder / "pieces", first, last), plan)
        add_counts(infinite, found.infinite)
        write_block(folder / "blocks", number, found.features)
        write_keys(folder / "keys", number, found.keys)
        starts.append(starts[-1] + len(found.features))
        drop_years(folder / "pieces", last.year)
    shutil.rmtree(folder / "pieces")
    return np.array(starts, dtype=np.int64)


@contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """Say which disk is full."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "os error 28" in str(error)
        if not full:
            raise
        raise OmninmoError(
            f"The disk of {folder} is full. Free some, or name a folder of a larger disk with "
            "--paths.scratch-dir."
        ) from error
