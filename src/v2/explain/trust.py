"""Whether the explanation can be believed: questions put to it, answered with numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.evaluation.guard import OUTCOMES
from src.v2.evaluation_records import Evaluation, Stability
from src.v2.explain.direction import explained
from src.v2.explain.score_checks import check_additivity, check_quantity
from src.v2.explanation_records import Drift, Importance, NoiseLine, TrustCheck
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample

MUCH_DRIFT = 0.25
"""Population stability index from which a feature has moved much, by convention."""

MUCH_OF_ONE = 0.1
"""Share of all contributions from which that of one ticker or date is much, where it is also
more than twice an even share."""

PLAUSIBILITY = "plausibility"
"""Name of the check that sums up the numbers which have limits of their own."""


def trust_checks(
    sample: ShapSample,
    walked: pl.DataFrame,
    fits: Sequence[FoldFit],
    importance: Importance,
    drift: Sequence[Drift],
    evaluation: Evaluation,
    plan: LabelPlan,
) -> tuple[TrustCheck, ...]:
    """Ask what a careful reader would ask of the explanation.

    Parameters
    ----------
    sample
        The explained rows, one at least.
    walked
        The forecasts that were scored: | date | ticker | score |, one row a date and ticker.
    fits
        The folds after their fits.
    importance, drift, evaluation
        What was found so far.
    plan
        The label in force.

    Returns
    -------
    tuple
        Additivity, what is explained, coverage, missing cells, drift, plausibility, noise line,
        concentration, agreement and shipped model. Findings hold names of tickers and features
        as they came from outside: they are text, never markup.
    """
    return (
        check_additivity(sample, walked, plan),
        check_quantity(sample, plan),
        check_coverage(sample, walked),
        check_missing(sample),
        check_drift(drift),
        check_plausibility(evaluation),
        check_noise(importance.noise, len(importance.features)),
        check_concentration(sample),
        check_agreement(evaluation.stability),
        check_shipped_model(sample, fits),
    )


def check_coverage(sample: ShapSample, walked: pl.DataFrame) -> TrustCheck:
    """Count the rows and dates explained among those forecast."""
    rows, dates = sample.rows.height, sample.rows["date"].n_unique()
    all_rows, all_dates = walked.height, walked["date"].n_unique()
    return TrustCheck(
        "coverage",
        "How much of the walk-forward is explained?",
        f"Explained: {rows:,} of {all_rows:,} forecasts ({_share(rows, all_rows):.1%}), on "
        f"{dates:,} of {all_dates:,} dates.",
        None,
        {
            "rows": float(rows),
            "all_rows": float(all_rows),
            "dates": float(dates),
            "all_dates": float(all_dates),
        },
    )


def check_missing(sample: ShapSample) -> TrustCheck:
    """Count the explained cells that hold no value."""
    shares = np.isnan(sample.features).mean(axis=0)
    share = float(shares.mean())
    most = int(shares.argmax())
    finding = f"{share:.2%} of the explained cells are missing"
    if share > 0:
        finding += f"; {sample.feature_names[most]} lacks the most, {shares[most]:.1%} of its rows"
    return TrustCheck(
        "missing cells",
        "How many feature values are missing?",
        f"{finding}.",
        None,
        {"share": share, "largest": float(shares[most])},
    )


def check_drift(drift: Sequence[Drift]) -> TrustCheck:
    """Count the features that moved much, beside those that do so inside training rows."""
    much, within = drifted(drift)
    finding = (
        f"{much} of {len(drift)} features moved much (stability index above {MUCH_DRIFT:g}) "
        "between training and test rows of a fold; "
    )
    finding += (
        "the training rows are too few to tell how many do so there"
        if math.isnan(within)
        else f"inside the training rows, in a block as long as the test's, {within:.0f} do"
    )
    if drift:
        most = drift[0]
        finding += f". Most moved {most.feature} in fold {most.fold} ({most.psi:.2f}"
        finding += f"; inside {most.within:.2f})" if math.isfinite(most.within) else ")"
    return TrustCheck(
        "drift",
        "Are the features where the models learned them?",
        f"{finding}.",
        None,
        {
            "much": float(much),
            "within": within,
            "features": float(len(drift)),
            "largest": drift[0].psi if drift else math.nan,
        },
    )


def drifted(drift: Sequence[Drift]) -> tuple[int, float]:
    """Count the features that moved much, and those that do so inside training rows.

    Returns
    -------
    tuple
        Two counts; the second is NaN where no feature has an index inside training rows.
    """
    within = [each.within for each in drift if math.isfinite(each.within)]
    usual = float(sum(each > MUCH_DRIFT for each in within)) if within else math.nan
    return sum(each.psi > MUCH_DRIFT for each in drift), usual


def check_plausibility(evaluation: Evaluation) -> TrustCheck:
    """Count the numbers of the evaluation that may be, or are, too good to be true.

    Passed where all of them are plausible.
    """
    counts = Counter(check.outcome for check in evaluation.verdict.guard)
    numbers: dict[str, float] = {outcome: float(counts[outcome]) for outcome in OUTCOMES}
    found = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
    total = counts.total()
    return TrustCheck(
        PLAUSIBILITY,
        "Is any number too good to be true?",
        f"Of {total} {'number' if total == 1 else 'numbers'} with a limit: {found}.",
        counts["plausible"] == total,
        numbers,
    )


def check_noise(noise: NoiseLine, features: int) -> TrustCheck:
    """Count the features that move the forecast no more than made-up ones."""
    below = len(noise.below)
    where = f"{len(noise.folds)} extra fit{'' if len(noise.folds) == 1 else 's'}"
    if noise.limit > 0:
        finding = (
            f"{below} of {features} features {'is' if below == 1 else 'are'} at or below the noise "
            f"line, {noise.limit:.2%} of all contributions, which the strongest of {noise.draws} "
            f"made-up features reached in {where}."
        )
    else:
        finding = (
            f"No line can be drawn: none of {noise.draws} made-up features was used in {where}."
        )
    return TrustCheck(
        "noise line",
        "How many features move the forecast no more than noise does?",
        finding,
        None,
        {"below": float(below), "features": float(features), "limit": noise.limit},
    )


def check_concentration(sample: ShapSample) -> TrustCheck:
    """Find the ticker and the date with the largest share of all |contributions|."""
    size = pl.Series("size", np.abs(explained(sample)).sum(axis=1, dtype=np.float64))
    rows = sample.rows.with_columns(size)
    total = float(size.sum())
    numbers, parts = {}, []
    for name in ("ticker", "date"):
        sums = rows.group_by(name, maintain_order=True).agg(pl.col("size").sum()).sort("size", name)
        (who, most), even = sums.row(-1), 1 / sums.height
        numbers[name], numbers[f"{name}s"] = _share(most, total), float(sums.height)
        much = numbers[name] > max(MUCH_OF_ONE, 2 * even)
        parts.append(
            f"{name.capitalize()} {who} holds {numbers[name]:.1%} of all |contributions|"
            f"{', which is much' if much else ''}; an even share is {even:.1%}."
        )
    finding = " ".join(parts)
    return TrustCheck(
        "concentration",
        "Does one ticker or one date make the story?",
        finding if total > 0 else "No feature contributes to any forecast.",
        None,
        numbers,
    )


def check_agreement(stability: Stability) -> TrustCheck:
    """Hold the folds' agreement against that of fits on permuted labels."""
    phi, null, pair = stability.phi, stability.phi_null, stability.phi_pair
    if math.isnan(phi):
        finding = "With these folds and features no agreement can be told."
    else:
        finding = (
            f"The folds agree on their {stability.top} leading feature groups with Phi "
            f"{phi:.2f} (0 is chance, 1 the same choice)"
        )
        finding += "."
        if not math.isnan(null) and not math.isnan(pair):
            finding += (
                f" One pair of folds agrees with {pair:.2f}, the same pair fitted on permuted "
                f"labels with {null:.2f}: one pair alone is a rough measure."
            )
    return TrustCheck(
        "agreement",
        "Do the folds agree more than fits without any signal do?",
        finding,
        None,
        {"phi": phi, "phi_null": null, "phi_pair": pair},
    )


def check_shipped_model(sample: ShapSample, fits: Sequence[FoldFit]) -> TrustCheck:
    """Say that the model in use is none of those explained."""
    models = sample.rows["fold"].n_unique()
    rows = max(fit.train_rows for fit in fits)
    return TrustCheck(
        "shipped model",
        "Is the model in use the one that is explained?",
        f"No: what is explained are the walk-forward's own models ({models}), the largest fitted "
        f"on {rows:,} rows. The shipped one is another fit, on all labelled rows, and none of "
        "its own forecasts can be judged yet.",
        None,
        {"models": float(models), "training_rows": float(rows)},
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
