"""The numbers of the evaluation: every claim with its baseline and its interval."""

from __future__ import annotations

from src.v2.evaluation.metric_doc import WALKED, MetricDoc

EVALUATION_KEYS: tuple[MetricDoc, ...] = (
    MetricDoc(
        "verdict",
        "1 evidence, 0 no evidence, -1 implausible: check for leakage",
        WALKED,
        "-1, 0, 1",
        "up",
    ),
    MetricDoc("trials", "configurations tried on these data so far", "trial log", "trials", ""),
    MetricDoc(
        "{cv_ic_low,cv_ic_high,cv_r2_low,cv_r2_high,cv_r2_zero_low,cv_r2_zero_high}",
        "95% interval of the pooled score",
        WALKED,
        "as the score",
        "",
    ),
    MetricDoc(
        "cv_icir",
        "mean daily rank IC / its standard deviation over dates",
        WALKED,
        "ratio",
        "up",
    ),
    MetricDoc("cv_rank_ic_positive", "share of dates with rank IC above 0", WALKED, "share", "up"),
    MetricDoc(
        "cv_rank_ic_detectable",
        "smallest true mean rank IC found with a chance of 80%",
        WALKED,
        "-1 to 1",
        "down",
    ),
    MetricDoc(
        "{cv_rank_ic_demeaned,cv_rank_ic_demeaned_low,cv_rank_ic_demeaned_high}",
        "rank IC of scores less the ticker's own mean so far in the fold",
        WALKED,
        "-1 to 1",
        "up",
    ),
    MetricDoc(
        "{ewc_t,ewc_p}",
        "t of the mean rank IC by the standard error of its interval; one-sided",
        WALKED,
        "t, p",
        "",
    ),
    MetricDoc(
        "permutation_p",
        "share of exchanges of ticker identity, once for all dates, that reach the mean rank IC",
        WALKED,
        "0 to 1",
        "down",
    ),
    MetricDoc(
        "exchangeable_tickers", "tickers that share their history with another", "", "tickers", ""
    ),
    MetricDoc(
        "{non_overlapping_t,non_overlapping_p}",
        "Student's t over every H-th date, median over the H offsets; one-sided",
        WALKED,
        "t, p",
        "",
    ),
    MetricDoc(
        "{newey_west_t,newey_west_p}",
        "t at lag forward_days - 1, for comparison: it rejects a true zero too often",
        WALKED,
        "t, p",
        "",
    ),
    MetricDoc(
        "{cv_r2_demeaned,cv_r2_demeaned_low,cv_r2_demeaned_high}",
        "R2 of returns and forecasts less their means of the date",
        WALKED,
        "1 at most",
        "up",
    ),
    MetricDoc(
        "{clark_west_mean_t,clark_west_mean_p,clark_west_zero_t,clark_west_zero_p}",
        "Clark and West (2007) against the expanding mean, and against zero; one-sided",
        WALKED,
        "t, p",
        "",
    ),
    MetricDoc(
        "{cv_hit_margin,cv_hit_margin_low,cv_hit_margin_high}",
        "hit rate less base rate",
        WALKED,
        "fraction",
        "up",
    ),
    MetricDoc(
        "cv_brier", "mean squared distance of probabilities and outcome", WALKED, "0 to 2", "down"
    ),
    MetricDoc(
        "{cv_brier_skill,cv_brier_skill_low,cv_brier_skill_high}",
        "1 - Brier score / that of the shares of the training rows",
        WALKED,
        "1 at most",
        "up",
    ),
    MetricDoc(
        "{cv_log_loss_skill,cv_log_loss_skill_low,cv_log_loss_skill_high}",
        "1 - log loss / that of the shares of the training rows",
        WALKED,
        "1 at most",
        "up",
    ),
    MetricDoc(
        "{cv_ece,cv_ece_null}",
        "expected calibration error over ten bins of equal mass; null: its 95% quantile if the "
        "probabilities were right",
        WALKED,
        "fraction",
        "down",
    ),
    MetricDoc(
        "{cv_auc_daily,cv_auc_daily_low,cv_auc_daily_high}",
        "AUC within each date, then averaged",
        WALKED,
        "0 to 1",
        "up",
    ),
    MetricDoc(
        "{cv_pr_auc,cv_pr_base}",
        "average precision, one class against the rest, mean; base: mean share of a class",
        WALKED,
        "0 to 1",
        "up",
    ),
    MetricDoc(
        "cv_interval_*",
        "intervals of a level in percent: _multiple, half their width in volatilities of the "
        "horizon; _held, share of outcomes within those made of what earlier folds missed by; _low "
        "and _high: its 95% interval; _later: on the later half of the dates; _calm and _other: on "
        "the fifth of them with the smallest median volatility of the tickers, and on the others",
        WALKED,
        "fraction",
        "at its level",
    ),
    MetricDoc(
        "rating_*",
        "return over the date's mean of the tickers so rated; _low and _high: 95% interval",
        WALKED,
        "fraction",
        "",
    ),
    MetricDoc(
        "baseline_*",
        "a simple rule on the model's rows: its rank IC and r2, the model's margin over it in rank "
        "IC, and Diebold and Mariano's test of the model's squared error against its own",
        WALKED,
        "as the score",
        "",
    ),
    MetricDoc(
        "book_*",
        "a way to trade the scores, net of costs: annual Sharpe ratio, return and volatility, "
        "chances psr and dsr, drawdown, turnover of a session",
        WALKED,
        "fraction or ratio",
        "",
    ),
    MetricDoc(
        "{feature_stability_phi,feature_stability_phi_null,feature_stability_phi_pair}",
        "Nogueira's Phi of the top fifth of feature groups by mean |SHAP| over folds; null: of "
        "fits on permuted labels of one pair of folds; pair: of the real fits on the same pair and "
        "rows, the one to compare with null",
        "test rows of the folds",
        "1 at most",
        "no sign of skill",
    ),
    MetricDoc("feature_groups", "groups of features correlated above 0.9", "", "groups", ""),
)
