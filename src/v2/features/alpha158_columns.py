"""Columns that several factors of Alpha158 read, each worked out once.

They stand beside those of `src.v2.features.shared`, for the family `alpha158` alone. A window
in sessions stands at the end of a name; a name without one is about a single row.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import TINY, slope

ALPHA_WINDOWS = (5, 10, 20, 30, 60)
AVERAGED = (
    *("rise", "fall", "gain", "move", "weighted_move"),
    *("volume_gain", "volume_move", "log_volume", "log_volume_ratio"),
)
"""Columns of a row whose means over every window are columns too."""


def alpha_columns() -> dict[str, pl.Expr]:
    """Return the columns by name; one may read another.

    Returns
    -------
    dict[str, pl.Expr]
        Expressions over the rows of one ticker in date order. ``alpha_moving_spread`` is null
        where the closes deviate by at most `TINY` of their mean, and the ratio of volumes
        where the last one is zero.
    """
    returns, volume = pl.col("return"), pl.col("volume")
    change, last_volume = pl.col("close") - pl.col("last_close"), volume.shift(1)
    columns = {
        "alpha_rise": (returns > 0).cast(pl.Float64),
        "alpha_fall": (returns < 0).cast(pl.Float64),
        "alpha_gain": change.clip(lower_bound=0),
        "alpha_move": change.abs(),
        "alpha_volume_gain": (volume - last_volume).clip(lower_bound=0),
        "alpha_volume_move": (volume - last_volume).abs(),
        "alpha_weighted_move": returns.abs() * volume,
        "alpha_log_volume": volume.log1p(),
        "alpha_log_volume_ratio": pl.when(last_volume > 0).then(volume / last_volume).log1p(),
        **_ages("high", "highest"),
        **_ages("low", "lowest"),
    }
    for window in ALPHA_WINDOWS:
        for name in AVERAGED:
            columns[f"alpha_{name}_{window}"] = pl.col(f"alpha_{name}").rolling_mean(window)
        for name in ("log_volume", "log_volume_ratio"):
            columns[f"alpha_{name}_spread_{window}"] = pl.col(f"alpha_{name}").rolling_std(window)
        columns |= _close_columns(window)
    return columns


def _close_columns(window: int) -> dict[str, pl.Expr]:
    """Return the spread and the line of closes."""
    close, spread = pl.col("close"), pl.col(f"alpha_spread_{window}")
    moving = spread > TINY * pl.col(f"sma_{window}")
    return {
        f"alpha_spread_{window}": close.rolling_std(window),
        f"alpha_moving_spread_{window}": pl.when(moving).then(spread),
        f"alpha_slope_{window}": slope(close, window),
    }


def _ages(price: str, extreme: str) -> dict[str, pl.Expr]:
    """Return the sessions since a window's highest or lowest bar, the first of equals.

    Polars has no such function: the oldest part that reaches the window's extreme holds it.
    Parts are single bars for the smallest window, and two smaller windows for each other one.
    """

    def age(window: int) -> pl.Expr:
        return pl.col(f"alpha_{price}_age_{window}")

    top = pl.col(f"{extreme}_5")
    bars = [(pl.col(price).shift(back), pl.lit(float(back))) for back in (4, 3, 2, 1, 0)]
    columns = {f"alpha_{price}_age_5": _first_that_reaches(top, bars)}
    for newer, older in ((5, 5), (10, 10), (20, 10), (30, 30)):
        window = newer + older
        parts = [
            (pl.col(f"{extreme}_{older}").shift(newer), age(older).shift(newer) + newer),
            (pl.col(f"{extreme}_{newer}"), age(newer)),
        ]
        columns[f"alpha_{price}_age_{window}"] = _first_that_reaches(
            pl.col(f"{extreme}_{window}"), parts
        )
    return columns


def _first_that_reaches(top: pl.Expr, parts: list[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """Return the age that belongs to the first of the parts with an extreme; null without one."""
    return pl.coalesce([pl.when(extreme == top).then(age) for extreme, age in parts])
