"""Which checks an audit makes, in which order, with the pipeline's own functions.

Everything is tried on the bars, settings and features of the user. The holdout is never scored.
To bound the time, features are recomputed for some tickers, and what has to be fitted again is
fitted with few rounds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from src.v2.audit_case import TICKERS_FITTED, AuditCase
from src.v2.config import Config
from src.v2.console import Stages, Track, no_progress
from src.v2.data.context import Context
from src.v2.data.universe import member_rows
from src.v2.errors import NotEnoughData, OmninmoError
from src.v2.evaluation.folds import feature_stability
from src.v2.evaluation.leakage import (
    bars_probes,
    feature_probes,
    fold_probes,
    refits,
    skill_probes,
)
from src.v2.evaluation.leakage.agreement import probe_stability
from src.v2.evaluation.leakage.finding import Finding, skipped, some_names
from src.v2.evaluation.leakage.identity import probe_label_in_features
from src.v2.evaluation.leakage.label_probes import probe_labels
from src.v2.evaluation.leakage.leads import probe_leads
from src.v2.evaluation.leakage.null_bars import permute_blocks
from src.v2.evaluation.leakage.questions import QUESTIONS
from src.v2.evaluation.stability import MIN_DISJOINT_FOLDS, group_features, stability
from src.v2.evaluation_records import AuditCheck
from src.v2.explain.folds import explain_folds, mean_importance_by_fold
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compute import usable_features
from src.v2.features.families import load_own_features
from src.v2.modeling.baseline_fits import permuted_fits
from src.v2.modeling.folds import MIN_TRAIN_SPANS, schedule_folds
from src.v2.modeling.walk_forward import FoldFit, make_trainer
from src.v2.preparation import prepare_panel
from src.v2.records import Coverage

log = logging.getLogger(__name__)

ISOLATED_ROUNDS = 100
"""Most rounds of the fit that is repeated with garbage; with early stopping as configured."""

GAP_FOLDS = 6
"""Last folds whose training window is shortened."""

SHAP_ROWS = 2000


@dataclass(frozen=True, slots=True)
class _Check:
    """How one question is answered."""

    probe: Callable[[AuditCase], Finding]
    of_features: bool = False
    """Whether it asks about features alone; the others need features that stand."""
    of_bars: bool = False
    """Whether it asks about bars alone, whatever the features do."""


def run_audit(
    bars: pl.DataFrame,
    market: pl.DataFrame | None,
    coverage: Coverage,
    config: Config,
    stages: Stages,
    track: Track = no_progress,
    context: Context | None = None,
) -> tuple[AuditCheck, ...]:
    """Make every check, whatever the earlier ones found.

    Where features fail, the checks that need a panel of them are skipped: training refuses such
    features.

    Parameters
    ----------
    bars
        Checked bars of the universe: | date | ticker | close | and, where known, more |.
    market
        | date | close | of the market, or None.
    coverage
        What the bars are.
    track
        Shows progress over the folds.
    context
        Series that all tickers share, and sectors; None for neither.

    Returns
    -------
    tuple of AuditCheck
        In the order of `CHECKS`. An unexpected error of a check is a fail, with the error as
        its evidence.

    Raises
    ------
    OmninmoError
        When settings or bars do not allow a training run at all.
    """
    sessions = bars["date"].unique().sort().to_list()
    schedule_folds(sessions, config.validation, config.label.span)
    case = AuditCase(bars, market, coverage, config, stages, track, context)
    found: dict[str, Finding] = {}
    for name, check in CHECKS.items():
        failed = [past for past in found if CHECKS[past].of_features and _fails(found[past])]
        if failed and not (check.of_features or check.of_bars):
            found[name] = skipped("features fail; mend or exclude them first")
            continue
        if not (check.of_features or check.of_bars):
            # Outside the check: bars or settings that training refuses are no finding.
            _ = case.prepared
        with stages.stage(name):
            found[name] = _answer(name, check, case)
    return tuple(
        AuditCheck(name, QUESTIONS[name], one.outcome, one.evidence, dict(one.numbers))
        for name, one in found.items()
    )


def _fails(finding: Finding) -> bool:
    return finding.outcome == "fail"


def _answer(name: str, check: _Check, case: AuditCase) -> Finding:
    try:
        finding = check.probe(case)
    except NotEnoughData as error:
        finding = skipped(str(error))
    except OmninmoError:
        raise
    except Exception as error:
        log.exception("the check %s ended by an error", name)
        text = f"unexpected {type(error).__name__}: {error}. The traceback is in the log."
        finding = Finding("fail", text)
    log.info("%s: %s: %s", name, finding.outcome, finding.evidence)
    return finding


def _truncation(case: AuditCase) -> Finding:
    """Probe some tickers, and the own features on all of them as training does."""
    finding = feature_probes.probe_truncation(case.bench)
    made = [item for item in load_own_features(case.config.features.modules) if not item.needs]
    usable, left_out = usable_features(case.bars, made, case.context)
    if left_out and finding.outcome == "pass":
        reasons = some_names([f"{name} ({why})" for name, why in left_out.items()])
        text = f"{finding.evidence} Own features left out, and thus not tried: {reasons}."
        finding = Finding("warn", text, {**finding.numbers, "left_out": len(left_out)})
    sampled = case.bench.bars.height < case.bars.height
    if finding.outcome == "fail" or not (usable and sampled):
        return finding
    guilty = features_that_look_ahead(case.bars, usable, case.market, case.context)
    if not guilty:
        return finding
    text = f"past values of some tickers change when the bars end earlier: {some_names(guilty)}."
    return Finding("fail", text, {**finding.numbers, "guilty": len(guilty)})


def _folds(case: AuditCase) -> Finding:
    marked = fold_probes.marked_panel(case.prepared.panel)
    trainer = case.make_trainer(marked, case.config.model)
    return fold_probes.probe_folds(trainer, case.prepared.schedule)


def _fit_isolation(case: AuditCase) -> Finding:
    model = case.config.model
    fewer = {"n_estimators": min(model.n_estimators, ISOLATED_ROUNDS)}
    trainer = case.make_trainer(case.sample, model.model_copy(update=fewer))
    return fold_probes.probe_fit_isolation(trainer, case.prepared.schedule, case.seed)


def _labels(case: AuditCase) -> Finding:
    prepared = case.prepared
    return probe_labels(case.bars, prepared.panel, prepared.plan, case.seed)


def _label_in_features(case: AuditCase) -> Finding:
    prepared = case.prepared
    end = prepared.schedule.holdout_start
    return probe_label_in_features(prepared.panel, prepared.plan, end, case.own, case.seed)


def _later_returns(case: AuditCase) -> Finding:
    prepared, span = case.prepared, case.config.label.span
    end = prepared.schedule.holdout_start
    return probe_leads(case.bars, prepared.panel, span, end, case.own, case.seed)


def _permuted_labels(case: AuditCase) -> Finding:
    schedule = case.prepared.schedule
    numbers = [fold.number for fold in schedule.folds]
    fits = permuted_fits(case.trainer, schedule, case.fits, numbers, case.seed)
    if not fits:
        return skipped("labels of a single ticker cannot move to another one")
    what = f"models of {len(fits)} folds fitted on labels of other tickers"
    return skill_probes.no_skill_expected(
        refits.join_forecasts(fits, case.prepared.plan), case.horizon, what
    )


def _null_run(case: AuditCase) -> Finding:
    """Run the panel and the walk-forward on bars that hold nothing to forecast."""
    tickers = feature_probes.sample_tickers(case.bars, TICKERS_FITTED, case.seed)
    bars = case.bars.filter(pl.col("ticker").is_in(tickers))
    null = permute_blocks(bars, case.market, case.config.label.span, case.seed)
    quiet = Stages()
    config = case.config
    prepared = prepare_panel(null.bars, null.market, case.coverage, config, quiet, case.context)
    model = refits.quick_model(config.model)
    trainer = make_trainer(prepared.panel, prepared.plan, model, config.validation, config.seed)
    fits = refits.fit_folds(trainer, prepared.schedule, case.track, "null run")
    what = f"forecasts of returns permuted in {null.blocks} blocks of {len(tickers)} tickers"
    return skill_probes.no_skill_expected(
        refits.join_forecasts(fits, case.prepared.plan), case.horizon, what
    )


def _entry_lag(case: AuditCase) -> Finding:
    label = case.config.label
    return skill_probes.probe_entry_lag(
        case.predictions, case.bars, label.forward_days, label.entry_lag
    )


def _purge_gap(case: AuditCase) -> Finding:
    """Fit the last folds again with training that ends earlier."""
    plan, tables = case.prepared.plan, {}
    for gap in skill_probes.gaps_of(case.horizon):
        fits: Sequence[FoldFit] = case.fits[-GAP_FOLDS:]
        if gap:
            schedule = refits.with_gap(case.prepared.schedule, gap, GAP_FOLDS)
            fits = refits.fit_folds(case.trainer, schedule, case.track, f"gap +{gap}")
        tables[gap] = refits.join_forecasts(fits, plan)
    return skill_probes.probe_gap(tables, case.horizon)


def _stability(case: AuditCase) -> Finding:
    """Ask whether fits that share no row find the same features important."""
    plan, trainer = case.prepared.plan, case.trainer
    first = int(trainer.panel.session.min())
    schedule = refits.disjoint_schedule(case.prepared.schedule, first, plan.config.span)
    if schedule is None:
        return skipped(
            f"{case.prepared.schedule.holdout_start - first} development sessions hold fewer than "
            f"{MIN_DISJOINT_FOLDS} disjoint blocks of {MIN_TRAIN_SPANS} spans "
            f"({MIN_TRAIN_SPANS * plan.config.span} sessions) and one to test on"
        )
    fits = refits.fit_folds(trainer, schedule, case.track, "disjoint blocks")
    every = [fold.number for fold in schedule.folds]
    null = permuted_fits(trainer, schedule, fits, every, case.seed)
    importances, nonsense = (
        mean_importance_by_fold(explain_folds(some, plan, SHAP_ROWS, case.seed))
        for some in (fits, null)
    )
    early = trainer.panel.between(0, schedule.folds[0].test_stop).features
    groups = group_features(early[:: max(1, len(early) // SHAP_ROWS)])
    gains = feature_stability([fit.model.importance() for fit in fits], trainer.panel.names)
    return probe_stability(
        stability(gains, importances, groups, nonsense, disjoint=True), len(fits)
    )


def _on_bench(probe: Callable[[feature_probes.FeatureBench], Finding]) -> _Check:
    return _Check(lambda case: probe(case.bench), of_features=True)


CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "truncation_equality": _Check(_truncation, of_features=True),
        "future_perturbation": _Check(
            lambda case: feature_probes.probe_future(case.bench, case.seed), of_features=True
        ),
        "delisting": _on_bench(feature_probes.probe_delisting),
        "isolation": _on_bench(feature_probes.probe_isolation),
        "label_integrity": _Check(_labels),
        "label_in_features": _Check(_label_in_features),
        "later_returns": _Check(_later_returns),
        "fold_intervals": _Check(_folds),
        "fit_isolation": _Check(_fit_isolation),
        "permuted_labels": _Check(_permuted_labels),
        "null_run": _Check(_null_run),
        "entry_lag": _Check(_entry_lag),
        "purge_gap": _Check(_purge_gap),
        "duplicate_tickers": _Check(
            lambda case: bars_probes.probe_duplicates(case.grid), of_bars=True
        ),
        "survivorship": _Check(
            lambda case: bars_probes.probe_survivorship(
                member_rows(case.bars), case.coverage.universe
            ),
            of_bars=True,
        ),
        "calendar": _Check(lambda case: bars_probes.probe_calendar(case.grid), of_bars=True),
        "price_jumps": _Check(lambda case: bars_probes.probe_jumps(case.grid), of_bars=True),
        "stability": _Check(_stability),
    }
)
"""Every check by the name of its question, features first; no setting leaves one out."""
