"""What the skill of a walk-forward does when it is questioned.

A leak survives what takes real skill away (labels that belong to other tickers, a panel whose
returns were permuted in time), and fades where real skill stays (a later entry, a wider gap).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from src.v2.evaluation.guard import RANK_IC
from src.v2.evaluation.leakage.finding import Finding, skipped
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.significance import ewc_interval
from src.v2.evaluation_records import Interval

LAGS = (0, 1, 2)
COLLAPSED = 0.5
"""Share of the skill that is left, below which it has collapsed."""


def no_skill_expected(predictions: pl.DataFrame, horizon: int, what: str) -> Finding:
    """Judge forecasts that cannot have skill.

    Fails where the interval of the mean rank IC lies above zero and the mean is beyond what is
    believable even of real forecasts; warns where only the former holds.

    Parameters
    ----------
    predictions
        Forecasts table: | date | score | forward_return |.
    horizon
        Sessions over which labels overlap.
    what
        Where the forecasts come from, as the start of a sentence.
    """
    daily = daily_ic(predictions)
    if daily.is_empty():
        return skipped("no date has the 10 tickers that a rank correlation needs")
    found = ewc_interval(daily["rank_ic"].to_numpy(), horizon)
    limit, _ = RANK_IC.at(horizon)
    numbers = _numbers(found) | {"dates": daily.height, "limit": limit}
    text = f"{what} have a mean rank IC of {shown(found)} over {daily.height} dates"
    if not math.isfinite(found.low):
        if found.mean > 2 * limit:
            return Finding("fail", f"{text}, where nothing can be forecast.", numbers)
        return Finding(
            "pass", f"{text}; too short for an interval, below {2 * limit:.2f}.", numbers
        )
    if found.low > 0 and found.mean > limit:
        return Finding("fail", f"{text}, where nothing can be forecast: a leak.", numbers)
    if found.low > 0:
        return Finding("warn", f"{text}: above zero, though below {limit:.2f}.", numbers)
    return Finding("pass", f"{text}: compatible with none.", numbers)


def probe_entry_lag(
    predictions: pl.DataFrame, bars: pl.DataFrame, forward_days: int, entry_lag: int
) -> Finding:
    """Score the same forecasts by returns entered 0, 1 and 2 sessions later.

    Parameters
    ----------
    predictions
        Forecasts table: | date | ticker | score |.
    bars
        | date | ticker | close |.
    entry_lag
        That of the labels, for the reader.
    """
    series = {}
    for lag in LAGS:
        rows = predictions.select("date", "ticker", "score").join(
            entered_later(bars, lag, forward_days), on=["date", "ticker"]
        )
        series[lag] = daily_ic(rows).select("date", "rank_ic")
    if min(table.height for table in series.values()) == 0:
        return skipped("no date has the 10 tickers that a rank correlation needs")
    found = {lag: ewc_interval(series[lag]["rank_ic"].to_numpy(), forward_days) for lag in LAGS}
    loss = paired(series[0], series[1], forward_days)
    numbers = {f"rank_ic_lag_{lag}": value.mean for lag, value in found.items()}
    numbers |= {"loss": loss.mean, "loss_low": loss.low, "loss_high": loss.high}
    curve = ", ".join(f"{lag}: {shown(value)}" for lag, value in found.items())
    text = f"mean rank IC by entry lag (labels use {entry_lag}): {curve}"
    if found[0].low > 0 and loss.low > 0 and found[1].mean < COLLAPSED * found[0].mean:
        return Finding(
            "warn",
            f"{text}. Most of it is gone a session later: it needs a trade at the very close that "
            "the features read.",
            numbers,
        )
    return Finding("pass", f"{text}; no collapse from 0 to 1.", numbers)


def entered_later(bars: pl.DataFrame, lag: int, forward_days: int) -> pl.DataFrame:
    """Give | date | ticker | forward_return | entered some of the ticker's own bars later."""
    close = pl.col("close")
    return bars.sort("ticker", "date").select(
        "date",
        "ticker",
        forward_return=(close.shift(-lag - forward_days) / close.shift(-lag) - 1).over("ticker"),
    )


def probe_gap(by_gap: Mapping[int, pl.DataFrame], horizon: int) -> Finding:
    """Compare forecasts of models whose training ends earlier and earlier.

    Parameters
    ----------
    by_gap
        Forecasts tables of the same test rows by the sessions added before the test block;
        the first is 0.
    """
    series = {gap: daily_ic(table).select("date", "rank_ic") for gap, table in by_gap.items()}
    if min(table.height for table in series.values()) == 0:
        return skipped("no date has the 10 tickers that a rank correlation needs")
    found = {gap: ewc_interval(series[gap]["rank_ic"].to_numpy(), horizon) for gap in series}
    widest = max(series)
    loss = paired(series[0], series[widest], horizon)
    numbers = {f"rank_ic_gap_{gap}": value.mean for gap, value in found.items()}
    numbers |= {"loss": loss.mean, "loss_low": loss.low, "loss_high": loss.high}
    curve = ", ".join(f"+{gap}: {shown(value)}" for gap, value in found.items())
    text = f"mean rank IC by sessions added between training and test: {curve}"
    if loss.low > 0 and found[0].mean > 0:
        text += (
            f". It falls by {shown(loss)} when training ends {widest} sessions earlier: labels may "
            "reach into the test block, or the signal is very young."
        )
        return Finding("warn", text, numbers)
    return Finding("pass", f"{text}; no fall beyond noise.", numbers)


def paired(some: pl.DataFrame, others: pl.DataFrame, horizon: int) -> Interval:
    """Interval of the mean difference of two | date | rank_ic | over their common dates."""
    both = some.join(others, on="date", suffix="_other").sort("date")
    differences = (both["rank_ic"] - both["rank_ic_other"]).to_numpy()
    return ewc_interval(np.asarray(differences, dtype=np.float64), horizon)


def shown(interval: Interval) -> str:
    """Write a mean and its bounds.

    Examples
    --------
    >>> shown(Interval(0.0123, -0.01, 0.034, 20))
    '+0.012 (-0.010 to +0.034)'
    """
    if not math.isfinite(interval.low):
        return f"{interval.mean:+.3f}"
    return f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def gaps_of(horizon: int) -> Sequence[int]:
    """Sessions added before the test blocks: none, half a horizon, a horizon.

    Examples
    --------
    >>> list(gaps_of(20)), list(gaps_of(1))
    ([0, 10, 20], [0, 1])
    """
    return sorted({0, horizon // 2, horizon})


def _numbers(found: Interval) -> dict[str, float]:
    return {
        "rank_ic": found.mean,
        "rank_ic_low": found.low,
        "rank_ic_high": found.high,
        "windows": found.windows,
    }
