"""How features act together: SHAP interaction values of out-of-sample rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from src.v2.explain.direction import signed_values
from src.v2.explain.shap_values import sample_rows_by_date
from src.v2.explanation_records import Interactions, Pair
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

MOST_NAMES = 12
MOST_PAIRS = 10

CELLS_AT_ONCE = 8_000_000
"""Pairs of features held at once, 4 bytes each and several copies."""


def interactions(
    sample: ShapSample, fits: Sequence[FoldFit], rows: int, seed: int
) -> tuple[Interactions, Array]:
    """Measure how much of the forecast features make together.

    Parameters
    ----------
    sample
        Out-of-sample rows to choose from, at least one.
    fits
        The fold of each of its rows among them.
    rows
        Rows to take apart, spread evenly over the dates.
    seed
        Seed of their choice.

    Returns
    -------
    record : Interactions
        `names` are the features with the largest sum of main effect and interactions; pairs
        that never interact are left out. `share` is 0 for a model without any effect. `rows`
        is 0, and all else empty, for models whose interactions are not to be had.
    strengths : ndarray
        Array (features, features), symmetric, in the order of the sample's features: mean
        |interaction| of two features with both halves, mean |main effect| on the diagonal; in
        units of what is explained.

    Raises
    ------
    ModelError
        A model's interactions do not add up to its contributions.
    """
    chosen = sample_rows_by_date(sample.rows["date"], rows, seed)
    strengths = _strengths(sample, fits, chosen)
    if strengths is None:
        count = len(sample.feature_names)
        return Interactions(0, 0.0, (), (), ()), np.zeros((count, count))
    return summarise_interactions(strengths, sample.feature_names, len(chosen)), strengths


def summarise_interactions(strengths: Array, names: Sequence[str], rows: int) -> Interactions:
    """Choose the features and pairs to show.

    Parameters
    ----------
    strengths
        Array (features, features) as `interactions` gives it.
    names
        Name of each feature.
    rows
        Rows that the means are over.

    Examples
    --------
    >>> found = summarise_interactions(np.array([[3.0, 1.0], [1.0, 0.0]]), ["a", "b"], 9)
    >>> found.share, found.pairs
    (0.25, (Pair(first='a', second='b', strength=1.0, share=1.0),))
    """
    first, second = np.triu_indices(len(names), 1)
    between = strengths[first, second]
    apart, together = float(np.trace(strengths)), float(between.sum())
    largest = np.argsort(-strengths.sum(axis=1), kind="stable")[:MOST_NAMES]
    strongest = [
        place for place in np.argsort(-between, kind="stable")[:MOST_PAIRS] if between[place] > 0
    ]
    matrix = strengths[np.ix_(largest, largest)]
    return Interactions(
        rows=rows,
        share=together / (apart + together) if together > 0 else 0.0,
        names=tuple(names[place] for place in largest),
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        pairs=tuple(
            Pair(
                names[first[place]],
                names[second[place]],
                float(between[place]),
                float(between[place]) / together,
            )
            for place in strongest
        ),
    )


def _strengths(sample: ShapSample, fits: Sequence[FoldFit], chosen: Array) -> Array | None:
    """Mean |main effect| and |interaction| over some rows; None where a model gives none."""
    features = len(sample.feature_names)
    total = np.zeros((features, features))
    fold = sample.rows["fold"].to_numpy()[chosen]
    for fit in fits:
        inside = chosen[fold == fit.fold.number]
        for part in _batches(inside, len(sample.outputs) * (features + 1) ** 2):
            matrix = sample.features[part]
            pairs = fit.model.interactions(matrix)
            if pairs is None:
                return None
            # Differences of classes come before sizes: two margins may share an interaction.
            total += np.abs(signed_values(pairs)).sum(axis=0, dtype=np.float64)
    mean = total / len(chosen)
    return np.asarray(2 * mean - np.diag(np.diag(mean)))


def _batches(rows: Array, cells: int) -> Iterator[Array]:
    """Cut rows into parts that hold few cells each."""
    step = max(1, CELLS_AT_ONCE // cells)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
