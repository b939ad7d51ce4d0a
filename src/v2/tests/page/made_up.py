"""Made-up runs whose card, folds and metrics are filled in, as a real run fills them."""

from __future__ import annotations

import dataclasses
import datetime as dt

from src.v2.evaluation_records import GuardCheck, Word
from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Section
from src.v2.page.sections import appendix, card, design, trust, verdict
from src.v2.records import Coverage, Drop, FoldResult, HoldoutResult, TrainingResult
from src.v2.tests.results import make_result

IDENTITY = RunIdentity(
    "st_predictor_regression_20240105_101500",
    "0f3c2b1a",
    dt.datetime(2024, 1, 5, 10, 15, tzinfo=dt.UTC),
    "4a1d9be0c7",
    {"xgboost": "3.4.1", "numpy": "2.4.0", "polars": "1.36.1"},
)
SETTINGS = {
    "seed": 42,
    "label": {"mode": "regression", "forward_days": 21, "entry_lag": 1},
    "validation": {"scheme": "expanding", "embargo_sessions": 0},
    "data": {"market_ticker": None},
    "model": {"type": "xgboost", "learning_rate": 0.05, "max_depth": 6, "device": "cpu"},
}
METRICS = {"cv_rank_ic_mean": 0.0213, "cv_rank_ic_std": 0.04, "final_r2": -0.01, "cv_dates": 800.0}
HOSTILE = "<img src=x onerror=alert(1)>"
HOSTILE_END = "</script><script>alert(2)</script></svg>"


def make_folds(result: TrainingResult, span: int = 31) -> tuple[FoldResult, ...]:
    """Lay a result's folds over the years, a year of test each."""
    start = dt.date(2008, 1, 2)
    folds = []
    for place, fold in enumerate(result.folds):
        test = start + dt.timedelta(days=365 * (3 + place))
        folds.append(
            dataclasses.replace(
                fold,
                train_first=start,
                train_last=test - dt.timedelta(days=span),
                test_first=test,
                test_last=test + dt.timedelta(days=364),
                train_rows=15_000 * (1 + place),
                purged_rows=420,
                test_rows=5_040,
                metrics={"rank_ic": 0.02 - 0.01 * place},
            )
        )
    return tuple(folds)


def make_run(kind: str = "regression", names: tuple[str, ...] | None = None) -> TrainingResult:
    """Make a run of one kind, filled in."""
    result = make_result(kind, names=names)
    tickers = tuple(f"T{number}" for number in range(50))
    drops = (
        Drop("GONE", "no bars were given", 0, whole_ticker=True, failed=True),
        Drop("SHORT", "too little history: rows start after 126 bars", 80, whole_ticker=True),
        Drop("T1", "close is not above 0", 3, whole_ticker=False),
    )
    coverage = Coverage(
        *("files", "prices", tickers, drops, 190_000, 4_000),
        *(dt.date(2008, 1, 2), dt.date(2023, 12, 29), "9e107d9d372bb6826bd81d3542a419d6"),
        ("Volumes of 2 tickers are missing.",),
    )
    features = dataclasses.replace(
        result.features,
        docs={name: f"Made up, number {n}." for n, name in enumerate(result.features.names)},
        left_out={"volume_surge_21": "needs volume, which the bars lack"},
    )
    return dataclasses.replace(
        result,
        settings=SETTINGS,
        config_fingerprint="c0ffee123456",
        coverage=coverage,
        features=features,
        folds=make_folds(result),
        metrics=METRICS,
        training_rows=152_000,
        holdout=HoldoutResult(
            *(dt.date(2020, 12, 30), dt.date(2023, 12, 29), 36_000, 120_000, {}, 3)
        ),
    )


def make_small_run(kind: str = "regression") -> TrainingResult:
    """Make a run below 20 tickers, where nothing is said of ranks."""
    run = make_run(kind)
    small = dataclasses.replace(run.evaluation, ranking=None, portfolio=None, ratings=())
    coverage = dataclasses.replace(run.coverage, tickers=("ONLY",), drops=())
    return dataclasses.replace(run, evaluation=small, coverage=coverage)


def make_hostile_run() -> TrainingResult:
    """Make a run whose tickers and features attack the page."""
    plain = make_result().features.names
    run = make_run(names=(HOSTILE, HOSTILE_END, '{braces} & "quotes"', "nul\x00", *plain[4:]))
    drops = (Drop(HOSTILE_END, HOSTILE, 3, whole_ticker=True), *run.coverage.drops)
    return dataclasses.replace(run, coverage=dataclasses.replace(run.coverage, drops=drops))


def with_word(run: TrainingResult, word: Word) -> TrainingResult:
    """Give a run another verdict; implausible ones with the check that broke."""
    found = dataclasses.replace(run.evaluation.verdict, word=word)
    if word.startswith("implausible"):
        check = GuardCheck("mean rank IC", 0.4, 0.3, 0.08, 0.12, "implausible")
        found = dataclasses.replace(found, beside=(), guard=(check,))
    return dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, verdict=found))


def frame_sections(run: TrainingResult, identity: RunIdentity = IDENTITY) -> tuple[Section, ...]:
    """Make the sections that frame the page."""
    return (
        verdict.section(run),
        card.section(run, identity),
        design.section(run),
        trust.section(run),
        appendix.section(run),
    )
