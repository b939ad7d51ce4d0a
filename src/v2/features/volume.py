"""How much is traded, on which side, and how far it moves the price.

A volume is only ever compared with volumes of the same ticker, so its level is no feature.
"""

from __future__ import annotations

import polars as pl

from src.v2.features.formulas import ratio
from src.v2.features.registry import Feature

FAMILY = "volume"
CLOSE_VOLUME = ("close", "volume")
RANGE_VOLUME = ("high", "low", "close", "volume")


def volume_features() -> list[Feature]:
    """Return the features of volume, one record a window."""
    return [*_amounts(), *_sides(), *_prices(), *_price_impact()]


def _amounts() -> list[Feature]:
    volume = pl.col("volume")
    records = [
        Feature(
            f"volume_ratio_{window}",
            FAMILY,
            ratio(volume, pl.col(f"mean_volume_{window}")),
            ("volume",),
            window - 1,
            f"volume over its mean of {window} sessions",
            "own",
        )
        for window in (20, 60)
    ]
    return [
        *records,
        Feature(
            "volume_trend_5_60",
            FAMILY,
            ratio(pl.col("mean_volume_5"), pl.col("mean_volume_60")),
            ("volume",),
            59,
            "mean volume of 5 sessions over that of 60",
            "Gervais, Kaniel and Mingelgrin 2001",
        ),
        Feature(
            "dollar_volume_trend_20_252",
            FAMILY,
            ratio(pl.col("dollar_volume_20"), pl.col("dollar_volume_252")),
            CLOSE_VOLUME,
            251,
            "mean traded value of 20 sessions over that of 252",
            "own",
        ),
        Feature(
            "volume_variation_60",
            FAMILY,
            ratio(pl.col("volume_deviation_60"), pl.col("mean_volume_60")),
            ("volume",),
            59,
            "deviation of the volume over its mean, 60 sessions",
            "Chordia, Subrahmanyam and Anshuman 2001",
        ),
        Feature(
            "volume_return_correlation_60",
            FAMILY,
            pl.col("volume_move_60"),
            CLOSE_VOLUME,
            60,
            "correlation of volume and absolute return, 60 sessions",
            "Karpoff 1987",
        ),
    ]


def _sides() -> list[Feature]:
    records = [
        Feature(
            f"obv_slope_{window}",
            FAMILY,
            ratio(pl.col(f"balance_slope_{window}"), pl.col(f"mean_volume_{window}")),
            CLOSE_VOLUME,
            window,
            f"slope of the on-balance volume over the mean volume, {window} sessions",
            "Granville 1963",
        )
        for window in (20, 60)
    ]
    inflow, outflow = pl.col("money_inflow_14"), pl.col("money_outflow_14")
    return [
        *records,
        Feature(
            "money_flow_14",
            FAMILY,
            ratio(inflow, inflow + outflow),
            RANGE_VOLUME,
            14,
            "share of rising sessions in the money flow of 14 (money flow index), 0 to 1",
            "Quong and Soudack 1989",
        ),
        Feature(
            "chaikin_money_flow_20",
            FAMILY,
            ratio(pl.col("pressure_20"), 20 * pl.col("mean_volume_20")),
            RANGE_VOLUME,
            19,
            "volume weighted by the close's place in the day's range, 20 sessions, -1 to 1",
            "Chaikin 1982",
        ),
        Feature(
            "up_volume_share_60",
            FAMILY,
            ratio(pl.col("rise_volume_60"), pl.col("moved_volume_60")),
            CLOSE_VOLUME,
            60,
            "share of the volume of 60 sessions traded on rises",
            "own",
        ),
    ]


def _prices() -> list[Feature]:
    records = []
    for window in (20, 60):
        traded = window * pl.col(f"mean_volume_{window}")
        paid = ratio(pl.col(f"money_flow_{window}"), traded)
        records.append(
            Feature(
                f"vwap_distance_{window}",
                FAMILY,
                pl.col("close") / paid - 1,
                RANGE_VOLUME,
                window - 1,
                f"close over the volume-weighted mean price of {window} sessions, minus 1",
                "Berkowitz, Logue and Noser 1988",
            )
        )
    return records


def _price_impact() -> list[Feature]:
    recent, usual = pl.col("recent_illiquidity_20"), pl.col("usual_illiquidity_252")
    return [
        Feature(
            "amihud_ratio_20_252",
            FAMILY,
            pl.when(usual.is_finite()).then(ratio(recent, usual)),
            CLOSE_VOLUME,
            252,
            "mean price move per traded value of 20 sessions over its median of 252",
            "Amihud 2002",
        )
    ]
