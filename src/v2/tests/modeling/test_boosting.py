"""Boosting on drawn rows: XGBoost's own trees, and draws that know no machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st

from src.v2.modeling.learners.boosting import RowDraws, boost, find_rounds

ROWS = 3_000
OBJECTIVES: dict[str, dict[str, Any]] = {
    "regression": {"objective": "reg:squarederror", "eval_metric": "rmse"},
    "two classes": {"objective": "binary:logistic", "eval_metric": "logloss"},
    "five classes": {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": 5},
}


class Case:
    """Rows of one kind of label, and the parameters to fit them with."""

    def __init__(self, kind: str) -> None:
        rng = np.random.default_rng(3)
        self.features = rng.normal(size=(ROWS, 6)).astype(np.float32)
        signal = self.features[:, 0] + rng.normal(size=ROWS)
        edges = {"two classes": [0.0], "five classes": [-1.2, -0.4, 0.4, 1.2]}.get(kind)
        self.label = (signal if edges is None else np.digitize(signal, edges)).astype(np.float32)
        self.weight = rng.uniform(0.5, 1.5, ROWS).astype(np.float32)
        self.parameters = OBJECTIVES[kind] | {
            "max_depth": 4,
            "learning_rate": 0.2,
            "colsample_bytree": 0.5,
            "min_child_weight": 5.0,
            "max_bin": 64,
            "nthread": 1,
            "seed": 4,
        }

    def matrix(self, chosen: Any = slice(None), ref: Any = None) -> xgb.QuantileDMatrix:
        return xgb.QuantileDMatrix(
            self.features[chosen],
            self.label[chosen],
            weight=self.weight[chosen],
            max_bin=64,
            nthread=1,
            ref=ref,
        )

    def draws(self, share: float, chosen: Any = slice(None)) -> RowDraws:
        return RowDraws(self.weight[chosen], share, 11)


@pytest.fixture(params=OBJECTIVES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_with_every_row_drawn_the_trees_are_those_of_xgboost(case: Case) -> None:
    ours = boost(case.parameters, case.matrix(), case.draws(1.0), 12)
    theirs = xgb.train(case.parameters, case.matrix(), 12)
    assert ours.save_raw() == theirs.save_raw()


def test_rounds_and_losses_are_those_of_xgboost_s_early_stopping(case: Case) -> None:
    head, tail = slice(0, 2_000), slice(2_000, None)
    fit = case.matrix(head)
    held = case.matrix(tail, fit)
    history: dict[str, dict[str, list[float]]] = {}
    theirs = xgb.train(
        case.parameters,
        fit,
        80,
        evals=[(fit, "train"), (held, "val")],
        early_stopping_rounds=5,
        evals_result=history,
        verbose_eval=False,
    )
    rounds, curve = find_rounds(case.parameters, fit, case.draws(1.0, head), held, 80, 5)
    assert 1 < rounds == theirs.best_iteration + 1 < 75
    for part, losses in (("train", curve.train_loss), ("val", curve.val_loss)):
        assert list(losses) == next(iter(history[part].values()))


def test_a_round_is_fitted_on_the_rows_drawn_alone(case: Case) -> None:
    whole = case.matrix()
    drawn = case.draws(0.6).weights(0) > 0
    assert 0.55 < drawn.mean() < 0.65
    ours = boost(case.parameters, whole, case.draws(0.6), 1)
    alone = xgb.train(case.parameters, case.matrix(drawn, whole), 1)
    mine, theirs = (model.inplace_predict(case.features) for model in (ours, alone))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert np.ptp(mine) > 0.01


def test_losses_of_a_search_are_those_of_all_rows(case: Case) -> None:
    head, tail = slice(0, 2_000), slice(2_000, None)
    fit = case.matrix(head)
    held = case.matrix(tail, fit)
    _, curve = find_rounds(case.parameters, fit, case.draws(0.5, head), held, 3, 9)
    model = boost(case.parameters, case.matrix(head), case.draws(0.5, head), 3)
    said = model.eval_set([(case.matrix(head), "a"), (held, "b")])
    losses = [float(part.rpartition(":")[2]) for part in said.split("\t")[1:]]
    assert losses == pytest.approx([curve.train_loss[-1], curve.val_loss[-1]], rel=1e-6)


@given(
    count=st.integers(1, 400),
    parts=st.integers(1, 5),
    share=st.floats(0.05, 1.0),
    number=st.integers(0, 300),
)
def test_a_row_is_drawn_wherever_it_lies(count: int, parts: int, share: float, number: int) -> None:
    rng = np.random.default_rng(count)
    weight = rng.uniform(0.5, 1.5, count).astype(np.float32)
    wanted = RowDraws(weight, share, 7).weights(number)
    found = np.full(count, np.nan, dtype=np.float32)
    for places in np.array_split(rng.permutation(count), parts):
        draws = RowDraws(weight[places], share, 7, places, count)
        found[places] = draws.weights(number)
    np.testing.assert_array_equal(found, wanted)
    assert wanted.dtype == np.float32
    assert set(wanted[wanted > 0]) <= set(weight)


def test_rounds_draw_independently_and_each_as_often_as_asked() -> None:
    draws = RowDraws(np.ones(20_000, dtype=np.float32), 0.8, 42)
    first, second, again = (draws.weights(number) > 0 for number in (0, 1, 0))
    assert first.mean() == pytest.approx(0.8, abs=0.015)
    assert (first & second).mean() == pytest.approx(0.64, abs=0.015)
    np.testing.assert_array_equal(first, again)
