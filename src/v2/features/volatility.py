"""How much returns move, which way, and how that changes."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ANNUAL, TINY, above
from src.v2.features.registry import Feature

FAMILY = "volatility"
CLOSE = ("close",)


def volatility_features() -> list[Feature]:
    """Return the features of volatility, one record a window."""
    return [*_levels(), *_ratios(), *_shape(), *_memory()]


def _levels() -> list[Feature]:
    records = [
        Feature(
            f"volatility_{window}",
            FAMILY,
            ANNUAL * pl.col(f"deviation_{window}"),
            CLOSE,
            window,
            f"annual deviation of daily returns, {window} sessions (fraction)",
            "Ang, Hodrick, Xing and Zhang 2006",
        )
        for window in (10, 20, 60, 90, 252)
    ]
    records += [
        Feature(
            f"downside_deviation_{window}",
            FAMILY,
            ANNUAL * pl.col(f"fall_square_{window}").sqrt(),
            CLOSE,
            window,
            f"annual root mean square of the falls, rises as 0, {window} sessions (fraction)",
            "Sortino and van der Meer 1991",
        )
        for window in (30, 60, 90)
    ]
    return records


def _ratios() -> list[Feature]:
    records = [
        Feature(
            f"volatility_ratio_{short}_{long}",
            FAMILY,
            pl.col(f"deviation_{short}") / pl.col(f"deviation_{long}"),
            CLOSE,
            long,
            f"volatility of {short} sessions over that of {long}",
            "own",
        )
        for short, long in ((10, 60), (60, 252))
    ]
    return [
        *records,
        Feature(
            "volatility_of_volatility_20_60",
            FAMILY,
            pl.col("volatility_deviation_20_60") / pl.col("volatility_mean_20_60"),
            CLOSE,
            79,
            "deviation over mean, in 60 sessions, of the volatility of 20 sessions",
            "Baltussen, van Bekkum and van der Grient 2018",
        ),
        Feature(
            "return_shock_60",
            FAMILY,
            pl.col("return") / pl.col("deviation_60_lag_1"),
            CLOSE,
            61,
            "last return in deviations of the 60 sessions before it",
            "own",
        ),
    ]


def _shape() -> list[Feature]:
    moved = pl.col("deviation_90").is_not_null()
    return [
        Feature(
            "skewness_90",
            FAMILY,
            pl.when(moved).then(pl.col("skewness_90")),
            CLOSE,
            90,
            "skewness of 90 daily returns",
            "Harvey and Siddique 2000",
        ),
        Feature(
            "kurtosis_90",
            FAMILY,
            pl.when(moved).then(pl.col("kurtosis_90")),
            CLOSE,
            90,
            "excess kurtosis of 90 daily returns",
            "Amaya, Christoffersen, Jacobs and Vasquez 2015",
        ),
    ]


def _memory() -> list[Feature]:
    records = []
    for step, window in ((5, 120), (20, 252)):
        short = above(pl.col(f"log_deviation_{window}"), TINY) ** 2
        long = pl.col(f"step_{step}_deviation_{window}") ** 2
        records.append(
            Feature(
                f"variance_ratio_{step}_{window}",
                FAMILY,
                long / (step * short),
                CLOSE,
                window + step - 1,
                f"variance of {step}-session over {step} times that of daily log returns, "
                f"{window} sessions: above 1 trending, below 1 reverting",
                "Lo and MacKinlay 1988",
            )
        )
    return [
        *records,
        Feature(
            "autocorrelation_60",
            FAMILY,
            pl.col("autocorrelation_60"),
            CLOSE,
            61,
            "correlation of a return with the one before, 60 sessions",
            "Lo and MacKinlay 1988",
        ),
        Feature(
            "absolute_autocorrelation_60",
            FAMILY,
            pl.col("absolute_autocorrelation_60"),
            CLOSE,
            61,
            "correlation of an absolute return with the one before, 60 sessions: clustering",
            "Ding, Granger and Engle 1993",
        ),
    ]
