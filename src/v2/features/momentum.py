"""Past returns: how far a ticker has come, how steadily, and for how much risk."""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ANNUAL, ratio
from src.v2.features.registry import Feature

FAMILY = "momentum"
CLOSE = ("close",)


def momentum_features() -> list[Feature]:
    """Return the features of past returns, one record a window."""
    return [*_plain_returns(), *_skipped_returns(), *_returns_over_risk(), *_steadiness()]


def _change(sessions: int, end: int = 0) -> pl.Expr:
    """Return the simple return over the sessions up to ``end`` sessions ago."""
    if sessions == 1:
        return pl.col("return")
    recent = pl.col(f"close_lag_{end}") if end else pl.col("close")
    return recent / pl.col(f"close_lag_{sessions}") - 1


def _plain_returns() -> list[Feature]:
    return [
        Feature(
            f"return_{window}",
            FAMILY,
            _change(window),
            CLOSE,
            window,
            f"simple return over {window} sessions (fraction)",
            "Jegadeesh and Titman 1993",
        )
        for window in (1, 5, 10, 20, 60, 120, 252)
    ]


def _skipped_returns() -> list[Feature]:
    records = [
        Feature(
            f"momentum_{window}_21",
            FAMILY,
            _change(window, 21),
            CLOSE,
            window,
            f"return from {window} to 21 sessions ago (fraction): momentum without reversal",
            "Jegadeesh and Titman 1993",
        )
        for window in (126, 252)
    ]
    log_close = pl.col("log_close")
    change = log_close - 2 * pl.col("log_close_lag_60") + pl.col("log_close_lag_120")
    records.append(
        Feature(
            "momentum_change_60",
            FAMILY,
            change,
            CLOSE,
            120,
            "log return of the last 60 sessions minus that of the 60 before",
            "Gettleman and Marks 2006",
        )
    )
    return records


def _returns_over_risk() -> list[Feature]:
    mean, risk = pl.col("mean_return_90"), pl.col("deviation_90")
    records = [
        Feature(
            "sharpe_90",
            FAMILY,
            ANNUAL * mean / risk,
            CLOSE,
            90,
            "annual mean return over annual volatility, 90 sessions, no riskless rate",
            "Sharpe 1966",
        )
    ]
    for window in (90, 252):
        risk = pl.col(f"deviation_{window}") * window**0.5
        records.append(
            Feature(
                f"risk_adjusted_momentum_{window}",
                FAMILY,
                _change(window) / risk,
                CLOSE,
                window,
                f"return over {window} sessions in deviations of such a return",
                "Barroso and Santa-Clara 2015",
            )
        )
    for window in (5, 20):
        risk = pl.col("deviation_60") * window**0.5
        records.append(
            Feature(
                f"reversal_{window}_60",
                FAMILY,
                -_change(window) / risk,
                CLOSE,
                60,
                f"minus the return over {window} sessions, in deviations from 60 sessions",
                "Lehmann 1990",
            )
        )
    return records


def _steadiness() -> list[Feature]:
    records = [
        Feature(
            f"up_share_{window}",
            FAMILY,
            pl.col(f"rise_share_{window}"),
            CLOSE,
            window,
            f"share of {window} sessions with a rise",
            "own",
        )
        for window in (20, 60)
    ]
    falls = pl.col("fall_share_252") - pl.col("rise_share_252")
    discreteness = _change(252).sign() * falls
    recent, usual = pl.col("absolute_sum_5"), pl.col("absolute_sum_60")
    return [
        *records,
        Feature(
            "discreteness_252",
            FAMILY,
            discreteness,
            CLOSE,
            252,
            "sign of the return times (share of falls - share of rises), 252 sessions",
            "Da, Gurun and Warachka 2014",
        ),
        Feature(
            "largest_return_20",
            FAMILY,
            pl.col("largest_return_20"),
            CLOSE,
            20,
            "largest return of one session in 20 (fraction)",
            "Bali, Cakici and Whitelaw 2011",
        ),
        Feature(
            "smallest_return_20",
            FAMILY,
            pl.col("smallest_return_20"),
            CLOSE,
            20,
            "smallest return of one session in 20 (fraction)",
            "own",
        ),
        Feature(
            "return_share_5_60",
            FAMILY,
            ratio(recent, usual),
            CLOSE,
            60,
            "share of the last 5 sessions in the absolute movement of 60",
            "own",
        ),
    ]
