"""Rolling factors of Alpha158 about prices, each written once for any window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from src.v2.features import kernels
from src.v2.features.formulas import ratio, rolling_kernel

CLOSE = pl.col("close")


@dataclass(frozen=True, slots=True)
class RollingFactor:
    """A factor of any window.

    Parameters
    ----------
    name
        qlib's, in lower case.
    expression
        Makes the expression for a window in sessions.
    inputs
        Bar columns that must be present.
    before
        Rows before the window that are read: 1 for changes since the last row.
    doc
        What it says, with ``{window}`` in place of the sessions.
    """

    name: str
    expression: Callable[[int], pl.Expr]
    inputs: tuple[str, ...]
    before: int
    doc: str


def price_factors() -> list[RollingFactor]:
    """Return the factors of the level and of the place of prices, in qlib's order."""
    return [*_levels(), *_places()]


def share(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Divide by a column that is zero only where the numerator is zero too; 0 there."""
    return pl.when(denominator == 0).then(0.0).otherwise(ratio(numerator, denominator))


def _levels() -> list[RollingFactor]:
    """Return what is in units of price, over the close, and the fit of the line."""
    near = ("close",)
    return [
        RollingFactor(
            "roc",
            lambda w: CLOSE.shift(w) / CLOSE,
            near,
            1,
            "close {window} sessions ago over it now",
        ),
        RollingFactor(
            "ma",
            lambda w: pl.col(f"sma_{w}") / CLOSE,
            near,
            0,
            "mean of {window} closes over the close",
        ),
        RollingFactor(
            "std",
            lambda w: pl.col(f"alpha_spread_{w}") / CLOSE,
            near,
            0,
            "deviation of {window} closes over the close",
        ),
        RollingFactor(
            "beta",
            lambda w: pl.col(f"alpha_slope_{w}") / CLOSE,
            near,
            0,
            "slope of the line through {window} closes, per session, over the close",
        ),
        RollingFactor(
            "rsqr", _fit, near, 0, "share of the variance of {window} closes that the line explains"
        ),
        RollingFactor(
            "resi",
            _residual,
            near,
            0,
            "close above the line through {window} closes, over the close",
        ),
        RollingFactor(
            "max",
            lambda w: pl.col(f"highest_{w}") / CLOSE,
            ("high", "close"),
            0,
            "highest high of {window} sessions over the close",
        ),
        RollingFactor(
            "min",
            lambda w: pl.col(f"lowest_{w}") / CLOSE,
            ("low", "close"),
            0,
            "lowest low of {window} sessions over the close",
        ),
        RollingFactor(
            "qtlu", _quantile(0.8), near, 0, "80% quantile of {window} closes over the close"
        ),
        RollingFactor(
            "qtld", _quantile(0.2), near, 0, "20% quantile of {window} closes over the close"
        ),
    ]


def _places() -> list[RollingFactor]:
    """Return where a price stands inside the window, and when it stood there."""

    def in_range(window: int) -> pl.Expr:
        low = pl.col(f"lowest_{window}")
        return share(CLOSE - low, pl.col(f"highest_{window}") - low)

    def apart(window: int) -> pl.Expr:
        return (pl.col(f"alpha_low_age_{window}") - pl.col(f"alpha_high_age_{window}")) / window

    return [
        RollingFactor(
            "rank",
            lambda w: rolling_kernel(CLOSE, w, kernels.rank_of_last),
            ("close",),
            0,
            "rank of the close among {window}, 1 the highest, ties at their mean",
        ),
        RollingFactor(
            "rsv",
            in_range,
            ("high", "low", "close"),
            0,
            "place of the close in the range of {window} sessions, 0 to 1",
        ),
        RollingFactor(
            "imax",
            lambda w: 1 - pl.col(f"alpha_high_age_{w}") / w,
            ("high",),
            0,
            "when the highest high of {window} sessions was, 1 today",
        ),
        RollingFactor(
            "imin",
            lambda w: 1 - pl.col(f"alpha_low_age_{w}") / w,
            ("low",),
            0,
            "when the lowest low of {window} sessions was, 1 today",
        ),
        RollingFactor(
            "imxd",
            apart,
            ("high", "low"),
            0,
            "time from the lowest low to the highest high, share of {window} sessions",
        ),
    ]


def _fit(window: int) -> pl.Expr:
    """Return R2 of the line: slope times the deviation of time, over that of the closes."""
    share_of_line = pl.col(f"alpha_slope_{window}") / pl.col(f"alpha_moving_spread_{window}")
    return (share_of_line**2 * (window * (window + 1) / 12)).clip(0, 1)


def _residual(window: int) -> pl.Expr:
    """Return what the close lies above the line's last point, over the close."""
    rise = (window - 1) / 2 * pl.col(f"alpha_slope_{window}")
    return 1 - (pl.col(f"sma_{window}") + rise) / CLOSE


def _quantile(level: float) -> Callable[[int], pl.Expr]:
    """Return the rolling quantile of closes, interpolated, over the close."""
    return lambda window: (
        CLOSE.rolling_quantile(level, interpolation="linear", window_size=window) / CLOSE
    )
