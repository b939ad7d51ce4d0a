"""A package of the trained models, and requests to it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2 import serve
from src.v2.serving.answers import Scorer
from src.v2.serving.package import package_scorer
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
