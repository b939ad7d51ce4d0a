"""A package of the trained models, and requests to it."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2 import serve
from src.v2.config import FeaturesConfig, ModelConfig
from src.v2.data.context import Context
from src.v2.data.universe import Universe, mark_members
from src.v2.features.compute import compute_features
from src.v2.features.families import active_features
from src.v2.model_source import ModelBars
from src.v2.modeling.learners.base import FittedModel, TrainingRows
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner
from src.v2.modeling.model_card import ModelCard
from src.v2.serving.answers import Scorer
from src.v2.serving.package import package_scorer
from src.v2.serving.reference import cut_reference
from src.v2.tests.end_to_end.test_predict_reasons import made_card
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.workplace import Workplace


@dataclass(frozen=True)
class Served:
    """A package, its model, and the bars that both were made of."""

    place: Workplace
    package: Path
    model: Path
    bars: pl.DataFrame
    scorer: Scorer

    def rows(self, *tickers: str, last: int = 1) -> pl.DataFrame:
        """The last bars of some tickers, as a request has them."""
        days = self.bars["date"].unique().sort().tail(last)
        chosen = self.bars.filter(
            pl.col("ticker").is_in(tickers) & pl.col("date").is_in(days.implode())
        )
        return as_rows(chosen)


def as_rows(bars: pl.DataFrame) -> pl.DataFrame:
    """Write the dates of bars as text."""
    return bars.with_columns(pl.col("date").dt.to_string("%Y-%m-%d"))


def build(place: Workplace, model: Path, folder: Path) -> int:
    return serve.main([*place.flags(), "--model", str(model), "--build-only", str(folder)])


@pytest.fixture(scope="session")
def make_served(
    noise_workplace: Workplace, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Served]:
    """Build a package of the regression or of the classification."""

    def make(mode: str) -> Served:
        (model,) = (noise_workplace.folder / "models").glob(f"st_predictor_{mode}_*")
        package = tmp_path_factory.mktemp("serving") / "a package"
        assert build(noise_workplace, model, package) == 0
        bars = pl.read_parquet(noise_workplace.folder / "noise.parquet")
        return Served(noise_workplace, package, model, bars, package_scorer(package))

    return make


@pytest.fixture(scope="session")
def served(make_served: Callable[[str], Served]) -> Served:
    """A package of the regression."""
    return make_served("regression")


@pytest.fixture(scope="session")
def loaded(served: Served) -> Iterator[Any]:
    """The package, loaded by MLflow into this process."""
    before, environment = list(sys.path), dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        yield mlflow.pyfunc.load_model(str(served.package))
    sys.path[:] = before
    os.environ.clear()
    os.environ.update(environment)


MADE_SETTINGS = FeaturesConfig(families=("momentum", "market", "context"), min_history=60)


@dataclasses.dataclass(frozen=True)
class Made:
    """Bars with all that may stand beside them, and a model that reads it."""

    held: ModelBars
    model: FittedModel
    card: ModelCard

    @property
    def scorer(self) -> Scorer:
        return Scorer(self.model, self.card, cut_reference(self.held, self.card, "made"))


@pytest.fixture(scope="session")
def made() -> Made:
    """Twelve tickers of two sectors, one of which has left, with their own market and VIX."""
    bars = random_walk_bars(12, 900, 4)
    days = bars["date"].unique().sort()
    rng = np.random.default_rng(4)
    market = pl.DataFrame({"date": days, "close": 100 * np.exp(rng.normal(0, 0.01, 900).cumsum())})
    vix = pl.DataFrame({"date": days, "value": 15 + 5 * rng.random(900)})
    spans = pl.DataFrame(
        {"ticker": bars["ticker"].unique().sort(), "from": days[0], "to": days[-1]}
    ).with_columns(
        pl.when(pl.col("ticker") == "T011").then(days[850]).otherwise(pl.col("to")).alias("to")
    )
    sectors = {name: f"sector {place % 2}" for place, name in enumerate(spans["ticker"])}
    universe, context = Universe(spans, 0), Context({"vix": vix}, sectors)
    marked = mark_members(bars.sort("ticker", "date"), universe)
    table = compute_features(
        marked, active_features(MADE_SETTINGS, ("vix",)), market, context
    ).frame
    names = tuple(name for name in table.columns if name not in ("date", "ticker"))
    rows = table.filter(pl.col("date").is_between(days[600], days[800]))
    features = rows.select(names).to_numpy().astype(np.float32)
    label = np.nan_to_num(features[:, names.index("return_20")])
    learner = XGBoostLearner(ModelConfig(threads=1, colsample_bytree=1.0), names, 0, 1.0, 3)
    model = learner.fit(TrainingRows(features, label, np.ones(len(label), dtype=np.float32)), 20)
    card = dataclasses.replace(
        made_card("regression", names, bars, MADE_SETTINGS, str(days[800])),
        with_market=True,
        series=("vix",),
        sectors=sectors,
        data={"universe": "members.csv", "context_lag": 0, "context_max_age": 14},
    )
    return Made(ModelBars(marked, market, context, universe, days[-1], False), model, card)
