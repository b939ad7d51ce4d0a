"""Intervals by out-of-sample misses: against slow references, and where the truth is known."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats

from src.v2.evaluation.conformal import (
    LEVELS,
    held_shares,
    interval_metrics,
    miss_scores,
    return_intervals,
    score_multiples,
)
from src.v2.evaluation.significance import ewc_interval, ewc_standard_error
from src.v2.modeling.intervals import ReturnIntervals, add_interval, horizon_volatility
from src.v2.tests.synthetic import ragged, random_walk_bars, weekdays

START = dt.date(2020, 1, 1)


def scores_of(rows: list[tuple[int, float]]) -> pl.DataFrame:
    """Make scores of (day, score)."""
    return pl.DataFrame(
        {
            "date": [START + dt.timedelta(days=day) for day, _ in rows],
            "score": [score for _, score in rows],
        },
        schema={"date": pl.Date, "score": pl.Float64},
    )


def overlapping(
    rng: np.random.Generator, dates: int, tickers: int, horizon: int, fold: int
) -> pl.DataFrame:
    """Make scores of overlapping sums with a common factor, fat tails and ragged dates."""
    common = rng.standard_t(5, dates + horizon)
    own = rng.standard_t(5, (dates + horizon, tickers))
    steps = 0.7 * common[:, None] + own
    sums = np.cumsum(steps, axis=0)
    misses = np.abs(sums[horizon:] - sums[:-horizon])[:dates] / horizon**0.5
    day = np.repeat(np.arange(dates), tickers)
    there = rng.random(dates * tickers) < 0.8
    days = pl.Series([START + dt.timedelta(days=int(each)) for each in day[there]])
    return pl.DataFrame(
        {
            "date": days,
            "ticker": np.tile(np.arange(tickers), dates)[there],
            "fold": (day[there] // fold + 1).astype(np.int32),
            "label_end": days + dt.timedelta(days=horizon + 1),
            "score": misses.ravel()[there],
        }
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.floats(0, 10, allow_nan=False)), min_size=1, max_size=60
    ),
    st.integers(1, 3),
    st.sampled_from(LEVELS),
)
def test_a_multiple_is_that_of_a_slow_walk_over_weighted_rows(
    rows: list[tuple[int, float]], horizon: int, level: float
) -> None:
    (found,) = score_multiples(scores_of(rows), [level], horizon)
    days = {day for day, _ in rows}
    blocks = len(days) // horizon
    counts = {day: sum(other == day for other, _ in rows) for day in days}
    reached, expected = 0.0, math.nan
    for score, day in sorted((score, day) for day, score in rows):
        reached += 1 / counts[day] / len(days)
        if blocks and reached >= level * (blocks + 1) / blocks - 1e-9:
            expected = score
            break
    assert found == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60, unique=True), st.sampled_from(LEVELS))
def test_one_row_a_date_without_overlap_is_plain_split_conformal(
    values: list[float], level: float
) -> None:
    (found,) = score_multiples(scores_of(list(enumerate(values))), [level], 1)
    place = math.ceil(level * (len(values) + 1) - 1e-9)
    expected = sorted(values)[place - 1] if place <= len(values) else math.nan
    assert found == pytest.approx(expected, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_a_date_with_more_tickers_weighs_no_more(seed: int, times: int) -> None:
    rng = np.random.default_rng(seed)
    table = scores_of([(day, float(rng.random())) for day in range(30) for _ in range(4)])
    early = table.filter(pl.col("date") < START + dt.timedelta(days=15))
    more = pl.concat([table, *[early] * (times - 1)])
    assert score_multiples(more, LEVELS, 1) == score_multiples(table, LEVELS, 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_what_was_not_yet_known_changes_no_multiple(seed: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    table = overlapping(rng, 160, 4, horizon, 40)
    before = held_shares(table, LEVELS, horizon)
    for fold in (2, 3, 4):
        first = table.filter(pl.col("fold") == fold)["date"].min()
        later = (pl.col("label_end") > first) | (pl.col("fold") >= fold)
        poisoned = pl.when(later).then(pl.col("score") * 1e6).otherwise("score").alias("score")
        after = held_shares(table.with_columns(poisoned), LEVELS, horizon)
        multiples = [
            each.filter(pl.col("fold") == fold).select("date", "level", "multiple")
            for each in (before, after)
        ]
        assert multiples[0].equals(multiples[1])


def test_what_was_known_changes_the_multiple() -> None:
    table = overlapping(np.random.default_rng(1), 160, 4, 5, 40)
    doubled = table.with_columns(
        pl.when(pl.col("fold") == 1).then(pl.col("score") * 2).otherwise("score").alias("score")
    )
    for one, other in zip(
        held_shares(table, [0.5], 5)["multiple"],
        held_shares(doubled, [0.5], 5)["multiple"],
        strict=True,
    ):
        assert other > one


def coverage_errors(runs: int, dates: int, horizon: int, fold: int) -> npt.NDArray[np.float64]:
    """Measure by how much simulated panels hold more than their level, in runs by levels."""
    found = []
    for seed in range(runs):
        table = overlapping(np.random.default_rng(seed), dates, 12, horizon, fold)
        held = held_shares(table, LEVELS, horizon)
        means = [
            held.filter(pl.col("level") == level)["held"].to_numpy().mean() for level in LEVELS
        ]
        found.append(np.array(means) - np.array(LEVELS))
    return np.array(found)


def test_intervals_of_overlapping_panels_hold_their_level() -> None:
    errors = coverage_errors(40, 900, 10, 150)
    error = errors.std(axis=0, ddof=1) / len(errors) ** 0.5
    # Never below the level beyond chance, and above by no more than the correction for few blocks.
    assert (errors.mean(axis=0) > -3 * error).all()
    assert (errors.mean(axis=0) < 0.03 + 3 * error).all()


@pytest.mark.slow
def test_the_measured_interval_holds_the_truth_as_often_as_it_says() -> None:
    # What the multiples truly hold, by many windows that do not overlap.
    rng = np.random.default_rng(0)
    common, own = (rng.standard_t(5, (300_000, 10)).sum(axis=1) for _ in range(2))
    truth = np.sort(np.abs(0.7 * common + own) / 10**0.5)
    hits = []
    for seed in range(150):
        table = overlapping(np.random.default_rng(1000 + seed), 2000, 8, 10, 250)
        held = held_shares(table, [0.8], 10)
        measured = ewc_interval(held["held"].to_numpy(), 10)
        held_truly = np.searchsorted(truth, held["multiple"].to_numpy()) / len(truth)
        hits.append(measured.low <= held_truly.mean() <= measured.high)
    # 95%, less three standard errors of 150 panels.
    assert np.mean(hits) > 0.95 - 0.054


def test_a_crash_that_strikes_all_tickers_is_one_event() -> None:
    rng = np.random.default_rng(3)
    calm = [(day, float(rng.random())) for day in range(99) for _ in range(5)]
    crash = [(99, 50.0)] * 400
    (found,) = score_multiples(scores_of(calm + crash), [0.9], 1)
    assert found < 1


def test_too_few_horizons_give_no_interval_rather_than_a_narrow_one() -> None:
    table = scores_of([(day, float(day)) for day in range(40)])
    found = score_multiples(table, LEVELS, 10)
    assert [math.isfinite(each) for each in found] == [True, True, False, False]
    assert all(math.isnan(each) for each in score_multiples(table.head(0), LEVELS, 10))


def test_the_record_says_what_was_measured() -> None:
    bars = random_walk_bars(12, 700, 4)
    table = bars.with_columns(
        (pl.col("close").shift(-6) / pl.col("close").shift(-1) - 1)
        .over("ticker")
        .alias("forward_return"),
        pl.col("date").shift(-6).over("ticker").alias("label_end"),
        pl.lit(0.0).alias("prediction"),
    )
    days = pl.DataFrame({"date": weekdays(700), "fold": [day // 100 for day in range(700)]})
    walked = table.join(days.cast({"fold": pl.Int32}), on="date").filter(pl.col("fold") > 0)
    found = return_intervals(walked, bars, 5)
    assert (found.dates, found.blocks, found.measured_dates) == (594, 118, 494)
    assert [each.level for each in found.levels] == list(LEVELS)
    level = found.at(0.8)
    assert level is not None and level.coverage is not None
    assert level.low is not None and level.high is not None
    assert 0.7 < level.low < level.coverage < level.high < 0.9
    # Half the width in units of a normal's own spread.
    assert level.multiple == pytest.approx(1.28, abs=0.12)
    assert found.at(0.81) is None
    held = held_shares(miss_scores(walked, bars, 5), [0.8], 5)
    assert level.coverage == pytest.approx(held["held"].mean())
    metrics = interval_metrics(found)
    assert metrics["cv_interval_80_held"] == level.coverage
    shares = held["held"].to_numpy()
    assert level.error == pytest.approx(ewc_standard_error(shares, 5)[0])
    assert level.dates == held.height == 494
    assert level.later == metrics["cv_interval_80_later"] == pytest.approx(shares[247:].mean())
    moves = horizon_volatility(bars, 5).group_by("date").agg(pl.col("volatility").median())
    at = dict(moves.iter_rows())
    move = np.array([at[day] for day in held["date"]])
    still = move <= np.quantile(move, 0.2, method="nearest")
    calm, other = shares[still], shares[~still]
    assert level.calm == metrics["cv_interval_80_calm"] == pytest.approx(calm.mean())
    assert level.other == metrics["cv_interval_80_other"] == pytest.approx(other.mean())
    assert interval_metrics(None) == {}


def test_every_level_has_an_error_and_dates_of_its_own_and_no_end_cuts_them() -> None:
    bars = random_walk_bars(3, 460, 8)
    days = pl.DataFrame({"date": weekdays(460), "fold": [day // 35 for day in range(460)]})
    table = bars.with_columns(
        (pl.col("close").shift(-6) / pl.col("close").shift(-1) - 1)
        .over("ticker")
        .alias("forward_return"),
        pl.col("date").shift(-6).over("ticker").alias("label_end"),
        pl.lit(0.0).alias("prediction"),
    )
    walked = table.join(days.cast({"fold": pl.Int32}), on="date").filter(pl.col("fold") > 0)
    # Early folds missed by more, so that later ones hold nearly everything.
    early = pl.when(pl.col("fold") < 5).then(1.6).otherwise(1.0)
    walked = walked.with_columns(pl.col("forward_return") * early)
    found = return_intervals(walked, bars, 5)
    dates = [level.dates or 0 for level in found.levels]
    assert dates == sorted(dates, reverse=True) and dates[0] > dates[-1]
    assert found.measured_dates == dates[0]
    scores = miss_scores(walked, bars, 5)
    for level in found.levels:
        held = held_shares(scores, [level.level], 5)["held"].to_numpy()
        error, freedom = ewc_standard_error(held, 5)
        assert level.error == pytest.approx(error) and level.dates == len(held)
        whole = held.mean() + stats.t.ppf(0.975, freedom) * error
        assert level.high == pytest.approx(min(whole, 1.0))
    assert found.levels[-1].high == 1.0


def test_a_card_that_was_written_without_errors_is_still_read() -> None:
    old = {
        "dates": 2000,
        "blocks": 400,
        "measured_dates": 1900,
        "levels": [{"level": 0.8, "multiple": 1.3, "coverage": 0.81, "low": 0.79, "high": 0.83}],
    }
    (level,) = TypeAdapter(ReturnIntervals).validate_python(old).levels
    assert (level.error, level.dates, level.later, level.calm) == (None, None, None, None)
    assert math.isnan(interval_metrics(ReturnIntervals(1, 1, 1, (level,)))["cv_interval_80_later"])


def test_volatility_is_that_of_a_plain_loop_and_knows_nothing_later() -> None:
    bars = ragged(random_walk_bars(15, 200, 5), 5)
    found = horizon_volatility(bars, 20)
    raw: dict[tuple[str, dt.date], float] = {}
    for (ticker,), part in bars.sort("date").group_by("ticker"):
        steps = np.diff(np.log(part["close"].to_numpy()))
        for place, day in enumerate(part["date"]):
            window = steps[max(0, place - 63) : place]
            raw[str(ticker), day] = (
                float(window.std(ddof=1)) * 20**0.5 if len(window) >= 21 else math.nan
            )
    for day in bars["date"].unique().sort().gather([10, 21, 22, 60, 199]):
        of_day = {ticker: value for (ticker, each), value in raw.items() if each == day}
        known = [value for value in of_day.values() if math.isfinite(value)]
        middle = float(np.median(known)) if known else math.nan
        for row in found.filter(pl.col("date") == day).iter_rows(named=True):
            own = of_day[row["ticker"]]
            expected = max(own if math.isfinite(own) else middle, middle / 4)
            shown = math.nan if row["volatility"] is None else row["volatility"]
            assert shown == pytest.approx(expected, rel=1e-9, nan_ok=True)
    cut = bars["date"].unique().sort()[150]
    earlier = horizon_volatility(bars.filter(pl.col("date") <= cut), 20)
    assert earlier.equals(found.filter(pl.col("date") <= cut))


def test_nobody_loses_more_than_everything_and_no_volatility_is_no_interval() -> None:
    day = START
    rows = pl.DataFrame(
        {"date": [day] * 3, "ticker": ["A", "B", "C"], "predicted_return": [0.1, 0.1, 0.1]}
    )
    volatility = pl.DataFrame({"date": [day] * 2, "ticker": ["B", "A"], "volatility": [0.9, 0.05]})
    found = add_interval(rows, volatility, 2.0)
    assert found["ticker"].to_list() == ["A", "B", "C"]
    assert found["return_low"].to_list() == pytest.approx([0.0, -1.0, None])
    assert found["return_high"].to_list() == pytest.approx([0.2, 1.9, None])
    assert add_interval(rows, volatility, None)["return_low"].null_count() == 3
