"""What a package carries beside bars: the market, series of context, and who was a member."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.v2 import api
from src.v2.data.context import Context
from src.v2.errors import DataError, ModelError
from src.v2.serving.answers import Scorer
from src.v2.serving.reference import (
    SLACK,
    Reference,
    cut_reference,
    needed_sessions,
    read_reference,
    write_reference,
)
from src.v2.serving.requests import RequestError
from src.v2.tests.serving.conftest import Made, as_rows


def test_the_answer_reads_market_series_and_members_as_predict_does(made: Made) -> None:
    scorer = made.scorer
    held = scorer.reference
    last = as_rows(held.bars.filter(pl.col("date") == made.held.day))
    answer = scorer.answer(last.filter(pl.col("ticker") != "T011"))
    expected = api.predict(
        held.bars, made.model, made.card, held.market, held.context, held.universe
    )
    assert_frame_equal(
        answer.drop("ranked", "verdict", "in_sample"), expected.rows, check_exact=True
    )
    assert answer.height == 11
    with pytest.raises(RequestError, match=r"does not know 'T011'.*\(11 tickers\)"):
        scorer.answer(last)


def test_an_earlier_decision_reads_no_later_value_of_market_or_series(made: Made) -> None:
    days = made.held.bars["date"].unique().sort()
    day = days[-30]
    later = pl.col("date") > day
    held = made.held
    assert held.market is not None
    other = dataclasses.replace(
        held,
        market=held.market.with_columns(pl.when(later).then(1e6).otherwise("close").alias("close")),
        context=Context(
            {
                "vix": held.context.series["vix"].with_columns(
                    pl.when(later).then(1e6).otherwise("value").alias("value")
                )
            }
        ),
    )
    asked = as_rows(held.bars.filter((pl.col("ticker") == "T003") & (pl.col("date") == day)))
    first = made.scorer.answer(asked)
    changed = Scorer(made.model, made.card, cut_reference(other, made.card, "made"))
    assert_frame_equal(first, changed.answer(asked), check_exact=True)


def test_what_is_written_is_read(made: Made, tmp_path: Path) -> None:
    reference = made.scorer.reference
    write_reference(reference, tmp_path / "reference")
    found = read_reference(tmp_path / "reference")
    assert_frame_equal(found.bars, reference.bars)
    assert found.market is not None and reference.market is not None
    assert_frame_equal(found.market, reference.market)
    assert_frame_equal(found.context.series["vix"], reference.context.series["vix"])
    assert found.universe is not None and reference.universe is not None
    assert found.universe.members_on(made.held.day) == reference.universe.members_on(made.held.day)
    assert found.model == "made"


def test_no_more_than_the_last_sessions_is_carried(made: Made) -> None:
    reference = made.scorer.reference
    needed = needed_sessions(made.card) + SLACK
    assert len(reference.sessions) == needed < 900
    assert reference.sessions[-1] == made.held.day
    assert reference.market is not None
    assert reference.market["date"].min() == reference.sessions[0]
    oldest = reference.context.series["vix"]["date"].min()
    assert 0 < (reference.sessions[0] - oldest).days <= made.held.context.max_age


@pytest.mark.parametrize("gone", ["reference.json", "bars.parquet"])
def test_a_lost_file_is_told(made: Made, tmp_path: Path, gone: str) -> None:
    write_reference(made.scorer.reference, tmp_path / "reference")
    (tmp_path / "reference" / gone).unlink()
    with pytest.raises(ModelError, match="Build the package again"):
        read_reference(tmp_path / "reference")


def test_too_few_sessions_for_any_decision_are_refused_at_the_start(made: Made) -> None:
    days = made.held.bars["date"].unique().sort()
    short = made.held.bars.filter(pl.col("date") >= days[-60])
    reference = Reference(short, None, Context(), None, "made")
    with pytest.raises(DataError, match=r"at least 61 sessions.*got 60"):
        Scorer(made.model, made.card, reference)
