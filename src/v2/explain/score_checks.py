"""Whether contributions add up to the score that was judged, and whether they order as it does."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.explain.direction import explained, quantity_name, signed_values
from src.v2.explanation_records import TrustCheck
from src.v2.modeling.labels import LabelPlan
from src.v2.modeling.learners.additivity import ADDITIVITY_TOLERANCE
from src.v2.records import ShapSample

_TINY = float(np.finfo(np.float32).tiny)

Floats = npt.NDArray[np.float64]


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


def check_quantity(sample: ShapSample, plan: LabelPlan) -> TrustCheck:
    """Compare the order of what is explained with that of the score that ranks.

    They are the same number, or one rises with the other, but for more than two classes.
    """
    total = signed_values(sample.base) + explained(sample).sum(axis=1, dtype=np.float64)
    both = pl.DataFrame({"total": total, "score": explained_scores(sample, plan)})
    found = both.select(pl.corr("total", "score", method="spearman")).item()
    # Without two different values there is no order to compare.
    correlation = math.nan if found is None else float(found)
    quantity = quantity_name(plan)
    if len(plan.classes) > 2:
        finding = (
            f"The {quantity} is no function of the score, the expected class: on {len(total):,} "
            "explained rows "
        )
        finding += (
            f"their rank correlation is {correlation:.4f}."
            if math.isfinite(correlation)
            else "there is no order to compare."
        )
    elif plan.classes:
        finding = f"Yes: the score is the probability, which rises with the {quantity}."
    else:
        finding = f"Yes: the {quantity} that is explained is the score."
    return TrustCheck(
        "what is explained",
        "Is what is explained also what ranks?",
        finding,
        None,
        {"rank_correlation": correlation, "rows": float(len(total))},
    )
