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
from src.v2.evaluation.trial_log import Trials
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
class TrialNumbers:
    """What the trial log holds of forecasts, see `src.v2.evaluation.trial_log.Trial`.

    Parameters
    ----------
    first, last
        Dates of the forecasts.
    rank_ic, sharpe
        NaN where there is none.
    """

    first: dt.date
    last: dt.date
    rank_ic: float
    sharpe: float


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
    trial
        Its line in the trial log.
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
    trial: TrialNumbers


def run_arm(arm: Arm, prepared: Prepared, track: Track) -> ArmResult:
    """Walk an arm forward over all folds, and score it; whoever asks counts it as a trial.

    Parameters
    ----------
    prepared
        The panel of the arm's own settings, see `src.v2.lifecycle.bench`.
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
    trial, portfolio = trial_numbers(table, prepared, config)
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
        trial=trial,
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
    trainer = prepared.engine.lend(trainer)
    return walk_forward(trainer, dataclasses.replace(prepared.schedule, folds=tuple(folds)))


def trial_numbers(
    table: pl.DataFrame, prepared: Prepared, config: Config
) -> tuple[TrialNumbers, Portfolio | None]:
    """Give what forecasts count by as a trial: the same numbers as those of a training.

    Returns
    -------
    tuple
        The numbers, and what trading the forecasts would have brought; None below 20 tickers.
    """
    scored = table.drop_nulls(["forward_return"]).sort("date", "ticker")
    first, last = scored["date"].min(), scored["date"].max()
    assert isinstance(first, dt.date) and isinstance(last, dt.date)
    if usual_tickers(scored) < SMALL_UNIVERSE:
        return TrialNumbers(first, last, math.nan, math.nan), None
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
    sharpe = math.nan
    if portfolio is not None:
        sharpe = sharpe_ratio(portfolio.daily["long_short"].to_numpy())
    return TrialNumbers(first, last, rank_ic, sharpe), portfolio


def count_trial(trial: TrialNumbers, record_trial: RecordTrial) -> Trials:
    """Write a trial down; one that is written down already is not written twice."""
    known = (x if math.isfinite(x) else None for x in (trial.rank_ic, trial.sharpe))
    return record_trial(trial.first, trial.last, *known)


def _sizes(prepared: Prepared) -> dict[str, float]:
    coverage = prepared.coverage
    return {
        "processed_tickers_count": float(len(coverage.tickers)),
        "total_samples": float((prepared.panel.label_end >= 0).sum()),
        "feature_count": float(len(prepared.features.names)),
    }
