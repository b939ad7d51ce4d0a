"""The first pass: expressions over the history of one ticker at a time.

Whole tickers are worked on in groups of some 100,000 rows, so that what is between bars
and features stays small. Columns that several features read come first, in stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.v2.errors import ConfigError
from src.v2.features.inputs import add_inputs
from src.v2.features.registry import Feature
from src.v2.features.shared import shared_columns

ROWS_AT_ONCE = 100_000

Stages = list[dict[str, pl.Expr]]


@dataclass(frozen=True, slots=True)
class TickerPart:
    """The ticker-wise features of some whole tickers.

    Parameters
    ----------
    rows
        Rows of the sorted bars.
    values
        Numbers of each feature, NaN where missing.
    early
        Rows before each feature's look-back, counted from the part's first.
    infinite
        How many came out infinite or undefined, by feature.
    """

    rows: slice
    values: dict[str, NDArray[np.float32]]
    early: dict[str, NDArray[np.int64]]
    infinite: dict[str, int]


def ticker_features(
    bars: pl.DataFrame, sessions: pl.DataFrame, features: Sequence[Feature]
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

    Yields
    ------
    TickerPart
        Missing where a value came out infinite; what lies before the look-back is still there.
    """
    stages = shared_stages(features, set(add_inputs(bars.head(0), sessions).columns))
    wanted = {item.name: item.expression.cast(pl.Float32) for item in features}
    for rows in _groups_of_tickers(bars):
        table = add_inputs(bars[rows], sessions)
        for stage in stages:
            table = table.hstack(_inside_tickers(table, stage))
        found = _inside_tickers(table, wanted)
        row = table["row"].to_numpy()
        early = {back: np.flatnonzero(row < back) for back in {item.lookback for item in features}}
        infinite: dict[str, int] = {}
        for name in not_finite(found):
            back = next(item.lookback for item in features if item.name == name)
            infinite[name] = int(found.select(_wrong(name) & (table["row"] >= back)).sum().item())
            found = found.with_columns(pl.when(~_wrong(name)).then(pl.col(name)).alias(name))
        numbers = found.fill_null(math.nan)
        yield TickerPart(
            rows,
            {name: numbers[name].to_numpy() for name in numbers.columns},
            {item.name: early[item.lookback] for item in features},
            infinite,
        )


def not_finite(table: pl.DataFrame) -> list[str]:
    """Return the columns with an infinite or undefined value."""
    found = table.select(pl.all().is_finite().all())
    return [name for name in found.columns if not found[name].item()]


def _wrong(name: str) -> pl.Expr:
    """Say where a column is infinite or undefined; not where it is null."""
    return pl.col(name).is_finite().not_().fill_null(False)


def shared_stages(features: Sequence[Feature], available: set[str]) -> Stages:
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
                below = [visit(root) for root in shared[name].meta.root_names()]
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


def _groups_of_tickers(bars: pl.DataFrame) -> list[slice]:
    """Cut the rows at the first row of a ticker, about every ROWS_AT_ONCE rows."""
    lengths = bars["ticker"].rle().struct.field("len").to_numpy()
    ends = np.cumsum(lengths)
    last_of_group = np.append(np.diff(ends // ROWS_AT_ONCE) > 0, True)
    stops = [int(end) for end in ends[last_of_group[: len(ends)]]]
    return [slice(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def _inside_tickers(table: pl.DataFrame, wanted: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Evaluate expressions so that none sees more than one ticker."""
    # What reads one row alone needs no groups.
    plain = {name: item for name, item in wanted.items() if _reads_one_row(item)}
    windowed = {name: item for name, item in wanted.items() if name not in plain}
    found = table.select("ticker", *[item.alias(name) for name, item in plain.items()])
    if windowed:
        grouped = table.group_by("ticker", maintain_order=True).agg(
            [item.alias(name) for name, item in windowed.items()]
        )
        names = list(windowed)
        for name in names:
            _check_length(grouped[name], len(table))
        found = found.hstack(grouped.select(names).explode(names))
    return found.select(list(wanted))


def _check_length(lists: pl.Series, rows: int) -> None:
    """Refuse an expression that gives another number of values than there are rows."""
    if lists.dtype != pl.List or lists.list.len().sum() != rows:
        raise ConfigError(
            f"The feature {lists.name} must give one value for each row of a ticker, in order; "
            "it gives another number of values."
        )


def _reads_one_row(expression: pl.Expr) -> bool:
    """Say whether every step of an expression works on each row alone."""
    try:
        alone = expression.meta.is_row_separable()
    except pl.exceptions.PolarsError:
        return False
    return alone and all(map(_reads_one_row, expression.meta.pop()))


def finite_values(values: pl.Series) -> tuple[NDArray[np.float32], int]:
    """Return a column as 32-bit floats, NaN where it is missing or not finite.

    Returns
    -------
    tuple[NDArray[np.float32], int]
        The numbers, and how many were infinite or undefined.
    """
    numbers = np.array(values.cast(pl.Float32).fill_null(math.nan).to_numpy())
    finite = np.isfinite(numbers)
    numbers[~finite] = math.nan
    return numbers, len(numbers) - int(np.count_nonzero(finite)) - values.null_count()
