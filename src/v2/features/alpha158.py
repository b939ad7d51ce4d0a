"""The factor set Alpha158 of the platform qlib, for comparison and use.

Not among the default families: ``--features.families alpha158`` asks for it. The formulas are
those of qlib's `Alpha158DL`, under this project's rules:

- A value is null until its window is full, and where a bar inside it is missing. qlib takes
  what is there.
- A ratio over zero is 0 where its numerator is zero too (a bar without range, a window without
  movement), as in qlib, and null elsewhere (a session without volume), where qlib divides by
  1e-12.
- R2 and correlations are null where closes deviate by less than a millionth of their mean, or
  returns or logarithms of volume by less than a millionth. qlib's limit is 2e-5 in units of the
  price, which blanks well-defined values of low-priced stocks.
- Numbers are 64-bit until the result; qlib's bars are 32-bit.

What rolls comes from the kernels of `src.v2.features.alpha158_kernels`, which
`src.v2.features.alpha158_columns` calls; the others are written here.

``alpha_vwap_0`` needs a column ``vwap`` of the bars, adjusted as they are and named in
``features.columns`` (and in ``features.exclude``, or its level becomes a feature too). Daily
bars seldom have one; the factor is then left out, by name, and 157 remain.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.alpha158_columns import ALPHA_WINDOWS
from src.v2.features.alpha158_factors import rolling_factors
from src.v2.features.formulas import ratio
from src.v2.features.registry import Feature

FAMILY = "alpha158"
SOURCE = "qlib Alpha158"
OPEN, HIGH, LOW, CLOSE = (pl.col(name) for name in ("open", "high", "low", "close"))


def alpha158_features() -> list[Feature]:
    """Return the 158 factors, in qlib's order.

    Examples
    --------
    >>> [len(alpha158_features()), alpha158_features()[-1].name]
    [158, 'alpha_vsumd_60']
    """
    rolling = [
        _feature(
            f"{factor.name}_{window}",
            pl.col(f"alpha_{factor.name}_{window}"),
            factor.inputs,
            factor.doc.format(window=window),
            window - 1 + factor.before,
        )
        for factor in rolling_factors()
        for window in ALPHA_WINDOWS
    ]
    return [*_shapes(), *_prices(), *rolling]


def qlib_name(name: str) -> str:
    """Return what qlib calls a factor.

    Examples
    --------
    >>> qlib_name("alpha_roc_5"), qlib_name("alpha_kmid2")
    ('ROC5', 'KMID2')
    """
    return name.removeprefix("alpha_").replace("_", "").upper()


def _feature(
    name: str, expression: pl.Expr, inputs: tuple[str, ...], doc: str, lookback: int = 0
) -> Feature:
    """Make one record of the family."""
    return Feature(f"alpha_{name}", FAMILY, expression, inputs, lookback, doc, SOURCE)


def _share(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Divide by a column that is zero only where the numerator is zero too; 0 there."""
    return pl.when(denominator == 0).then(0.0).otherwise(ratio(numerator, denominator))


def _shapes() -> list[Feature]:
    """Return the shape of one bar: body, range, shadows and where the close lies."""
    known = OPEN.is_not_null() & CLOSE.is_not_null()
    top = pl.when(known).then(pl.max_horizontal(OPEN, CLOSE))
    bottom = pl.when(known).then(pl.min_horizontal(OPEN, CLOSE))
    bar = HIGH - LOW
    whole, three = ("open", "high", "low", "close"), ("high", "low", "close")
    body, upper, lower = CLOSE - OPEN, HIGH - top, bottom - LOW
    place = 2 * CLOSE - HIGH - LOW
    return [
        _feature("kmid", body / OPEN, ("open", "close"), "close minus open, over the open"),
        _feature("klen", bar / OPEN, ("open", "high", "low"), "range of the bar over the open"),
        _feature("kmid2", _share(body, bar), whole, "close minus open, over the bar's range"),
        _feature("kup", upper / OPEN, whole, "high minus the body's top, over the open"),
        _feature("kup2", _share(upper, bar), whole, "high minus the body's top, over the range"),
        _feature("klow", lower / OPEN, whole, "body's bottom minus the low, over the open"),
        _feature("klow2", _share(lower, bar), whole, "body's bottom minus the low, over the range"),
        _feature("ksft", place / OPEN, whole, "twice the close minus high and low, over the open"),
        _feature("ksft2", _share(place, bar), three, "place of the close in the bar, -1 to 1"),
    ]


def _prices() -> list[Feature]:
    """Return the session's other prices over its close."""
    prices = [
        _feature(f"{name}_0", pl.col(name) / CLOSE, (name, "close"), f"{name} over the close")
        for name in ("open", "high", "low")
    ]
    paid = pl.col("vwap").cast(pl.Float64)
    over_close = ratio(paid, CLOSE * pl.col("first_close"))
    positive = pl.when(paid > 0).then(over_close)
    doc = "mean price paid in the session, weighted by volume, over the close"
    return [*prices, _feature("vwap_0", positive, ("vwap", "close"), doc)]
