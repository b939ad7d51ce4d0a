"""Rolling factors of Alpha158 about changes and volumes, each written once for any window."""

from __future__ import annotations

import polars as pl

from src.v2.features.alpha158_prices import RollingFactor, share
from src.v2.features.formulas import TINY, ratio

VOLUME = pl.col("volume")


def flow_factors() -> list[RollingFactor]:
    """Return the factors of co-movement, of rises and falls, and of volume, in qlib's order."""
    return [
        *_correlations(),
        *_counts(),
        *_movements("sum", "", ("close",), "closes"),
        *_volumes(),
        *_movements("vsum", "volume_", ("volume",), "volumes"),
    ]


def _correlations() -> list[RollingFactor]:
    """Return correlations of price and volume."""
    both = ("close", "volume")

    def of_levels(window: int) -> pl.Expr:
        spread = pl.col(f"alpha_moving_spread_{window}")
        return _correlation("close", f"sma_{window}", spread, "alpha_log_volume", window)

    def of_changes(window: int) -> pl.Expr:
        mean, spread = f"mean_return_{window}", pl.col(f"deviation_{window}")
        return _correlation("return", mean, spread, "alpha_log_volume_ratio", window)

    return [
        RollingFactor(
            "corr",
            of_levels,
            both,
            0,
            "correlation of close and log of 1 plus volume, {window} sessions",
        ),
        RollingFactor(
            "cord",
            of_changes,
            both,
            1,
            "correlation of return and log of 1 plus volume over the last one, {window} sessions",
        ),
    ]


def _counts() -> list[RollingFactor]:
    """Return how often the close rose and fell."""

    def surplus(window: int) -> pl.Expr:
        return pl.col(f"alpha_rise_{window}") - pl.col(f"alpha_fall_{window}")

    near = ("close",)
    return [
        RollingFactor(
            "cntp",
            lambda w: pl.col(f"alpha_rise_{w}"),
            near,
            1,
            "share of {window} sessions with a rise",
        ),
        RollingFactor(
            "cntn",
            lambda w: pl.col(f"alpha_fall_{w}"),
            near,
            1,
            "share of {window} sessions with a fall",
        ),
        RollingFactor(
            "cntd", surplus, near, 1, "share of rises minus that of falls, {window} sessions"
        ),
    ]


def _movements(name: str, prefix: str, inputs: tuple[str, ...], what: str) -> list[RollingFactor]:
    """Return the share of rises in all movement, that of falls, and the difference."""

    def rises(window: int) -> pl.Expr:
        gain = pl.col(f"alpha_{prefix}gain_{window}")
        return share(gain, pl.col(f"alpha_{prefix}move_{window}"))

    def moved(window: int) -> pl.Expr:
        return (pl.col(f"alpha_{prefix}move_{window}") > 0).cast(pl.Float64)

    end = f"in all movement of {{window}} {what}"
    return [
        RollingFactor(f"{name}p", rises, inputs, 1, f"share of rises {end}"),
        RollingFactor(
            f"{name}n", lambda w: moved(w) - rises(w), inputs, 1, f"share of falls {end}"
        ),
        RollingFactor(
            f"{name}d",
            lambda w: 2 * rises(w) - moved(w),
            inputs,
            1,
            f"share of rises minus that of falls {end}",
        ),
    ]


def _volumes() -> list[RollingFactor]:
    """Return mean and deviation of volume, and how even the volume behind moves is."""

    def unevenness(window: int) -> pl.Expr:
        spread = pl.col("alpha_weighted_move").rolling_std(window)
        return share(spread, pl.col(f"alpha_weighted_move_{window}"))

    return [
        RollingFactor(
            "vma",
            lambda w: ratio(pl.col(f"mean_volume_{w}"), VOLUME),
            ("volume",),
            0,
            "mean of {window} volumes over the volume",
        ),
        RollingFactor(
            "vstd",
            lambda w: ratio(VOLUME.rolling_std(w), VOLUME),
            ("volume",),
            0,
            "deviation of {window} volumes over the volume",
        ),
        RollingFactor(
            "wvma",
            unevenness,
            ("close", "volume"),
            1,
            "deviation over mean of absolute return times volume, {window} sessions",
        ),
    ]


def _correlation(left: str, mean: str, spread: pl.Expr, right: str, window: int) -> pl.Expr:
    """Return Pearson's correlation, given the first side's mean and deviation."""
    product = (pl.col(left) * pl.col(right)).rolling_mean(window)
    covariance = product - pl.col(mean) * pl.col(f"{right}_{window}")
    other = pl.col(f"{right}_spread_{window}")
    found = covariance * (window / (window - 1)) / (spread * other)
    return pl.when(other > TINY).then(found.clip(-1, 1))
