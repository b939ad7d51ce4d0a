"""Whether folds agree on which features matter. It is no sign of skill: noise agrees too.

Features that say the same stand in for each other from fold to fold, so they are counted as
one group. Agreement is Nogueira's Phi of the most important groups: 0 is what drawing them at
random gives, 1 is the same choice in every fold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation_records import Interval, Stability

Numbers = npt.NDArray[np.floating]
Selection = npt.NDArray[np.bool_]
Groups = Sequence[Sequence[int]]

SAME = 0.9
"""Absolute rank correlation from which two features say the same."""

TOP_SHARE = 0.2
MIN_TOP = 5
MIN_DISJOINT_FOLDS = 5


def group_features(matrix: Numbers, limit: float = SAME) -> tuple[tuple[int, ...], ...]:
    """Put features together that all correlate with each other, whatever the sign.

    Parameters
    ----------
    matrix
        Array (rows, features); a missing value (NaN) counts as the middle rank.
    limit
        Smallest absolute Spearman correlation between any two members of a group.

    Returns
    -------
    tuple of tuples
        Positions of the features of each group; groups in the order of their first member.
        A feature that never changes is alone.
    """
    features = matrix.shape[1]
    if features < 2:
        return tuple((place,) for place in range(features))
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = 1 - np.abs(_rank_correlation(matrix))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "complete")
    groups: dict[int, list[int]] = {}
    for place, number in enumerate(fcluster(tree, 1 - limit, "distance").tolist()):
        groups.setdefault(number, []).append(place)
    return tuple(tuple(members) for members in groups.values())


def _rank_correlation(matrix: Numbers) -> npt.NDArray[np.float64]:
    """Spearman correlations (features, features), 0 with a feature that never changes."""
    table = pl.from_numpy(np.asarray(matrix, dtype=np.float64)).fill_nan(None)
    ranks = table.select(pl.all().rank("average"))
    centred = ranks.select((pl.all() - pl.all().mean()).fill_null(0.0)).to_numpy()
    length = np.linalg.norm(centred, axis=0)
    scaled = centred / np.where(length > 0, length, 1.0)
    return np.clip(scaled.T @ scaled, -1, 1)


def nogueira_phi(selected: Selection) -> float:
    """Agreement of selections, corrected for chance (Nogueira, Sechidis and Brown 2018, JMLR 18).

    1 less the mean variance of a feature's membership over what random selections of the same
    size would show. With equally large selections it is the Kuncheva index.

    Parameters
    ----------
    selected
        Array (folds, features): whether a fold selects a feature.

    Returns
    -------
    float
        At most 1; NaN with fewer than 2 folds, or where nothing or everything is selected.

    Examples
    --------
    >>> nogueira_phi(np.array([[True, False, False], [True, False, False]]))
    1.0
    """
    folds, features = selected.shape
    if folds < 2 or features == 0:
        return float("nan")
    frequency = selected.mean(axis=0)
    share = float(frequency.mean())
    if not 0 < share < 1:
        return float("nan")
    variance = folds / (folds - 1) * frequency * (1 - frequency)
    return 1 - float(variance.mean()) / (share * (1 - share))


def phi_interval(selected: Selection) -> Interval:
    """Phi with its 95% bounds, for folds that share no training rows (same paper, theorem 7).

    Parameters
    ----------
    selected
        Array (folds, features): whether a fold selects a feature.

    Returns
    -------
    Interval
        `windows` is the number of folds; NaN where Phi is.
    """
    folds, features = selected.shape
    phi = nogueira_phi(selected)
    if np.isnan(phi):
        return Interval(phi, phi, phi, folds)
    frequency = selected.mean(axis=0)
    own, mean = selected.mean(axis=1), frequency.mean()
    overlap = selected @ frequency / features
    each = overlap - own * mean + phi / 2 * (2 * own * mean - own - mean + 1)
    each /= mean * (1 - mean)
    half = 1.96 * 2 / folds * float(np.linalg.norm(each - each.mean()))
    return Interval(phi, phi - half, phi + half, folds)


def top_groups(groups: int) -> int:
    """Count the groups that a fold selects: a fifth of them, 5 at least."""
    return max(MIN_TOP, round(TOP_SHARE * groups))


def select_top(importances: Numbers, groups: Groups, top: int | None = None) -> Selection:
    """Tell which groups are among the most important ones of each fold.

    Parameters
    ----------
    importances
        Array (folds, features), 0 or more; NaN counts as 0.
    groups
        Positions of the features of each group; a group's importance is their sum.
    top
        Groups that a fold selects; a fifth of them, 5 at least, by default.

    Returns
    -------
    array
        (folds, groups). Of equally important groups the first is taken. A group without
        importance is not selected, so a fold may select fewer.
    """
    clean = np.nan_to_num(np.asarray(importances, dtype=np.float64))
    sums = np.column_stack([clean[:, list(members)].sum(axis=1) for members in groups])
    top = top_groups(len(groups)) if top is None else top
    chosen = np.argsort(-sums, axis=1, kind="stable")[:, :top]
    selected = np.zeros(sums.shape, dtype=np.bool_)
    np.put_along_axis(selected, chosen, True, axis=1)
    return selected & (sums > 0)


def phi_of_importance(importances: Numbers, groups: Groups, top: int | None = None) -> float:
    """Nogueira's Phi of the most important groups; see `select_top` and `nogueira_phi`."""
    return nogueira_phi(select_top(importances, groups, top))


def stability(
    spearman: float,
    importances: Numbers,
    groups: Groups,
    null_importances: Numbers | None = None,
    pair_importances: Numbers | None = None,
    *,
    disjoint: bool = False,
) -> Stability:
    """Bring together how far the folds agree on what matters.

    Parameters
    ----------
    spearman
        Of the folds' gain, as `feature_stability` of `src.v2.evaluation.folds` gives it.
    importances
        Array (folds, features): mean |SHAP| on each fold's test rows.
    groups
        Positions of the features of each group, from `group_features`.
    null_importances
        The same of fits on permuted labels; None leaves `phi_null` NaN.
    pair_importances
        The same of the real fits, on the folds and rows of `null_importances`: Phi of fifteen
        folds is no measure for that of two. None leaves `phi_pair` NaN.
    disjoint
        Whether no two folds share training rows. Only then, and from 5 folds on, are there
        bounds.
    """
    selected = select_top(importances, groups)
    bounded = disjoint and len(selected) >= MIN_DISJOINT_FOLDS
    bounds = phi_interval(selected) if bounded else None
    nan = float("nan")
    return Stability(
        spearman=spearman,
        phi=nogueira_phi(selected),
        phi_low=nan if bounds is None else bounds.low,
        phi_high=nan if bounds is None else bounds.high,
        phi_null=nan if null_importances is None else phi_of_importance(null_importances, groups),
        phi_pair=nan if pair_importances is None else phi_of_importance(pair_importances, groups),
        groups=len(groups),
        top=top_groups(len(groups)),
    )
