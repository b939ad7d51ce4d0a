"""What is told of a model fits its kind: no trees and rounds where there are none."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from src.v2.config import ModelConfig, ModelType
from src.v2.explanation_records import Interactions
from src.v2.modeling.learners.kinds import KINDS, kind_of
from src.v2.page.content import page_sections
from src.v2.page.panels import Panel, Table
from src.v2.page.sections import card, design, drivers, shape
from src.v2.pipeline import final_losses
from src.v2.records import TrainingResult
from src.v2.tests.page.made_up import IDENTITY, SETTINGS, make_run
from src.v2.training_summary import print_summary

TYPES = get_args(ModelType)
FOREIGN = {
    "xgboost": r"\bepochs?\b|\ba penalty of\b|\bcoefficients?\b|\bslopes?\b",
    "ridge": r"\btrees?\b|\bboost|\bsplits?\b|\bdepth\b|\brounds?\b|\bepochs?\b",
    "hist_gradient_boosting": r"\bepochs?\b|\ba penalty of\b|\bcoefficients?\b|\bTreeSHAP\b",
    "mlp": r"\btrees?\b|\bboost|\bsplits?\b|\bdepth\b|\brounds?\b|\ba penalty of\b",
}
"""Words that a model of a kind gives no reason for."""


class Filled(dict[str, float]):
    """Scores of every name."""

    def __missing__(self, key: str) -> float:
        return 0.1


def run_of(kind: str, rounds: int = 2) -> TrainingResult:
    run = make_run()
    settings = {**SETTINGS, "model": ModelConfig(type=kind).model_dump(mode="json")}
    explanation = run.explanation
    if KINDS[kind].sampled:
        explanation = dataclasses.replace(
            explanation, interactions=Interactions(0, 0.0, (), (), ())
        )
    folds = tuple(dataclasses.replace(fold, rounds=rounds) for fold in run.folds)
    losses = final_losses(run.curve, rounds, KINDS[kind].steps)
    return dataclasses.replace(
        run,
        settings=settings,
        explanation=explanation,
        folds=folds,
        rounds=rounds,
        metrics={**run.metrics, **losses},
    )


def page_text(run: TrainingResult) -> str:
    told: list[str] = []
    for section in page_sections(run, IDENTITY):
        told += [section.title, section.question, section.data]
        for part in section.content:
            if isinstance(part, Panel):
                told += [part.question, part.answer.text, part.alt, part.note]
            else:
                told += [part.title, *part.head, part.note]
                told += [getattr(cell, "text", str(cell)) for row in part.rows for cell in row]
    return "\n".join(told)


def console_text(run: TrainingResult) -> str:
    out = io.StringIO()
    shown = dataclasses.replace(
        run, metrics=Filled(run.metrics), holdout=dataclasses.replace(run.holdout, metrics=Filled())
    )
    console = Console(file=out, width=120)
    print_summary(
        shown, model_path=Path("m"), report_path=Path("r"), run_line="none", console=console
    )
    return " ".join(out.getvalue().split())


def rows_of(table: Table) -> dict[str, str]:
    return {str(row[0]): getattr(row[1], "text", str(row[1])) for row in table.rows}


@pytest.mark.parametrize("kind", TYPES)
def test_the_page_says_nothing_that_the_model_has_not(kind: str) -> None:
    found = page_text(run_of(kind))
    told = [found[max(0, each.start() - 60) : each.end() + 60] for each in re.finditer(
        FOREIGN[kind], found, re.IGNORECASE
    )]  # fmt: skip
    # The names of the simple rules and of the booster's settings are their own.
    assert [each for each in told if "linear regression on" not in each] == []


@pytest.mark.parametrize("kind", TYPES)
def test_the_console_says_nothing_that_the_model_has_not(kind: str) -> None:
    found = console_text(run_of(kind))
    assert re.search(FOREIGN[kind], found, re.IGNORECASE) is None
    assert f"of {KINDS[kind].importance}" in found


@pytest.mark.parametrize(
    ("kind", "rounds", "words"),
    [
        ("xgboost", 1, "with 1 round, and has no score"),
        ("hist_gradient_boosting", 20, "with 20 rounds, and has no score"),
        ("mlp", 1, "with 1 epoch, and has no score"),
        ("ridge", 1, "with a penalty of 100, and has no score"),
        ("ridge", 5, "with a penalty of 0.01, and has no score"),
    ],
)
def test_the_shipped_model_is_told_in_its_own_steps(kind: str, rounds: int, words: str) -> None:
    assert words in console_text(run_of(kind, rounds))


def test_a_line_has_a_penalty_and_no_epoch_it_converged_at() -> None:
    run = run_of("ridge", 2)
    assert run.metrics["penalty"] == 10
    assert "converged_epoch" not in run.metrics
    assert run_of("mlp", 7).metrics["converged_epoch"] == 7


def test_the_card_lists_the_settings_that_the_learner_reads() -> None:
    held = {
        kind: rows_of(next(
            each for each in card.section(run_of(kind), IDENTITY).content
            if isinstance(each, Table) and each.name == "card-learner"
        ))
        for kind in TYPES
    }  # fmt: skip
    assert held["ridge"] == {
        "penalty of the shipped model": "10",
        "contributions of features": "exact: coefficient times standardised value",
        "early_stopping_rounds": "30",
        "stop_share": "0.15",
        "type": "ridge",
    }
    assert "max_depth" in held["xgboost"] and "hidden_units" not in held["xgboost"]
    assert "hidden_units" in held["mlp"] and "max_depth" not in held["mlp"]
    assert held["mlp"]["epochs of the shipped model"] == "2"


def test_the_folds_show_what_their_tails_chose() -> None:
    table = next(each for each in design.section(run_of("ridge", 1)).content
                 if isinstance(each, Table))  # fmt: skip
    assert table.head[8] == "Penalty" and getattr(table.rows[0][8], "value", None) == 100


def test_sampled_contributions_are_said_to_be_estimates() -> None:
    for kind in TYPES:
        sampled = "each alone is an estimate" in drivers.section(run_of(kind)).data
        assert sampled == KINDS[kind].sampled
    (panel,) = (
        each for each in shape.section(run_of("mlp")).content if each.name == "shape-pairs-matrix"
    )
    assert not isinstance(panel, Table) and "are sampled" in panel.answer.text


def test_one_of_a_kind_is_told_in_the_singular() -> None:
    run = run_of("xgboost")
    name = run.features.names[0]
    features = dataclasses.replace(
        run.features, names=(name,), families={name: "momentum"}, infinite={name: 1}
    )
    coverage = dataclasses.replace(run.coverage, rows=1, tickers=("ONLY",))
    found = console_text(
        dataclasses.replace(run, features=features, coverage=coverage, stretched_rows=1)
    )
    assert "1 feature in 1 family" in found
    assert "1 ticker processed" in found and "1 bar from" in found
    assert "1 row without a label" in found and "1 value came out infinite" in found
    assert "1 ticker left out" in found and "3 bars left out" in found


def test_a_run_that_names_no_kind_fitted_xgboost() -> None:
    assert kind_of({}) is KINDS["xgboost"]
    assert set(KINDS) == set(TYPES)
