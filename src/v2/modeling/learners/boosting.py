"""Boosting round by round, each on rows drawn by their place.

XGBoost's own ``subsample`` draws rows by their number on the machine that holds them, so that a
cluster would fit other trees than one machine. Here the draw of a round depends on the seed, the
round and the place of a row among all that are fitted on. It reaches XGBoost as a weight of
zero, which is what its own draw amounts to: a row that is not drawn adds nothing to any sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.v2.modeling.feature_rows import Matrix, Places
from src.v2.records import LearningCurve

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True, slots=True)
class RowDraws:
    """Which rows each round is fitted on, and with what weight.

    Parameters
    ----------
    weight
        Of each row held here.
    share
        Chance of a row to be drawn in a round, in (0, 1].
    seed
        Of the draws.
    places
        Place of each row held here among all that are fitted on; None where all are held here.
    total
        Number of all rows that are fitted on; of no meaning without places.
    """

    weight: Matrix
    share: float
    seed: int
    places: Places | None = None
    total: int = 0

    def weights(self, number: int) -> Matrix:
        """Give the weight of each row in a round, 0 where it is not drawn."""
        if self.share >= 1:
            return self.weight
        everyone = len(self.weight) if self.places is None else self.total
        chance = np.random.default_rng((self.seed, number)).random(everyone, dtype=np.float32)
        drawn = chance < self.share
        return self.weight * (drawn if self.places is None else drawn[self.places])

    def put(self, matrix: xgboost.DMatrix, number: int) -> None:
        """Set the weights of a round."""
        if self.share < 1:
            matrix.set_weight(self.weights(number))

    def put_all(self, matrix: xgboost.DMatrix) -> None:
        """Set the weights of all rows again, by which losses are measured."""
        if self.share < 1:
            matrix.set_weight(self.weight)


def boost(
    parameters: Mapping[str, Any], matrix: xgboost.DMatrix, draws: RowDraws, rounds: int
) -> xgboost.Booster:
    """Fit for a fixed number of rounds.

    Parameters
    ----------
    parameters
        Of the booster, without ``subsample``.
    matrix
        The rows held here; its weights are changed.
    draws
        Of the same rows.
    rounds
        Trees (a class) to fit.
    """
    import xgboost as xgb

    booster = xgb.Booster(dict(parameters), [matrix])
    for number in range(rounds):
        draws.put(matrix, number)
        booster.update(matrix, number)
    # What training kept in memory goes.
    return booster.reset()


def find_rounds(
    parameters: Mapping[str, Any],
    matrix: xgboost.DMatrix,
    draws: RowDraws,
    tail: xgboost.DMatrix,
    rounds: int,
    patience: int,
) -> tuple[int, LearningCurve]:
    """Find after how many rounds the tail's loss is lowest.

    Parameters
    ----------
    parameters, matrix, draws
        As for `boost`.
    tail
        Rows that judge each round.
    rounds
        Most rounds.
    patience
        Rounds without a lower loss after which the search ends.

    Returns
    -------
    rounds : int
        The best number of rounds, the smallest one of equals.
    curve : LearningCurve
        Weighted loss of all rows fitted on, and of the tail, after each round tried.
    """
    import xgboost as xgb

    booster = xgb.Booster(dict(parameters), [matrix, tail])
    train: list[float] = []
    val: list[float] = []
    best = 0
    for number in range(rounds):
        draws.put(matrix, number)
        booster.update(matrix, number)
        draws.put_all(matrix)
        said = booster.eval_set([(matrix, "train"), (tail, "val")], number)
        for losses, part in zip((train, val), said.split("\t")[1:], strict=True):
            losses.append(float(part.rpartition(":")[2]))
        if val[number] < val[best]:
            best = number
        if number - best >= patience:
            break
    return best + 1, LearningCurve(tuple(train), tuple(val))
