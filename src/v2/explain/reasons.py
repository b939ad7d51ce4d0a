"""Reasons of a forecast in plain words: what moved the model, and by how much.

A reason says where the value of a feature stands and what it adds to the forecast. It
explains the model, not the market: a contribution of +0.80% is no promise of 0.80%.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.v2.explain.direction import write_contribution
from src.v2.explain.phrases import phrases, said_by_value
from src.v2.explain.places import Places

Array = np.ndarray[Any, Any]


def strongest(contributions: Array, count: int) -> Array:
    """Find the features that move each row most.

    Parameters
    ----------
    contributions
        Array (rows, features).

    Returns
    -------
    ndarray
        Array (rows, at most `count`) of columns, largest |contribution| first; of equals the
        first column.

    Examples
    --------
    >>> strongest(np.array([[0.1, -0.3, 0.0]]), 2).tolist()
    [[1, 0]]
    """
    return np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]


def write_reason(
    phrase: str, doc: str, value: float, where: str, contribution: float, quantity: str
) -> str:
    """Write one reason.

    Parameters
    ----------
    phrase, doc
        The feature in words, and its doc.
    value
        Of the feature; NaN where missing.
    where
        Where the value stands, in words.
    contribution
        To what is explained, in its units.
    quantity
        What is explained, as `src.v2.explain.direction.quantity_name` names it.

    Examples
    --------
    >>> where = "in the top 5% of the market"
    >>> write_reason("return of 60 sessions", "", 0.3, where, 0.008, "excess return")
    'Return of 60 sessions in the top 5% of the market: +0.80%'
    >>> write_reason("RSI of 14 sessions", "", float("nan"), "", 0.0003, "excess return")
    'RSI of 14 sessions missing: +0.03%'
    """
    said = said_by_value(doc, value)
    if said is None:
        state = "missing" if np.isnan(value) else where
        said = f"{phrase}{',' if state.startswith('the ') else ''} {state}"
    return f"{said[:1].upper()}{said[1:]}: {write_contribution(contribution, quantity)}"


def reason_rows(
    values: Array,
    contributions: Array,
    where: Places,
    names: Sequence[str],
    docs: Mapping[str, str],
    quantity: str,
    count: int,
) -> list[list[str]]:
    """Write the strongest reasons of each row.

    Parameters
    ----------
    values, contributions
        Arrays (rows, features) of the features and of what they contribute.
    where
        Places of the values.
    names, docs
        Of the features, in the order of the columns; docs by name.
    quantity
        What is explained.
    count
        Reasons of a row at most; a feature that contributes nothing gives none.

    Returns
    -------
    list
        Reasons of each row, largest |contribution| first.
    """
    words = phrases(names, docs)
    return [
        [
            write_reason(
                words[names[column]],
                docs.get(names[column], ""),
                float(values[row, column]),
                where.words(row, column),
                float(contributions[row, column]),
                quantity,
            )
            for column in columns
            if contributions[row, column] != 0
        ]
        for row, columns in enumerate(strongest(contributions, count).tolist())
    ]
