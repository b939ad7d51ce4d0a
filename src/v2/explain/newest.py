"""The ranking of the newest date by the shipped model, each ticker with its reasons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from src.v2.case_records import NewestRanking, RankedTicker
from src.v2.explain.direction import quantity_name, signed_values
from src.v2.explain.places import daily_values, places, shared_features
from src.v2.explain.reasons import reason_rows
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import ranking_score

REASONS = 3
MOST_TICKERS = 500
"""Of a longer ranking both ends are kept, half of these each."""


def newest_ranking(
    panel: Panel, shipped: FittedModel, plan: LabelPlan, docs: Mapping[str, str]
) -> NewestRanking:
    """Rank the tickers of the panel's last date.

    Parameters
    ----------
    panel
        Every row, labelled or not.
    shipped
        The model fitted last.
    docs
        What each feature says, by name.

    Raises
    ------
    ModelError
        When the contributions do not add up to the forecast.
    """
    last = int(panel.session[-1])
    rows = panel.between(last, last + 1)
    features = rows.features
    score = ranking_score(shipped.predict(features), len(plan.classes))
    tickers = rows.keys["ticker"].to_list()
    order = sorted(range(len(tickers)), key=lambda row: (-score[row], tickers[row]))
    half = MOST_TICKERS // 2
    kept = order if len(order) <= MOST_TICKERS else [*order[:half], *order[-half:]]
    values, base = shipped.contributions(features[kept])
    contributions = signed_values(values).astype(np.float64)
    total = signed_values(base) + contributions.sum(axis=1)
    shared = shared_features(panel.feature_rows, panel.session)
    earlier = daily_values(panel.feature_rows, panel.session, shared)[:-1]
    where = places(features[kept], features, earlier, shared)
    told = reason_rows(
        features[kept],
        contributions,
        where,
        panel.names,
        docs,
        quantity_name(plan),
        REASONS,
    )
    place = {row: rank for rank, row in enumerate(order, 1)}
    ranked = tuple(
        RankedTicker(place[row], tickers[row], float(score[row]), float(sum_), tuple(reasons))
        for row, sum_, reasons in zip(kept, total, told, strict=True)
    )
    return NewestRanking(rows.sessions[last], len(tickers), ranked)
