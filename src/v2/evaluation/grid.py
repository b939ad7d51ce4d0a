"""The forecasts as matrices, dates by tickers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of a long table, laid out by date and ticker.

    Parameters
    ----------
    dates, tickers
        Distinct ones, sorted: the rows and the columns of every matrix.
    values
        Column name to array (dates, tickers), NaN where there is no row or no value.
    """

    dates: tuple[dt.date, ...]
    tickers: tuple[str, ...]
    values: Mapping[str, Matrix]


def make_grid(predictions: pl.DataFrame, columns: Sequence[str]) -> Grid:
    """Lay columns out as matrices.

    Parameters
    ----------
    predictions
        | date | ticker | the columns, numeric |, any order, one row a date and ticker.
    columns
        Which columns to lay out.

    Returns
    -------
    Grid
        Every date and ticker of the table has its row and column, values or not.

    Examples
    --------
    >>> import datetime as dt
    >>> monday, tuesday = dt.date(2024, 1, 1), dt.date(2024, 1, 2)
    >>> table = pl.DataFrame(
    ...     {"date": [tuesday, monday, monday], "ticker": ["A", "B", "A"], "score": [3, 2, 1]}
    ... )
    >>> make_grid(table, ["score"]).values["score"]
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    dates = predictions["date"].unique().sort()
    tickers = predictions["ticker"].unique().sort()
    day = dates.search_sorted(predictions["date"]).to_numpy()
    name = predictions["ticker"].cast(pl.Enum(tickers)).to_physical().to_numpy()
    cell = day.astype(np.int64) * len(tickers) + name
    values = {}
    for column in columns:
        matrix = np.full(len(dates) * len(tickers), np.nan)
        matrix[cell] = predictions[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        values[column] = matrix.reshape(len(dates), len(tickers))
    return Grid(tuple(dates.to_list()), tuple(tickers.to_list()), values)
