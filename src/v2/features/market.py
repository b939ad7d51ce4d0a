"""The ticker against the market, and the market's own state."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ANNUAL, TINY, above
from src.v2.features.registry import Feature
from src.v2.features.shared import CONDITION_WINDOW, MARKET_WINDOWS

FAMILY = "market"
CLOSE = ("close",)


def market_features() -> list[Feature]:
    """Return the features that read the market's return, one record a window."""
    records: list[Feature] = []
    for window in MARKET_WINDOWS:
        records += _regression(window)
    return [*records, *_relative_strength(), *_conditional(), *_state()]


def _regression(window: int) -> list[Feature]:
    residual = pl.col(f"residual_deviation_{window}")
    gap = pl.col(f"mean_return_{window}") - pl.col(f"beta_{window}") * pl.col(
        f"market_mean_{window}"
    )
    return [
        Feature(
            f"beta_{window}",
            FAMILY,
            pl.col(f"beta_{window}"),
            CLOSE,
            window,
            f"slope of the return on the market's, {window} sessions",
            "Sharpe 1964",
        ),
        Feature(
            f"market_correlation_{window}",
            FAMILY,
            pl.col(f"correlation_{window}"),
            CLOSE,
            window,
            f"correlation of the return with the market's, {window} sessions",
            "own",
        ),
        Feature(
            f"idiosyncratic_volatility_{window}",
            FAMILY,
            ANNUAL * residual,
            CLOSE,
            window,
            f"annual deviation of the return that beta leaves, {window} sessions (fraction)",
            "Ang, Hodrick, Xing and Zhang 2006",
        ),
        Feature(
            f"residual_momentum_{window}",
            FAMILY,
            gap / residual * window**0.5,
            CLOSE,
            window,
            f"return beyond beta times the market's, in its deviations, {window} sessions",
            "Blitz, Huij and Martens 2011",
        ),
    ]


def _relative_strength() -> list[Feature]:
    own, market = (pl.col(name) for name in ("log_close", "market_log_level"))
    return [
        Feature(
            f"relative_strength_{window}",
            FAMILY,
            own
            - pl.col(f"log_close_lag_{window}")
            - market
            + pl.col(f"market_log_level_lag_{window}"),
            CLOSE,
            window,
            f"log return minus the market's, {window} sessions",
            "Levy 1967",
        )
        for window in MARKET_WINDOWS
    ]


def _conditional() -> list[Feature]:
    window = CONDITION_WINDOW
    # The oldest session of the window has a state once 200 sessions lie before it.
    lookback = window + 199
    records = []
    means = {}
    for state in ("bull", "bear"):
        means[state] = pl.col(f"{state}_mean_{window}")
        risk = pl.col(f"{state}_deviation_{window}")
        side = "above" if state == "bull" else "below"
        when = f"on sessions that began with the market {side} its mean of 200, of {window}"
        records += [
            Feature(
                f"{state}_return_{window}",
                FAMILY,
                252 * means[state],
                CLOSE,
                lookback,
                f"annual mean return {when}",
                "Cooper, Gutierrez and Hameed 2004",
            ),
            Feature(
                f"{state}_volatility_{window}",
                FAMILY,
                ANNUAL * above(risk, TINY),
                CLOSE,
                lookback,
                f"annual deviation of returns {when}",
                "Ang and Chen 2002",
            ),
        ]
    records.append(
        Feature(
            f"bull_bear_difference_{window}",
            FAMILY,
            252 * (means["bull"] - means["bear"]),
            CLOSE,
            lookback,
            "annual mean return with the market above minus below its mean of 200 sessions",
            "own",
        )
    )
    return records


def _state() -> list[Feature]:
    level, returns = pl.col("market_level"), pl.col("market_return")
    records = [
        _of_market(
            f"market_return_{window}",
            level / level.shift(window) - 1,
            window,
            f"the market's return over {window} sessions (fraction)",
            "Cooper, Gutierrez and Hameed 2004",
        )
        for window in (20, 60, 252)
    ]
    for window in (20, 60):
        risk = returns.rolling_std(window, min_samples=window * 2 // 3)
        records.append(
            _of_market(
                f"market_volatility_{window}",
                pl.when(risk > TINY).then(ANNUAL * risk),
                window,
                f"annual deviation of the market's daily returns, {window} sessions (fraction)",
                "Wang and Xu 2015",
            )
        )
    records.append(
        _of_market(
            "market_distance_200",
            level / level.rolling_mean(200) - 1,
            199,
            "the market over its mean of 200 sessions, minus 1",
            "Faber 2007",
        )
    )
    records.append(
        _of_market(
            "market_drawdown_252",
            level / level.rolling_max(252) - 1,
            251,
            "the market over its top of 252 sessions, minus 1",
            "own",
        )
    )
    return records


def _of_market(name: str, expression: pl.Expr, lookback: int, doc: str, source: str) -> Feature:
    """Make a record that every ticker of a date shares."""
    return Feature(name, FAMILY, expression, CLOSE, lookback, doc, source, scope="session")
