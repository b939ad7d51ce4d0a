"""The first pass: features of the history of one ticker at a time.

Whole tickers are worked on in groups of some 50,000 rows, so that what is between bars and
features stays in the processor's cache. Columns that several features read come first, in
stages: each from expressions over single rows, or from kernels over windows.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.errors import ConfigError
from src.v2.features.inputs import add_inputs
from src.v2.features.kernel_columns import KernelColumn
from src.v2.features.nulls import Numbers, from_array, from_series
from src.v2.features.registry import Feature
from src.v2.features.scratch import Scratch
from src.v2.features.shared import shared_columns
from src.v2.features.ticker_columns import Expressions, TickerColumns, part_expressions

ROWS_AT_ONCE = 100_000

Stage = dict[str, pl.Expr | KernelColumn]


@dataclass(frozen=True, slots=True)
class TickerPart:
    """The ticker-wise features of some whole tickers.

    Parameters
    ----------
    rows
        Rows of the sorted bars.
    bounds
        First row of each ticker counted from the part's first, and the number of its rows.
    values
        Numbers of each feature, what lies before the look-back still there, infinite and
        undefined values too. They are good until the part after the next is asked for; who
        has used one takes it out, so that its memory can serve again.
    """

    rows: slice
    bounds: NDArray[np.int64]
    values: dict[str, Numbers]


def ticker_features(
    bars: pl.DataFrame, sessions: pl.DataFrame, features: Sequence[Feature], pool: Executor
) -> Iterator[TickerPart]:
    """Compute ticker-wise features, some tickers at a time.

    Parameters
    ----------
    bars
        Sorted by ticker and date.
    sessions
        From `src.v2.features.inputs.market_sessions`.
    features
        Features of scope ticker, whose inputs the bars have.
    pool
        Runs the kernels; nothing of Polars, which could wait for workers that wait for
        Python's lock.

    Yields
    ------
    TickerPart
        In the order of the bars.
    """
    stages = shared_stages(features, set(add_inputs(bars.head(0), sessions).columns))
    steps = [_parted(stage) for stage in stages]
    finished = {item.name: _finished_column(item, stages) for item in features}
    wanted = part_expressions(
        {
            item.name: item.expression.cast(pl.Float32)
            for item in features
            if finished[item.name] is None
        }
    )
    working, turns = Scratch(), itertools.cycle((Scratch(), Scratch()))
    for (rows, bounds), memory in zip(_groups_of_tickers(bars), turns, strict=False):
        working.restart()
        memory.restart()
        columns = TickerColumns(add_inputs(bars[rows], sessions), bounds, working, memory)
        yield TickerPart(rows, bounds, _values(columns, steps, wanted, finished, pool))


def _values(
    columns: TickerColumns,
    steps: Sequence[tuple[Expressions, dict[str, KernelColumn]]],
    wanted: Expressions,
    finished: dict[str, str | None],
    pool: Executor,
) -> dict[str, Numbers]:
    """Work out the shared columns stage by stage, and the features from them."""
    for expressions, kernels in steps:
        columns.add_expressions(expressions)
        columns.add_kernels(kernels, pool)
    found = columns.select(wanted)
    return {
        name: from_series(found[name]) if column is None else from_array(columns.arrays[column])
        for name, column in finished.items()
    }


def _parted(stage: Stage) -> tuple[Expressions, dict[str, KernelColumn]]:
    """Part what Polars makes from what kernels make."""
    expressions = {name: item for name, item in stage.items() if isinstance(item, pl.Expr)}
    kernels = {name: item for name, item in stage.items() if isinstance(item, KernelColumn)}
    return part_expressions(expressions), kernels


def _finished_column(feature: Feature, stages: Sequence[Stage]) -> str | None:
    """Return the column of a kernel that the feature is, as it is."""
    names = feature.expression.meta.root_names()
    if len(names) != 1 or not feature.expression.meta.eq(pl.col(names[0])):
        return None
    column = next((stage[names[0]] for stage in stages if names[0] in stage), None)
    finished = isinstance(column, KernelColumn) and column.call.kernel.startswith("alpha_")
    return names[0] if finished else None


def shared_stages(features: Sequence[Feature], available: set[str]) -> list[Stage]:
    """Order the shared columns that the features read, each after those it reads itself.

    Raises
    ------
    ConfigError
        A feature reads a column that is neither in the bars nor made from them.
    """
    shared = shared_columns()
    depth: dict[str, int] = {}

    def visit(name: str) -> int:
        """Return the first stage at which a column is there; -1 where it never is."""
        if name in available:
            return 0
        if name not in depth:
            depth[name] = -1
            if name in shared:
                below = [visit(root) for root in _sources(shared[name])]
                depth[name] = max(below) + 1 if min(below) >= 0 else -1
        return depth[name]

    for feature in features:
        missing = [root for root in feature.expression.meta.root_names() if visit(root) < 0]
        if missing:
            raise ConfigError(
                f"The feature {feature.name} reads {', '.join(missing)}, which is no column of "
                "the bars nor one made from them. Name what it reads in its inputs."
            )
    last = max(depth.values(), default=0)
    return [
        {name: shared[name] for name, stage in depth.items() if stage == number}
        for number in range(1, last + 1)
    ]


def features_that_read(features: Sequence[Feature], columns: Collection[str]) -> list[Feature]:
    """Find the ticker-wise features that are made of some columns, by whatever steps.

    Parameters
    ----------
    columns
        Columns of `src.v2.features.inputs.add_inputs`.
    """
    shared = shared_columns()
    known: dict[str, bool] = {}

    def reads(name: str) -> bool:
        if name not in known:
            known[name] = name in columns
            sources = _sources(shared[name]) if name in shared and not known[name] else ()
            known[name] = known[name] or any(map(reads, sources))
        return known[name]

    wanted = [feature for feature in features if feature.scope == "ticker"]
    return [item for item in wanted if any(map(reads, item.expression.meta.root_names()))]


def _sources(column: pl.Expr | KernelColumn) -> Sequence[str]:
    """Return the columns that a column reads."""
    return column.call.sources if isinstance(column, KernelColumn) else column.meta.root_names()


def _groups_of_tickers(bars: pl.DataFrame) -> list[tuple[slice, NDArray[np.int64]]]:
    """Cut the rows at the first row of a ticker, about every ROWS_AT_ONCE rows."""
    lengths = bars["ticker"].rle().struct.field("len").to_numpy().astype(np.int64)
    groups = []
    start, first = 0, 0
    ends = np.cumsum(lengths)
    for number, end in enumerate(ends):
        if end - start >= ROWS_AT_ONCE or number == len(ends) - 1:
            bounds = np.concatenate(([0], ends[first : number + 1] - start))
            groups.append((slice(start, int(end)), bounds))
            start, first = int(end), number + 1
    return groups
