"""Whether the explanation can be believed: questions put to it, answered with numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.guard import OUTCOMES
from src.v2.evaluation_records import Evaluation, Stability
from src.v2.explain.direction import explained
from src.v2.explain.shap_values import ADDITIVITY_TOLERANCE
from src.v2.explanation_records import Drift, Importance, NoiseLine, TrustCheck
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.walk_forward import FoldFit
from src.v2.records import ShapSample

MUCH_DRIFT = 0.25
"""Population stability index from which a feature has moved much, by convention."""

MUCH_OF_ONE = 0.1
"""Share of all contributions from which one ticker or date is named."""

_TINY = float(np.finfo(np.float32).tiny)

Floats = npt.NDArray[np.float64]


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
        Additivity, coverage, missing cells, drift, plausibility, noise line, concentration,
        agreement and shipped model. Findings hold names of tickers and features as they came
        from outside: they are text, never markup.
    """
    return (
        check_additivity(sample, walked, plan),
        check_coverage(sample, walked),
        check_missing(sample),
        check_drift(drift),
        check_plausibility(evaluation),
        check_noise(importance.noise, len(importance.features)),
        check_concentration(sample),
        check_agreement(evaluation.stability),
        check_shipped_model(sample, fits),
    )


def explained_scores(sample: ShapSample, plan: LabelPlan) -> Floats:
    """Turn base and contributions of each explained row into the score that ranks it.

    Returns
    -------
    ndarray
        Array (rows,): the sum itself for regression, the chance of the upper of two classes,
        the expected class of more.
    """
    margin = sample.base.astype(np.float64) + sample.values.sum(axis=2, dtype=np.float64)
    if not plan.classes:
        return np.asarray(margin[:, 0])
    if margin.shape[1] == 1:
        # Written with tanh, the logistic function does not overflow.
        return np.asarray((1 + np.tanh(margin[:, 0] / 2)) / 2)
    shares = np.exp(margin - margin.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.asarray(shares @ np.arange(shares.shape[1]))


def check_additivity(sample: ShapSample, walked: pl.DataFrame, plan: LabelPlan) -> TrustCheck:
    """Compare the explained scores with those that were judged.

    Passed where every explained row was judged and no score is off by more than 1e-4 of the
    largest one.
    """
    keys = ["date", "ticker"]
    rows = sample.rows.select(keys).join(
        walked.select(*keys, pl.col("score").cast(pl.Float64)),
        on=keys,
        how="left",
        maintain_order="left",
    )
    judged = rows["score"].fill_null(np.nan).to_numpy()
    lost = int(np.isnan(judged).sum())
    gap = np.abs(explained_scores(sample, plan) - judged)[~np.isnan(judged)]
    # The maximum hands NaN on, so a contribution that is NaN does not pass.
    error = float(gap.max()) if len(gap) else math.nan
    scale = max(float(np.abs(judged[~np.isnan(judged)]).max(initial=0.0)), _TINY)
    passed = lost == 0 and error <= ADDITIVITY_TOLERANCE * scale
    finding = f"No explained row was judged, of {lost:,}."
    if len(gap):
        finding = (
            f"On {len(gap):,} explained rows the parts add up to the judged score within "
            f"{error:.1e}, where the largest score is {scale:.3g}."
        )
        finding += f" {lost:,} more were not judged." if lost else ""
    return TrustCheck(
        "additivity",
        "Do the contributions add up to the forecasts that were judged?",
        finding,
        passed,
        {"error": error, "scale": scale, "rows": float(len(judged)), "lost": float(lost)},
    )


def check_coverage(sample: ShapSample, walked: pl.DataFrame) -> TrustCheck:
    """Count the rows and dates explained among those forecast."""
    rows, dates = sample.rows.height, sample.rows["date"].n_unique()
    all_rows, all_dates = walked.height, walked["date"].n_unique()
    return TrustCheck(
        "coverage",
        "How much of the walk-forward is explained?",
        f"{rows:,} of {all_rows:,} forecasts ({_share(rows, all_rows):.1%}) are explained, on "
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
    """Count the features that moved much between training and test rows."""
    much = sum(each.psi > MUCH_DRIFT for each in drift)
    finding = (
        f"{much} of {len(drift)} features moved much (stability index above {MUCH_DRIFT:g}) "
        "between training and test rows of a fold"
    )
    if drift:
        finding += f"; most moved {drift[0].feature} in fold {drift[0].fold} ({drift[0].psi:.2f})"
    return TrustCheck(
        "drift",
        "Are the features where the models learned them?",
        f"{finding}.",
        None,
        {
            "much": float(much),
            "features": float(len(drift)),
            "largest": drift[0].psi if drift else math.nan,
        },
    )


def check_plausibility(evaluation: Evaluation) -> TrustCheck:
    """Count the numbers of the evaluation that are too good to be true."""
    counts = Counter(check.outcome for check in evaluation.verdict.guard)
    numbers: dict[str, float] = {outcome: float(counts[outcome]) for outcome in OUTCOMES}
    found = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
    return TrustCheck(
        "plausibility",
        "Is any number too good to be true?",
        f"Of {counts.total()} numbers with a limit: {found}.",
        counts["implausible"] == 0,
        numbers,
    )


def check_noise(noise: NoiseLine, features: int) -> TrustCheck:
    """Count the features that move the forecast no more than made-up ones."""
    below = len(noise.below)
    return TrustCheck(
        "noise line",
        "How many features move the forecast no more than noise does?",
        f"{below} of {features} features are at or below the noise line, {noise.limit:.2%} of "
        f"all contributions, which a made-up feature reached in fold {noise.fold}.",
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
        who, most = sums.row(-1)
        numbers[name], numbers[f"{name}s"] = _share(most, total), float(sums.height)
        much = ", which is much," if numbers[name] > MUCH_OF_ONE else ""
        parts.append(f"{name} {who} holds {numbers[name]:.1%}{much} among {sums.height:,} {name}s")
    finding = f"Of the sum of all |contributions| {' and '.join(parts)}."
    return TrustCheck(
        "concentration",
        "Does one ticker or one date make the story?",
        finding if total > 0 else "No feature contributes to any forecast.",
        None,
        numbers,
    )


def check_agreement(stability: Stability) -> TrustCheck:
    """Hold the folds' agreement against that of fits on permuted labels."""
    phi, null = stability.phi, stability.phi_null
    if math.isnan(phi):
        finding = "With these folds and features no agreement can be told."
    else:
        finding = (
            f"The folds agree on their {stability.top} leading feature groups with Phi "
            f"{phi:.2f} (0 is chance, 1 the same choice)"
        )
        finding += "." if math.isnan(null) else f"; fits on permuted labels with {null:.2f}."
    return TrustCheck(
        "agreement",
        "Do the folds agree more than fits without any signal do?",
        finding,
        None,
        {"phi": phi, "phi_null": null},
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
