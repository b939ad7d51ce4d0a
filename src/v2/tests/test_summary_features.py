"""The leading features on the console: the page's order, and its measure by name."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from rich.console import Console

from src.v2.page.panels import Panel
from src.v2.page.sections.drivers import section
from src.v2.records import TrainingResult
from src.v2.summary_features import leading_features, print_features
from src.v2.summary_text import TOP_FEATURES
from src.v2.tests.results import make_result


def console_text(run: TrainingResult) -> str:
    out = io.StringIO()
    print_features(Console(file=out, width=140), run)
    return out.getvalue()


def without_movement(run: TrainingResult) -> TrainingResult:
    """Take the same run, explained by models that use no feature."""
    importance = run.explanation.importance
    still = tuple(
        dataclasses.replace(each, shap=dataclasses.replace(each.shap, mean=0.0), share=0.0)
        for each in importance.features
    )
    told = dataclasses.replace(importance, features=still)
    return dataclasses.replace(
        run, explanation=dataclasses.replace(run.explanation, importance=told)
    )


@pytest.mark.parametrize("kind", ["regression", "binary", "rating"])
def test_the_console_and_the_page_name_the_same_feature_first(kind: str) -> None:
    # By gain another one leads: the two orders differ in these runs.
    run = make_result(kind)
    run = dataclasses.replace(run, importance=dict(reversed(list(run.importance.items()))))
    importance = run.explanation.importance
    names = [each.name for each in importance.features[:TOP_FEATURES]]
    assert names != list(run.importance)[:TOP_FEATURES]
    lines = console_text(run).splitlines()
    listed = [found[1] for line in lines if (found := re.match(r" +\d+\. +(\S+) ", line))]
    assert listed == names
    assert any("top features by mean |SHAP| of" in line for line in lines)
    top = section(run).content[0]
    assert isinstance(top, Panel)
    assert top.answer.facts["first"].text == listed[0]


def test_shares_are_those_of_the_explanation_over_its_folds() -> None:
    run = make_result()
    for found, each in zip(
        leading_features(run), run.explanation.importance.features, strict=False
    ):
        assert (found.name, found.share) == (each.name, each.share)
        assert (found.low, found.high) == (min(each.fold_shares), max(each.fold_shares))


def test_without_an_explanation_the_gain_is_taken_and_said_so() -> None:
    run = without_movement(make_result())
    assert [each.name for each in leading_features(run)] == list(run.importance)[:TOP_FEATURES]
    text = " ".join(console_text(run).split())
    assert "top features by their share of the trees' gain, since by SHAP values none" in text
    assert "top features by mean |SHAP|" not in text


def test_it_says_how_many_of_the_features_are_split_on() -> None:
    run = make_result(count=30)
    unused = dict.fromkeys(list(run.importance)[-4:], 0.0)
    run = dataclasses.replace(run, importance=dict(run.importance) | unused)
    assert "26 of 30 features have a share of the trees' gain" in console_text(run)
