"""MLflow's pages in a browser, as the guides use them, over runs of the commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from src.v2 import compare, promote
from src.v2.tests.browser import start_browser
from src.v2.tests.synthetic import random_walk_bars
from src.v2.tests.tracking.conftest import ROOT, free_port, wait_for
from src.v2.tests.workplace import SMALL, Workplace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
MODEL_TRAINING = "?workflowType=machine_learning"
PATIENCE = 30_000
"""Milliseconds that a text may take to appear; the pages ask the server many times."""


@dataclass(frozen=True)
class Pages:
    """A served store, and what it holds."""

    page: Page
    server: str
    run_id: str
    arms: list[str]

    def open(self, path: str) -> Page:
        """Open a page from the start; MLflow keeps the old one where only the end changes."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.server}/#{path}")
        return self.page

    def of_the_run(self, part: str) -> Page:
        """Open a page of the training run."""
        return self.open(f"/experiments/1/runs/{self.run_id}{part}{MODEL_TRAINING}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from start_browser()


@pytest.fixture(scope="module")
def place(make_workplace: Callable[[], Workplace]) -> Workplace:
    """Train, register, promote and compare."""
    made = make_workplace()
    bars = made.bars("noise", random_walk_bars(24, 700, 1))
    quick = ("--features.families", "momentum", "--validation.test-sessions", "100")
    assert made.train(bars, *quick, "--register") == 0
    assert promote.main([*made.flags(), "--force", "--reason", "a look at the pages"]) == 0
    arms = [str(ROOT / "experiments" / f"{name}.yaml") for name in ("conservative", "aggressive")]
    assert compare.main([*arms, *made.flags(bars), *SMALL, *quick]) == 0
    return made


@pytest.fixture(scope="module")
def pages(place: Workplace, browser: Browser) -> Iterator[Pages]:
    """Serve the store as a user does."""
    from mlflow import MlflowClient

    found = MlflowClient(place.store).search_runs(["1"], max_results=100)
    ids = {run.info.run_name: run.info.run_id for run in found}
    arms = [ids[name] for name in ids if name.startswith("exp_")]
    (trained,) = (ids[name] for name in ids if name.startswith("xgboost_"))
    port = free_port()
    words = ["--ui", "--port", str(port), "--tracking-uri", place.store]
    process = subprocess.Popen(
        [sys.executable, "-m", "src.v2.runs", *words], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        context = browser.new_context(viewport={"width": 1600, "height": 1000})
        context.set_default_timeout(PATIENCE)
        yield Pages(context.new_page(), f"http://127.0.0.1:{port}", trained, arms)
        context.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _wait(page: Page, *texts: str) -> None:
    """Wait until a page shows each text."""
    for text in texts:
        page.get_by_text(text, exact=False).first.wait_for(timeout=PATIENCE)


def test_the_address_that_is_printed_shows_the_runs(pages: Pages) -> None:
    page = pages.open(f"/experiments/1/runs{MODEL_TRAINING}")
    _wait(page, "matching runs", "xgboost_regression_5d_", "compare_")
    # Numbers are columns that one chooses.
    page.get_by_role("button", name="Columns").first.click()
    page.get_by_placeholder("Search columns").fill("final_r2")
    page.get_by_text("final_r2", exact=True).first.click()
    page.locator("[role=columnheader]", has_text="final_r2").first.wait_for()


def test_a_run_says_what_it_found_and_draws_its_losses(pages: Pages) -> None:
    page = pages.of_the_run("")
    _wait(page, "Verdict: ", "walk-forward (3 folds)", "cv_rank_ic_mean", "learning_rate")
    page = pages.of_the_run("/model-metrics")
    page.get_by_placeholder("Search metric").first.fill("loss")
    _wait(page, "Model metrics", "train_loss", "val_loss", "Step")


def test_a_runs_files_are_shown(pages: Pages) -> None:
    page = pages.of_the_run("/artifacts/feature_importance.png")
    _wait(page, "shap_summary.png", "shap_dependence_", "report.html")
    page.locator("img[src^=blob], img[src*=artifact]").first.wait_for()
    page = pages.of_the_run("/artifacts/report.html")
    inside = page.frame_locator("iframe").get_by_text("What drives it").first
    inside.wait_for(timeout=PATIENCE)


def test_arms_stand_side_by_side_in_parallel_coordinates(pages: Pages) -> None:
    runs, experiments = (quote(json.dumps(names)) for names in (pages.arms, ["1"]))
    page = pages.open(f"/compare-runs?runs={runs}&experiments={experiments}")
    _wait(page, "Comparing 3 Runs from 1 Experiment", "Parallel Coordinates Plot")
    _wait(page, "exp_A_lr=0.01_depth=3", "exp_B_lr=0.1_depth=8", "Show diff only")
    for name in ("conservative", "aggressive", "default"):
        _wait(page, name)


def test_the_registry_shows_versions_aliases_and_verdicts(pages: Pages) -> None:
    _wait(pages.open(f"/models{MODEL_TRAINING}"), "stock_prediction", "champion")
    page = pages.open(f"/models/stock_prediction/versions/1{MODEL_TRAINING}")
    _wait(page, "Verdict: no evidence", "champion", "Source Run", "a look at the pages")
