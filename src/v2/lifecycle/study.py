"""Optuna's study in a SQLite file: proposals, scores by fold, pruning, importance.

One writer at a time. Optuna's tables hold numbers and JSON; the samplers used here store
nothing else, so that a file from elsewhere cannot make code run.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from src.v2.errors import OmninmoError
from src.v2.lifecycle.search_space import Dimension, Point, Value

STARTUP_TRIALS = 10
"""Trials drawn at random before proposals follow what was found."""

PRUNED_FROM = 5
"""Trials that run to the end before any is pruned."""

WARMUP_FOLDS = 1
"""Folds of each trial that no pruning looks at, besides the first."""

LEAST_FOR_IMPORTANCE = 8

PATIENCE_SEC = 10.0
"""Seconds that another program may hold the file before that is an error."""

_UNWRITABLE = ("readonly database", "database or disk is full", "disk I/O error")
"""Parts of SQLite's words for a file that takes no more."""


@contextlib.contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """Say in words of ours what a study's file refuses, or holds that no search wrote.

    Raises
    ------
    OmninmoError
        Naming the file and the remedy.
    """
    try:
        yield
    except Exception as error:
        raise OmninmoError(f"The study {path} {_complaint(error)}") from error


def _complaint(error: Exception) -> str:
    """Say what is wrong with a study's file, and the remedy."""
    told = " ".join(str(each) for each in (error, error.__cause__, error.__context__))
    if "database is locked" in told:
        return "is held by another program. Close it and ask again: the search goes on."
    if any(reason in told for reason in _UNWRITABLE):
        return (
            "cannot be written. Free space on its disk, look at its rights, and ask again: the "
            "search goes on."
        )
    return (
        f"cannot be used: {type(error).__name__}. It is damaged, or of another version of Optuna "
        "or of this project; remove it to begin again."
    )


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial that ended.

    Parameters
    ----------
    score
        Mean rank IC over the dates of its folds, of those before it was pruned.
    pruned
        Whether it was given up before its last fold.
    facts
        What was noted with it, as plain values.
    """

    number: int
    point: Point
    score: float
    pruned: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """A trial at work."""

    trial: optuna.Trial
    point: Point
    file: Path

    def is_hopeless(self, step: int, score: float) -> bool:
        """Note the score after a fold, and tell whether to give up: below the others' median."""
        with refusals_told(self.file):
            self.trial.report(score, step)
            return self.trial.should_prune()


class SearchStudy:
    """A study under a name of its own; trials of earlier calls are part of it.

    Parameters
    ----------
    path
        Its SQLite file, made when absent.
    name
        Of the study; a file may hold several.
    seed
        Of the proposals.

    Raises
    ------
    OmninmoError
        When the file is damaged or held by another program; its methods raise it too.
    """

    def __init__(self, path: Path, name: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.path = path
        with refusals_told(self.path):
            self._study = optuna.create_study(
                storage=optuna.storages.RDBStorage(
                    f"sqlite:///{path}", {"connect_args": {"timeout": PATIENCE_SEC}}
                ),
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(PRUNED_FROM, WARMUP_FOLDS),
            )
            # A study that goes on must not draw the numbers of its beginning again.
            seed += len(self._study.get_trials(deepcopy=False))
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP_TRIALS, seed=seed
            )
            self._clear_up()

    def enqueue(self, point: Point) -> None:
        """Let a point be tried next, unless it is known."""
        with refusals_told(self.path):
            self._study.enqueue_trial(dict(point), skip_if_exists=True)

    def ended(self) -> tuple[TrialRecord, ...]:
        """List the trials that ran to the end or were pruned, in order."""
        with refusals_told(self.path):
            return tuple(
                _record(trial)
                for trial in self._study.get_trials(deepcopy=False)
                if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            )

    @contextlib.contextmanager
    def trial(self, space: Sequence[Dimension]) -> Iterator[OpenTrial]:
        """Open the next trial; one that is not ended inside fails, and its point is kept."""
        with refusals_told(self.path):
            trial = self._study.ask()
            point = {each.name: _suggest(trial, each) for each in space}
        try:
            yield OpenTrial(trial, point, self.path)
        except BaseException:
            # A file that refuses now leaves the trial open; the next call tries its point again.
            with contextlib.suppress(OmninmoError), refusals_told(self.path):
                self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
                self._study.enqueue_trial(point)
            raise

    def end(
        self, opened: OpenTrial, score: float, facts: Mapping[str, Any], *, pruned: bool
    ) -> None:
        """End a trial with its score."""
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        with refusals_told(self.path):
            for name, value in facts.items():
                opened.trial.set_user_attr(name, value)
            self._study.tell(opened.trial, None if pruned else score, state)

    def importance(self, seed: int) -> dict[str, float]:
        """Share of the scores' variance by parameter, largest first; empty below 8 whole trials.

        Functional ANOVA over a forest (Hutter, Hoos and Leyton-Brown 2014, ICML).
        """
        whole = [trial for trial in self.ended() if not trial.pruned]
        if len(whole) < LEAST_FOR_IMPORTANCE or len({trial.score for trial in whole}) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}

    def _clear_up(self) -> None:
        """Try the points again at which an earlier process was killed."""
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING:
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._study.enqueue_trial(trial.params)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Refuse a second search in the same folder.

    Raises
    ------
    OmninmoError
        When one is at work, or the folder cannot be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "study.lock").open("w")
    except OSError as error:
        raise OmninmoError(
            f"The study cannot be written to {folder}: {error.strerror}. Mend the folder, or name "
            "another with --paths.reports-dir."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OmninmoError(
                f"Another search is at work in {folder}. Wait until it has ended, or change the "
                "data or the settings."
            ) from error
        yield


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Value:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        chosen: Any = trial.suggest_categorical(name, dimension.choices)
        return None if chosen is None else float(chosen)
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=dimension.log)
    return trial.suggest_float(name, low, high, log=dimension.log)


def _record(trial: FrozenTrial) -> TrialRecord:
    pruned = trial.state == TrialState.PRUNED
    steps = trial.intermediate_values
    score = steps[max(steps)] if pruned and steps else trial.value
    known = float("nan") if score is None else float(score)
    return TrialRecord(trial.number, dict(trial.params), known, pruned, dict(trial.user_attrs))
