"""The skill of class probabilities against scikit-learn, plain loops and known truths."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from src.v2.errors import NotEnoughData
from src.v2.evaluation import class_skill as module
from src.v2.evaluation.class_skill import class_skill, direction_gains
from src.v2.evaluation.significance import ewc_interval, skill_interval
from src.v2.evaluation_records import ClassSkill
from src.v2.tests.synthetic import weekdays

HORIZON = 3


def _table(
    classes: int, dates: int = 90, tickers: int = 24, seed: int = 0, *, trust: float = 1.0
) -> tuple[pl.DataFrame, list[str]]:
    """Forecasts whose true log-odds are `trust` times those said; two folds."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.8, (dates * tickers, classes))
    shares = _softmax(logits)
    drawn = (_softmax(trust * logits).cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)
    columns = [f"p_{code}" for code in range(classes)]
    day = np.repeat(np.arange(dates), tickers)
    frame = pl.DataFrame(
        {
            "date": [weekdays(dates)[place] for place in day],
            "ticker": [f"T{place:02d}" for place in range(tickers)] * dates,
            "fold": (1 + day // (dates // 2)).astype(np.int32),
            "score": shares @ np.arange(classes),
            **{name: shares[:, code] for code, name in enumerate(columns)},
            "label": np.minimum(drawn, classes - 1).astype(np.float32),
        }
    )
    return frame, columns


def _softmax(logits: module.Numbers) -> module.Numbers:
    raised = np.exp(logits)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _priors(classes: int) -> dict[int, list[float]]:
    rising = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    return {1: [1 / classes] * classes, 2: rising.tolist()}


def _same(one: ClassSkill, other: ClassSkill) -> bool:
    # NaN bounds are written alike.
    return repr(one) == repr(other)


@pytest.mark.parametrize("classes", [2, 5])
def test_losses_and_counts_agree_with_scikit_learn(classes: int) -> None:
    table, columns = _table(classes)
    got = class_skill(table, columns, _priors(classes), HORIZON)
    truth, shares = table["label"].to_numpy().astype(int), table.select(columns).to_numpy()
    guess = shares.argmax(axis=1)
    brier = oracle.brier_score_loss(truth, shares, scale_by_half=False, labels=list(range(classes)))
    assert got.brier == pytest.approx(brier)
    assert got.log_loss == pytest.approx(oracle.log_loss(truth, shares))
    assert got.balanced_accuracy == pytest.approx(oracle.balanced_accuracy_score(truth, guess))
    assert got.mcc == pytest.approx(oracle.matthews_corrcoef(truth, guess))
    assert got.confusion == tuple(map(tuple, oracle.confusion_matrix(truth, guess).tolist()))


@pytest.mark.parametrize("classes", [2, 5])
def test_areas_agree_with_scikit_learn(classes: int) -> None:
    table, columns = _table(classes)
    got = class_skill(table, columns, _priors(classes), HORIZON)
    truth, shares = table["label"].to_numpy().astype(int), table.select(columns).to_numpy()
    hits = truth[:, None] == np.arange(classes)
    assert got.roc_auc == pytest.approx(
        oracle.roc_auc_score(truth, shares, multi_class="ovr")
        if classes > 2
        else oracle.roc_auc_score(truth, shares[:, 1])
    )
    assert got.pr_auc == pytest.approx(oracle.average_precision_score(hits, shares))
    assert got.pr_base == pytest.approx(1 / classes)


@pytest.mark.parametrize("classes", [2, 5])
def test_each_row_is_held_against_the_prior_of_its_own_fold(classes: int) -> None:
    table, columns = _table(classes)
    priors = _priors(classes)
    got = class_skill(table, columns, priors, HORIZON)
    series: dict[str, list[float]] = {"loss": [], "brier": [], "base": [], "base_brier": []}
    for _, rows in table.sort("date").group_by("date", maintain_order=True):
        sums = np.zeros(4)
        for row in rows.iter_rows(named=True):
            said, prior = [row[name] for name in columns], priors[row["fold"]]
            hit = [float(code == row["label"]) for code in range(classes)]
            for place, shares in ((0, said), (2, prior)):
                sums[place] -= math.log(shares[int(row["label"])])
                sums[place + 1] += sum((p - o) ** 2 for p, o in zip(shares, hit, strict=True))
        for values, value in zip(series.values(), sums, strict=True):
            values.append(float(value))
    loss, brier, base, base_brier = (np.array(values) for values in series.values())
    expected = skill_interval(loss, base, HORIZON)
    for part in ("mean", "low", "high", "windows"):
        assert getattr(got.log_loss_skill, part) == pytest.approx(getattr(expected, part))
    expected = skill_interval(brier, base_brier, HORIZON)
    for part in ("mean", "low", "high"):
        assert getattr(got.brier_skill, part) == pytest.approx(getattr(expected, part))
    assert np.isfinite(got.log_loss_skill.low)


@pytest.mark.parametrize("classes", [2, 5])
def test_auc_is_that_of_each_date_averaged_without_the_middle_class(classes: int) -> None:
    table, columns = _table(classes)
    table = table.with_columns(pl.col("score").round(1))
    got = class_skill(table, columns, _priors(classes), HORIZON).auc
    middle = (classes - 1) / 2
    daily = []
    for _, rows in table.sort("date").group_by("date", maintain_order=True):
        sides = rows.filter(pl.col("label") != middle)
        up = (sides["label"] > middle).to_numpy()
        if len(up) >= 10 and 0 < up.sum() < len(up):
            daily.append(oracle.roc_auc_score(up, sides["score"].to_numpy()))
    expected = ewc_interval(np.array(daily), HORIZON)
    assert (got.mean, got.low, got.windows) == pytest.approx(
        (expected.mean, expected.low, expected.windows)
    )
    assert 0.55 < got.mean < 0.9


def test_a_date_with_few_rows_or_one_side_has_no_auc() -> None:
    table, columns = _table(2, dates=4)
    dates = table["date"].unique().sort()
    day = pl.col("date")
    cut = table.filter((day != dates[0]) | (pl.col("ticker") < "T09"))
    cut = cut.with_columns(label=pl.when(day == dates[1]).then(1.0).otherwise("label"))
    got = class_skill(cut, columns, _priors(2), 1).auc
    rest = table.filter(day >= dates[2])
    assert got.windows == 2
    assert got.mean == pytest.approx(class_skill(rest, columns, _priors(2), 1).auc.mean)


def test_a_small_universe_has_no_auc_by_date_but_has_the_rest() -> None:
    table, columns = _table(2, tickers=19)
    got = class_skill(table, columns, _priors(2), HORIZON)
    assert math.isnan(got.auc.mean)
    assert np.isfinite([got.roc_auc, got.brier_skill.low, got.ece_null]).all()


def test_curve_and_calibration_error_agree_with_scikit_learn() -> None:
    table, columns = _table(2)
    got = class_skill(table, columns, _priors(2), HORIZON)
    up, truth = table["p_1"].to_numpy(), table["label"].to_numpy()
    observed, predicted = calibration_curve(truth, up, n_bins=10, strategy="quantile")
    assert [part.predicted for part in got.curve] == pytest.approx(predicted.tolist())
    assert [part.observed for part in got.curve] == pytest.approx(observed.tolist())
    weight = np.array([part.rows for part in got.curve]) / len(up)
    assert weight.sum() == pytest.approx(1.0)
    assert got.ece == pytest.approx(weight @ np.abs(observed - predicted))


def test_the_calibration_error_of_five_classes_is_their_mean() -> None:
    table, columns = _table(5)
    got = class_skill(table, columns, _priors(5), HORIZON)
    errors = []
    for code, name in enumerate(columns):
        said, came = table[name].to_numpy(), (table["label"] == code).to_numpy()
        number = np.searchsorted(np.quantile(said, np.arange(0.1, 0.95, 0.1)), said)
        errors.append(sum(abs((came - said)[number == k].sum()) for k in range(10)) / len(said))
    assert got.ece == pytest.approx(np.mean(errors))
    # The curve is that of the highest class.
    assert sum(part.observed * part.rows for part in got.curve) == pytest.approx(
        (table["label"] == 4).sum()
    )


def test_overconfident_probabilities_are_found_and_right_ones_are_not() -> None:
    wrong = class_skill(*_table(2, trust=0.2), _priors(2), HORIZON)
    right = class_skill(*_table(2, trust=1.0), _priors(2), HORIZON)
    assert wrong.ece > 2 * wrong.ece_null
    assert right.ece < right.ece_null
    assert wrong.curve[0].low > wrong.curve[0].predicted
    assert sum(part.low <= part.predicted <= part.high for part in right.curve) >= 8


def _overlapping(seed: int, dates: int = 400, tickers: int = 20, horizon: int = 10) -> module._Rows:
    """Right probabilities of persistent forecasts, for outcomes that overlap and move together."""
    rng = np.random.default_rng(seed)
    signal = np.empty((dates, tickers))
    signal[0] = rng.normal(size=tickers)
    for day in range(1, dates):
        signal[day] = 0.95 * signal[day - 1] + np.sqrt(1 - 0.95**2) * rng.normal(size=tickers)
    steps = rng.normal(size=(dates + horizon, 1)) + 2 * rng.normal(size=(dates + horizon, tickers))
    path = np.cumsum(steps, axis=0)
    outcome = (path[horizon:] - path[:-horizon]) / np.sqrt(5 * horizon)
    up = stats.norm.cdf(0.3 * signal).ravel()
    truth = (outcome < 0.3 * signal).ravel().astype(np.int64)
    shares = np.column_stack([1 - up, up])
    return module._Rows(shares, truth, np.repeat(np.arange(dates), tickers), dates, pl.DataFrame())


def test_the_null_of_the_calibration_error_holds_where_labels_overlap() -> None:
    above, naive = 0, 0.0
    for seed in range(150):
        rows = _overlapping(seed)
        error, null = module._calibration_error(rows, 10)
        above += error > null
        if seed < 30:
            rng = np.random.default_rng(seed)
            up, drawn = rows.shares[:, 1], []
            for _ in range(40):
                redrawn = (rng.random(len(up)) < up).astype(np.int64)
                shuffled = module._Rows(rows.shares, redrawn, rows.day, rows.days, rows.table)
                drawn.append(module._calibration_error(shuffled, 10**6)[0])
            naive += error > np.quantile(drawn, 0.95)
    assert above / 150 <= 0.08
    assert naive / 30 > 0.5


def test_the_curve_covers_the_truth_where_labels_overlap() -> None:
    inside = [
        part.low <= part.predicted <= part.high
        for seed in range(40)
        for part in module._curve(_overlapping(seed), 10)
    ]
    assert 0.90 <= np.mean(inside) <= 0.99


def test_too_few_dates_give_no_bounds() -> None:
    got = class_skill(*_table(2, dates=20), _priors(2), 10)
    assert math.isnan(got.ece_null) and math.isfinite(got.ece)
    assert all(math.isnan(part.low) and math.isfinite(part.observed) for part in got.curve)


def test_the_order_of_rows_and_rows_without_a_label_change_nothing() -> None:
    table, columns = _table(5)
    expected = class_skill(table, columns, _priors(5), HORIZON)
    mixed = table.sample(fraction=1.0, shuffle=True, seed=2)
    assert _same(class_skill(mixed, columns, _priors(5), HORIZON), expected)
    ended = table.with_columns(label=pl.lit(None, pl.Float32), ticker=pl.lit("GONE"))
    assert _same(class_skill(pl.concat([table, ended]), columns, _priors(5), HORIZON), expected)


def test_equal_probabilities_fall_into_one_bin_and_show_no_skill() -> None:
    table, columns = _table(2)
    same = table.with_columns(p_0=pl.lit(0.5), p_1=pl.lit(0.5), score=pl.lit(0.5))
    got = class_skill(same, columns, {1: [0.5, 0.5], 2: [0.5, 0.5]}, HORIZON)
    assert len(got.curve) == 1
    assert got.curve[0].rows == table.height
    assert (got.auc.mean, got.roc_auc, got.mcc) == (0.5, 0.5, 0.0)
    assert (got.brier_skill.mean, got.log_loss_skill.mean) == pytest.approx((0, 0), abs=1e-12)


def test_one_class_alone_has_no_area_and_a_sure_miss_a_finite_loss() -> None:
    table, columns = _table(2)
    alone = table.with_columns(label=pl.lit(1.0), p_0=pl.lit(1.0), p_1=pl.lit(0.0))
    got = class_skill(alone, columns, _priors(2), HORIZON)
    assert math.isnan(got.roc_auc) and math.isnan(got.pr_auc) and math.isnan(got.pr_base)
    assert math.isnan(got.auc.mean)
    assert got.log_loss == pytest.approx(-math.log(1e-6))
    assert got.confusion == ((0, 0), (table.height, 0))


def test_areas_of_many_rows_come_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    table, columns = _table(2, dates=200)
    expected = class_skill(table, columns, _priors(2), HORIZON)
    monkeypatch.setattr(module, "AREA_ROWS", 2_000)
    got = class_skill(table, columns, _priors(2), HORIZON)
    assert got.roc_auc != expected.roc_auc
    assert got.roc_auc == pytest.approx(expected.roc_auc, abs=0.04)
    assert got.brier == expected.brier


def test_no_label_or_no_prior_is_an_error() -> None:
    table, columns = _table(2)
    with pytest.raises(NotEnoughData):
        class_skill(table.clear(), columns, _priors(2), HORIZON)
    with pytest.raises(KeyError):
        class_skill(table, columns, {1: [0.5, 0.5]}, HORIZON)


def test_direction_gains_are_the_products_of_a_plain_loop() -> None:
    table, _ = _table(5)
    priors = _priors(5)
    rng = np.random.default_rng(3)
    table = table.with_columns(
        forward_return=pl.Series(rng.normal(0, 0.1, table.height)),
        expanding_mean=pl.Series(rng.normal(0, 0.01, table.height)),
    )
    over_mean, over_zero = direction_gains(table.sample(fraction=1.0, shuffle=True), priors)
    expected = []
    for _, rows in table.sort("date").group_by("date", maintain_order=True):
        usual = [float(np.dot(range(5), priors[fold])) for fold in rows["fold"]]
        surprise = rows["score"].to_numpy() - usual
        future = rows["forward_return"].to_numpy()
        mean = rows["expanding_mean"].to_numpy()
        expected.append(((surprise * (future - mean)).mean(), (surprise * future).mean()))
    assert over_mean == pytest.approx([pair[0] for pair in expected])
    assert over_zero == pytest.approx([pair[1] for pair in expected])
