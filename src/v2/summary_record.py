"""The summary of a run as plain values: one JSON file, whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.v2.errors import OmninmoError
from src.v2.evaluation_records import Evaluation
from src.v2.modeling.learners.kinds import kind_of
from src.v2.records import Coverage, FoldResult, TrainingResult
from src.v2.summary_text import TOP_FEATURES, reading


def summary_record(
    result: TrainingResult, *, model_path: Path, run_id: str | None, timestamp: dt.datetime
) -> dict[str, Any]:
    """All numbers of the summary as plain values, ready for JSON; NaN becomes null.

    Features stand in it twice: ``top_features`` by the importance of the fits, and
    ``moving_features`` by their share of the mean |SHAP|, as on the page.
    """
    features = result.features
    top = list(result.importance.items())[:TOP_FEATURES]
    moving = result.explanation.importance.features[:TOP_FEATURES]
    record = {
        "schema_version": 2,
        "timestamp": timestamp.isoformat(timespec="seconds"),
        "mode": result.mode,
        "target": result.target,
        "verdict": dataclasses.asdict(result.evaluation.verdict),
        "reading": reading(result),
        "data_coverage": _coverage_record(result.coverage),
        "model_params": result.settings["model"] | {"rounds": result.rounds},
        "metrics": dict(result.metrics),
        "cross_validation": {"folds": [fold_record(fold) for fold in result.folds]},
        "final_model": {
            "scored_on": [result.holdout.first.isoformat(), result.holdout.last.isoformat()],
            "rows": result.holdout.rows,
            "holdout_opening": result.holdout.opening,
            "holdout_seen": result.holdout.seen,
            "metrics": dict(result.holdout.metrics),
        },
        "evaluation": evaluation_record(result.evaluation),
        "feature_analysis": {
            "stability_score": result.stability,
            "top_features": dict(top),
            "top_features_by": kind_of(result.settings).importance,
            "moving_features": {each.name: each.share for each in moving},
            "cumulative_importance": sum(share for _, share in top),
            "left_out": dict(features.left_out),
            "infinite": dict(features.infinite),
        },
        "stages_sec": dict(result.stages),
        "model_path": str(model_path),
        "run_id": run_id,
    }
    return plain(record)


def evaluation_record(evaluation: Evaluation) -> dict[str, Any]:
    """Give the evaluation as plain values, without the daily returns of the portfolio."""
    record: dict[str, Any] = {
        field.name: getattr(evaluation, field.name) for field in dataclasses.fields(evaluation)
    }
    portfolio = record.pop("portfolio")
    del record["verdict"]
    kept = {name: _plain_record(part) for name, part in record.items()}
    if portfolio is not None:
        fields = [field.name for field in dataclasses.fields(portfolio) if field.name != "daily"]
        kept["portfolio"] = {name: _plain_record(getattr(portfolio, name)) for name in fields}
        names = ("year", "long_short", "top", "equal_weight")
        kept["portfolio"]["yearly"] = _named(portfolio.yearly, names)
    if evaluation.ranking is not None:
        years = _named(evaluation.ranking.yearly, ("year", "dates", "rank_ic"))
        kept["ranking"] = {**kept["ranking"], "yearly": years}
    return kept


def _named(rows: Iterable[tuple[float, ...]], names: Sequence[str]) -> list[dict[str, float]]:
    """Name the values of each row."""
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain_record(part: Any) -> Any:
    """Replace records by mappings, however deep."""
    if isinstance(part, tuple):
        return [_plain_record(item) for item in part]
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        return dataclasses.asdict(part)
    return part


def fold_record(fold: FoldResult) -> dict[str, Any]:
    """One fold as plain values: its dates, its rows and its scores."""
    return {
        "number": fold.number,
        "train": [fold.train_first.isoformat(), fold.train_last.isoformat()],
        "test": [fold.test_first.isoformat(), fold.test_last.isoformat()],
        "train_rows": fold.train_rows,
        "purged_rows": fold.purged_rows,
        "test_rows": fold.test_rows,
        "rounds": fold.rounds,
        "metrics": dict(fold.metrics),
        "importance": dict(fold.importance),
    }


def folds_record(result: TrainingResult) -> dict[str, Any]:
    """Give the folds and the holdout, enough to rebuild the evaluation beside the predictions."""
    holdout = result.holdout
    record = {
        "schema_version": 1,
        "scheme": result.settings["validation"]["scheme"],
        "span_sessions": result.settings["label"]["entry_lag"]
        + result.settings["label"]["forward_days"],
        "train_stride": result.train_stride,
        "folds": [fold_record(fold) for fold in result.folds],
        "holdout": {
            "test": [holdout.first.isoformat(), holdout.last.isoformat()],
            "test_rows": holdout.rows,
            "train_rows": holdout.train_rows,
            "opening": holdout.opening,
            "seen": holdout.seen,
            "metrics": dict(holdout.metrics),
        },
    }
    return plain(record)


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON has no word for, by None."""
    return {key: _finite(value) for key, value in record.items()}


def write_summary(record: Mapping[str, Any], folder: Path, timestamp: dt.datetime) -> Path:
    """Write the record to ``training/training_summary_<timestamp>.json``, whole or not at all.

    Raises
    ------
    OmninmoError
        When it cannot be written.
    """
    target = folder / "training" / f"training_summary_{timestamp:%Y%m%d_%H%M%S}_{os.getpid()}.json"
    fresh = target.with_suffix(".part")
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, target)
    except OSError as error:
        raise OmninmoError(
            f"The summary {target} cannot be written: {error.strerror}. Mend the folder, or name "
            "another with --paths.logs-dir."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
    return target


def _coverage_record(coverage: Coverage) -> dict[str, Any]:
    return {
        "source": coverage.source,
        "dataset_name": coverage.dataset_name,
        "processed_tickers": list(coverage.tickers),
        "skipped_tickers": {drop.ticker: drop.reason for drop in coverage.skipped},
        "error_tickers": {drop.ticker: drop.reason for drop in coverage.errors},
        "dropped_rows": [
            {"ticker": drop.ticker, "reason": drop.reason, "rows": drop.rows}
            for drop in coverage.drops
            if not drop.whole_ticker
        ],
        "total_tickers": len(coverage.tickers) + len(coverage.skipped) + len(coverage.errors),
        "rows": coverage.rows,
        "sessions": coverage.sessions,
        "first": coverage.first.isoformat(),
        "last": coverage.last.isoformat(),
        "fingerprint": coverage.fingerprint,
        "notes": list(coverage.notes),
        "universe": None if coverage.universe is None else dataclasses.asdict(coverage.universe),
    }


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON has no word for, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
