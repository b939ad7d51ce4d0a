"""Small formulas that the families are built from. All return Polars expressions."""

from __future__ import annotations

import polars as pl

ANNUAL = 252**0.5
"""Turns the deviation of daily returns into an annual one."""

TINY = 1e-6
"""A deviation below this share of its mean level is rounding noise and counts as zero."""


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Divide, giving null where the denominator is not above zero."""
    return pl.when(denominator > 0).then(numerator / denominator)


def above(values: pl.Expr, limit: float = 0.0) -> pl.Expr:
    """Make null what is not above a limit."""
    return pl.when(values > limit).then(values)
