"""What an audit looks at: bars, panel, fits and forecasts, each made when first asked for."""

from __future__ import annotations

from functools import cached_property

import polars as pl

from src.v2.config import Config, ModelConfig
from src.v2.console import Stages, Track
from src.v2.data.context import Context
from src.v2.evaluation.leakage import bars_probes, feature_probes, fold_probes, refits
from src.v2.features.families import active_features, load_own_features
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import FoldFit, Trainer, make_trainer
from src.v2.preparation import Prepared, prepare_panel
from src.v2.records import Coverage

TICKERS_FITTED = 100
"""Most tickers in fits that are made again and again."""


class AuditCase:
    """What is audited; each thing is made when a check first asks for it."""

    def __init__(
        self,
        bars: pl.DataFrame,
        market: pl.DataFrame | None,
        coverage: Coverage,
        config: Config,
        stages: Stages,
        track: Track,
        context: Context | None = None,
    ) -> None:
        self.bars, self.market, self.coverage = bars, market, coverage
        self.config, self.stages, self.track = config, stages, track
        self.context = context or Context()
        self.seed = config.seed
        self.horizon = config.label.forward_days

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Names of the user's own features."""
        made = load_own_features(self.config.features.modules)
        return (*(item.name for item in made), *self.config.features.columns)

    @cached_property
    def bench(self) -> feature_probes.FeatureBench:
        """Features of some tickers, as computed on all their bars."""
        features = active_features(self.config.features, self.context.series)
        return feature_probes.feature_bench(
            self.bars, features, self.own, self.market, self.seed, self.context
        )

    @cached_property
    def grid(self) -> bars_probes.ReturnGrid:
        """Daily returns, dates by tickers."""
        return bars_probes.return_grid(self.bars)

    @cached_property
    def prepared(self) -> Prepared:
        """The panel and the folds, as training makes them."""
        return prepare_panel(
            self.bars, self.market, self.coverage, self.config, self.stages, self.context
        )

    @cached_property
    def sample(self) -> Panel:
        """Rows of the tickers that are fitted on."""
        tickers = feature_probes.sample_tickers(self.bars, TICKERS_FITTED, self.seed)
        return fold_probes.rows_of(self.prepared.panel, tickers)

    @cached_property
    def trainer(self) -> Trainer:
        """A trainer of few rounds."""
        return self.make_trainer(self.sample, refits.quick_model(self.config.model))

    def make_trainer(self, panel: Panel, model: ModelConfig) -> Trainer:
        """Make a trainer as training does."""
        config, plan = self.config, self.prepared.plan
        return make_trainer(panel, plan, model, config.validation, config.seed)

    @cached_property
    def fits(self) -> tuple[FoldFit, ...]:
        """One walk-forward that several checks share."""
        return refits.fit_folds(self.trainer, self.prepared.schedule, self.track, "walk-forward")

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """Out-of-sample forecasts of the shared walk-forward."""
        return refits.join_forecasts(self.fits, self.prepared.plan)
