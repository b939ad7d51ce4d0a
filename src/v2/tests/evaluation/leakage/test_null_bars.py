"""Permuted bars keep their shape and lose their future."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.v2.errors import NotEnoughData
from src.v2.evaluation.leakage.bars_probes import return_grid
from src.v2.evaluation.leakage.null_bars import permute_blocks
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = random_walk_bars(10, 401, 1, ohlcv=True)


def test_the_returns_are_the_same_ones_in_other_places() -> None:
    null = permute_blocks(BARS, None, 10, 0)
    before, after = (return_grid(bars).returns[1:] for bars in (BARS, null.bars))
    assert null.blocks == 20
    np.testing.assert_allclose(np.sort(before, axis=None), np.sort(after, axis=None), atol=1e-12)
    # The cross-section of a session stays together, whole blocks of 20 move.
    ordered = np.sort(before, axis=1)
    source = [int(np.abs(ordered - np.sort(row)).sum(axis=1).argmin()) for row in after]
    blocks = np.array(source).reshape(20, 20)
    assert (np.diff(blocks, axis=1) == 1).all()
    assert sorted(source) == list(range(400))
    assert (blocks[:, 0] != np.arange(0, 400, 20)).sum() > 15


def test_tickers_trade_places_between_blocks() -> None:
    drift = pl.when(pl.col("ticker") == "T000").then(0.02).otherwise(0.0)
    rising = BARS.with_columns(
        pl.col("close") * (drift * pl.int_range(pl.len()).over("ticker")).exp()
    )
    after = return_grid(permute_blocks(rising, None, 10, 0).bars).returns[1:]
    best = after.reshape(20, 20, 10).sum(axis=1).argmax(axis=1)
    assert len(set(best.tolist())) > 3
    assert (best == 0).mean() < 0.5


def test_bars_keep_their_shape_dates_and_gaps() -> None:
    bars = ragged(BARS, 2)
    null = permute_blocks(bars, None, 10, 1).bars
    assert null.select("date", "ticker").equals(
        bars.sort("ticker", "date").select("date", "ticker")
    )
    assert null.schema == bars.schema
    assert null.null_count().sum_horizontal().item() <= 0.02 * null.height
    assert (null["high"] >= null["low"]).all() and (null["close"] > 0).all()
    assert (null["high"] >= null["close"] * (1 - 1e-9)).all()
    medians = [
        table.group_by("ticker").agg(pl.col("volume").median()).sort("ticker")["volume"]
        for table in (bars, null)
    ]
    assert (medians[1] / medians[0]).is_between(0.8, 1.25).all()


def test_own_columns_move_along_with_the_returns() -> None:
    told = BARS.with_columns(told=pl.col("close").log().diff().over("ticker").fill_null(0.0))
    null = permute_blocks(told, None, 10, 2).bars
    again = null.with_columns(seen=pl.col("close").log().diff().over("ticker")).drop_nulls("seen")
    assert again.filter((pl.col("seen") - pl.col("told")).abs() > 1e-9).is_empty()


def test_the_market_moves_along() -> None:
    mean = BARS.group_by("date").agg(pl.col("close").log().mean().exp()).sort("date")
    null = permute_blocks(BARS, mean, 10, 3)
    assert null.market is not None
    moved = np.diff(np.log(null.market["close"].to_numpy()))
    tickers = return_grid(null.bars).returns[1:].mean(axis=1)
    np.testing.assert_allclose(moved, tickers, atol=1e-9)


def test_the_seed_decides() -> None:
    first, again, other = (permute_blocks(BARS, None, 10, seed).bars for seed in (4, 4, 5))
    assert first.equals(again) and not first.equals(other)


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="hold 2 blocks of 200"):
        permute_blocks(BARS, None, 100, 0)
