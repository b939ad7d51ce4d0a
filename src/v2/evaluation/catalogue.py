"""Every number that a run logs: its key, formula, rows, unit and better direction.

``docs/metrics.md`` is made from this list, and a test holds that no run logs a key that is
missing here.
"""

from __future__ import annotations

from src.v2.evaluation.catalogue_evaluation import EVALUATION_KEYS
from src.v2.evaluation.metric_doc import HELD, WALKED, MetricDoc

SCORES: tuple[MetricDoc, ...] = (
    MetricDoc("rank_ic", "Spearman correlation of score and forward return", "", "-1 to 1", "up"),
    MetricDoc("ic", "Pearson correlation of score and forward return", "", "-1 to 1", "up"),
    MetricDoc(
        "hit_rate",
        "share of rows on the right side of the date's mean, or of zero for raw returns",
        "",
        "fraction",
        "up",
    ),
    MetricDoc(
        "hit_base", "larger share of one side: what naming it always reaches", "", "fraction", ""
    ),
    MetricDoc(
        "r2", "1 - squared error / squared error of the expanding mean", "", "1 at most", "up"
    ),
    MetricDoc("r2_zero", "1 - squared error / sum of squared returns", "", "1 at most", "up"),
    MetricDoc("r2_mean_zero", "r2_zero of the expanding mean itself", "", "1 at most", ""),
    MetricDoc("rmse", "root of the mean squared error of the shown return", "", "fraction", "down"),
    MetricDoc("mse", "mean squared error of the shown return", "", "fraction squared", "down"),
    MetricDoc("mae", "mean absolute error of the shown return", "", "fraction", "down"),
    MetricDoc("rmse_base", "rmse of the expanding mean", "", "fraction", ""),
    MetricDoc("mae_base", "mae of the expanding mean", "", "fraction", ""),
    MetricDoc(
        "accuracy", "share of rows whose likeliest class is the true one", "", "fraction", "up"
    ),
    MetricDoc(
        "accuracy_base",
        "accuracy of always naming the commonest training class",
        "",
        "fraction",
        "",
    ),
    MetricDoc("balanced_accuracy", "mean over classes of the share found", "", "fraction", "up"),
    MetricDoc("mcc", "Matthews correlation of true and likeliest class", "", "-1 to 1", "up"),
    MetricDoc("log_loss", "mean of -log of the true class's probability", "", "nats", "down"),
    MetricDoc("log_loss_base", "log loss of the training shares of the classes", "", "nats", ""),
    MetricDoc(
        "auc", "area under the ROC curve, one class against the rest, mean", "", "0 to 1", "up"
    ),
    MetricDoc(
        "precision", "mean over classes of the share right among those named", "", "fraction", "up"
    ),
    MetricDoc("recall", "mean over classes of the share found", "", "fraction", "up"),
)
"""The scores of a block of rows. Correlations and hit rates are per date, then averaged."""

KEYS: tuple[MetricDoc, ...] = (
    MetricDoc("cv_*_mean", "mean of a score over folds", WALKED, "as the score", ""),
    MetricDoc(
        "cv_*_std", "sample standard deviation of a score over folds", WALKED, "as the score", ""
    ),
    MetricDoc("cv_*_pooled", "the score over all folds' rows at once", WALKED, "as the score", ""),
    MetricDoc(
        "{cv_rank_ic_low,cv_rank_ic_high}",
        "95% interval of the mean rank IC: equal-weighted cosines, nu = dates // (2 forward_days)",
        WALKED,
        "-1 to 1",
        "",
    ),
    MetricDoc("cv_windows", "dates // forward_days: independent windows", WALKED, "windows", "up"),
    MetricDoc("cv_dates", "dates with at least 10 tickers", WALKED, "dates", "up"),
    MetricDoc(
        "final_*", "the score of a model fitted on development rows only", HELD, "as the score", ""
    ),
    MetricDoc(
        "{test_mse,test_rmse,test_r2,test_mae}",
        "as final_*, by the names of other guides",
        HELD,
        "as the score",
        "",
    ),
    MetricDoc(
        "{accuracy,precision,recall}",
        "as final_*, by the names of other guides",
        HELD,
        "fraction",
        "up",
    ),
    MetricDoc(
        "feature_stability",
        "mean Spearman correlation of the features' importance between every two folds",
        "fits of the folds",
        "-1 to 1",
        "no sign of skill",
    ),
    MetricDoc(
        "{train_loss,final_train_loss}",
        "loss by step of the fit, mean over the folds that still run; final: at the shipped "
        "model's step",
        "in-sample: the rows fitted",
        "loss",
        "down",
    ),
    MetricDoc(
        "{val_loss,final_val_loss}",
        "loss by step on the purged tail of the training window that stops the fit",
        "tail of each training window",
        "loss",
        "down",
    ),
    MetricDoc(
        "converged_epoch",
        "steps of the shipped model's fit: median of the folds; a line has a penalty instead",
        "",
        "steps",
        "",
    ),
    MetricDoc(
        "penalty",
        "squared penalty of the shipped line (`model.type` ridge): median of the folds",
        "",
        "",
        "",
    ),
    MetricDoc(
        "{processed_tickers_count,skipped_tickers_count,error_tickers_count}",
        "tickers used, unfit, and not given by the source",
        "all bars",
        "tickers",
        "",
    ),
    MetricDoc("total_samples", "rows with a label", "the panel", "rows", ""),
    MetricDoc(
        "training_samples", "rows that the shipped model is fitted on", "the panel", "rows", ""
    ),
    MetricDoc("feature_count", "features in use", "", "features", ""),
    MetricDoc("runtime_sec", "wall time until the run is logged", "", "seconds", "down"),
)
"""The keys of a run. A fold's child run has the bare scores."""

FOLD_KEYS: tuple[MetricDoc, ...] = (
    MetricDoc(
        "{train_rows,test_rows,rounds}",
        "rows fitted and scored; steps of the fit",
        "the fold",
        "",
        "",
    ),
)

COMPARISON_KEYS: tuple[MetricDoc, ...] = (
    MetricDoc(
        "{common_rank_ic,common_rank_ic_low,common_rank_ic_high}",
        "mean rank IC of the arm, with its 95% interval",
        "rows that all arms of the group score",
        "-1 to 1",
        "up",
    ),
    MetricDoc(
        "{arm_margin,arm_margin_low,arm_margin_high}",
        "mean over dates of the arm's rank IC less that of the reference, with its 95% interval",
        "the same rows",
        "-2 to 2",
        "up",
    ),
    MetricDoc(
        "arm_p",
        "one-sided, for a margin above 0, adjusted for the number of arms (Holm 1979)",
        "the same rows",
        "0 to 1",
        "down",
    ),
    MetricDoc("fold_rank_ic", "mean rank IC, fold after fold", WALKED, "-1 to 1", "up"),
    MetricDoc(
        "overfitting_probability",
        "how often the best arm on half of the dates is in the lower half on the other half "
        "(Bailey et al. 2017)",
        "the same rows",
        "0 to 1",
        "down",
    ),
    MetricDoc("{arms,tune_trials}", "arms compared; trials that ended", "", "", ""),
    MetricDoc(
        "{tune_best_rank_ic,tune_default_rank_ic}",
        "rank IC of the best trial (too high: it was chosen by it) and of the default",
        "searched folds",
        "-1 to 1",
        "up",
    ),
    MetricDoc(
        "{confirm_rank_ic,confirm_default_rank_ic}",
        "rank IC of the best trial and of the default",
        "folds kept out of the search",
        "-1 to 1",
        "up",
    ),
    MetricDoc(
        "{confirm_margin,confirm_margin_low,confirm_margin_high,confirm_p}",
        "mean over dates of the one less the other, its 95% interval and one-sided p-value",
        "folds kept out of the search",
        "-2 to 2",
        "up",
    ),
    MetricDoc(
        "importance_*",
        "share of the variance of the trials' scores by parameter (functional ANOVA)",
        "whole trials",
        "0 to 1",
        "",
    ),
)
"""Further keys of the runs of a comparison and of a search; their scores are as in `KEYS`."""


def metrics_markdown() -> str:
    """Write the page of metrics."""
    return (
        "# Metrics\n\n"
        "What is each key that a run logs? How to read the few that matter is in "
        "[what the numbers mean](numbers.md).\n\n"
        "Made from `src/v2/evaluation/catalogue.py`. A score is taken on rows that no fit has "
        "seen; only\n`train_loss` is in-sample. Without 10 tickers on a date, a date has no "
        "correlation, and a score without\nrows is not logged. A step of a fit is a boosting "
        "round, an epoch, or one of the five penalties of a\nline, from strong to weak.\n\n"
        "## Scores\n\n" + _table(SCORES, ("key", "formula", "unit", "better")) + "\n"
        "## Keys of a run\n\n" + _table(KEYS, ("key", "formula", "rows", "unit", "better")) + "\n"
        "## Keys of the evaluation\n\n"
        + _table(EVALUATION_KEYS, ("key", "formula", "rows", "unit", "better"))
        + "\n## Further keys of a fold's child run\n\n"
        + _table(FOLD_KEYS, ("key", "formula", "rows", "unit", "better"))
        + "\n## Further keys of comparisons and searches\n\n"
        + _table(COMPARISON_KEYS, ("key", "formula", "rows", "unit", "better"))
    )


def _table(entries: tuple[MetricDoc, ...], columns: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for entry in entries:
        cells = [getattr(entry, column).replace("|", "\\|") for column in columns]
        cells[0] = "<br>".join(f"`{key}`" for key in cells[0].strip("{}").split(","))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
