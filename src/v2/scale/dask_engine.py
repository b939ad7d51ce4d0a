"""The panel built on a cluster: tickers first, then dates, the features left on the workers."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.v2.console import Stages, Track
from src.v2.data.universe import decision_sessions, member_rows
from src.v2.features.as_of import add_series
from src.v2.features.compute import usable_features
from src.v2.features.inputs import market_sessions
from src.v2.modeling.feature_rows import Matrix, all_rows
from src.v2.modeling.labels import add_expanding_mean
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.panel import Panel, refuse_unlabelled, session_positions, ticker_codes
from src.v2.modeling.walk_forward import Trainer
from src.v2.scale.cluster import Cluster
from src.v2.scale.cluster_learner import ClusterLearner
from src.v2.scale.cluster_store import ClusterStore, same
from src.v2.scale.engine import BuiltPanel, PanelInputs
from src.v2.scale.passes import DateRows, PanelPlan, add_counts, date_pass, ticker_pass

if TYPE_CHECKING:
    from distributed import Future

BLOCKS_A_WORKER = 4
"""Least number of blocks of dates on each worker: a window of few dates still keeps all busy."""

Pieces = tuple[list[pl.DataFrame], dict[str, int]]


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """Works on the workers of a Dask cluster; keys and labels alone come to this process.

    Parameters
    ----------
    cluster
        Open as long as the engine and its panels are in use.
    """

    cluster: Cluster

    def build_panel(self, inputs: PanelInputs, stages: Stages, track: Track) -> BuiltPanel:
        """Compute features and labels of bars, see `src.v2.scale.engine.Engine`."""
        with stages.stage("features"):
            bars = inputs.bars.lazy().collect().sort("ticker", "date")
            kept, left_out = usable_features(bars, inputs.features, inputs.context)
            sessions = bars["date"].unique().sort()
            market = add_series(market_sessions(bars, inputs.market), inputs.context)
            sectors = inputs.context.sectors
            whole = PanelPlan(
                tuple(kept), market, sessions, inputs.plan, inputs.min_history, sectors
            )
            store, keys, infinite = self._compute(bars, whole)
        with stages.stage("panel"):
            panel = _panel(store, keys, whole, decision_sessions(bars))
            refuse_unlabelled(panel, inputs.plan, inputs.min_history)
        counts = {name: infinite[name] for name in whole.names if name in infinite}
        return BuiltPanel(panel, int(keys["stretched"].sum()), left_out, counts)

    def lend(self, trainer: Trainer) -> Trainer:
        """Give a trainer that fits on the cluster, under the same rules."""
        plain = trainer.learner
        if not isinstance(plain, XGBoostLearner):
            raise TypeError(f"a cluster fits with XGBoost; got {type(plain).__name__}")
        fields = {item.name: getattr(plain, item.name) for item in dataclasses.fields(plain)}
        return dataclasses.replace(trainer, learner=ClusterLearner(**fields, cluster=self.cluster))

    def _compute(
        self, bars: pl.DataFrame, plan: PanelPlan
    ) -> tuple[ClusterStore, pl.DataFrame, dict[str, int]]:
        """Run both passes; give the store, the keys of all rows and what came out infinite."""
        cluster, workers = self.cluster, self.cluster.workers()
        limit = cluster.config.rows_at_once
        dates = member_rows(bars)["date"]
        edges = date_edges(dates, plan.sessions, limit, BLOCKS_A_WORKER * len(workers))
        known = cluster.client.submit(same, plan, pure=False)
        pieces: list[list[Future[pl.DataFrame]]] = []
        counted: list[Future[dict[str, int]]] = []
        chunks = ticker_slices(bars["ticker"], limit, len(workers))
        for worker, rows in zip(itertools.cycle(workers), chunks, strict=False):
            chunk = cluster.submit(worker, _ticker_chunk, bars[rows], known, edges)
            numbers = range(len(edges) - 1)
            pieces.append([cluster.submit(worker, _piece, chunk, number) for number in numbers])
            counted.append(cluster.submit(worker, _infinite, chunk))
        blocks: list[Future[Matrix]] = []
        others: list[Future[Any]] = []
        # As the learner places them, so that no block travels for a fit.
        for number in range(len(edges) - 1):
            worker = workers[number % len(workers)]
            parts = [piece[number] for piece in pieces]
            block = cluster.submit(worker, _date_block, parts, known)
            blocks.append(cluster.submit(worker, _features, block))
            others.append(cluster.submit(worker, _without_features, block))
        del pieces
        infinite: dict[str, int] = {}
        tables = []
        for count in counted:
            add_counts(infinite, cluster.wait(count, "features of tickers"))
        for other in others:
            table, counts = cluster.wait(other, "features of dates")
            tables.append(table)
            add_counts(infinite, counts)
        sizes = [int((table["bar"] >= plan.min_history).sum()) for table in tables]
        starts = np.cumsum([0, *sizes], dtype=np.int64)
        store = ClusterStore(cluster, blocks, starts, len(plan.names))
        return store, pl.concat(tables, rechunk=True), infinite


def ticker_slices(tickers: pl.Series, most: int, least: int) -> list[slice]:
    """Cut rows into chunks of whole tickers.

    Parameters
    ----------
    tickers
        Ticker of each row, sorted.
    most
        Rows of a chunk, unless one ticker alone has more.
    least
        Chunks wanted at least, where there are as many tickers.
    """
    lengths = tickers.rle().struct.field("len").to_numpy().astype(np.int64)
    return _cut(lengths, min(most, math.ceil(len(tickers) / least)))


def date_edges(dates: pl.Series, sessions: pl.Series, most: int, least: int) -> list[int]:
    """Cut sessions into blocks of about as many rows each.

    Parameters
    ----------
    dates
        Date of each row, in any order.
    sessions
        Sorted distinct dates.
    most
        Rows of a block, unless one date alone has more.
    least
        Blocks wanted at least, where there are as many dates.

    Returns
    -------
    list
        First session of each block, and the number of sessions at the end.
    """
    counts = np.bincount(session_positions(dates, sessions), minlength=len(sessions))
    starts = np.cumsum([0, *counts])
    rows = _cut(counts.astype(np.int64), min(most, math.ceil(len(dates) / least)))
    return [0, *(int(np.searchsorted(starts, part.stop)) for part in rows)]


def _cut(lengths: np.ndarray[Any, np.dtype[np.int64]], most: int) -> list[slice]:
    """Put neighbours together while they hold no more than so many rows."""
    parts, start, stop = [], 0, 0
    for length in lengths.tolist():
        if stop > start and stop + length - start > most:
            parts.append(slice(start, stop))
            start = stop
        stop += length
    return [*parts, slice(start, stop)]


def _panel(store: ClusterStore, keys: pl.DataFrame, plan: PanelPlan, sessions: pl.Series) -> Panel:
    """Put the keys of rows of enough history beside the rows on the workers."""
    ticker = ticker_codes(keys["ticker"])
    kept = (keys["bar"] >= plan.min_history).to_numpy()
    known = add_expanding_mean(keys.drop("stretched", "bar", "session"))
    return Panel(
        known.filter(kept),
        all_rows(store),
        plan.names,
        tuple(sessions.to_list()),
        session_positions(known["date"], sessions)[kept],
        session_positions(known["label_end"], sessions)[kept],
        ticker[kept],
        keys["bar"].to_numpy()[kept].astype(np.int32),
    )


def _ticker_chunk(bars: pl.DataFrame, plan: PanelPlan, edges: Sequence[int]) -> Pieces:
    """Run the first pass, and cut what it gives at the edges of the blocks of dates."""
    found = ticker_pass(bars, plan)
    session = found.table["session"]
    pieces = [
        found.table.filter((session >= start) & (session < stop))
        for start, stop in itertools.pairwise(edges)
    ]
    return pieces, found.infinite


def _piece(chunk: Pieces, number: int) -> pl.DataFrame:
    return chunk[0][number]


def _infinite(chunk: Pieces) -> dict[str, int]:
    return chunk[1]


def _date_block(pieces: Sequence[pl.DataFrame], plan: PanelPlan) -> DateRows:
    return date_pass(pl.concat(pieces, rechunk=True), plan)


def _features(block: DateRows) -> Matrix:
    return block.features


def _without_features(block: DateRows) -> tuple[pl.DataFrame, dict[str, int]]:
    return block.keys, block.infinite
