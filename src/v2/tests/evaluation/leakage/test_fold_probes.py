"""A broken mask, split or fit is caught, whichever way it is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.v2.config import LabelConfig
from src.v2.evaluation.leakage.finding import Finding
from src.v2.evaluation.leakage.fold_probes import (
    marked_panel,
    poison,
    probe_fit_isolation,
    probe_folds,
    rows_of,
)
from src.v2.modeling import walk_forward
from src.v2.modeling.folds import schedule_folds
from src.v2.modeling.labels import plan_label
from src.v2.modeling.learners.base import StopRows
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import Trainer, make_trainer
from src.v2.tests.evaluation.leakage.planted import MODEL, RULES, plain_panel
from src.v2.tests.synthetic import ragged, random_walk_bars

BARS = ragged(random_walk_bars(24, 520, 1), 1)
PLAN = plan_label(LabelConfig(forward_days=5), 24)
PANEL = plain_panel(BARS)
SCHEDULE = schedule_folds(PANEL.sessions, RULES, PLAN.config.span)


def trainer_of(panel: Panel, **model: Any) -> Trainer:
    return make_trainer(panel, PLAN, MODEL.model_copy(update=model), RULES, 0)


def folds() -> Finding:
    return probe_folds(trainer_of(marked_panel(PANEL)), SCHEDULE)


def test_the_folds_of_training_pass() -> None:
    finding = folds()
    assert finding.outcome == "pass"
    assert finding.numbers["folds"] == len(SCHEDULE.folds)
    assert finding.numbers["inner_splits"] == len(SCHEDULE.folds)
    assert finding.numbers["rows_fitted"] > 1000


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (lambda s, e, f: (s < f.test_start) & (e >= 0), "labels that are not known by"),
        (lambda s, e, f: (s < f.test_start) & (e >= 0) & (e <= f.known_by + 1), "not known by"),
        (lambda s, e, f: s < f.test_start, "labels that are not known by"),
    ],
    ids=["no purge", "a purge too short by one", "open labels"],
)
def test_a_broken_mask_is_caught(monkeypatch: pytest.MonkeyPatch, mask: Any, words: str) -> None:
    monkeypatch.setattr(walk_forward, "train_mask", mask)
    finding = folds()
    assert finding.outcome == "fail" and words in finding.evidence


def test_a_window_that_reaches_into_its_block_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def before(self: Trainer, fold: Any) -> Any:
        window = self.strided.between(fold.train_start, fold.test_stop)
        return window, window.label_end >= 0

    monkeypatch.setattr(Trainer, "_before", before)
    finding = folds()
    assert finding.outcome == "fail"
    assert "rows dated in or after the block" in finding.evidence


def test_an_early_stop_without_a_purge_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpurged(session: Any, label_end: Any, share: float, span: int) -> Any:
        cut = int(np.quantile(session, 0.85))
        return session < cut, session >= cut

    monkeypatch.setattr(walk_forward, "stop_split", unpurged)
    finding = folds()
    assert finding.outcome == "fail" and "before its early stop" in finding.evidence


def test_an_early_stop_on_the_block_itself_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    fold_of = Trainer.fold

    def peeking(self: Trainer, fold: Any, development_end: int) -> Any:
        self.learner.choose_rounds(
            StopRows(
                self.rows(self.window(fold)),
                self.rows(self.strided.between(fold.test_start, fold.test_stop)),
            )
        )
        return fold_of(self, fold, development_end)

    monkeypatch.setattr(Trainer, "fold", peeking)
    finding = folds()
    assert finding.outcome == "fail" and "is stopped by" in finding.evidence


def test_dates_tested_twice_are_caught() -> None:
    first, second, *rest = SCHEDULE.folds
    wider = dataclasses.replace(first, test_stop=first.test_stop + 5)
    schedule = dataclasses.replace(SCHEDULE, folds=(wider, second, *rest))
    finding = probe_folds(trainer_of(marked_panel(PANEL)), schedule)
    assert finding.outcome == "fail" and "5 dates are tested more than once" in finding.evidence


def test_a_score_on_labels_of_the_holdout_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_forward, "_forecast_rows", lambda test, end: test)
    finding = folds()
    assert finding.outcome == "fail" and "reach into the holdout" in finding.evidence


@pytest.mark.parametrize("mode", ["regression", "classification"])
def test_garbage_in_the_block_leaves_the_model_alone(mode: str) -> None:
    plan = plan_label(LabelConfig(forward_days=5, mode=mode), 24)
    panel = plain_panel(BARS, mode=mode)
    finding = probe_fit_isolation(make_trainer(panel, plan, MODEL, RULES, 0), SCHEDULE, 0)
    assert finding.outcome == "pass", finding.evidence
    assert finding.numbers["rows_poisoned"] > 1000


@pytest.fixture
def unpurged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(walk_forward, "train_mask", lambda s, e, f: (s < f.test_start) & (e >= 0))
    yield


def test_garbage_reaches_a_fit_without_a_purge(unpurged: None) -> None:
    finding = probe_fit_isolation(trainer_of(PANEL), SCHEDULE, 0)
    assert finding.outcome == "fail" and "fits other" in finding.evidence


def test_garbage_reaches_an_early_stop_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = Trainer.choose_rounds

    def peeking(self: Trainer, window: Panel) -> Any:
        block = self.strided.between(SCHEDULE.folds[-1].test_start, SCHEDULE.folds[-1].test_stop)
        labels = block.labels()
        rounds, curve = choose(self, window)
        return rounds + int(np.nanmean(np.abs(labels)) > 1), curve

    monkeypatch.setattr(Trainer, "choose_rounds", peeking)
    finding = probe_fit_isolation(trainer_of(PANEL), SCHEDULE, 0)
    assert finding.outcome == "fail"


def test_poison_leaves_what_the_fold_may_know() -> None:
    fold = SCHEDULE.folds[-1]
    dirty = poison(PANEL, fold, 0)
    may = (PANEL.session < fold.test_start) & (PANEL.label_end >= 0)
    may &= PANEL.label_end <= fold.known_by
    assert np.array_equal(
        dirty.features[PANEL.session < fold.test_start],
        PANEL.features[PANEL.session < fold.test_start],
        equal_nan=True,
    )
    assert dirty.keys.filter(may).equals(PANEL.keys.filter(may))
    hidden = ~may & (PANEL.label_end >= 0)
    assert (dirty.labels()[hidden] != PANEL.labels()[hidden]).all()
    assert dirty.keys["label"].is_null().equals(PANEL.keys["label"].is_null())


def test_rows_of_some_tickers_are_theirs() -> None:
    some = rows_of(PANEL, ["T001", "T004"])
    assert set(some.keys["ticker"].unique()) == {"T001", "T004"}
    assert some.sessions == PANEL.sessions
    assert isinstance(some.keys, pl.DataFrame)
