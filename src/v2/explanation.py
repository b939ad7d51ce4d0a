"""What the model is asked about itself, once its forecasts are judged."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.v2.config import Config
from src.v2.console import Stages
from src.v2.explain.agreement import agreement
from src.v2.explain.blocks import block_length
from src.v2.explain.cases import cases
from src.v2.explain.drift import feature_drift
from src.v2.explain.effects import effects
from src.v2.explain.importance import importance
from src.v2.explain.interactions import interactions
from src.v2.explain.newest import newest_ranking
from src.v2.explain.trust import trust_checks
from src.v2.explanation_records import Explanation
from src.v2.judgement import Forecasts, Judged, Market
from src.v2.modeling.learners.base import FittedModel
from src.v2.modeling.walk_forward import Trainer
from src.v2.records import FeatureReport

EFFECTS = 8
"""Features whose effect is followed."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What is explained: the walk-forward's forecasts, what they showed, and the shipped model."""

    forecasts: Forecasts
    judged: Judged
    shipped: FittedModel
    features: FeatureReport


def explain_model(
    subject: Explained, trainer: Trainer, market: Market, config: Config, stages: Stages
) -> Explanation:
    """Explain the walk-forward's forecasts, and the newest ones of the shipped model."""
    sample, fits = subject.forecasts.shap, subject.forecasts.fits
    walked = pl.concat(subject.forecasts.walked.tables)
    features, judged = subject.features, subject.judged
    seed = config.seed
    with stages.stage("importance"):
        found = importance(
            sample, fits, trainer, judged.null, features.families, config.explain, seed
        )
    with stages.stage("interactions"):
        together, strengths = interactions(sample, fits, config.explain.interaction_rows, seed)
    with stages.stage("effects and stability"):
        leading = [feature.name for feature in found.features[:EFFECTS]]
        followed = effects(sample, fits, leading, strengths, found.block_sessions, seed)
        detail, block = judged.detail, block_length(trainer.plan.config.span)
        regimes = detail.daily.select("date", "regime")
        story = agreement(sample, walked, regimes, detail.regimes, market.sectors, block, seed)
    with stages.stage("cases and checks"):
        taken_apart = cases(fits, trainer.panel, subject.shipped, trainer.plan, features.docs)
        newest = newest_ranking(trainer.panel, subject.shipped, trainer.plan, features.docs)
        drift = feature_drift(trainer, fits)
        checks = trust_checks(sample, walked, fits, found, drift, judged.evaluation, trainer.plan)
    return Explanation(found, story, followed, together, taken_apart, newest, drift, checks)
