"""The probability of backtest overfitting."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from src.v2.evaluation.overfitting import overfitting


def _slowly(scores: np.ndarray, blocks: int) -> float:
    """Split by split, as the paper tells it."""
    length = len(scores) // blocks
    parts = np.split(scores[len(scores) - blocks * length :], blocks)
    poor = []
    for chosen in combinations(range(blocks), blocks // 2):
        rest = [place for place in range(blocks) if place not in chosen]
        inside = np.concatenate([parts[place] for place in chosen]).mean(axis=0)
        outside = np.concatenate([parts[place] for place in rest]).mean(axis=0)
        best = int(inside.argmax())
        rank = 1 + int((outside < outside[best]).sum())
        relative = rank / (scores.shape[1] + 1)
        poor.append(np.log(relative / (1 - relative)) <= 0)
    return float(np.mean(poor))


@pytest.mark.parametrize(("dates", "horizon", "blocks"), [(160, 5, 8), (201, 6, 8), (97, 4, 6)])
def test_it_is_that_of_the_paper_split_by_split(dates: int, horizon: int, blocks: int) -> None:
    scores = np.random.default_rng(dates).normal(size=(dates, 5))
    found = overfitting(scores, horizon)
    assert found is not None
    assert found.blocks == blocks
    assert found.probability == pytest.approx(_slowly(scores, blocks))


def test_a_way_that_is_always_best_is_no_overfitting() -> None:
    scores = np.random.default_rng(1).normal(size=(400, 6))
    scores[:, 2] += 5
    found = overfitting(scores, 1)
    assert found is not None
    assert (found.probability, found.splits, found.blocks) == (0.0, 12_870, 16)


def test_a_way_that_is_best_in_one_half_and_worst_in_the_other_is() -> None:
    # Each way shines in two blocks alone: what is best inside is spent outside.
    scores = np.random.default_rng(2).normal(size=(320, 8), scale=1e-3)
    for way in range(8):
        scores[way * 40 : (way + 1) * 40, way] += 1
    found = overfitting(scores, 5)
    assert found is not None
    assert found.probability > 0.95


def test_few_ways_or_few_dates_say_nothing() -> None:
    scores = np.random.default_rng(3).normal(size=(400, 4))
    assert overfitting(scores[:, :3], 5) is None
    assert overfitting(scores[:119], 5) is None
    assert overfitting(scores[:120], 5) is not None
