"""How good class probabilities are: against the shares of the classes, and against their word.

Rows of one date, and dates whose labels overlap, repeat each other. Every interval here is
therefore taken over dates by `src.v2.evaluation.significance`, never over rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.config import SMALL_UNIVERSE
from src.v2.errors import NotEnoughData
from src.v2.evaluation.significance import MIN_COSINES, ewc_interval, skill_interval
from src.v2.evaluation_records import CalibrationBin, ClassSkill, Interval
from src.v2.modeling.labels import MIN_TICKERS_PER_DATE

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

BINS = 10
SMALLEST_SHARE = 1e-6
"""Probabilities below it count as this one in the log loss."""

AREA_ROWS = 200_000
"""Of more rows the areas under curves are taken on a fixed random sample of this size."""

NULL_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with a known label, in date order.

    Parameters
    ----------
    shares
        Probabilities (rows, classes), each row summing to 1.
    truth, day
        Class code of each row, and its date as a position among the distinct dates.
    table
        The same rows of the forecasts table.
    """

    shares: Numbers
    truth: Codes
    day: Codes
    days: int
    table: pl.DataFrame

    def daily(self, values: Numbers | npt.NDArray[np.bool_]) -> Numbers:
        """Sum the values of rows (rows,) over each date."""
        return np.bincount(self.day, weights=values, minlength=self.days)


def class_skill(
    predictions: pl.DataFrame,
    columns: Sequence[str],
    priors: Mapping[int, Sequence[float]],
    horizon: int,
) -> ClassSkill:
    """Judge class probabilities.

    Parameters
    ----------
    predictions
        | date | ticker | fold | score | label (class code) | one probability column a class |,
        any order; rows without a label are left out.
    columns
        The probability columns, lowest class first.
    priors
        Share of each class in the rows fitted on, by fold: the forecast without features that
        each row is held against.
    horizon
        Sessions of a label.

    Raises
    ------
    NotEnoughData
        Without a row that has a label.
    KeyError
        When a fold has no prior.
    """
    from sklearn import metrics

    rows = _rows(predictions, columns)
    prior = _prior_of_rows(rows, priors)
    both = (rows.shares, prior)
    brier, base_brier = (rows.daily(_brier(shares, rows.truth)) for shares in both)
    log_loss, base_log_loss = (rows.daily(_log_loss(shares, rows.truth)) for shares in both)
    confusion = _confusion(rows)
    came = confusion.sum(axis=1) > 0
    ece, ece_null = _calibration_error(rows, horizon)
    roc_auc, pr_auc, pr_base = _areas(rows)
    return ClassSkill(
        brier=float(brier.sum() / len(rows.truth)),
        brier_skill=skill_interval(brier, base_brier, horizon),
        log_loss=float(log_loss.sum() / len(rows.truth)),
        log_loss_skill=skill_interval(log_loss, base_log_loss, horizon),
        ece=ece,
        ece_null=ece_null,
        auc=_daily_auc(rows, horizon),
        roc_auc=roc_auc,
        pr_auc=pr_auc,
        pr_base=pr_base,
        balanced_accuracy=float((np.diag(confusion)[came] / confusion.sum(axis=1)[came]).mean()),
        mcc=float(metrics.matthews_corrcoef(rows.truth, rows.shares.argmax(axis=1))),
        confusion=tuple(tuple(line) for line in confusion.tolist()),
        curve=_curve(rows, horizon),
    )


def direction_gains(
    predictions: pl.DataFrame, priors: Mapping[int, Sequence[float]]
) -> tuple[Numbers, Numbers]:
    """Multiply what the score says beyond the shares fitted on with the return that followed.

    A probability may be good because it knows how far prices move; the mean of these products
    is above 0 only where it knows in which direction.

    Returns
    -------
    tuple of arrays
        Two times (dates,), in date order: with the forward return less the mean known at the
        time, and with the forward return itself.
    """
    usual = {fold: float(np.arange(len(each)) @ np.asarray(each)) for fold, each in priors.items()}
    surprise = pl.col("score") - pl.col("fold").replace_strict(usual, return_dtype=pl.Float64)
    daily = (
        predictions.drop_nulls(["forward_return", "score"])
        .sort("date", "ticker")
        .group_by("date", maintain_order=True)
        .agg(
            over_mean=(surprise * (pl.col("forward_return") - pl.col("expanding_mean"))).mean(),
            over_zero=(surprise * pl.col("forward_return")).mean(),
        )
        .drop_nulls()
    )
    return daily["over_mean"].to_numpy(), daily["over_zero"].to_numpy()


def _rows(predictions: pl.DataFrame, columns: Sequence[str]) -> _Rows:
    """Keep labelled rows, sorted so that no sum depends on the order they came in."""
    table = predictions.drop_nulls(["label"]).sort("date", "ticker")
    if table.is_empty():
        raise NotEnoughData("Class probabilities are judged on at least 1 row with a known label.")
    shares: Numbers = table.select(columns).to_numpy().astype(np.float64)
    dates, day = np.unique(table["date"].to_physical().to_numpy(), return_inverse=True)
    return _Rows(
        shares / shares.sum(axis=1, keepdims=True),
        table["label"].to_numpy().astype(np.int64),
        day,
        len(dates),
        table.select("date", "fold", "ticker", "score", "label"),
    )


def _prior_of_rows(rows: _Rows, priors: Mapping[int, Sequence[float]]) -> Numbers:
    """Give each row the shares of its own fold: (rows, classes)."""
    folds, place = np.unique(rows.table["fold"].to_numpy(), return_inverse=True)
    shares = np.array([priors[int(fold)] for fold in folds], dtype=np.float64)
    return np.asarray(shares[place])


def _brier(shares: Numbers, truth: Codes) -> Numbers:
    """Sum over the classes of squared errors, for each row (Brier 1950)."""
    own: Numbers = shares[np.arange(len(truth)), truth]
    return (shares**2).sum(axis=1) - 2 * own + 1


def _log_loss(shares: Numbers, truth: Codes) -> Numbers:
    return -np.log(np.clip(shares[np.arange(len(truth)), truth], SMALLEST_SHARE, None))


def _confusion(rows: _Rows) -> Codes:
    """Count rows by true class and likeliest class."""
    classes = rows.shares.shape[1]
    cells = rows.truth * classes + rows.shares.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def _areas(rows: _Rows) -> tuple[float, float, float]:
    """Areas under the ROC and precision-recall curves, and the share of a class.

    One class against the rest, averaged over the classes that came and are not alone; NaN
    where there is none.
    """
    from sklearn import metrics

    shares, truth = rows.shares, rows.truth
    if len(truth) > AREA_ROWS:
        sample = np.random.default_rng(0).choice(len(truth), AREA_ROWS, replace=False)
        shares, truth = shares[sample], truth[sample]
    found = [
        (
            metrics.roc_auc_score(truth == code, shares[:, code]),
            metrics.average_precision_score(truth == code, shares[:, code]),
            (truth == code).mean(),
        )
        for code in range(shares.shape[1])
        if 0 < (truth == code).sum() < len(truth)
    ]
    if not found:
        return (float("nan"),) * 3
    roc, precision_recall, share = np.mean(found, axis=0).tolist()
    return roc, precision_recall, share


def _daily_auc(rows: _Rows, horizon: int) -> Interval:
    """AUC of the score on each date, then averaged over dates.

    Classes above the middle one against those below it; rows of a middle class, which only an
    odd number of classes has, are left out. A date needs 10 rows and both sides, and the
    universe 20 tickers. By the rank sum: (R - n1 (n1 + 1) / 2) / (n1 n0), equal scores at
    their average rank (Mann and Whitney 1947).
    """
    middle = (rows.shares.shape[1] - 1) / 2
    if rows.table["ticker"].n_unique() < SMALL_UNIVERSE:
        return ewc_interval(np.empty(0), horizon)
    up, down = pl.col("label") > middle, pl.col("label") < middle
    ones, zeros = pl.col("ones"), pl.col("zeros")
    daily = (
        rows.table.filter(up | down)
        .with_columns(up.alias("up"), pl.col("score").rank("average").over("date").alias("rank"))
        .group_by("date")
        .agg(
            pl.col("rank").filter(pl.col("up")).sum().alias("rank_sum"),
            pl.col("up").sum().cast(pl.Float64).alias("ones"),
            (~pl.col("up")).sum().cast(pl.Float64).alias("zeros"),
        )
        .filter((ones + zeros >= MIN_TICKERS_PER_DATE) & (ones > 0) & (zeros > 0))
        .sort("date")
        .select(auc=(pl.col("rank_sum") - ones * (ones + 1) / 2) / (ones * zeros))
    )
    return ewc_interval(daily["auc"].to_numpy(), horizon)


def _calibration_error(rows: _Rows, horizon: int) -> tuple[float, float]:
    """Give the expected calibration error, and its 95% quantile for right probabilities.

    For each class, rows fall into ten bins of equal mass by its probability; its error is the
    mean over rows of the gap between a bin's mean probability and its share of hits. Errors
    are averaged over classes; of two classes both have the same.

    The error of right probabilities is above 0 too. Drawing their outcomes row by row would
    take the rows for independent and expect far too little. A bin's gap is a mean over dates
    of hits less probabilities, so the gaps' joint covariance is estimated from the cosines of
    `ewc_interval`, and gaps are drawn from it: Gaussian sums over the cosines, with the tails
    of Student's t for as many degrees of freedom. NaN where fewer than 6 cosines fit the dates.
    """
    from scipy import fft

    parts = [_daily_gaps(rows, code) for code in range(rows.shares.shape[1])]
    gaps = np.hstack(parts)
    error = float(np.abs(gaps.mean(axis=0)).sum()) / len(parts)
    kept = rows.days // (2 * horizon)
    if kept < MIN_COSINES:
        return error, float("nan")
    cosines = fft.dct(gaps - gaps.mean(axis=0), type=2, norm="ortho", axis=0)[1 : kept + 1]
    rng = np.random.default_rng(0)
    tails = np.sqrt(kept / rng.chisquare(kept, NULL_DRAWS))
    gaussian = rng.normal(size=(NULL_DRAWS, kept)) @ cosines / np.sqrt(kept * rows.days)
    drawn = np.abs(gaussian).sum(axis=1) * tails / len(parts)
    return error, float(np.quantile(drawn, 0.95))


def _daily_gaps(rows: _Rows, code: int) -> Numbers:
    """Sum hits less probabilities of a class by date and bin: (dates, bins).

    Scaled so that the mean over dates is the bin's part of the calibration error.
    """
    shares = rows.shares[:, code]
    cells = rows.day * BINS + _equal_bins(shares)
    sums = np.bincount(cells, weights=(rows.truth == code) - shares, minlength=rows.days * BINS)
    return sums.reshape(rows.days, BINS) * (rows.days / len(shares))


def _curve(rows: _Rows, horizon: int) -> tuple[CalibrationBin, ...]:
    """Hold P(highest class) against how often that class came, in bins of equal mass.

    The share of hits is a ratio of daily sums; it is linearised about its value, and the mean
    of the dates' influences gets the interval of `ewc_interval`.
    """
    shares, came = rows.shares[:, -1], rows.truth == rows.shares.shape[1] - 1
    number = _equal_bins(shares)
    bins = []
    for place in np.unique(number):
        inside = number == place
        counts, hits = rows.daily(inside), rows.daily(inside & came)
        observed = float(hits.sum() / counts.sum())
        influences = observed + (hits - observed * counts) / counts.mean()
        found = ewc_interval(influences, horizon)
        low, high = np.clip([found.low, found.high], 0, 1).tolist()
        predicted = float(shares[inside].mean())
        bins.append(CalibrationBin(predicted, observed, low, high, int(inside.sum())))
    return tuple(bins)


def _equal_bins(values: Numbers) -> Codes:
    """Give each value its tenth, from 0; equal values share one, so some may be empty."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left")
