"""What an audit fits again, and how it reads the agreement of such fits."""

from __future__ import annotations

import dataclasses

import pytest

from src.v2.config import ModelConfig
from src.v2.console import no_progress
from src.v2.evaluation.leakage.agreement import probe_stability
from src.v2.evaluation.leakage.refits import fit_folds, join_forecasts, quick_model, with_gap
from src.v2.evaluation_records import Stability
from src.v2.modeling.walk_forward import make_trainer
from src.v2.tests.evaluation.leakage.planted import MODEL, RULES, prepared_of
from src.v2.tests.synthetic import random_walk_bars

NAN = float("nan")


def test_a_gap_ends_training_earlier_and_leaves_the_test_rows() -> None:
    prepared = prepared_of(random_walk_bars(24, 520, 1))
    trainer = make_trainer(prepared.panel, prepared.plan, quick_model(MODEL), RULES, 0)
    schedules = [with_gap(prepared.schedule, gap, 2) for gap in (0, 7)]
    near, far = (fit_folds(trainer, item, no_progress, "test") for item in schedules)
    assert len(near) == len(far) == 2
    for one, other in zip(near, far, strict=True):
        stride = trainer.strided.session[trainer.strided.session > 0].min()
        assert 0 < one.train[1] - other.train[1] <= 7 + stride
        assert other.purged_rows > one.purged_rows
    tables = [join_forecasts(fits, prepared.plan) for fits in (near, far)]
    assert tables[0].drop("score").equals(tables[1].drop("score"))
    assert not tables[0]["score"].equals(tables[1]["score"])


def test_a_quick_model_never_has_more_rounds_than_the_users() -> None:
    assert quick_model(ModelConfig()).n_estimators == 60
    few = quick_model(ModelConfig(n_estimators=7, max_depth=3))
    assert (few.n_estimators, few.early_stopping_rounds, few.max_depth) == (7, 0, 3)


@pytest.mark.parametrize(
    ("low", "null", "outcome"),
    [(0.5, 0.1, "pass"), (0.3, 0.1, "warn"), (0.5, 0.6, "warn"), (0.5, NAN, "pass")],
)
def test_agreement_counts_above_chance_and_nonsense(low: float, null: float, outcome: str) -> None:
    found = Stability(0.9, 0.7, low, 0.9, null, 0.7, groups=30, top=6)
    finding = probe_stability(found, 6)
    assert finding.outcome == outcome and "Stability is not skill" in finding.evidence
    alone = dataclasses.replace(found, phi=NAN)
    assert probe_stability(alone, 6).outcome == "skipped"
