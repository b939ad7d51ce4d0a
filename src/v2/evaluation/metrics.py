"""Numbers that tell how good out-of-sample forecasts are.

Every function takes the forecasts table of `src.v2.modeling.walk_forward` and nothing that
was fitted on. Returns are fractions; a correlation, a hit rate and a base rate are taken
per date over the tickers, then averaged over dates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from src.v2.modeling.labels import MIN_TICKERS_PER_DATE

REGRESSION_KEYS = ("mse", "rmse", "mae", "r2", "r2_zero", "rmse_base", "mae_base", "r2_mean_zero")


def regression_metrics(predictions: pl.DataFrame) -> dict[str, float]:
    """Score the shown returns.

    Parameters
    ----------
    predictions
        | date | prediction | forward_return | expanding_mean |.

    Returns
    -------
    dict
        mse, rmse, mae; `r2` against the expanding mean of the labels known at each date
        (Campbell and Thompson 2008), `r2_zero` against a forecast of zero (Gu, Kelly and Xiu
        2020); `rmse_base`, `mae_base` and `r2_mean_zero`, what the expanding mean itself
        reaches. NaN without rows.
    """
    rows = predictions.select(
        error=(pl.col("forward_return") - pl.col("prediction")) ** 2,
        absolute=(pl.col("forward_return") - pl.col("prediction")).abs(),
        mean_error=(pl.col("forward_return") - pl.col("expanding_mean")) ** 2,
        mean_absolute=(pl.col("forward_return") - pl.col("expanding_mean")).abs(),
        zero_error=pl.col("forward_return") ** 2,
    ).drop_nulls()
    if rows.is_empty():
        return dict.fromkeys(REGRESSION_KEYS, float("nan"))
    totals = {name: float(rows[name].sum()) for name in rows.columns}
    mse = totals["error"] / rows.height
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "mae": totals["absolute"] / rows.height,
        "r2": _skill(totals["error"], totals["mean_error"]),
        "r2_zero": _skill(totals["error"], totals["zero_error"]),
        "rmse_base": (totals["mean_error"] / rows.height) ** 0.5,
        "mae_base": totals["mean_absolute"] / rows.height,
        "r2_mean_zero": _skill(totals["mean_error"], totals["zero_error"]),
    }


def daily_ic(predictions: pl.DataFrame) -> pl.DataFrame:
    """Correlate scores with forward returns on each date.

    Parameters
    ----------
    predictions
        | date | score | forward_return |, any order.

    Returns
    -------
    pl.DataFrame
        | date | ic | rank_ic | tickers |, sorted by date; dates with fewer than 10 tickers are
        left out. A date on which every score is the same has no skill: 0.
    """
    return (
        predictions.drop_nulls(["score", "forward_return"])
        .group_by("date")
        .agg(
            pl.corr("score", "forward_return").alias("ic"),
            pl.corr("score", "forward_return", method="spearman").alias("rank_ic"),
            pl.len().alias("tickers"),
        )
        .filter(pl.col("tickers") >= MIN_TICKERS_PER_DATE)
        .with_columns(pl.col("ic", "rank_ic").fill_nan(0.0).fill_null(0.0))
        .sort("date")
    )


def hit_rates(
    predictions: pl.DataFrame, *, cross_sectional: bool, middle: float = 0.0
) -> dict[str, float]:
    """Share of rows whose side was right, beside what always naming one side reaches.

    Parameters
    ----------
    predictions
        | date | score | forward_return | and, for regression, | prediction |.
    cross_sectional
        Sides are above and below the date's mean; otherwise returns above and below zero.
    middle
        Score between the sides, where they are no comparison and there is no prediction.

    Returns
    -------
    dict
        `hit_rate`, per date then averaged, and `hit_base`, the larger of the shares of ups
        and downs, averaged over dates in the same way. A row on neither side hits nothing.
        NaN without rows.
    """
    daily = daily_sides(predictions, cross_sectional=cross_sectional, middle=middle)
    if daily.is_empty():
        return {"hit_rate": float("nan"), "hit_base": float("nan")}
    hit, up, down = (float(daily[name].sum()) / daily.height for name in ("hit", "up", "down"))
    return {"hit_rate": hit, "hit_base": max(up, down)}


def daily_sides(
    predictions: pl.DataFrame, *, cross_sectional: bool, middle: float = 0.0
) -> pl.DataFrame:
    """Shares of hits, ups and downs of each date.

    Parameters
    ----------
    predictions, cross_sectional, middle
        As for `hit_rates`.

    Returns
    -------
    pl.DataFrame
        | date | hit | up | down | (fractions), sorted by date. Where all scores of a date are
        the same, none is on a side of their mean.
    """
    guess = pl.col("score")
    truth = pl.col("forward_return")
    if cross_sectional:
        constant = (guess.max() == guess.min()).over("date")
        guess = pl.when(constant).then(0.0).otherwise(guess - guess.mean().over("date"))
        truth = truth - truth.mean().over("date")
    elif "prediction" in predictions.columns:
        guess = pl.col("prediction")
    else:
        guess = guess - middle
    return (
        predictions.drop_nulls(["score", "forward_return"])
        .select("date", hit=guess.sign() * truth.sign() > 0, up=truth > 0, down=truth < 0)
        .group_by("date")
        .agg(pl.col("hit", "up", "down").mean())
        .sort("date")
    )


def classification_metrics(
    predictions: pl.DataFrame, columns: Sequence[str], prior: Sequence[float]
) -> dict[str, float]:
    """Score class probabilities.

    Parameters
    ----------
    predictions
        | label (class code) | one probability column a class |.
    columns
        The probability columns, lowest class first.
    prior
        Share of each class in the rows fitted on: the forecast without features.

    Returns
    -------
    dict
        accuracy and `accuracy_base` (always the prior's likeliest class), balanced_accuracy,
        mcc, log_loss and `log_loss_base` (the prior), auc (one against the rest, macro),
        precision and recall (macro).
    """
    from sklearn import metrics

    rows = predictions.drop_nulls(["label"])
    shares = rows.select(columns).to_numpy()
    truth = rows["label"].to_numpy().astype(np.int64)
    codes = np.arange(len(columns))
    guess = shares.argmax(axis=1)
    chances = np.clip(np.asarray(prior, dtype=np.float64), 1e-6, None)
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        truth, guess, labels=codes, average="macro", zero_division=0.0
    )
    present = np.bincount(truth, minlength=len(columns)) > 0
    auc = float("nan")
    if present.all():
        auc = (
            metrics.roc_auc_score(truth, shares[:, 1])
            if len(columns) == 2
            else metrics.roc_auc_score(truth, shares, multi_class="ovr", average="macro")
        )
    return {
        "accuracy": float((guess == truth).mean()),
        "accuracy_base": float((truth == int(chances.argmax())).mean()),
        "balanced_accuracy": float(
            np.mean([(guess[truth == code] == code).mean() for code in codes if present[code]])
        ),
        "mcc": float(metrics.matthews_corrcoef(truth, guess)),
        "log_loss": float(metrics.log_loss(truth, _normalised(shares), labels=codes)),
        "log_loss_base": float(-np.log(chances / chances.sum())[truth].mean()),
        "auc": float(auc),
        "precision": float(precision),
        "recall": float(recall),
    }


def _skill(error: float, baseline: float) -> float:
    return 1 - error / baseline if baseline > 0 else float("nan")


def _normalised(shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> object:
    return shares / shares.sum(axis=1, keepdims=True)
