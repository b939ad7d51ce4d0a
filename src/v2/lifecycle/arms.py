"""An arm: one named configuration, walked forward and scored, and nothing more.

No report, no permuted fits, no final model, and never the holdout: what is needed to tell
configurations apart on the same folds.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.v2.config import SMALL_UNIVERSE, Config
from src.v2.console import Track
from src.v2.evaluation.evaluate import RecordTrial, usual_tickers
from src.v2.evaluation.folds import mean_curve
from src.v2.evaluation.metric_keys import book_metrics
from src.v2.evaluation.metrics import daily_ic
from src.v2.evaluation.portfolio import simulate
from src.v2.evaluation.scores import score_walk_forward
from src.v2.evaluation.sharpe import sharpe_ratio
from src.v2.evaluation_records import Portfolio
from src.v2.lifecycle.variations import Arm, deciding_settings
from src.v2.modeling.folds import Fold
from src.v2.modeling.learners.kinds import KINDS
from src.v2.modeling.walk_forward import FoldFit, make_trainer, walk_forward
from src.v2.out_of_sample import fold_result, show_walk_forward
from src.v2.pipeline import final_losses
from src.v2.preparation import Prepared
from src.v2.records import FoldResult


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What an arm's walk-forward showed.

    Parameters
    ----------
    settings
        What decides its numbers, nested, as plain values.
    predictions
        Forecasts of all folds: | date | ticker | fold | part | score | prediction or
        p_<class> | label | forward_return | expanding_mean | label_end |.
    metrics
        By the keys that a training run has.
    tickers
        Tickers of a usual date.
    seconds
        Wall time of fits and scores, without the panel.
    """

    name: str
    run_name: str
    data_fingerprint: str
    config_fingerprint: str
    dataset: str
    settings: Mapping[str, Any]
    predictions: pl.DataFrame
    folds: tuple[FoldResult, ...]
    metrics: Mapping[str, float]
    tickers: int
    rounds: int
    seconds: float


def run_arm(arm: Arm, prepared: Prepared, record_trial: RecordTrial, track: Track) -> ArmResult:
    """Walk an arm forward over all folds, score it, and write it down as a trial.

    Parameters
    ----------
    prepared
        The panel of the arm's own settings, see `src.v2.lifecycle.bench`.
    record_trial
        Called once, after the last fold.
    track
        Shows progress over the folds.
    """
    began = time.perf_counter()
    config, plan = arm.config, prepared.plan
    steps = walk_folds(prepared, config, prepared.schedule.folds)
    shown = track(steps, arm.run_name, len(prepared.schedule.folds))
    fits = [fit for fit in shown if isinstance(fit, FoldFit)]
    tables = show_walk_forward(fits, prepared.panel, plan).tables
    folds = tuple(
        fold_result(fit, table, prepared.panel, plan)
        for fit, table in zip(fits, tables, strict=True)
    )
    table = pl.concat(tables)
    portfolio = count_trial(table, prepared, config, record_trial)
    rounds = int(np.median([fold.rounds for fold in folds]))
    metrics = score_walk_forward(table, folds, plan) | _sizes(prepared)
    curve = mean_curve([fold.curve for fold in folds])
    metrics |= final_losses(curve, rounds, KINDS[config.model.type].steps)
    if portfolio is not None:
        metrics |= book_metrics(dataclasses.replace(portfolio.books[0], dsr=float("nan")))
    seconds = time.perf_counter() - began
    return ArmResult(
        name=arm.name,
        run_name=arm.run_name,
        data_fingerprint=prepared.coverage.fingerprint,
        config_fingerprint=config.fingerprint,
        dataset=prepared.coverage.dataset_name,
        settings=deciding_settings(config),
        predictions=table,
        folds=folds,
        metrics={**metrics, "runtime_sec": seconds},
        tickers=usual_tickers(table.drop_nulls(["forward_return"])),
        rounds=rounds,
        seconds=seconds,
    )


def walk_folds(prepared: Prepared, config: Config, folds: Sequence[Fold]) -> Iterator[FoldFit]:
    """Fit some folds under a configuration; each one is given as soon as it is done.

    Parameters
    ----------
    config
        May differ from the panel's own in how rows are weighed and fitted.
    folds
        Of the panel's schedule.
    """
    trainer = make_trainer(
        prepared.panel, prepared.plan, config.model, config.validation, config.seed
    )
    return walk_forward(trainer, dataclasses.replace(prepared.schedule, folds=tuple(folds)))


def count_trial(
    table: pl.DataFrame, prepared: Prepared, config: Config, record_trial: RecordTrial
) -> Portfolio | None:
    """Write forecasts down as a trial, by the same numbers as a training would.

    Returns
    -------
    Portfolio or None
        What trading them would have brought; None below 20 tickers.
    """
    scored = table.drop_nulls(["forward_return"]).sort("date", "ticker")
    first, last = scored["date"].min(), scored["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    if usual_tickers(scored) < SMALL_UNIVERSE:
        record_trial(first, last, None, None)
        return None
    portfolio = simulate(
        table,
        prepared.closes,
        forward_days=config.label.forward_days,
        entry_lag=config.label.entry_lag,
        quantile=config.evaluation.quantile,
        cost_bps=config.evaluation.cost_bps,
        sectors=prepared.context.sectors,
    )
    rank_ic = float(daily_ic(scored)["rank_ic"].to_numpy().mean())
    sharpe = float("nan")
    if portfolio is not None:
        sharpe = sharpe_ratio(portfolio.daily["long_short"].to_numpy())
    record_trial(first, last, *(x if math.isfinite(x) else None for x in (rank_ic, sharpe)))
    return portfolio


def _sizes(prepared: Prepared) -> dict[str, float]:
    coverage = prepared.coverage
    return {
        "processed_tickers_count": float(len(coverage.tickers)),
        "total_samples": float((prepared.panel.label_end >= 0).sum()),
        "feature_count": float(len(prepared.features.names)),
    }
