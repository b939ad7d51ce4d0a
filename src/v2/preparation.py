"""Bars to a panel that is ready to be fitted on: features, labels and the folds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.v2.config import Config
from src.v2.console import Stages, Track, no_progress
from src.v2.data.context import Context
from src.v2.data.universe import MEMBER, decision_sessions, member_rows
from src.v2.errors import ConfigError
from src.v2.features.as_of import needed_context
from src.v2.features.causality import features_that_look_ahead
from src.v2.features.compile_note import compiling_told
from src.v2.features.compute import usable_features
from src.v2.features.families import active_features, load_own_features
from src.v2.features.registry import Feature
from src.v2.modeling.folds import Schedule, schedule_folds
from src.v2.modeling.labels import LabelPlan, plan_label
from src.v2.modeling.panel import Panel, relabel_panel
from src.v2.records import (
    Coverage,
    Drop,
    FeatureReport,
)
from src.v2.scale.engine import Engine, LocalEngine, PanelInputs


@dataclass(frozen=True, slots=True)
class Prepared:
    """A panel that is ready to be fitted on."""

    panel: Panel
    schedule: Schedule
    plan: LabelPlan
    features: FeatureReport
    stretched: int
    """Rows without a label because a halt stretched it too far."""
    coverage: Coverage
    """As loaded, but for tickers without a row of their own."""
    with_market: bool
    """Whether market features read the market's own bars."""
    universe: tuple[str, ...]
    """Every ticker of the bars: those without a row still make the market's mean and ranks."""
    closes: pl.DataFrame
    """| date | ticker | close | of the universe, and | is a member | where that is marked."""
    context: Context
    """What was known beside the bars; its sectors serve the evaluation too."""
    needed: frozenset[str]
    """What of the context the features in force read: series by name, and sector."""
    engine: Engine
    """Who built the panel, and fits on it."""
    place: str | None
    """Where the features lie, in one line; None for memory."""


def prepare_panel(
    bars: pl.DataFrame,
    market: pl.DataFrame | None,
    coverage: Coverage,
    config: Config,
    stages: Stages,
    context: Context | None = None,
    engine: Engine | None = None,
    track: Track = no_progress,
) -> Prepared:
    """Compute features and labels, and lay the folds.

    Parameters
    ----------
    bars
        Checked bars of the universe: | date | ticker | close | and, where known, more |. With
        | is a member | the rows of members alone are fitted, scored and compared.
    market
        | date | close | of the market, or None.
    coverage
        What the bars are.
    context
        Series that all tickers share, and sectors; None for neither.
    engine
        Who builds the panel and fits on it, from `src.v2.scale.opening.open_engine`; it must
        outlive what is prepared. None for this process and its memory.
    track
        Shows progress over the parts of a panel that is not built at once.

    Raises
    ------
    ConfigError
        When the settings do not fit the universe.
    NotEnoughData
        When the bars are too few for the folds.
    """
    schedule, plan = _lay_out(bars, config)
    context = context or Context()
    features = active_features(config.features, context.series)
    own = {feature.name for feature in load_own_features(config.features.modules)}
    own_features = [feature for feature in features if feature.name in own]
    engine = LocalEngine() if engine is None else engine
    history = config.features.min_history
    inputs = PanelInputs(bars, market, context, features, plan, history)
    with compiling_told(stages.note):
        _refuse_look_ahead(bars, own_features, market, context)
        built = engine.build_panel(inputs, stages, track)
    panel = built.panel
    report = describe_features(features, panel.names, built.left_out, built.infinite)
    universe = tuple(bars["ticker"].unique().sort().to_list())
    coverage = _without_rows(coverage, panel, bars, config.features.min_history)
    return Prepared(
        panel,
        schedule,
        plan,
        report,
        built.stretched,
        coverage,
        market is not None,
        universe,
        bars.select("date", "ticker", "close", *({MEMBER} & set(bars.columns))),
        context,
        needed_context(features, panel.names),
        engine,
        built.place,
    )


def relabel(prepared: Prepared, bars: pl.DataFrame, config: Config, stages: Stages) -> Prepared:
    """Label a panel anew and lay its folds anew; its features are not computed again.

    Parameters
    ----------
    prepared
        Of the same bars and the same settings of features, under any label and folds.
    bars
        As for `prepare_panel`.
    config
        Says what the label and the folds are.

    Returns
    -------
    Prepared
        Equal to what `prepare_panel` makes of the configuration, on the engine of `prepared`.

    Raises
    ------
    ConfigError, NotEnoughData
        As `prepare_panel`.
    """
    schedule, plan = _lay_out(bars, config)
    with stages.stage("labels"):
        history = config.features.min_history
        panel, stretched = relabel_panel(prepared.panel, bars, plan, history)
    return dataclasses.replace(
        prepared, panel=panel, schedule=schedule, plan=plan, stretched=stretched
    )


def _lay_out(bars: pl.DataFrame, config: Config) -> tuple[Schedule, LabelPlan]:
    """Lay the folds over the sessions, and settle the label."""
    sessions = decision_sessions(bars).to_list()
    schedule = schedule_folds(sessions, config.validation, config.label.span)
    # What is listed later may not decide how earlier rows are labelled.
    start = sessions[schedule.folds[0].test_start]
    return schedule, plan_label(config.label, _listed(bars, start))


def _listed(bars: pl.DataFrame, start: dt.date) -> int:
    """Count the tickers before a date; of a universe that changes, those of a usual date."""
    early = bars.filter(pl.col("date") < start)
    if MEMBER not in bars.columns:
        return early["ticker"].n_unique()
    counts = member_rows(early).group_by("date").len()["len"]
    return int(np.median(counts.to_numpy())) if len(counts) else 0


def _refuse_look_ahead(
    bars: pl.DataFrame, own: Sequence[Feature], market: pl.DataFrame | None, context: Context
) -> None:
    """Refuse own features that read later bars; those of the families are proven by tests."""
    usable, _ = usable_features(bars, [feature for feature in own if not feature.needs], context)
    guilty = features_that_look_ahead(bars, usable, market, context) if usable else []
    if guilty:
        raise ConfigError(
            f"The own feature {guilty[0]!r} looks ahead: its past values change when later bars "
            "are cut away. Use only the rows up to the decision, as with shift(1), never shift(-1)."
        )


def _without_rows(
    coverage: Coverage, panel: Panel, bars: pl.DataFrame, min_history: int
) -> Coverage:
    """Count the tickers whose bars are too few for a row of their own as skipped.

    They stay in the market's mean and the ranks, where they stood on their dates: leaving
    them out because they ended early would tell the past about the future.
    """
    there = set(panel.keys["ticker"].unique())
    counts = bars.group_by("ticker").len().sort("ticker")
    while_member = " while a member" if MEMBER in bars.columns else ""
    reason = (
        f"too little history{while_member}: rows start after {min_history} bars "
        "(features.min_history)"
    )
    short = [
        Drop(ticker, reason, rows, whole_ticker=True)
        for ticker, rows in counts.iter_rows()
        if ticker not in there
    ]
    kept = tuple(name for name in coverage.tickers if name in there)
    return dataclasses.replace(coverage, tickers=kept, drops=(*coverage.drops, *short))


def describe_features(
    features: Sequence[Feature],
    columns: Sequence[str],
    left_out: dict[str, str],
    infinite: dict[str, int],
) -> FeatureReport:
    """Record which features are in force and which are not."""
    there = set(columns)
    used = [feature for feature in features if feature.name in there]
    return FeatureReport(
        tuple(feature.name for feature in used),
        {feature.name: feature.family for feature in used},
        {feature.name: feature.doc for feature in used},
        dict(left_out),
        dict(infinite),
    )
