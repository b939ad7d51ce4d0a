"""What skill must do when it is questioned, on forecasts made by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.v2.evaluation.leakage.skill_probes import (
    entered_later,
    no_skill_expected,
    probe_entry_lag,
    probe_gap,
)
from src.v2.tests.synthetic import random_walk_bars, weekdays

DATES, TICKERS = 300, 20


def forecasts(skill: float, seed: int = 0, dates: int = DATES) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=dates * TICKERS)
    score = skill * truth + np.sqrt(1 - skill**2) * rng.normal(size=len(truth))
    days = np.repeat(np.array(weekdays(dates), dtype="datetime64[D]"), TICKERS)
    names = [f"T{number:02d}" for number in range(TICKERS)] * dates
    return pl.DataFrame(
        {"date": days, "ticker": names, "score": score, "forward_return": truth}
    ).with_columns(pl.col("date").cast(pl.Date))


@pytest.mark.parametrize(
    ("skill", "outcome"), [(0.0, "pass"), (-0.3, "pass"), (0.05, "warn"), (0.3, "fail")]
)
def test_skill_where_none_can_be_is_a_leak(skill: float, outcome: str) -> None:
    finding = no_skill_expected(forecasts(skill, 1), 5, "these")
    assert finding.outcome == outcome
    assert f"{finding.numbers['rank_ic']:+.3f}" in finding.evidence


def test_without_an_interval_only_the_grossest_leak_fails() -> None:
    assert no_skill_expected(forecasts(0.1, 2, 40), 20, "these").outcome == "pass"
    assert no_skill_expected(forecasts(0.6, 2, 40), 20, "these").outcome == "fail"
    few = forecasts(0.5).filter(pl.col("ticker") < "T08")
    assert no_skill_expected(few, 5, "these").outcome == "skipped"


def test_returns_entered_later_are_those_of_later_bars() -> None:
    bars = random_walk_bars(2, 20, 1)
    table = entered_later(bars, 2, 3).filter(pl.col("ticker") == "T001")
    close = bars.filter(pl.col("ticker") == "T001")["close"].to_list()
    assert table["forward_return"][4] == pytest.approx(close[9] / close[6] - 1)
    assert table["forward_return"].null_count() == 5


@pytest.mark.parametrize(("knows", "outcome"), [(1, "warn"), (5, "pass")])
def test_skill_that_needs_the_same_close_is_a_warning(knows: int, outcome: str) -> None:
    bars = random_walk_bars(20, 300, 2)
    close = pl.col("close")
    scores = bars.with_columns(score=(close.shift(-knows) / close).over("ticker") - 1).drop_nulls()
    finding = probe_entry_lag(scores, bars, 5, 1)
    assert finding.outcome == outcome
    assert finding.numbers["rank_ic_lag_0"] > finding.numbers["rank_ic_lag_2"]


def test_noise_has_no_entry_to_lose() -> None:
    bars = random_walk_bars(20, 300, 3)
    noise = pl.Series(np.random.default_rng(0).normal(size=bars.height))
    assert probe_entry_lag(bars.with_columns(score=noise), bars, 5, 1).outcome == "pass"
    few = bars.filter(pl.col("ticker") < "T005").with_columns(score=1.0)
    assert probe_entry_lag(few, bars, 5, 1).outcome == "skipped"


def test_skill_that_a_gap_takes_away_is_a_warning() -> None:
    gone = {0: forecasts(0.3, 4), 3: forecasts(0.1, 4), 5: forecasts(0.0, 4)}
    finding = probe_gap(gone, 5)
    assert finding.outcome == "warn" and finding.numbers["loss_low"] > 0
    kept = {0: forecasts(0.05, 4), 3: forecasts(0.05, 5), 5: forecasts(0.05, 6)}
    assert probe_gap(kept, 5).outcome == "pass"
