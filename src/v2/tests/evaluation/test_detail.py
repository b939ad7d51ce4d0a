"""All details of skill together, for every kind of run."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig
from src.v2.detail_records import SkillDetail
from src.v2.evaluation.detail import skill_detail
from src.v2.evaluation.ranking import ranking_skill
from src.v2.evaluation.ratings import rating_returns
from src.v2.tests.evaluation.walks import make_walk
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = ragged(random_walk_bars(24, 420, seed=5), seed=5)
KINDS = {
    "regression": LabelConfig(forward_days=6),
    "rank": LabelConfig(forward_days=6, target="rank"),
    "binary": LabelConfig(forward_days=6, mode="classification"),
    "rating": LabelConfig(forward_days=6, mode="classification", classes="rating"),
}


def _text(detail: SkillDetail) -> str:
    """Everything but tables, in which NaN equals NaN."""
    plain = dataclasses.replace(detail, daily=pl.DataFrame(), quantile_paths=pl.DataFrame())
    return repr(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_details_agree_with_the_evaluation(kind: str) -> None:
    walked, plan = make_walk(BARS, KINDS[kind])
    detail = skill_detail(walked, BARS, plan)
    ranking = ranking_skill(walked, 6, 0, 0)
    ranked = detail.daily.drop_nulls("rank_ic")
    assert ranked.height == ranking.dates
    assert ranked["rank_ic"].to_numpy().mean() == pytest.approx(ranking.rank_ic.mean)
    months = sum(month.dates * month.rank_ic for month in detail.months)
    assert months / ranking.dates == pytest.approx(ranking.rank_ic.mean)
    own = next(each.rank_ic for each in detail.decay if each.horizon == 6)
    assert own.mean == pytest.approx(ranking.rank_ic.mean)
    for quantile, rating in zip(detail.quantiles, rating_returns(walked, 6), strict=True):
        assert quantile.rows == rating.rows
        assert quantile.excess.mean == pytest.approx(rating.excess.mean)
    assert detail.quantile_paths["date"].is_sorted()
    assert len(detail.memory) == 4 and len(detail.worst) == 20
    assert len(detail.bins) == (0 if plan.classes else 10)
    assert [each.name for each in detail.regimes] == ["calm", "middle", "stormy"]
    known = walked.drop_nulls("forward_return")
    error = (known["prediction"] - known["forward_return"]).to_numpy() if detail.bins else None
    if error is not None:
        assert detail.daily["volatility"].null_count() == 0
        rows = known.join(detail.daily, on="date").group_by("regime").len()
        counts = dict(rows.iter_rows())
        bias = sum(counts[each.name] * each.bias for each in detail.regimes) / known.height
        assert bias == pytest.approx(error.mean())
    else:
        assert all(np.isnan(each.rmse) for each in detail.regimes)
        assert all(0 <= row.forecast <= 1 for row in detail.worst)


def test_neither_the_order_of_rows_nor_the_holdout_matters() -> None:
    walked, plan = make_walk(BARS, KINDS["regression"])
    detail = skill_detail(walked, BARS, plan)
    held = walked.with_columns(
        pl.col("date").dt.offset_by("2y"),
        pl.col("label_end").dt.offset_by("2y"),
        pl.lit("holdout").alias("part"),
        pl.col("forward_return") * 9,
    )
    mixed = pl.concat([held, walked]).sample(fraction=1.0, shuffle=True, seed=1)
    other = skill_detail(mixed, BARS.sample(fraction=1.0, shuffle=True, seed=2), plan)
    assert _text(other) == _text(detail)
    assert other.daily.equals(detail.daily)
    assert other.quantile_paths.equals(detail.quantile_paths)


@pytest.mark.parametrize("tickers", [1, 4, 15])
@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_below_twenty_tickers_no_ranking_is_judged(tickers: int, kind: str) -> None:
    bars = random_walk_bars(tickers, 420, seed=7)
    walked, plan = make_walk(bars, KINDS[kind])
    detail = skill_detail(walked, bars, plan)
    assert not (detail.months or detail.decay or detail.quantiles or detail.memory)
    assert detail.quantile_paths.is_empty()
    assert detail.daily["rank_ic"].null_count() == detail.daily.height > 100
    assert (
        detail.daily["date"].to_list()
        == walked.drop_nulls("forward_return")["date"].unique().sort().to_list()
    )
    assert [each.name for each in detail.regimes] == ["calm", "middle", "stormy"]
    assert all(np.isnan(each.rank_ic.mean) for each in detail.regimes)
    assert len(detail.bins) == (0 if plan.classes else 10)
    assert 0 < len(detail.worst) <= 20


def test_a_single_date_and_an_empty_table_do_not_crash() -> None:
    walked, plan = make_walk(BARS, KINDS["regression"])
    fullest = walked.group_by("date").len().sort("len", "date")["date"][-1]
    one = walked.filter(pl.col("date") == fullest)
    detail = skill_detail(one, BARS, plan)
    assert (detail.daily.height, len(detail.months), len(detail.regimes)) == (1, 1, 1)
    assert all(np.isnan(each.autocorrelation) for each in detail.memory)
    nothing = skill_detail(walked.clear(), BARS, plan)
    assert nothing.daily.is_empty()
    assert not (nothing.worst or nothing.bins or nothing.regimes)
