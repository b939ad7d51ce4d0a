"""Which features move the forecast, and which of them help it.

Mean |SHAP| tells what the model uses, not what is of use: trees give weight to noise. So it
stands beside what the forecast loses without the feature, what the feature reaches where labels
mean nothing, and what columns of chance reach. A fold's model stays for its whole test block, so
no interval draws shorter blocks of dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.v2.config import ExplainConfig
from src.v2.evaluation.permutation import standardised_ranks
from src.v2.evaluation_records import Interval
from src.v2.explain.blocks import BlockBounds, block_length, date_block_bounds
from src.v2.explain.direction import explained, quantity_name
from src.v2.explain.noise_probes import noise_line
from src.v2.explain.permuted_importance import permutation_drops
from src.v2.explanation_records import FamilyImportance, FeatureImportance, Importance, NoiseLine
from src.v2.modeling.walk_forward import FoldFit, Trainer
from src.v2.records import ShapSample

Array = np.ndarray[Any, Any]

MOST_OF_A_ROW = 0.9


def importance(
    sample: ShapSample,
    fits: Sequence[FoldFit],
    trainer: Trainer,
    null: ShapSample | None,
    families: Mapping[str, str],
    config: ExplainConfig,
    seed: int,
) -> Importance:
    """Put together how much each feature moves the forecast, and what it is worth.

    Parameters
    ----------
    sample
        SHAP values of out-of-sample rows, at least one, by the models of `fits`.
    fits
        What the walk-forward gave, one a fold.
    trainer
        That of the run.
    null
        SHAP values of fits on permuted labels; None where there are none.
    families
        Family of each feature, by name.
    config
        How many rows to permute.
    seed
        Of rows, permutations, blocks and columns of chance.

    Returns
    -------
    Importance
        NaN where nothing can be told: bounds of fewer than 5 blocks of dates, the direction of
        a feature that is constant or that no fold uses, shares of permuted labels without them.
    """
    names, sizes = sample.feature_names, np.abs(explained(sample).astype(np.float64))
    kinds = list(dict.fromkeys(families[name] for name in names))
    members = [[i for i, name in enumerate(names) if families[name] == kind] for kind in kinds]
    groups = [*([place] for place in range(len(names))), *members]
    length = block_length(trainer.plan.config.span, longest_test(fits))
    drops = permutation_drops(fits, trainer.plan, groups, config.permutation_rows, seed)
    lost = date_block_bounds(drops.values, drops.session, length, seed)
    moved = date_block_bounds(_sizes(sample, members), _sessions(sample, trainer), length, seed)
    shares = _shares(sizes)
    order = np.argsort(-shares, kind="stable").tolist()
    falling = [names[place] for place in order]
    noise, probed = noise_line(sample, fits, trainer, falling, config, seed)
    features = _features(sample, null, families, moved, lost, noise, probed)
    return Importance(
        quantity=quantity_name(trainer.plan),
        measure=drops.measure,
        skill=drops.skill,
        rows=sample.rows.height,
        dates=sample.rows["date"].n_unique(),
        permuted_rows=drops.rows,
        permuted_dates=len(drops.session),
        block_sessions=length,
        compactness=_middle(features_for_most(explained(sample))),
        features=tuple(features[place] for place in order),
        families=_families(kinds, members, moved, lost),
        noise=noise,
    )


def longest_test(fits: Sequence[FoldFit]) -> int:
    """Count the sessions of the longest test block, from its first row to its last."""
    return max(int(np.ptp(fit.test.session)) + 1 for fit in fits if len(fit.test.session))


def features_for_most(contributions: Array) -> Array:
    """How many features hold 90% of each row's sum of |contributions|.

    Parameters
    ----------
    contributions
        Array (rows, features).

    Returns
    -------
    ndarray
        Array (rows,) of whole numbers; 0 for a row without any contribution.

    Examples
    --------
    >>> features_for_most(np.array([[8.0, -2.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])).tolist()
    [2, 1, 0]
    """
    size = -np.sort(-np.abs(contributions.astype(np.float64)), axis=1)
    before = np.cumsum(size, axis=1) - size
    goal = MOST_OF_A_ROW * size.sum(axis=1, keepdims=True)
    return np.asarray(((before < goal * (1 - 1e-12)) & (size > 0)).sum(axis=1))


def directions(sample: ShapSample) -> tuple[Array, Array, Array]:
    """Whether the forecast rises with each feature, and how far the folds agree on it.

    Parameters
    ----------
    sample
        SHAP values of rows of one fold or more.

    Returns
    -------
    direction : ndarray
        Array (features,): mean over folds of Spearman's correlation between the feature and its
        SHAP values, rows without the feature left out; NaN where no fold has one, because
        either is constant.
    agreement : ndarray
        Array (features,): share of the folds that have one whose sign is that of the mean.
    used : ndarray
        Array (features,): how many folds have one.
    """
    number = sample.rows["fold"].to_numpy()
    values = explained(sample)
    folds = [
        _rank_correlation(sample.features[number == fold], values[number == fold])
        for fold in np.unique(number)
    ]
    each = np.array(folds)
    told = ~np.isnan(each)
    count = np.where(told.any(axis=0), told.sum(axis=0), np.nan)
    mean = np.where(told, each, 0.0).sum(axis=0) / count
    same = (np.sign(each) == np.sign(mean)).sum(axis=0)
    return mean, same / count, told.sum(axis=0)


def _rank_correlation(features: Array, values: Array) -> Array:
    """Spearman's correlation of each column with its SHAP values; NaN where one is constant."""
    present = np.isfinite(features).T
    first = standardised_ranks(features.T, present)
    second = standardised_ranks(values.T, present)
    told = first.any(axis=1) & second.any(axis=1)
    return np.where(told, (first * second).sum(axis=1), np.nan)


def _sizes(sample: ShapSample, members: Sequence[Sequence[int]]) -> Array:
    """|Contribution| of each feature, then of each family as a whole: (rows, both)."""
    values = explained(sample).astype(np.float64)
    whole = [np.abs(values[:, columns].sum(axis=1)) for columns in members]
    return np.column_stack([np.abs(values), *whole])


def _sessions(sample: ShapSample, trainer: Trainer) -> Array:
    """Position of each explained row's date among the panel's sessions."""
    dates = np.array(trainer.panel.sessions, dtype="datetime64[D]")
    return np.searchsorted(dates, sample.rows["date"].to_numpy().astype("datetime64[D]"))


def _shares(sizes: Array) -> Array:
    """Share of each column in the sum of the columns' means; 0 where all are 0."""
    mean = sizes.mean(axis=0)
    total = mean.sum()
    return np.asarray(mean / total if total > 0 else np.zeros_like(mean))


def _features(
    sample: ShapSample,
    null: ShapSample | None,
    families: Mapping[str, str],
    moved: BlockBounds,
    lost: BlockBounds,
    noise: NoiseLine,
    probed: Mapping[str, float],
) -> list[FeatureImportance]:
    """One record a feature, in the order of the columns."""
    sizes = np.abs(explained(sample).astype(np.float64))
    shares = _shares(sizes)
    number = sample.rows["fold"].to_numpy()
    by_fold = np.array([_shares(sizes[number == fold]) for fold in np.unique(number)])
    unknown = np.full(len(shares), np.nan)
    chance = unknown if null is None else _shares(np.abs(explained(null).astype(np.float64)))
    direction, agreement, used = directions(sample)
    return [
        FeatureImportance(
            name=name,
            family=families[name],
            shap=_size_interval(moved, place),
            share=float(shares[place]),
            permutation=lost.interval(place),
            null_share=float(chance[place]),
            direction=float(direction[place]),
            agreement=float(agreement[place]),
            folds_used=int(used[place]),
            fold_shares=tuple(by_fold[:, place].tolist()),
            probed_share=probed[name],
            better_than_noise=probed[name] > noise.limit if noise.limit > 0 else None,
        )
        for place, name in enumerate(sample.feature_names)
    ]


def _families(
    kinds: Sequence[str], members: Sequence[Sequence[int]], moved: BlockBounds, lost: BlockBounds
) -> tuple[FamilyImportance, ...]:
    """One record a family, largest first; theirs are the columns after the features'."""
    start = len(moved.mean) - len(kinds)
    total = float(moved.mean[start:].sum())
    records = [
        FamilyImportance(
            name=kind,
            features=len(columns),
            shap=_size_interval(moved, place),
            share=float(moved.mean[place]) / total if total > 0 else 0.0,
            permutation=lost.interval(place),
        )
        for place, (kind, columns) in enumerate(zip(kinds, members, strict=True), start)
    ]
    return tuple(sorted(records, key=lambda record: -record.shap.mean))


def _size_interval(bounds: BlockBounds, column: int) -> Interval:
    """Bounds of a mean size, which is never below 0."""
    found = bounds.interval(column)
    low = max(found.low, 0.0) if found.low == found.low else found.low
    return Interval(found.mean, low, found.high, found.windows)


def _middle(counts: Array) -> int:
    """Median of the counts above 0, the larger of the two in the middle; 0 without any."""
    told = counts[counts > 0]
    return int(np.quantile(told, 0.5, method="higher")) if len(told) else 0
