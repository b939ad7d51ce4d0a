"""The XGBoost learner: what it fits, and what it cannot see."""

from __future__ import annotations

import numpy as np
import pytest

from src.v2.config import ModelConfig
from src.v2.errors import ConfigError
from src.v2.modeling.learners.base import StopRows, TrainingRows
from src.v2.modeling.learners.xgboost_trees import XGBoostLearner, check_device, leaf_weight


def _rows(count: int, classes: int = 0, seed: int = 0) -> TrainingRows:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 4)).astype(np.float32)
    features[rng.random((count, 4)) < 0.1] = np.nan
    signal = np.nan_to_num(features[:, 0]) + rng.normal(size=count)
    label = signal if not classes else np.digitize(signal, np.linspace(-1, 1, classes + 1)[1:-1])
    return TrainingRows(features, label.astype(np.float32), np.ones(count, dtype=np.float32))


def _learner(classes: int = 0, **settings: object) -> XGBoostLearner:
    config = ModelConfig.model_validate({"threads": 1, **settings})
    return XGBoostLearner(config, ("a", "b", "c", "d"), classes, 1.0, 7)


@pytest.mark.parametrize(("classes", "shape"), [(0, (300,)), (2, (300,)), (5, (300, 5))])
def test_forecasts_have_one_shape_a_kind(classes: int, shape: tuple[int, ...]) -> None:
    rows = _rows(300, classes)
    model = _learner(classes).fit(rows, 8)
    assert model.predict(rows.features).shape == shape
    assert model.rounds == 8
    assert sum(model.importance().values()) == pytest.approx(1.0)
    assert max(model.importance(), key=model.importance().__getitem__) == "a"


def test_the_same_rows_and_seed_give_the_same_bytes() -> None:
    rows = _rows(500)
    first, second = (_learner().fit(rows, 20).content() for _ in range(2))
    assert first == second


def test_rounds_are_chosen_where_the_tail_s_loss_is_lowest() -> None:
    rounds, curve = _learner(n_estimators=200, early_stopping_rounds=20).choose_rounds(
        StopRows(_rows(400), _rows(200, seed=1))
    )
    assert rounds == int(np.argmin(curve.val_loss)) + 1
    assert len(curve.train_loss) == len(curve.val_loss) == rounds + 20
    assert list(curve.train_loss) == sorted(curve.train_loss, reverse=True)


def test_a_leaf_holds_ten_horizons_of_rows() -> None:
    config = ModelConfig()
    assert leaf_weight(config, 30, 1, 0) == 300
    assert leaf_weight(config, 30, 5, 0) == 60
    assert leaf_weight(config, 30, 5, 2) == 15
    assert leaf_weight(config, 30, 5, 5) == pytest.approx(60 * 0.32)
    assert leaf_weight(config, 1, 5, 0) == 10
    assert leaf_weight(ModelConfig(min_child_weight=3), 30, 1, 0) == 3


def test_dropping_trees_is_a_parameter_of_the_tree_booster() -> None:
    rows = _rows(300)
    plain = _learner().fit(rows, 20).predict(rows.features)
    dropped = _learner(rate_drop=0.5).fit(rows, 20).predict(rows.features)
    assert not np.allclose(plain, dropped)


def test_a_gpu_that_is_not_there_is_refused_before_any_work() -> None:
    check_device(ModelConfig())
    try:
        check_device(ModelConfig(device="cuda"))
    except ConfigError as error:
        assert "Use" not in str(error) or "cpu" in str(error)
        assert "--model.device cpu" in str(error)
