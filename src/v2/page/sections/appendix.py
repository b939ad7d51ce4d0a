"""The appendix: every feature, every metric, the words, and the files of the run."""

from __future__ import annotations

from src.v2.evaluation.catalogue import KEYS
from src.v2.evaluation.catalogue_evaluation import EVALUATION_KEYS
from src.v2.page.panels import Cell, Fact, Section, Table
from src.v2.records import TrainingResult

GLOSSARY = (
    ("Rank IC", "Rank correlation, on one date, of the forecasts with the returns that followed."),
    (
        "95% interval",
        "Allows for labels that overlap: it stands on independent windows, not on rows.",
    ),
    (
        "EWC t",
        "Test by equal-weighted cosines: unlike Newey-West it holds its level where dates overlap.",
    ),
    (
        "Exchange of tickers",
        "The same forecasts under other tickers' names: how often luck alone does as well.",
    ),
    ("Walk-forward", "Fit on the past, score the next block, move on. Each block is scored once."),
    ("Purge", "Rows whose label was still open at the first date scored are not fitted on."),
    ("Embargo", "A further gap between the last label fitted on and the first date scored."),
    (
        "Holdout",
        "The last sessions, kept out of everything else. Each look at them is counted.",
    ),
    (
        "SHAP value",
        "What one feature adds to one forecast; all of them and the base add up to it exactly.",
    ),
    ("Mean |SHAP|", "How much a feature moves forecasts. Noise moves them too: it is no merit."),
    (
        "Permutation drop",
        "What the forecasts lose when a feature is exchanged between tickers: what it is good for.",
    ),
    ("Direction", "Rank correlation of a feature with its SHAP values: + where more means higher."),
    (
        "Noise line",
        "The largest share of |SHAP| that columns of pure chance reach in fits of their own.",
    ),
    (
        "ALE",
        "Accumulated local effects: how forecasts change as one feature moves among rows alike.",
    ),
    ("Kendall's tau", "Agreement of two orders: 1 the same, 0 none, -1 reversed."),
    ("Phi", "Agreement of the folds on their leading features: 1 the same choice, 0 chance."),
    ("Log-odds", "Logarithm of the odds: 0 is even, +0.1 about 2.5 points of probability more."),
    ("R2", "Share of the squared error that the forecast saves, against a simpler forecast."),
    ("Clark-West", "Test whether a forecast adds to the simpler one that it holds inside."),
    ("PSI", "Population stability index: how far a feature moved between training and test."),
    ("Long-short", "Buy the top of the ranking, sell the bottom, hold for the horizon."),
    ("Sharpe ratio", "Yearly return over its standard deviation, without a risk-free rate."),
    ("PSR", "Probabilistic Sharpe ratio: the chance that the true one is above 0."),
    (
        "DSR",
        "Deflated Sharpe ratio: the chance that it is more than the best of all trials by luck.",
    ),
)

FILES = (
    ("report.html", "this page"),
    ("report.json", "every number of this page, and the records behind it"),
    ("predictions.parquet", "every out-of-sample forecast, with its label"),
    ("portfolio.parquet", "daily returns of the portfolios; not below 20 tickers"),
    ("shap_summary.png, shap_dependence_*.png", "the pictures of shap users"),
    ("folds.json", "dates and scores of the folds, in MLflow"),
    ("training_summary_*.json", "the summary of the run, in the folder of logs and in MLflow"),
)


def section(result: TrainingResult) -> Section:
    """List what is too long for the page."""
    tables = [_features(result), *_metrics(result), _glossary(), _files()]
    return Section(
        "appendix",
        "Appendix",
        "Where is the rest?",
        "All features and all metrics, on rows that their own fit had not seen, unless a name says "
        "train.",
        tuple(tables),
    )


def _features(result: TrainingResult) -> Table:
    """Put what is known of each feature into one row, most important first."""
    importance = result.explanation.importance
    psi = {drift.feature: drift.psi for drift in result.explanation.drift}
    # Returns are small: basis points show their digits.
    points = importance.quantity.endswith("return")
    scale, style = (1e4, "chance") if points else (1.0, "loss")
    unit = "basis points" if points else importance.quantity
    rows: list[tuple[Cell, ...]] = [
        (
            feature.name,
            feature.family,
            result.features.docs.get(feature.name, "–"),
            Fact(feature.share, "share"),
            Fact(feature.null_share, "share"),
            Fact(scale * feature.shap.mean, style),
            Fact(scale * feature.shap.low, style),
            Fact(scale * feature.shap.high, style),
            Fact(feature.permutation.mean, "ic"),
            Fact(feature.permutation.low, "ic"),
            Fact(feature.permutation.high, "ic"),
            Fact(feature.direction, "ratio"),
            Fact(feature.agreement, "percent"),
            Fact(feature.folds_used, "count"),
            Fact(psi.get(feature.name, float("nan")), "chance"),
            {True: "yes", False: "no", None: "–"}[feature.better_than_noise],
        )
        for feature in importance.features
    ]
    head = (
        *("Feature", "Family", "What it is", "Share of |SHAP|", "on permuted labels"),
        *("Mean |SHAP|", "low", "high", "Permutation drop", "low", "high"),
        *("Direction", "Folds agree", "Folds that use it", "PSI", "Above noise"),
    )
    note = (
        f"Mean |SHAP| in {unit} over {importance.rows:,} rows of {importance.dates:,} dates; "
        f"permutation drop in {importance.measure} over {importance.permuted_rows:,} rows; "
        "low and high are 95% bounds by blocks of dates. Folds agree: the share of those that use "
        "the feature. Above noise: in the extra fits with columns of chance."
    )
    return Table("features", "All features", head, tuple(rows), note, folded=True)


def _metrics(result: TrainingResult) -> tuple[Table, ...]:
    """List the metrics by their keys in MLflow, with what each means."""
    if not result.metrics:
        return ()
    rows = tuple((key, Fact(value), _meaning(key)) for key, value in sorted(result.metrics.items()))
    head = ("Key in MLflow", "Value", "What it is")
    return (Table("metrics", "All metrics", head, rows, folded=True),)


def _meaning(key: str) -> str:
    """Find what a key means: the entry that names it, before one that names all of its kind."""
    docs = [doc for doc in (*KEYS, *EVALUATION_KEYS) if doc.matches(key)]
    docs.sort(key=lambda doc: "*" in doc.key)
    return docs[0].formula if docs else "–"


def _glossary() -> Table:
    return Table("glossary", "Glossary", ("Term", "Meaning"), GLOSSARY)


def _files() -> Table:
    return Table("files", "Files of the run", ("File", "What it holds"), FILES)
