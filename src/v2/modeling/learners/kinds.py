"""What a reader is told of each kind of learner, and which files keep its models.

Code that fits, explains or judges asks a `src.v2.modeling.learners.base.FittedModel`; this is for
words, so that no page speaks of trees and rounds where there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.v2.records import flatten

PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)
"""Squared penalties of a line, in units of the curvature that one standardised feature brings."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What the rounds of a learner are.

    Parameters
    ----------
    one, many
        A round in words, and several.
    axis
        Label of an axis of rounds.
    question
        What a curve of losses by round answers.
    values
        What each step stands for, where its number means nothing by itself.
    """

    one: str
    many: str
    axis: str
    question: str
    values: tuple[float, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether rounds are a number of something."""
        return not self.values

    @property
    def heading(self) -> str:
        """Name of what `value` gives."""
        return self.many if self.counted else self.one

    def value(self, rounds: int) -> float:
        """Give the number to show for so many rounds."""
        return rounds if self.counted else self.values[min(rounds, len(self.values)) - 1]

    def said(self, rounds: int) -> str:
        """Say so many rounds.

        Examples
        --------
        >>> ROUNDS.said(1), ROUNDS.said(20), PENALTY.said(2)
        ('1 round', '20 rounds', 'a penalty of 10')
        """
        if not self.counted:
            return f"a {self.one} of {self.value(rounds):g}"
        return f"1 {self.one}" if rounds == 1 else f"{rounds} {self.many}"


ROUNDS = Steps("round", "rounds", "Boosting round", "Did boosting stop in time?")
EPOCHS = Steps("epoch", "epochs", "Epoch", "Did training stop in time?")
PENALTY = Steps(
    "penalty",
    "penalties",
    "Squared penalty, from strong to weak",
    "How strong a penalty is best?",
    PENALTIES,
)


@dataclass(frozen=True, slots=True)
class LearnerKind:
    """What is told of one ``model.type``.

    Parameters
    ----------
    files
        Files of a saved model.
    framework
        Library that fits.
    who
        The fitted thing, in words.
    importance
        What shares of features are shares of.
    caution
        What such a share says, and what it does not.
    contributions
        How contributions are found.
    steps
        What its rounds are.
    settings
        Settings of `model` that decide what is fitted; the others do nothing.
    """

    files: tuple[str, ...]
    framework: str
    who: str
    importance: str
    caution: str
    contributions: str
    steps: Steps
    settings: frozenset[str]

    @property
    def sampled(self) -> bool:
        """Whether contributions are estimates."""
        return self.contributions is _SAMPLED


_TREES = (
    "Importance says what the trees split on. It is no proof that a feature is useful: trees also "
    "split on noise."
)
_LINE = (
    "Importance says how steep the line is along each standardised feature. It is no proof that a "
    "feature is useful: noise gets a slope too, and features alike share theirs or take opposite "
    "ones."
)
_NETWORK = (
    "Importance says how steep the forecast is along each standardised feature, at 8 rows fitted "
    "on. It is no proof that a feature is useful: networks also bend to noise."
)
_SAMPLED = "sampled: orders of features and their reverse, from 8 rows fitted on; sums are exact"

_STOP = frozenset({"early_stopping_rounds", "stop_share"})
_GROWN = _STOP | {
    *("learning_rate", "max_depth", "n_estimators", "min_rounds", "colsample_bytree"),
    *("min_child_weight", "reg_lambda", "max_bin", "threads"),
}

KINDS: Mapping[str, LearnerKind] = {
    "xgboost": LearnerKind(
        ("model.ubj",),
        "xgboost",
        "the trees",
        "the trees' gain",
        _TREES,
        "exact: TreeSHAP",
        ROUNDS,
        _GROWN | {"subsample", "reg_alpha", "gamma", "rate_drop", "device"},
    ),
    "ridge": LearnerKind(
        ("model.json", "model.npz"),
        "numpy",
        "the line",
        "the absolute coefficients",
        _LINE,
        "exact: coefficient times standardised value",
        PENALTY,
        _STOP,
    ),
    "hist_gradient_boosting": LearnerKind(
        ("model.skops",),
        "scikit-learn",
        "the trees",
        "the trees' gain",
        _TREES,
        _SAMPLED,
        ROUNDS,
        _GROWN,
    ),
    "mlp": LearnerKind(
        ("model.json", "model.npz"),
        "scikit-learn",
        "the network",
        "the mean |slope|",
        _NETWORK,
        _SAMPLED,
        EPOCHS,
        _STOP
        | {
            *("n_estimators", "hidden_layers", "hidden_units", "mlp_learning_rate"),
            *("mlp_penalty", "batch_size", "threads"),
        },
    ),
}
"""By ``model.type``."""


def kind_of(settings: Mapping[str, Any]) -> LearnerKind:
    """Find what a run's settings fitted; runs that do not say fitted XGBoost.

    Parameters
    ----------
    settings
        Those of `src.v2.records.TrainingResult`.
    """
    return KINDS[str(flatten(settings).get("model.type", "xgboost"))]


def importance_words(learner: str) -> str:
    """Say what shares of features are shares of, for a model of this type.

    Examples
    --------
    >>> importance_words("ridge")
    'the absolute coefficients'
    """
    kind = KINDS.get(learner)
    return "the importance" if kind is None else kind.importance
