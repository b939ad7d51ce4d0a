"""Twins, survivors and calendars that do not fit are named; sound bars are not."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from src.v2.evaluation.leakage.bars_probes import (
    pairwise_correlation,
    probe_calendar,
    probe_duplicates,
    probe_jumps,
    probe_survivorship,
    return_grid,
)
from src.v2.records import UniverseCoverage
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = random_walk_bars(12, 620, 1)


def twin(bars: pl.DataFrame, of: str, name: str, noise: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    part = bars.filter(pl.col("ticker") == of)
    factor = pl.Series(3 * np.exp(rng.normal(0, noise, part.height)))
    return part.with_columns(pl.col("close") * factor, ticker=pl.lit(name))


def test_the_pairwise_correlation_is_that_of_pandas() -> None:
    returns = np.random.default_rng(1).normal(size=(400, 5)) * 0.01
    returns[:100, 0] = np.nan
    returns[200:250, 3] = np.nan
    found, days = pairwise_correlation(returns)
    np.testing.assert_allclose(found, pd.DataFrame(returns).corr().to_numpy(), atol=1e-9)
    assert days[0, 3] == 250 and days[1, 2] == 400


def test_twins_are_named_and_counted_once() -> None:
    bars = pl.concat([BARS, twin(BARS, "T003", "T3B"), twin(BARS, "T003", "T3C", 0.0005)])
    finding = probe_duplicates(return_grid(bars))
    assert finding.outcome == "warn"
    assert "T003 and T3B (1.000)" in finding.evidence
    assert finding.numbers == {"pairs": 3, "tickers": 14, "independent": 12}
    assert probe_duplicates(return_grid(BARS)).outcome == "pass"


def test_twins_of_a_few_days_are_none() -> None:
    short = twin(BARS, "T003", "T3B").head(200)
    assert probe_duplicates(return_grid(pl.concat([BARS, short]))).outcome == "pass"
    one = BARS.filter(pl.col("ticker") == "T000")
    assert probe_duplicates(return_grid(one)).outcome == "skipped"


def test_survivors_alone_are_a_warning() -> None:
    finding = probe_survivorship(BARS)
    assert finding.outcome == "warn" and finding.numbers["ended"] == 0
    assert "none of 12 tickers ends" in finding.evidence
    finding = probe_survivorship(ragged(BARS, 1))
    assert finding.outcome == "pass" and finding.numbers["ended"] == 2
    early = BARS.filter(pl.col("date") < dt.date(2010, 6, 1))
    assert probe_survivorship(early).outcome == "skipped"


@pytest.mark.parametrize(("missing", "outcome"), [(30, "pass"), (31, "warn")])
def test_members_without_bars_are_a_warning(missing: int, outcome: str) -> None:
    known = UniverseCoverage(13, ("LOST",), 3000, missing, 0, 0, 0)
    finding = probe_survivorship(ragged(BARS, 1), known)
    assert finding.outcome == outcome
    if outcome == "warn":
        assert "13 members, of which 1 have no bars" in finding.evidence
        assert finding.numbers["missing_share"] == 31 / 3000


def test_sound_calendars_pass_with_halts_and_late_listings() -> None:
    assert probe_calendar(return_grid(BARS)).outcome == "pass"
    finding = probe_calendar(return_grid(ragged(BARS, 2)))
    assert finding.outcome == "pass", finding.evidence


def test_a_ticker_stored_a_session_off_is_named() -> None:
    for shift, word in ((1, "behind"), (-1, "ahead")):
        moved = pl.when(pl.col("ticker") == "T005").then(
            pl.col("close").shift(shift).over("ticker")
        )
        bars = BARS.with_columns(moved.otherwise(pl.col("close")).alias("close")).drop_nulls()
        finding = probe_calendar(return_grid(bars))
        assert finding.outcome == "warn" and finding.numbers["shifted"] == 1
        assert "T005" in finding.evidence and f"a session {word}" in finding.evidence


def test_a_ticker_on_other_days_and_weekends_are_named() -> None:
    weekend = pl.when(pl.col("ticker") == "T002").then(pl.col("date") + pl.duration(days=2))
    bars = BARS.with_columns(weekend.otherwise(pl.col("date")).alias("date"))
    finding = probe_calendar(return_grid(bars))
    assert finding.outcome == "warn" and finding.numbers["weekend_dates"] > 200
    assert "T002 (" in finding.evidence and finding.numbers["other_dates"] == 1
    two = BARS.filter(pl.col("ticker") < "T002")
    assert probe_calendar(return_grid(two)).outcome == "skipped"


def test_prices_that_jump_like_splits_are_named_and_random_walks_are_not() -> None:
    assert probe_jumps(return_grid(BARS)).outcome == "pass"
    day = BARS["date"].unique().sort()[300]
    split = pl.when((pl.col("ticker") == "T004") & (pl.col("date") >= day)).then(0.1).otherwise(1.0)
    finding = probe_jumps(return_grid(BARS.with_columns(pl.col("close") * split)))
    assert finding.outcome == "warn"
    assert finding.numbers["tickers"] == finding.numbers["jumps"] == 1
    assert "T004 (x0.09" in finding.evidence and str(day) in finding.evidence


def test_a_ticker_on_other_dates_is_named_with_the_share_of_its_own_dates() -> None:
    dates = BARS["date"].unique().sort()
    odd = pl.col("date").is_in(dates.gather_every(2, 1).to_list())
    mine = pl.col("ticker") == "T005"
    mixed = BARS.filter((mine & odd) | (~mine & ~odd))
    assert "T005 (100% of its dates)" in probe_calendar(return_grid(mixed)).evidence


def test_a_universe_that_loses_almost_nobody_is_one_of_survivors() -> None:
    bars = random_walk_bars(60, 1500, 2)
    days = bars["date"].unique().sort()

    def without_last(tickers: int) -> pl.DataFrame:
        ended = (pl.col("ticker") < f"T{tickers:03d}") & (pl.col("date") > days[1300])
        return bars.filter(~ended)

    few, many = (probe_survivorship(without_last(count)) for count in (2, 12))
    assert few.outcome == "warn" and "2 of 60 tickers end" in few.evidence
    assert many.outcome == "pass" and many.numbers["ended_a_year"] > 0.03
