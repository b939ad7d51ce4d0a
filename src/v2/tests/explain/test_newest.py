"""The newest ranking: whole, in order, and with reasons that belong to its rows."""

from __future__ import annotations

import numpy as np
import pytest

from src.v2.case_records import NewestRanking
from src.v2.explain import newest
from src.v2.explain.direction import signed_values
from src.v2.explain.newest import REASONS, newest_ranking
from src.v2.tests.explain.test_cases import ALL, DOCS, World, world


def _newest(place: World) -> NewestRanking:
    return newest_ranking(place.panel, place.shipped, place.trainer.plan, DOCS)


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_every_ticker_of_the_newest_date_is_ranked_by_its_score(kind: str) -> None:
    place = world(kind)
    found = _newest(place)
    last = place.panel.keys.filter(place.panel.session == place.panel.session[-1])
    assert found.date == last["date"][0]
    assert sorted(row.ticker for row in found.rows) == sorted(last["ticker"])
    assert found.tickers == last.height
    assert [row.rank for row in found.rows] == list(range(1, last.height + 1))
    scores = [row.score for row in found.rows]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_the_parts_of_a_ranked_ticker_add_up_to_the_models_margin(kind: str) -> None:
    import xgboost

    place = world(kind)
    found = _newest(place)
    rows = place.panel.between(int(place.panel.session[-1]), int(place.panel.session[-1]) + 1)
    matrix = xgboost.DMatrix(rows.features, feature_names=list(rows.names))
    margin = place.shipped.booster.predict(matrix, output_margin=True, strict_shape=True)
    expected = dict(zip(rows.keys["ticker"], signed_values(margin).tolist(), strict=True))
    for row in found.rows:
        assert row.total == pytest.approx(expected[row.ticker], abs=1e-5)


def test_the_ends_of_the_ranking_are_the_latest_cases_with_the_same_reasons() -> None:
    place = world("regression")
    found = _newest(place)
    assert {"latest long", "latest short"} <= set(ALL)
    for kind, row in (("latest long", found.rows[0]), ("latest short", found.rows[-1])):
        case = place.found[kind]
        assert row.ticker == case.ticker
        assert list(row.reasons) == [part.reason for part in case.parts[:REASONS]]


def test_of_a_long_ranking_both_ends_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    place = world("regression")
    whole = _newest(place)
    monkeypatch.setattr(newest, "MOST_TICKERS", 6)
    ends = _newest(place)
    assert ends.tickers == whole.tickers
    assert ends.rows == (*whole.rows[:3], *whole.rows[-3:])


def test_tickers_of_one_score_stand_in_the_order_of_their_names() -> None:
    place = world("regression")
    found = _newest(place)
    level = [
        (first.ticker, second.ticker)
        for first, second in zip(found.rows, found.rows[1:], strict=False)
        if first.score == second.score
    ]
    assert all(first < second for first, second in level)
    assert np.isfinite([row.total for row in found.rows]).all()
