"""Whether any fit sees what it is scored on.

The folds are run through the trainer that training uses, with a learner that fits nothing and
writes down which rows it is handed: whatever is wrong with a mask shows in these rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from src.v2.evaluation.leakage.finding import Finding
from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.folds import Fold, Schedule
from src.v2.modeling.learners.base import FittedModel, StopRows, TrainingRows
from src.v2.modeling.panel import Panel
from src.v2.modeling.walk_forward import Trainer
from src.v2.records import LearningCurve

Rows = npt.NDArray[np.int32]
"""(rows, 2): each row's session and the session its label is known, -1 for none."""


@dataclass(frozen=True, slots=True)
class _Idle:
    """A model that forecasts nothing."""

    classes: int
    rounds: int = 1

    def predict(self, features: Matrix) -> Matrix:
        shape = (len(features), self.classes) if self.classes > 2 else (len(features),)
        return np.zeros(shape, dtype=np.float32)

    def importance(self) -> dict[str, float]:
        return {}


@dataclass(frozen=True, slots=True)
class Witness:
    """A learner that writes down the rows that it is given, by the two features they carry."""

    classes: int
    fitted: list[Rows] = field(default_factory=list)
    inner_fit: list[Rows] = field(default_factory=list)
    inner_tail: list[Rows] = field(default_factory=list)
    least_rounds: int = 1
    unstopped_rounds: int = 1

    def widen(self, names: Sequence[str], share: float) -> Witness:
        """Watch as before: the names of columns are nothing to a witness."""
        return self

    def choose_rounds(self, rows: StopRows) -> tuple[int, LearningCurve]:
        """Write the two parts of the split that stops a fit down."""
        self.inner_fit.append(rows.fit.features.astype(np.int32))
        self.inner_tail.append(rows.tail.features.astype(np.int32))
        return 1, LearningCurve((0.0,), (0.0,))

    def fit(self, rows: TrainingRows, rounds: int) -> FittedModel:
        """Write the rows of a fit down."""
        self.fitted.append(rows.features.astype(np.int32))
        return cast(FittedModel, _Idle(self.classes))


def probe_folds(trainer: Trainer, schedule: Schedule) -> Finding:
    """Run every fold and the holdout past a witness, and check the dates of the rows.

    Parameters
    ----------
    trainer
        As training makes it, but of a `marked_panel`; its learner is replaced.
    """
    faults: list[str] = []
    tested: list[int] = []
    inner = 0
    fitted = 0
    for fold in (*schedule.folds, schedule.holdout):
        witness = Witness(len(trainer.plan.classes))
        watched = dataclasses.replace(trainer, learner=witness)
        test = _run(watched, fold, schedule)
        name = f"fold {fold.number}" if fold.number else "the holdout"
        faults += _fold_faults(name, fold, witness, test)
        inner += len(witness.inner_fit)
        fitted += sum(map(len, witness.fitted))
        tested += np.unique(test[:, 0]).tolist()
        if fold.number and (late := int((test[:, 1] > schedule.holdout_start).sum())):
            faults.append(f"{name} is scored on {late} labels that reach into the holdout")
    repeats = len(tested) - len(set(tested))
    if repeats:
        faults.append(f"{repeats} dates are tested more than once")
    numbers = {
        "folds": len(schedule.folds),
        "inner_splits": inner,
        "rows_fitted": fitted,
        "dates_tested": len(set(tested)),
        "faults": len(faults),
    }
    if faults:
        return Finding("fail", "; ".join(faults[:4]) + ".", numbers)
    return Finding(
        "pass",
        f"{len(schedule.folds)} folds, {inner} early-stopping splits and the holdout: every label "
        f"fitted on is known by the first decision it helps to forecast, dates are disjoint, and "
        f"{len(set(tested))} dates are tested once each.",
        numbers,
    )


def marked_panel(panel: Panel) -> Panel:
    """Put session and label end in the place of the features; sessions are exact in float32."""
    marks = np.column_stack([panel.session, panel.label_end]).astype(np.float32)
    return dataclasses.replace(panel, feature_rows=marks, names=("session", "label_end"))


def _run(watched: Trainer, fold: Fold, schedule: Schedule) -> Rows:
    """Fit a fold as training does, and give the rows that it is scored on."""
    if fold.number:
        return watched.fold(fold, schedule.holdout_start).test.features.astype(np.int32)
    watched.fit(watched.window(fold), 1)
    held = watched.panel.between(fold.test_start, fold.test_stop)
    return held.features[held.label_end >= 0].astype(np.int32)


def _fold_faults(name: str, fold: Fold, witness: Witness, test: Rows) -> list[str]:
    faults = []
    sides = [
        *((rows, fold.test_start, "fitted on") for rows in witness.fitted),
        *((rows, fold.test_start, "stopped by") for rows in witness.inner_tail),
        *(
            (rows, int(tail[:, 0].min()), "fitted on before its early stop")
            for rows, tail in zip(witness.inner_fit, witness.inner_tail, strict=True)
        ),
    ]
    for rows, first, how in sides:
        late = int(((rows[:, 1] > first) | (rows[:, 1] < 0)).sum())
        same = int((rows[:, 0] >= first).sum())
        if late:
            faults.append(
                f"{name} is {how} {late} of {len(rows)} labels that are not known by session "
                f"{first} (the latest is known at {int(rows[:, 1].max())})"
            )
        if same:
            faults.append(f"{name} is {how} {same} rows dated in or after the block it forecasts")
    if len(test) and (test[:, 0].min() < fold.test_start or test[:, 0].max() >= fold.test_stop):
        faults.append(f"{name} is scored outside its block")
    return faults


def probe_fit_isolation(trainer: Trainer, schedule: Schedule, seed: int) -> Finding:
    """Fill the last test block and all after it with garbage: its model must not change a byte.

    Features and labels of every row from the block on are replaced, and the labels of earlier
    rows that are not known when the block begins.
    """
    fold = schedule.folds[-1]
    clean = trainer.fold(fold, schedule.holdout_start)
    dirty = dataclasses.replace(
        trainer,
        panel=poison(trainer.panel, fold, seed),
        strided=poison(trainer.strided, fold, seed),
    ).fold(fold, schedule.holdout_start)
    same_bytes = clean.model.content() == dirty.model.content()
    rounds = (clean.model.rounds, dirty.model.rounds)
    poisoned = int((trainer.panel.session >= fold.test_start).sum())
    numbers = {
        "rows_poisoned": poisoned,
        "rows_fitted": clean.train_rows,
        "rounds": rounds[0],
        "rounds_poisoned": rounds[1],
    }
    what = f"with garbage in {poisoned} rows of the last test block and the holdout"
    if same_bytes and rounds[0] == rounds[1] and clean.curve == dirty.curve:
        return Finding("pass", f"{what} the fold's model is the same to the byte.", numbers)
    how = "other rounds" if rounds[0] != rounds[1] else "another model"
    return Finding(
        "fail", f"{what} the fold fits {how} ({rounds[0]} and {rounds[1]} rounds).", numbers
    )


def poison(panel: Panel, fold: Fold, seed: int) -> Panel:
    """Put garbage where a fold may not look."""
    rng = np.random.default_rng(seed)
    after = panel.session >= fold.test_start
    hidden = after | (panel.label_end > fold.known_by) | (panel.label_end < 0)
    features = panel.features.copy()
    features[after] = rng.normal(0, 1e3, (int(after.sum()), features.shape[1]))
    garbage = pl.Series(rng.normal(0, 10, len(after)).astype(np.float32))
    classes = panel.keys["label"].drop_nulls().unique().sort()
    if 2 <= len(classes) <= 5:
        # Garbage among the classes, since a learner refuses others.
        garbage = pl.Series(rng.choice(classes.to_numpy(), len(after)))
    mask = pl.Series(hidden)
    there = pl.col("label").is_not_null()
    keys = panel.keys.with_columns(
        pl.when(mask & there).then(garbage).otherwise("label").cast(pl.Float32).alias("label"),
        pl.when(mask & there)
        .then(garbage.cast(pl.Float64))
        .otherwise("forward_return")
        .alias("forward_return"),
    )
    return dataclasses.replace(panel, feature_rows=features, keys=keys)


def rows_of(panel: Panel, tickers: Sequence[str]) -> Panel:
    """Keep the rows of some tickers."""
    return panel.take(panel.keys["ticker"].is_in(list(tickers)).to_numpy())
