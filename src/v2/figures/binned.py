"""The numbers behind the picture of forecasts against returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.v2.errors import NotEnoughData
from src.v2.figures.style import Array

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Binned:
    """Rows in groups of equal size by their forecast; all returns are fractions.

    Parameters
    ----------
    forecast, actual
        Mean of each group.
    error
        Half width of the 95% interval of each group's actual mean, NaN without one.
    slope, slope_error
        Of the actual on the forecast over all rows, and the half width of its 95% interval.
    rows
        Rows used.
    span, blocks
        Sessions until a label is known, and blocks of that length in the rows.
    mean
        Mean actual of all rows.
    """

    forecast: Array
    actual: Array
    error: Array
    slope: float
    slope_error: float
    rows: int
    span: int
    blocks: int
    mean: float


def bin_by_forecast(
    predictions: pl.DataFrame, forecast: str, actual: str, groups: int = 10
) -> Binned:
    """Group rows by their forecast, with intervals that respect overlapping labels.

    Sessions are cut into blocks as long as a label's span. Errors are summed within a block
    before they are squared, so neither the tickers of a date nor overlapping horizons count
    as independent.

    Parameters
    ----------
    predictions
        | date | label_end | and the two columns named.
    forecast, actual
        Columns of the forecast and of what it is held against.
    groups
        Groups wanted; fewer when forecasts are too alike or too few.

    Raises
    ------
    NotEnoughData
        Fewer than 2 rows have both numbers.
    """
    import polars as pl

    columns = [pl.col(name).cast(pl.Float64) for name in (forecast, actual)]
    usable = predictions.filter(pl.all_horizontal(*(column.is_finite() for column in columns)))
    if usable.height < 2:
        raise NotEnoughData(
            f"Forecasts are held against returns on at least 2 rows with both {forecast} and "
            f"{actual}; got {usable.height}."
        )
    x, y = (usable.get_column(name).cast(pl.Float64).to_numpy() for name in (forecast, actual))
    span, block = _blocks(predictions, usable)
    group = _equal_groups(x, groups)
    members = [np.flatnonzero(group == number) for number in np.unique(group)]
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread if spread else 0.0
    residual = y - y.mean() - slope * centred
    return Binned(
        forecast=np.array([x[rows].mean() for rows in members]),
        actual=np.array([y[rows].mean() for rows in members]),
        error=np.array(
            [half_width(y[rows] - y[rows].mean(), block[rows], len(rows)) for rows in members]
        ),
        slope=slope,
        slope_error=half_width(centred * residual, block, spread),
        rows=len(x),
        span=span,
        blocks=len(np.unique(block)),
        mean=float(y.mean()),
    )


def half_width(errors: Array, block: Array, weight: float) -> float:
    """Return the half width of a 95% interval, robust to any dependence within a block.

    Parameters
    ----------
    errors
        Contribution of each row to the error of the estimate, before division by ``weight``.
    block
        Block of each row.
    weight
        Divisor of the estimate: the rows of a mean, the sum of squares of a slope.
    """
    from scipy.stats import t

    _, number = np.unique(block, return_inverse=True)
    sums = np.bincount(number, weights=errors)
    if len(sums) < 2 or not weight:
        return float("nan")
    variance = float(sums @ sums) * len(sums) / (len(sums) - 1)
    return float(t.ppf(0.975, len(sums) - 1) * np.sqrt(variance) / weight)


def _equal_groups(values: Array, groups: int) -> Array:
    """Give each row the number of its quantile; equal values share one."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left")


def _blocks(predictions: pl.DataFrame, usable: pl.DataFrame) -> tuple[int, Array]:
    """Return the span of a label in sessions and the block of each usable row."""
    sessions = predictions.get_column("date").unique().sort()
    date = usable.get_column("date").to_physical().to_numpy()
    ends = usable.get_column("label_end").cast(usable.schema["date"])
    known = sessions.to_physical().to_numpy()
    start = np.searchsorted(known, date)
    # Beyond the last session the count would be cut short, so the median is of the others.
    inside = ends.is_not_null() & (ends <= sessions.max())
    end = np.searchsorted(known, ends.to_physical().fill_null(0).to_numpy())
    gaps = (end - start)[inside.fill_null(value=False).to_numpy()]
    span = max(1, round(float(np.median(gaps)))) if len(gaps) else 1
    return span, start // span
