"""Whether what the features of a model are made of still comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from src.v2.explain.feeds import KINDS, WEEK, measure_feeds
from src.v2.lifecycle.monitor_records import MonitorCheck
from src.v2.modeling.learners.kinds import importance_words
from src.v2.modeling.model_card import ModelCard
from src.v2.summary_text import some

LOST = 0.5
"""Share of the values that were there in every week of training whose loss is an alarm."""

OUTSIDE = 0.5
"""Share of the newest values far outside the training range that is an alarm."""

STILL = 2
"""A standstill is an alarm when it is longer than this many of the longest in training."""

QUESTION = "Do the values of features still come in?"
RULE = (
    "in the newest week, of a feature with such a share: more than half of the values that were "
    "there in every week of training are missing; more than half lie further outside the training "
    "range than it is wide; or the market's one value has stood still for a week and more than "
    "twice as long as ever in training"
)


def check_feeds(
    reference: pl.DataFrame | None, rows: pl.DataFrame, card: ModelCard
) -> MonitorCheck:
    """Look for features whose source is dead or broken.

    Parameters
    ----------
    reference
        As `src.v2.explain.drift_reference.drift_reference` gives it; None where the model was
        saved without.
    rows
        As `src.v2.lifecycle.state_checks.newest_rows` gives them.
    """
    if rows.is_empty():
        words = "no row of the newest quarter has its features"
        return MonitorCheck("feeds", QUESTION, "too early", words, RULE)
    if (
        reference is None
        or tuple(reference["feature"]) != card.features
        or not set(KINDS) <= set(reference.columns)
    ):
        words = "the model's folder does not tell where its features lay; train again for that"
        return MonitorCheck("feeds", QUESTION, "too early", words, RULE)
    values = rows.select(card.features).to_numpy(order="c").astype(np.float32)
    found = measure_feeds(reference, values, rows["date"].to_physical().to_numpy())
    used = found.filter(reference["importance"] > 0)
    broken = [words for row in used.iter_rows(named=True) if (words := _broken(row))]
    words = (
        f"{used.height} of the model's {reference.height} features have a share of "
        f"{importance_words(card.learner)} in the walk-forward; {len(broken)} broken"
    )
    if broken:
        words += f": {some(broken)}"
    numbers = {"broken_features": float(len(broken))}
    return MonitorCheck("feeds", QUESTION, "alarm" if broken else "ok", words, RULE, numbers)


def _broken(row: Mapping[str, Any]) -> str:
    """Say what is wrong with a feature; empty where nothing is."""
    if row["missing"] > row["most_missing"] + LOST * (1 - row["most_missing"]):
        return f"{row['feature']} ({row['missing']:.0%} missing)"
    if row["outside"] > OUTSIDE:
        return f"{row['feature']} ({row['outside']:.0%} far outside the training range)"
    standing, longest = row["standing"], row["longest"]
    if standing is not None and standing >= WEEK and standing > STILL * longest:
        return f"{row['feature']} (the same for {standing} sessions, {longest} in training)"
    return ""
