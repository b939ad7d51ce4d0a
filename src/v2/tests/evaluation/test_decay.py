"""Rank ICs over other horizons: by hand, and behind the door of the holdout."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.v2.config import LabelConfig
from src.v2.evaluation.decay import decay_horizons, rank_ic_decay
from src.v2.evaluation.ranking import ranking_skill
from src.v2.evaluation.significance import ewc_interval
from src.v2.tests.evaluation.walks import make_walk
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = ragged(random_walk_bars(24, 420, seed=5), seed=5)
CONFIG = LabelConfig(forward_days=8, entry_lag=1)


def _slow_series(walked: pl.DataFrame, step: int, lag: int) -> np.ndarray:
    """Daily rank ICs with the return over a horizon, row by row."""
    end = walked["label_end"].max()
    sessions = {day: place for place, day in enumerate(BARS["date"].unique().sort().to_list())}
    futures: dict[tuple[object, object], float] = {}
    for (ticker,), bars in BARS.sort("date").group_by("ticker"):
        dates, prices = bars["date"].to_list(), bars["close"].to_list()
        for place in range(len(dates) - lag - step):
            last = dates[place + lag + step]
            far = sessions[last] - sessions[dates[place]] > 2 * (lag + step)
            if last <= end and not far:
                change = prices[place + lag + step] / prices[place + lag] - 1
                futures[dates[place], ticker] = change
    series = []
    for (date,), rows in walked.sort("date").group_by("date", maintain_order=True):
        pairs = [
            (score, futures[date, ticker])
            for ticker, score in rows.select("ticker", "score").iter_rows()
            if (date, ticker) in futures
        ]
        if len(pairs) >= 10:
            series.append(float(stats.spearmanr(*zip(*pairs, strict=True))[0]))
    return np.array(series)


def test_each_horizon_is_that_of_a_plain_loop() -> None:
    walked, _ = make_walk(BARS, CONFIG)
    mixed = walked.sample(fraction=1.0, shuffle=True, seed=1)
    got = rank_ic_decay(mixed, BARS.sample(fraction=1.0, shuffle=True, seed=2), 8, 1)
    assert [each.horizon for each in got] == [1, 5, 8, 10, 16, 21, 63]
    for each in got:
        expected = ewc_interval(_slow_series(walked, each.horizon, 1), each.horizon)
        assert each.rank_ic.mean == pytest.approx(expected.mean, abs=1e-12)
        assert each.rank_ic.windows == expected.windows
        assert each.rank_ic.low == pytest.approx(expected.low, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_the_runs_own_horizon_says_what_the_evaluation_says(lag: int) -> None:
    walked, _ = make_walk(BARS, LabelConfig(forward_days=8, entry_lag=lag))
    own = {each.horizon: each.rank_ic for each in rank_ic_decay(walked, BARS, 8, lag)}[8]
    expected = ranking_skill(walked, 8, 0, 0).rank_ic
    assert own.mean == pytest.approx(expected.mean, abs=1e-12)
    assert own.low == pytest.approx(expected.low, abs=1e-12)
    assert own.windows == expected.windows


def test_no_close_after_the_last_known_label_is_read() -> None:
    walked, _ = make_walk(BARS, CONFIG)
    last = walked["label_end"].max()
    late = pl.col("date") > last
    other = BARS.with_columns(close=pl.when(late).then(1e6).otherwise("close"))
    # As text, in which NaN equals NaN.
    got = repr(rank_ic_decay(walked, BARS, 8, 1))
    assert got == repr(rank_ic_decay(walked, other, 8, 1))
    assert got == repr(rank_ic_decay(walked, BARS.filter(~late), 8, 1))
    changed = BARS.with_columns(
        close=pl.when(pl.col("date") == last)
        .then(pl.col("ticker").hash() % 97 + 1.0)
        .otherwise("close")
    )
    assert got != repr(rank_ic_decay(walked, changed, 8, 1))


def test_what_tells_the_next_days_alone_fades_over_longer_horizons() -> None:
    bars = random_walk_bars(24, 500, seed=6)
    walked, _ = make_walk(bars, LabelConfig(forward_days=3, entry_lag=1), skill=0.9)
    means = {each.horizon: each.rank_ic.mean for each in rank_ic_decay(walked, bars, 3, 1)}
    assert means[3] > 0.9
    assert means[3] > means[6] > means[21] > means[63]
    assert means[3] > means[1] > 0.3


def test_horizons_without_two_windows_are_left_out_but_for_the_own() -> None:
    assert decay_horizons(21) == (1, 5, 10, 21, 42, 63, 126)
    walked, _ = make_walk(BARS, CONFIG)
    dates = walked["date"].unique().sort()
    few = walked.filter(pl.col("date") < dates[12])
    got = rank_ic_decay(few, BARS, 8, 1)
    assert [each.horizon for each in got] == [1, 5, 8]
    nothing = rank_ic_decay(walked.clear(), BARS, 8, 1)
    assert [each.horizon for each in nothing] == [8]
    assert np.isnan(nothing[0].rank_ic.mean)
