"""Every learner behind the one interface: what it fits, stops by, explains and keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from src.v2.config import ModelConfig, ModelType
from src.v2.errors import ModelError
from src.v2.modeling.learners.base import FittedModel, Learner, StopRows, TrainingRows
from src.v2.modeling.learners.kinds import KINDS
from src.v2.modeling.learners.making import load_learned, make_learner
from src.v2.modeling.learners.network import forward, slopes

Array = np.ndarray[Any, Any]

TYPES = get_args(ModelType)
NAMES = ("a", "b", "c", "d")
QUICK = {
    "threads": 1,
    "max_depth": 3,
    "n_estimators": 60,
    "early_stopping_rounds": 10,
    "learning_rate": 0.1,
    "mlp_learning_rate": 0.01,
    "batch_size": 64,
}
SOME = ("ridge", "hist_gradient_boosting", "mlp")


def learner(kind: str, classes: int = 0, **settings: object) -> Learner:
    config = ModelConfig(**{**QUICK, "type": kind, **settings})
    return make_learner(config, NAMES, classes, 5.0, 3)


def rows(classes: int = 0, count: int = 600, signal: float = 1.0, seed: int = 0) -> TrainingRows:
    """Rows whose score rises with the first feature and falls with the second; some are missing."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 4)).astype(np.float32)
    score = signal * (features[:, 0] - 0.5 * features[:, 1]) + rng.normal(size=count)
    features[rng.random(features.shape) < 0.05] = np.nan
    label: Array = score
    if classes:
        label = np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score)
    weight = rng.uniform(0.5, 1.5, size=count)
    return TrainingRows(features, label.astype(np.float32), weight.astype(np.float32))


def score_of(model: FittedModel, given: TrainingRows) -> Array:
    found = model.predict(given.features).astype(np.float64)
    return found if found.ndim == 1 else found @ np.arange(found.shape[1])


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", TYPES)
def test_a_planted_signal_is_found_on_rows_not_seen(kind: str, classes: int) -> None:
    model = learner(kind, classes).fit(rows(classes), 4 if kind == "ridge" else 25)
    unseen = rows(classes, seed=1)
    assert np.corrcoef(score_of(model, unseen), unseen.label)[0, 1] > 0.45
    if classes > 2:
        assert model.predict(unseen.features).sum(axis=1) == pytest.approx(np.ones(600), abs=1e-5)
    importance = model.importance()
    assert sum(importance.values()) == pytest.approx(1.0)
    assert importance["a"] > max(importance.get(name, 0.0) for name in "cd")


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_is_found_in_noise(kind: str) -> None:
    fitted = learner(kind)
    noise, tail = (rows(signal=0.0, seed=seed) for seed in (2, 3))
    rounds, _ = fitted.choose_rounds(StopRows(noise, tail))
    unseen = rows(signal=0.0, seed=4)
    found = score_of(fitted.fit(noise, rounds), unseen)
    skill = 1 - np.mean((unseen.label - found) ** 2) / np.mean(unseen.label**2)
    assert skill < 0.02
    assert rounds < 25


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", TYPES)
def test_rounds_are_where_the_tails_curve_is_lowest(kind: str, classes: int) -> None:
    stop = StopRows(rows(classes), rows(classes, seed=5))
    rounds, curve = learner(kind, classes).choose_rounds(stop)
    assert rounds == int(np.argmin(curve.val_loss)) + 1
    assert len(curve.train_loss) == len(curve.val_loss)
    assert curve.train_loss[-1] < curve.train_loss[0]
    if kind in ("xgboost", "mlp", "hist_gradient_boosting") and rounds + 11 < 60:
        assert len(curve.val_loss) <= rounds + 11


@pytest.mark.parametrize("kind", TYPES)
def test_the_curve_is_the_loss_of_a_fit_of_so_many_rounds(kind: str) -> None:
    stop = StopRows(rows(), rows(seed=5))
    fitted = learner(kind, subsample=1.0, colsample_bytree=1.0)
    _, curve = fitted.choose_rounds(stop)
    model = fitted.fit(stop.fit, 3)
    for losses, side in zip((curve.train_loss, curve.val_loss), stop.parts, strict=True):
        error = (model.predict(side.features) - side.label) ** 2
        assert losses[2] == pytest.approx(np.average(error, weights=side.weight) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_the_tail_stops_a_fit_and_nothing_else_of_it(kind: str) -> None:
    first, second = (StopRows(rows(), rows(seed=seed)) for seed in (5, 6))
    one, other = (learner(kind).choose_rounds(stop)[1] for stop in (first, second))
    shared = min(len(one.train_loss), len(other.train_loss))
    assert one.train_loss[:shared] == other.train_loss[:shared]
    assert one.val_loss[:shared] != other.val_loss[:shared]


@pytest.mark.parametrize("kind", TYPES)
def test_equal_rows_and_seed_give_equal_models(kind: str) -> None:
    one, two = (learner(kind, 5).fit(rows(5), 4) for _ in range(2))
    other = learner(kind, 5).fit(rows(5, seed=9), 4)
    assert one.content() == two.content()
    assert one.content() != other.content()


@pytest.mark.parametrize("kind", TYPES)
def test_weights_count(kind: str) -> None:
    given = rows(count=800)
    # Half of the rows say the opposite; the weights tell which half is to be believed.
    flip = np.arange(800) % 2 == 0
    label = np.where(flip, -given.label, given.label).astype(np.float32)
    weight = np.where(flip, 0.01, 1.99).astype(np.float32)
    model = learner(kind).fit(TrainingRows(given.features, label, weight), 15)
    assert np.corrcoef(score_of(model, given), given.label)[0, 1] > 0.4


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", TYPES)
def test_a_saved_model_comes_back_as_it_was(kind: str, classes: int, tmp_path: Path) -> None:
    model, unseen = learner(kind, classes).fit(rows(classes), 5), rows(classes, seed=1).features
    model.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(KINDS[kind].files)
    back = load_learned(kind, tmp_path)
    assert np.array_equal(back.predict(unseen), model.predict(unseen))
    assert back.content() == model.content()
    assert back.feature_names == NAMES
    assert back.rounds == 5
    for one, two in zip(
        back.contributions(unseen[:9]), model.contributions(unseen[:9]), strict=True
    ):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("kind", TYPES)
def test_a_damaged_or_missing_file_is_refused(kind: str, tmp_path: Path) -> None:
    learner(kind).fit(rows(), 3).save(tmp_path)
    for name in KINDS[kind].files:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelError, match="Train again"):
            load_learned(kind, tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(ModelError, match="Train again"):
            load_learned(kind, tmp_path)
        (tmp_path / name).write_bytes(whole)
    load_learned(kind, tmp_path)


def test_a_model_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="type 'oracle'"):
        load_learned("oracle", tmp_path)


def test_arrays_that_would_run_code_are_refused(tmp_path: Path) -> None:
    learner("ridge").fit(rows(), 2).save(tmp_path)
    held = dict(np.load(tmp_path / "model.npz"))
    held["intercept"] = np.array([print], dtype=object)
    np.savez(tmp_path / "model.npz", **held)
    with pytest.raises(ModelError, match="damaged"):
        load_learned("ridge", tmp_path)


def test_types_that_are_not_trusted_are_refused(tmp_path: Path) -> None:
    import skops.io
    from sklearn.linear_model import Ridge

    held = {"estimator": Ridge(), "features": ["a"], "background": np.zeros((1, 1)), "seed": 0}
    skops.io.dump(held | {"more": pytest.raises}, tmp_path / "model.skops")
    with pytest.raises(ModelError, match="not trusted"):
        load_learned("hist_gradient_boosting", tmp_path)


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", TYPES)
def test_contributions_add_up_to_the_margin_and_the_margin_to_the_forecast(
    kind: str, classes: int
) -> None:
    model = learner(kind, classes).fit(rows(classes), 5)
    given = rows(classes, count=40, seed=1).features
    values, base = model.contributions(given)
    margin = model.margin(given)
    assert values.shape == (40, 5 if classes > 2 else 1, 4)
    np.testing.assert_allclose(values.sum(axis=2) + base, margin, atol=1e-4)
    if classes > 2:
        shown = np.exp(margin) / np.exp(margin).sum(axis=1, keepdims=True)
    else:
        shown = 1 / (1 + np.exp(-margin[:, 0])) if classes else margin[:, 0]
    np.testing.assert_allclose(model.predict(given), shown, rtol=1e-4, atol=1e-5)
    pairs = model.interactions(given)
    if pairs is not None:
        np.testing.assert_allclose(pairs.sum(axis=3), values, atol=1e-4)


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_a_lines_contributions_equal_those_of_shap(classes: int) -> None:
    shap = pytest.importorskip("shap")
    model: Any = learner("ridge", classes).fit(rows(classes), 3)
    given = rows(classes, count=30, seed=1).features
    values, base = model.contributions(given)
    lines, intercept = model._outputs()
    scaled = model.linear.scaling.apply(given).astype(np.float64)
    for output in range(values.shape[1]):
        oracle = shap.LinearExplainer((lines[:, output], intercept[output]), np.zeros((2, 4)))
        np.testing.assert_allclose(values[:, output], oracle.shap_values(scaled), atol=1e-6)
        np.testing.assert_allclose(base[:, output], oracle.expected_value, atol=1e-9)


def test_a_missing_value_of_a_line_contributes_nothing() -> None:
    model = learner("ridge").fit(rows(), 3)
    given = np.full((1, 4), np.nan, dtype=np.float32)
    values, base = model.contributions(given)
    assert not values.any()
    assert base[0, 0] == pytest.approx(float(model.predict(given)[0]), abs=1e-6)


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("kind", ["hist_gradient_boosting", "mlp"])
def test_few_features_are_explained_as_by_shaps_exact_enumeration(kind: str, classes: int) -> None:
    shap = pytest.importorskip("shap")
    model: Any = learner(kind, classes).fit(rows(classes), 6)
    given = rows(classes, count=12, seed=1).features
    values, base = model.contributions(given)
    masker = shap.maskers.Independent(model.background, max_samples=len(model.background))
    oracle = shap.explainers.Exact(model.margin, masker)(given)
    np.testing.assert_allclose(
        values, np.asarray(oracle.values).reshape(12, 4, -1).transpose(0, 2, 1), atol=1e-5
    )
    np.testing.assert_allclose(base, np.reshape(oracle.base_values, (12, -1)), atol=1e-5)


@pytest.mark.parametrize("kind", TYPES)
def test_a_rows_contributions_do_not_depend_on_the_rows_beside_it(kind: str) -> None:
    model = learner(kind).fit(rows(), 5)
    given = rows(count=20, seed=1).features
    whole, one = model.contributions(given)[0], model.contributions(given[7:8])[0]
    np.testing.assert_allclose(whole[7], one[0], atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_a_class_that_no_row_has_gets_next_to_no_chance(kind: str) -> None:
    given = rows(5)
    some = given.label != 4
    seen = given.take(some, given.weight[some])
    model = learner(kind, 5).fit(seen, 40 if kind != "ridge" else 3)
    chances = model.predict(given.features)
    assert chances.shape == (600, 5)
    assert chances[:, 4].mean() < 0.05
    model.contributions(given.features[:5])


@pytest.mark.parametrize("kind", SOME)
def test_a_feature_without_values_changes_nothing_else(kind: str) -> None:
    given = rows()
    features = given.features.copy()
    features[:, 3] = np.nan
    model = learner(kind).fit(TrainingRows(features, given.label, given.weight), 3)
    assert np.isfinite(model.predict(features)).all()
    assert "d" not in model.importance()


def test_other_columns_and_fewer_rows_keep_a_leafs_share() -> None:
    wide: Any = learner("hist_gradient_boosting").widen(("x", "y"), 0.4)
    assert (wide.feature_names, wide.leaf_weight) == (("x", "y"), 2.0)
    assert learner("mlp").widen(("x",), 0.4).feature_names == ("x",)  # type: ignore[attr-defined]
    assert learner("ridge").widen(("x",), 0.4).feature_names == ("x",)  # type: ignore[attr-defined]


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_the_networks_forward_pass_is_scikit_learns(classes: int) -> None:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    given = rows(classes)
    scaled = np.nan_to_num(given.features)
    kind = MLPClassifier if classes else MLPRegressor
    oracle = kind(hidden_layer_sizes=(7, 5), max_iter=300, tol=1e-2, random_state=0)
    oracle.fit(scaled, given.label)
    layers = tuple(zip(oracle.coefs_, oracle.intercepts_, strict=True))
    margin = forward(layers, scaled)
    if not classes:
        np.testing.assert_allclose(margin[:, 0], oracle.predict(scaled), rtol=1e-5, atol=1e-6)
        return
    shown = oracle.predict_proba(scaled)
    wanted = np.log(shown[:, 1:] / shown[:, :1])
    found = margin if classes == 2 else margin[:, 1:] - margin[:, :1]
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("classes", [0, 5])
def test_slopes_of_a_network_are_differences_of_its_margin(classes: int) -> None:
    model: Any = learner("mlp", classes).fit(rows(classes), 6)
    layers = tuple((w.astype(np.float64), b.astype(np.float64)) for w, b in model.layers)
    for row in np.random.default_rng(1).normal(size=(9, 4)):
        moved = row + 1e-7 * np.vstack([np.eye(4), -np.eye(4)])
        ends = forward(layers, moved)
        np.testing.assert_allclose(slopes(layers, row), (ends[:4] - ends[4:]) / 2e-7, atol=1e-5)


OTHER: dict[str, dict[str, Any]] = {
    "xgboost": {"max_depth": 2, "n_estimators": 7, "learning_rate": 0.3, "reg_lambda": 9.0},
    "ridge": {"early_stopping_rounds": 0},
    "hist_gradient_boosting": {"max_depth": 2, "learning_rate": 0.3, "reg_lambda": 9.0},
    "mlp": {"hidden_units": 5, "mlp_learning_rate": 0.1, "batch_size": 32},
}


@pytest.mark.parametrize("kind", TYPES)
def test_settings_that_a_kind_does_not_read_change_nothing(kind: str) -> None:
    given = rows(count=300)
    names = set().union(*OTHER.values()) | {"subsample", "gamma", "reg_alpha", "hidden_layers"}
    strange: dict[str, Any] = {
        "max_depth": 1, "n_estimators": 3, "learning_rate": 0.9, "reg_lambda": 50.0,
        "early_stopping_rounds": 2, "hidden_units": 3, "mlp_learning_rate": 0.5,
        "batch_size": 7, "subsample": 0.3, "gamma": 3.0, "reg_alpha": 2.0, "hidden_layers": 1,
    }  # fmt: skip
    assert names == set(strange)
    unread = {name: each for name, each in strange.items() if name not in KINDS[kind].settings}
    plain, other = (learner(kind, **changed) for changed in ({}, unread))
    assert plain.fit(given, 3).content() == other.fit(given, 3).content()
    stop = StopRows(given, rows(count=100, seed=5))
    assert plain.choose_rounds(stop) == other.choose_rounds(stop)
    assert KINDS[kind].settings <= set(ModelConfig.model_fields)
    read = {name: each for name, each in OTHER[kind].items() if name != "early_stopping_rounds"}
    assert set(OTHER[kind]) <= KINDS[kind].settings
    if read:
        assert learner(kind, **read).fit(given, 3).content() != plain.fit(given, 3).content()


@pytest.mark.parametrize("kind", ["ridge", "mlp"])
@pytest.mark.parametrize("harm", ["wide", "narrow", "double", "nan", "flat"])
def test_arrays_that_do_not_fit_together_are_refused(kind: str, harm: str, tmp_path: Path) -> None:
    learner(kind).fit(rows(), 2).save(tmp_path)
    held = dict(np.load(tmp_path / "model.npz"))
    last = "coefficients" if kind == "ridge" else "weights_1"
    array = held[last]
    held[last] = {
        "wide": np.vstack([array, array]),
        "narrow": array[:-1],
        "double": array.astype(np.float16),
        "nan": np.full_like(array, np.nan),
        "flat": array.ravel(),
    }[harm]
    np.savez(tmp_path / "model.npz", **held)
    with pytest.raises(ModelError, match="or a damaged one"):
        load_learned(kind, tmp_path)


@pytest.mark.parametrize("kind", ["ridge", "mlp"])
@pytest.mark.parametrize(
    "change",
    [
        {"features": ["a", "b", "c"]},
        {"features": ["a", "a", "b", "c"]},
        {"features": "abcd"},
        {"features": [1, 2, 3, 4]},
        {"rounds": float("inf")},
        {"rounds": "many"},
        {"type": "xgboost"},
    ],
)
def test_a_header_that_does_not_fit_its_arrays_is_refused(
    kind: str, change: dict[str, object], tmp_path: Path
) -> None:
    learner(kind).fit(rows(), 2).save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelError, match="or a damaged one"):
        load_learned(kind, tmp_path)


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    learner("ridge").fit(rows(), 2).save(tmp_path)
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="or a damaged one"):
        load_learned("ridge", tmp_path)


@pytest.mark.parametrize("harm", ["left", "right", "feature_idx", "other model"])
def test_trees_that_would_leave_their_memory_are_refused(harm: str, tmp_path: Path) -> None:
    import skops.io
    from sklearn.linear_model import Ridge

    model: Any = learner("hist_gradient_boosting").fit(rows(), 3)
    estimator: Any = model.estimator
    if harm == "other model":
        estimator = Ridge().fit(np.zeros((3, 4)), np.arange(3))
    else:
        nodes = estimator._predictors[0][0].nodes
        nodes[harm][0] = 0 if harm == "left" else 10**6
    held = {
        "estimator": estimator, "features": list(NAMES), "background": model.background, "seed": 0
    }  # fmt: skip
    skops.io.dump(held, tmp_path / "model.skops")
    with pytest.raises(ModelError, match="is damaged, or holds types"):
        load_learned("hist_gradient_boosting", tmp_path)


READ_AGAIN = """
import sys
import json
import subprocess
import sys
from pathlib import Path
import numpy as np
from src.v2.modeling.learners.making import load_learned
top = Path(sys.argv[1])
unseen = np.load(top / "rows.npy")
for folder in sorted(path for path in top.iterdir() if path.is_dir()):
    kind, _ = folder.name.split("-")
    np.save(folder / "forecast.npy", load_learned(kind, folder).predict(unseen))
"""


def test_a_new_process_forecasts_the_same_to_the_bit(tmp_path: Path) -> None:
    unseen = rows(seed=1).features
    np.save(tmp_path / "rows.npy", unseen)
    wanted = {}
    for kind in TYPES:
        for classes in (0, 5):
            folder = tmp_path / f"{kind}-{classes}"
            folder.mkdir()
            model = learner(kind, classes).fit(rows(classes), 4)
            model.save(folder)
            wanted[folder] = model.predict(unseen)
    root = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-c", READ_AGAIN, str(tmp_path)], cwd=root, check=True)
    for folder, forecast in wanted.items():
        found = np.load(folder / "forecast.npy")
        assert found.dtype == forecast.dtype and found.tobytes() == forecast.tobytes()
