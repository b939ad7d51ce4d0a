"""Simple rules: what they say, what they cannot see, and the return that ranks show."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.v2.modeling.rules import rule_scores, show_by_rank
from src.v2.modeling.shown_return import fit_rank_map
from src.v2.tests.synthetic import ragged, random_walk_bars, weekdays


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return ragged(random_walk_bars(10, 420))


def test_scores_are_those_of_a_slow_count_on_each_ticker_s_own_bars(bars: pl.DataFrame) -> None:
    scores = rule_scores(bars.sample(fraction=1, shuffle=True, seed=1), 20)
    for name, part in scores.group_by("ticker"):
        close = bars.filter(pl.col("ticker") == name[0]).sort("date")["close"].to_numpy()
        daily = np.diff(close) / close[:-1]
        rows = part.sort("date").to_dicts()
        assert len(rows) == len(close)
        for place in (0, 19, 20, 62, 63, 251, 252, len(close) - 1):
            if place >= len(close):
                continue
            row = rows[place]
            past = close[place] / close[place - 20] - 1 if place >= 20 else None
            assert row["persistence"] == pytest.approx(past)
            assert row["reversal"] == pytest.approx(None if past is None else -past)
            year = close[place - 21] / close[place - 252] - 1 if place >= 252 else None
            assert row["momentum"] == pytest.approx(year)
            calm = -daily[place - 63 : place].std(ddof=1) if place >= 63 else None
            assert row["inverse_volatility"] == pytest.approx(calm)


@pytest.mark.parametrize("cut", [30, 70, 255, 400])
def test_no_score_changes_when_later_bars_are_cut_away(bars: pl.DataFrame, cut: int) -> None:
    last = weekdays(420)[cut]
    whole = rule_scores(bars, 20).filter(pl.col("date") <= last)
    assert_frame_equal(
        rule_scores(bars.filter(pl.col("date") <= last), 20), whole, check_exact=True
    )


def test_scores_of_a_ticker_do_not_depend_on_the_others(bars: pl.DataFrame) -> None:
    alone = bars.filter(pl.col("ticker") == "T004")
    together = rule_scores(bars, 20).filter(pl.col("ticker") == "T004")
    assert_frame_equal(rule_scores(alone, 20), together, check_exact=True)


def _forecasts(tickers: int = 12, dates: int = 90) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    days = weekdays(dates + 5)
    rows = [
        (days[day], f"T{number}", day // 30 + 1, days[day + 5])
        for day in range(dates)
        for number in range(tickers)
    ]
    table = pl.DataFrame(rows, schema=["date", "ticker", "fold", "label_end"], orient="row")
    score = rng.uniform(-0.5, 0.5, table.height)
    return table.with_columns(
        pl.Series("score", score),
        pl.Series("forward_return", 0.1 * score + rng.normal(0, 0.02, table.height)),
        pl.lit(0.01).alias("expanding_mean"),
    )


def test_the_first_fold_shows_the_expanding_mean_and_the_next_what_ranks_turned_into() -> None:
    shown = show_by_rank(_forecasts())
    assert (shown.filter(pl.col("fold") == 1)["prediction"] == 0.01).all()
    later = shown.filter(pl.col("fold") > 1)
    excess = (later["prediction"] - 0.01 - 0.1 * later["score"]).abs()
    assert excess.mean() < 0.01  # type: ignore[operator]


def test_the_map_is_fitted_on_outcomes_known_at_the_fold_s_first_date() -> None:
    table = _forecasts()
    second = table.filter(pl.col("fold") == 2)
    start = second["date"].min()
    earlier = table.filter((pl.col("fold") == 1) & (pl.col("label_end") <= start))
    expected = fit_rank_map(earlier)
    assert expected is not None
    shown = show_by_rank(table).filter(pl.col("fold") == 2)["prediction"].to_numpy()
    np.testing.assert_allclose(shown, expected.apply(second["score"].to_numpy()) + 0.01)

    late = pl.when(pl.col("label_end") > start).then(1e6).otherwise("forward_return")
    poisoned = show_by_rank(table.with_columns(late.alias("forward_return")))
    np.testing.assert_array_equal(poisoned.filter(pl.col("fold") == 2)["prediction"], shown)


def test_an_earlier_limit_is_kept() -> None:
    table = _forecasts()
    never = {fold: dt.date(1990, 1, 1) for fold in (1, 2, 3)}
    assert (show_by_rank(table, never)["prediction"] == 0.01).all()


def test_a_row_without_a_score_shows_no_return() -> None:
    table = _forecasts().with_columns(
        pl.when(pl.int_range(pl.len()) % 7 != 0).then("score").alias("score")
    )
    shown = show_by_rank(table, every=3)
    assert shown.height == table.height
    assert shown["prediction"].is_null().equals(shown["score"].is_null())
