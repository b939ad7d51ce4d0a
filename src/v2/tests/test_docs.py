"""Pages that are made from records, and what they promise."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import get_args

import pytest

from src.v2.audit_checks import CHECKS
from src.v2.config_training import ModelType
from src.v2.evaluation.catalogue import FOLD_KEYS, KEYS, SCORES, metrics_markdown
from src.v2.evaluation.catalogue_evaluation import EVALUATION_KEYS
from src.v2.evaluation.metric_doc import MetricDoc
from src.v2.features.families import features_page
from src.v2.page.content import page_sections
from src.v2.tests.page.made_up import IDENTITY, make_run
from src.v2.tests.workplace import Workplace

ROOT = Path(__file__).parents[3]
ADVISERS = ("config_commands.py", "tracking/query.py")
"""Sources whose words tell a user what to type when looking for runs."""


def test_the_page_of_features_is_that_of_the_records() -> None:
    words, _, tables = (ROOT / "docs" / "features.md").read_text().partition("## The defaults\n\n")
    assert words.startswith("# Features\n")
    assert tables == features_page()


def test_the_page_of_metrics_is_that_of_the_records() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_markdown()


def test_the_page_of_the_audit_names_every_check_in_order() -> None:
    page = (ROOT / "docs" / "audit.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(CHECKS)
    assert f"{len(CHECKS)} checks for leakage" in (ROOT / "README.md").read_text()


def test_the_page_of_learners_names_every_type() -> None:
    page = (ROOT / "docs" / "learners.md").read_text()
    named = re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    assert sorted(named) == sorted(get_args(ModelType))


def _described(key: str, entries: tuple[MetricDoc, ...]) -> bool:
    if any(
        entry.matches(key) for entry in entries if entry in EVALUATION_KEYS or "*" not in entry.key
    ):
        return True
    score = re.fullmatch(r"(?:cv_(.+)_(?:mean|std|pooled))|(?:final_(.+))", key)
    names = {entry.key for entry in SCORES}
    return score is not None and (score[1] or score[2]) in names


@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_every_key_that_a_run_logs_is_described(noise_workplace: Workplace, mode: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(noise_workplace.store)
    experiment = client.get_experiment_by_name("stock_prediction")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"params.mode = '{mode}'")
    (run,) = runs
    assert [key for key in run.data.metrics if not _described(key, (*KEYS, *EVALUATION_KEYS))] == []
    (child, *_) = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    known = (*SCORES, *FOLD_KEYS, *KEYS)
    bare = [key for key in child.data.metrics if not any(entry.matches(key) for entry in known)]
    assert bare == []


def test_the_example_report_asks_what_the_page_asks_today() -> None:
    example = (ROOT / "docs" / "example-report.html").read_text()
    sections = page_sections(make_run("regression"), IDENTITY)
    shown = re.findall(r'<section[^>]* id="([a-z-]+)"', example)
    assert shown == [section.name for section in sections]
    for section in sections:
        assert section.question in html.unescape(example)


def test_the_example_report_needs_nothing_from_outside() -> None:
    example = (ROOT / "docs" / "example-report.html").read_text()
    assert len(example.encode()) < 3 * 2**20
    assert re.findall(r"https?://[^\"' <]*|<script|/home/|/tmp/", example) == []


def test_nobody_is_told_to_choose_runs_by_the_holdout() -> None:
    texts = [
        path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    ]
    texts += [(ROOT / "src" / "v2" / name).read_text() for name in ADVISERS]
    # What the guides asked for stands in the pages of seeds; what is typed here follows a flag.
    advice = re.compile(r"(?:src\.v2\.runs|make runs|MLflow filter|--order-by|Examples:)[^|\n]*")
    found = [line for text in texts for line in advice.findall(text)]
    assert len(found) >= 5
    assert not [line for line in found if re.search(r"metrics\.(final|test)_", line)]
