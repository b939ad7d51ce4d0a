"""How far ahead the scores tell something: their rank IC with returns over other horizons."""

from __future__ import annotations

import polars as pl

from src.v2.detail_records import Decay
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
from src.v2.modeling.labels import MAX_STRETCH

HORIZONS = (1, 5, 10, 21, 63, 126)
"""Sessions; the run's own horizon and its double come besides."""

MIN_WINDOWS = 2
"""Horizons with dates for fewer of them are left out: one window is one story."""


def decay_horizons(horizon: int) -> tuple[int, ...]:
    """Horizons to look at beside the run's own, rising.

    Examples
    --------
    >>> decay_horizons(30)
    (1, 5, 10, 21, 30, 60, 63, 126)
    """
    return tuple(sorted({*HORIZONS, horizon, 2 * horizon}))


def rank_ic_decay(
    predictions: pl.DataFrame, closes: pl.DataFrame, horizon: int, entry_lag: int
) -> tuple[Decay, ...]:
    """Correlate the scores with the returns over shorter and longer horizons.

    No close after the last `label_end` is read, so whatever is held out after it stays shut:
    a longer horizon has fewer dates.

    Parameters
    ----------
    predictions
        | date | ticker | score | label_end |, any order.
    closes
        | date | ticker | close | of the universe, any order, one row a date and ticker.
    horizon
        The run's own, in sessions; it is always among the results.
    entry_lag
        Sessions from the decision to the trade.

    Returns
    -------
    tuple
        Rising horizons; those with fewer than 2 independent windows of dates are left out.
        Returns and stretched ones are those of `src.v2.modeling.labels.add_labels`: counted in
        the ticker's own bars. Bounds as of `ewc_interval` with the horizon itself.
    """
    last = pl.lit(predictions["label_end"].max(), dtype=pl.Date)
    scored = predictions.select("date", "ticker", "score").sort("date", "ticker")
    steps = decay_horizons(horizon)
    columns = [_forward_return(step, entry_lag, last).alias(_name(step)) for step in steps]
    table = scored.join(
        _with_sessions(closes).select("date", "ticker", *columns),
        on=["date", "ticker"],
        how="left",
        maintain_order="left",
    )
    found = []
    for step in steps:
        rows = table.select("date", "score", pl.col(_name(step)).alias("forward_return"))
        series = daily_ic(rows)["rank_ic"].to_numpy()
        if len(series) >= MIN_WINDOWS * step or step == horizon:
            found.append(Decay(step, ewc_interval(series, step)))
    return tuple(found)


def _with_sessions(closes: pl.DataFrame) -> pl.DataFrame:
    """Add | session |, the position of each date, and sort by ticker and date."""
    dates = closes["date"].unique().sort()
    session = dates.search_sorted(closes["date"]).cast(pl.Int32)
    return closes.with_columns(pl.col("close").cast(pl.Float64), session.alias("session")).sort(
        "ticker", "date"
    )


def _forward_return(step: int, entry_lag: int, last: pl.Expr) -> pl.Expr:
    """Express the return over a horizon that ends by a date, in rows sorted by ticker, date."""
    span = entry_lag + step
    # A ticker's rows stand together, so the row one span on is its own or another ticker's.
    own = pl.col("ticker").shift(-span) == pl.col("ticker")
    in_time = pl.col("date").shift(-span) <= last
    prompt = pl.col("session").shift(-span) - pl.col("session") <= MAX_STRETCH * span
    change = pl.col("close").shift(-span) / pl.col("close").shift(-entry_lag) - 1
    return pl.when(own & in_time & prompt).then(change)


def _name(step: int) -> str:
    return f"after_{step}"
