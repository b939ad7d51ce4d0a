"""The dates that a run is judged on, wherever they are named."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl

from src.v2.page.sections import verdict
from src.v2.tests.results import DAY, make_result


def test_dates_whose_outcome_lies_outside_the_walk_forward_are_not_named_as_judged() -> None:
    result = make_result(days=400)
    last = DAY + dt.timedelta(days=299)
    known = pl.when(pl.col("date") <= last).then("forward_return")
    cut = replace(result, predictions=result.predictions.with_columns(forward_return=known))
    assert cut.judged_dates == (DAY, last)
    assert f"{DAY} to {last}" in verdict.section(cut).data
    assert result.judged_dates == (DAY, DAY + dt.timedelta(days=319))
