"""The interval around a forecast return: a multiple of the ticker's own volatility.

The multiples are found by `src.v2.evaluation.conformal` on forecasts that no fit has seen, and
kept in the model's card, so that a forecast needs no earlier forecasts at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

VOLATILITY_BARS = 63
"""A ticker's own newest returns that its volatility is taken of: a quarter of a year."""

LEAST_BARS = 21
SMALLEST_SHARE = 0.25
"""A ticker's volatility counts as at least this share of the date's median: a price that stood
still would otherwise have no interval at all."""


@dataclass(frozen=True, slots=True)
class IntervalLevel:
    """One level and what it takes.

    Parameters
    ----------
    level
        Share of outcomes that intervals of this level are made to hold.
    multiple
        Half the interval's width in volatilities of the horizon; None where the outcomes known
        are too few for this level.
    coverage, low, high
        Share that intervals of later folds held, made of what was known before, averaged over
        dates, and its 95% bounds, which end at 0 and 1; None where too few folds or dates can
        tell.
    error
        Standard error of the coverage; None where too few dates can tell, and in cards that
        were written without.
    dates
        Dates that this level's coverage was measured on; None in cards that were written
        without.
    later
        The coverage over the later half of these dates, whose multiples were made of more.
    calm, other
        The coverage over the fifth of these dates on which the tickers' median volatility was
        smallest, and over the others.
    """

    level: float
    multiple: float | None
    coverage: float | None
    low: float | None
    high: float | None
    error: float | None = None
    dates: int | None = None
    later: float | None = None
    calm: float | None = None
    other: float | None = None


@dataclass(frozen=True, slots=True)
class ReturnIntervals:
    """The intervals of a model of returns.

    Parameters
    ----------
    dates, blocks
        Dates that the multiples were found on, and the blocks of one horizon that they make:
        what counts as independent.
    measured_dates
        Dates that the coverage of any level was measured on.
    """

    dates: int
    blocks: int
    measured_dates: int
    levels: tuple[IntervalLevel, ...]

    def at(self, level: float) -> IntervalLevel | None:
        """Find a level; None where it is not among them."""
        return next((each for each in self.levels if abs(each.level - level) < 1e-9), None)


def coverage_parts(level: IntervalLevel) -> tuple[str, ...]:
    """Say what intervals of a level held on parts of the dates; nothing where it is not known.

    Examples
    --------
    >>> parts = {"later": 0.78, "calm": 0.73, "other": 0.85}
    >>> coverage_parts(IntervalLevel(0.8, 1.3, 0.82, 0.79, 0.85, **parts))
    ('78.0% on the later half of the dates', '73.0% on the calmest fifth, 85.0% on the others')
    """
    later = () if level.later is None else (f"{level.later:.1%} on the later half of the dates",)
    if level.calm is None or level.other is None:
        return later
    return *later, f"{level.calm:.1%} on the calmest fifth, {level.other:.1%} on the others"


def horizon_volatility(bars: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Measure how far each ticker's price usually moves in a horizon, by what was known.

    Parameters
    ----------
    bars
        | date | ticker | close |, any order.
    horizon
        Sessions of a label.

    Returns
    -------
    pl.DataFrame
        | date | ticker | volatility (fraction) |, sorted by ticker and date: the standard
        deviation of the ticker's last 63 log returns up to the date, times the root of the
        horizon, and at least a quarter of the date's median. With fewer than 21 returns it is
        the date's median; null where no ticker of the date has one.
    """
    step = pl.col("close").cast(pl.Float64).log().diff().over("ticker")
    own = pl.col("step").rolling_std(VOLATILITY_BARS, min_samples=LEAST_BARS).over("ticker")
    middle = pl.col("own").median().over("date")
    return (
        bars.select("date", "ticker", "close")
        .sort("ticker", "date")
        .with_columns(step.alias("step"))
        .with_columns((own * horizon**0.5).alias("own"))
        .select(
            "date",
            "ticker",
            pl.max_horizontal(pl.col("own").fill_null(middle), SMALLEST_SHARE * middle).alias(
                "volatility"
            ),
        )
    )


def add_interval(
    forecasts: pl.DataFrame, volatility: pl.DataFrame, multiple: float | None
) -> pl.DataFrame:
    """Add the interval of each forecast.

    Parameters
    ----------
    forecasts
        | date | ticker | predicted_return (fraction) |.
    volatility
        As `horizon_volatility` gives it.
    multiple
        Of a level; None gives nulls.

    Returns
    -------
    pl.DataFrame
        With | return_low | return_high | (fractions), in the order given. Nobody loses more
        than everything: the lower end is at least -1. Null without a volatility.
    """
    half = pl.lit(multiple, dtype=pl.Float64) * pl.col("volatility")
    return (
        forecasts.join(volatility, on=["date", "ticker"], how="left", maintain_order="left")
        .with_columns(
            (pl.col("predicted_return") - half).clip(lower_bound=-1.0).alias("return_low"),
            (pl.col("predicted_return") + half).alias("return_high"),
        )
        .drop("volatility")
    )
