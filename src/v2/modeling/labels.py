"""What is forecast: forward returns, and the targets and classes made from them.

A decision at the close of session t trades at the close of session t + entry_lag and is
judged at the close of session t + entry_lag + forward_days, both counted in the ticker's
own bars. `label_end` is the date on which a label becomes known; everything that guards
against leakage reads it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE, LabelConfig
from src.v2.data.universe import MEMBER, member_rows
from src.v2.errors import ConfigError

Target = Literal["return", "excess", "rank"]
Rule = Literal["median", "sign", "quintile", "fixed"]

BINARY_CLASSES = ("down", "up")
RATING_CLASSES = ("Strong Sell", "Sell", "Hold", "Buy", "Strong Buy")

MIN_TICKERS_PER_DATE = 10
"""A date with fewer labels has no cross-section worth comparing."""

MAX_STRETCH = 2
"""A label that a halt stretches over more than this many spans is no label."""


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """The label in force, with every ``auto`` settled by the size of the universe.

    Parameters
    ----------
    target
        What regression is trained on.
    rule
        How classes are made; None for regression.
    classes
        Names of the classes, lowest first; empty for regression.
    cross_sectional
        Whether a label compares the tickers of one date.
    """

    config: LabelConfig
    target: Target
    rule: Rule | None
    classes: tuple[str, ...]

    @property
    def cross_sectional(self) -> bool:
        """Whether a label compares the tickers of one date."""
        if self.rule is not None:
            return self.rule in ("median", "quintile")
        return self.target != "return"


def plan_label(config: LabelConfig, tickers: int) -> LabelPlan:
    """Settle the label for a universe of so many tickers.

    Raises
    ------
    ConfigError
        When a comparison across tickers is asked of fewer than 20.
    """
    small = tickers < SMALL_UNIVERSE
    target: Target = ("return" if small else "excess") if config.target == "auto" else config.target
    rule: Rule | None = None
    classes: tuple[str, ...] = ()
    if config.mode == "classification" and config.classes == "binary":
        automatic: Rule = "sign" if small else "median"
        rule = automatic if config.binary_rule == "auto" else config.binary_rule
        classes = BINARY_CLASSES
    elif config.mode == "classification":
        automatic = "fixed" if small else "quintile"
        rule = automatic if config.rating_rule == "auto" else config.rating_rule
        classes = RATING_CLASSES
    plan = LabelPlan(config, target, rule, classes)
    asked = plan.cross_sectional or (rule is None and target != "return")
    if small and asked:
        name = "label.target" if rule is None else f"label.{config.classes}_rule"
        raise ConfigError(
            f"{name} {rule or target} compares the tickers of a date and needs at least "
            f"{SMALL_UNIVERSE} of them; got {tickers}. Use auto, or give more tickers."
        )
    return plan


def add_labels(bars: pl.DataFrame, plan: LabelPlan) -> pl.DataFrame:
    """Label every bar whose future is there.

    Parameters
    ----------
    bars
        | date | ticker | close |, any order, one row a date and ticker, and | is a member |
        where a universe says who was one.
    plan
        The label in force.

    Returns
    -------
    pl.DataFrame
        | date | ticker | forward_return (fraction) | label | label_end | stretched |, one row
        a bar, or a bar of a member, whose future reads all bars of its ticker; sorted by date
        and ticker. Without a future, or on a date with too few labels to compare, `label` and
        `label_end` are null. `stretched` marks rows whose label a halt stretched too far. A label
        that compares tickers is known when the last label of its date is, or when it is sure
        that a missing one will not come: twice the span later. Whether a halted ticker comes
        back thus changes no earlier date.
    """
    sessions = bars["date"].unique().sort()
    table = future_returns(bars.sort("ticker", "date"), sessions, plan)
    return label_dates(table.sort("date", "ticker"), sessions, plan)


def future_returns(bars: pl.DataFrame, sessions: pl.Series, plan: LabelPlan) -> pl.DataFrame:
    """Look up each bar's future among the bars of its own ticker.

    Parameters
    ----------
    bars
        | date | ticker | close | of whole tickers, sorted by ticker and date.
    sessions
        Sorted distinct dates of the universe, which may have more tickers.
    plan
        The label in force.

    Returns
    -------
    pl.DataFrame
        | date | ticker | close | session | forward_return | label_end | stretched |, row by
        row; `session` is the date's position. A stretched row has no future.
    """
    lag, span = plan.config.entry_lag, plan.config.span
    marks = [MEMBER] if MEMBER in bars.columns else []
    table = (
        bars.select("date", "ticker", pl.col("close").cast(pl.Float64), *marks)
        .join(_numbered(sessions), on="date", how="left", maintain_order="left")
        .with_columns(
            (pl.col("close").shift(-span) / pl.col("close").shift(-lag) - 1)
            .over("ticker")
            .alias("forward_return"),
            pl.col("date").shift(-span).over("ticker").alias("label_end"),
            (pl.col("session").shift(-span).cast(pl.Int64) - pl.col("session"))
            .over("ticker")
            .alias("stretch"),
        )
    )
    stretched = (pl.col("stretch") > MAX_STRETCH * span).fill_null(False)
    return table.with_columns(stretched.alias("stretched")).select(
        *("date", "ticker", "close", "session", *marks),
        *(
            pl.when(~pl.col("stretched")).then(pl.col(name)).alias(name)
            for name in ("forward_return", "label_end")
        ),
        "stretched",
    )


def label_dates(table: pl.DataFrame, sessions: pl.Series, plan: LabelPlan) -> pl.DataFrame:
    """Label the rows of whole dates.

    Parameters
    ----------
    table
        Rows of `future_returns` of all tickers, sorted by date and ticker; any dates.
    sessions
        As there.
    plan
        The label in force.

    Returns
    -------
    pl.DataFrame
        As `add_labels` gives it.
    """
    # From here on tickers are compared: a date is that of its members alone.
    table = member_rows(table).with_columns(_label(plan).cast(pl.Float32).alias("label"))
    if plan.cross_sectional:
        table = _known_with_the_last(table, _numbered(sessions), MAX_STRETCH * plan.config.span)
    known = pl.col("label").is_not_null() & pl.col("label_end").is_not_null()
    return table.select(
        "date",
        "ticker",
        *(pl.when(known).then(name).alias(name) for name in ("forward_return", "label")),
        pl.when(known).then("label_end").alias("label_end"),
        "stretched",
    )


def _numbered(sessions: pl.Series) -> pl.DataFrame:
    """Give each date its position."""
    return pl.DataFrame({"date": sessions}).with_row_index("session")


def _known_with_the_last(
    table: pl.DataFrame, sessions: pl.DataFrame, patience: int
) -> pl.DataFrame:
    """Set `label_end` to the date by which every label of the row's date is known or given up."""
    given_up = sessions.select("session", pl.col("date").shift(-patience).alias("given_up"))
    never = pl.lit(dt.date.max)
    own = pl.coalesce("label_end", "given_up", never)
    last = own.max().over("date")
    return (
        table.join(given_up, on="session", how="left", maintain_order="left")
        .with_columns(pl.when(last < never).then(last).alias("label_end"))
        .drop("given_up")
    )


def add_expanding_mean(labels: pl.DataFrame) -> pl.DataFrame:
    """Add the mean of all forward returns that were known at each date.

    Parameters
    ----------
    labels
        | date | ticker | forward_return | label_end |, sorted by date and ticker.

    Returns
    -------
    pl.DataFrame
        With | expanding_mean (fraction) |: the mean of `forward_return` over rows of all
        tickers with `label_end` <= date; null while none is known.
    """
    rows = labels.filter(pl.col("label_end").is_not_null())
    ends = rows["label_end"].unique().sort()
    position = ends.search_sorted(rows["label_end"]).to_numpy()
    # Summed in the order of the rows: sums of groups in Polars depend on how columns lie in
    # memory, to the last bit.
    total = np.bincount(position, rows["forward_return"].fill_null(0.0), len(ends))
    count = np.bincount(position, minlength=len(ends))
    mean = pl.Series("expanding_mean", np.cumsum(total) / np.cumsum(count))
    known = pl.DataFrame([ends, mean])
    return labels.join_asof(known, left_on="date", right_on="label_end", strategy="backward").drop(
        "label_end_right", strict=False
    )


def _label(plan: LabelPlan) -> pl.Expr:
    """Express what the learner is trained on, by `forward_return` of all tickers of a date."""
    future = pl.col("forward_return")
    enough = future.count().over("date") >= MIN_TICKERS_PER_DATE
    position = (future.rank("average").over("date") - 0.5) / future.count().over("date")
    if plan.rule == "median":
        return pl.when(enough).then(future > future.median().over("date"))
    if plan.rule == "sign":
        return future > 0
    if plan.rule == "quintile":
        return pl.when(enough).then((position * len(plan.classes)).floor())
    if plan.rule == "fixed":
        thresholds = [pl.lit(limit) for limit in plan.config.rating_thresholds]
        return pl.sum_horizontal((future > limit).cast(pl.Int8) for limit in thresholds) + (
            0 * future
        )
    if plan.target == "excess":
        return pl.when(enough).then(future - future.mean().over("date"))
    if plan.target == "rank":
        return pl.when(enough).then(position - 0.5)
    return future
