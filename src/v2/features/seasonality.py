"""The calendar: what the date itself says. Nothing here reads a later session."""

from __future__ import annotations

import math

import polars as pl

from src.v2.features.registry import Feature

FAMILY = "calendar"


def calendar_features() -> list[Feature]:
    """Return the features of the date alone."""
    date = pl.col("date")
    angle = (date.dt.month() - 1) * (2 * math.pi / 12)
    day, left = date.dt.day(), date.dt.month_end().dt.day() - date.dt.day()
    quarter_end = date.dt.truncate("1q").dt.offset_by("3mo")
    days_left = (quarter_end - date).dt.total_days() - 1
    source = "Heston and Sadka 2008"
    return [
        _of_date("month_sin", angle.sin(), "sine of the month as an angle", source),
        _of_date("month_cos", angle.cos(), "cosine of the month as an angle", source),
        _of_date("day_of_week", date.dt.weekday(), "1 Monday to 5 Friday", "French 1980"),
        _of_date(
            "turn_of_month",
            ((day <= 4) | (left <= 3)).cast(pl.Float64),
            "1 in the last 4 and the first 4 calendar days of a month, else 0",
            "Lakonishok and Smidt 1988",
        ),
        _of_date(
            "quarter_left",
            days_left / 92,
            "calendar days to the end of the quarter, over 92",
            "own",
        ),
    ]


def _of_date(name: str, expression: pl.Expr, doc: str, source: str) -> Feature:
    """Make a record that needs nothing but the date."""
    return Feature(name, FAMILY, expression, (), 0, doc, source, scope="session")
