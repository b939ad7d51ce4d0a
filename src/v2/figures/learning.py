"""How the fit went: the loss by round, epoch or penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.style import BLUE, INK, PAPER, VERMILION, Array, framed_figure, look
from src.v2.modeling.learners.kinds import ROUNDS, Steps
from src.v2.records import LearningCurve, Mode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_name(mode: Mode, classes: tuple[str, ...]) -> str:
    """Name the loss that a fit lowers.

    Parameters
    ----------
    mode, classes
        Of the run; regression has no classes.

    Examples
    --------
    >>> loss_name("regression", ())
    'RMSE of the label'
    """
    if mode == "regression":
        return "RMSE of the label"
    return "Log loss" if len(classes) <= 2 else f"Log loss over {len(classes)} classes"


@look()
def learning_curve(
    curve: LearningCurve, rounds: int, loss: str = "Loss", steps: Steps = ROUNDS
) -> Figure:
    """Draw the loss by round and the rounds that were kept.

    Parameters
    ----------
    curve
        Loss on the rows fitted and on the later rows that stop the fit.
    rounds
        Rounds of the final model.
    loss
        Name of the loss, for the axis.
    steps
        What the rounds are.
    """
    train, held = np.array(curve.train_loss), np.array(curve.val_loss)
    note = (
        "Rows held back: the purged tail of each training window, mean over folds. They choose "
        f"the {steps.heading} and are no out-of-sample score."
    )
    if _fitted_is_higher(train, held):
        note += (
            " The loss on rows fitted may lie above that on rows held back: they are other "
            "dates, and quieter dates are easier."
        )
    figure = framed_figure(7.6, 3.6, steps.question, _curve_answer(held, rounds, steps), note)
    axes = figure.add_subplot()
    for part, color, name in ((train, BLUE, "rows fitted"), (held, VERMILION, "rows held back")):
        if len(part):
            axes.plot(np.arange(1, len(part) + 1), part, color=color, lw=1.8, label=name)
    if len(held):
        best = int(np.argmin(held))
        axes.plot(best + 1, held[best], "o", color=VERMILION, ms=6, markeredgecolor=PAPER)
    label = f"final model, {steps.said(rounds)}"
    axes.axvline(rounds, color=INK, lw=0.9, ls=(0, (4, 3)), label=label)
    longest = max(len(train), len(held), rounds)
    axes.set_xlim(0, longest * 1.02 + 1)
    if not steps.counted:
        places = range(1, longest + 1)
        axes.set_xticks(places, [f"{steps.value(place):g}" for place in places])
        axes.set_xlim(0.5, longest + 0.5)
    axes.grid(axis="y")
    axes.set_xlabel(steps.axis)
    axes.set_ylabel(loss)
    axes.legend(loc="best")
    return figure


def _curve_answer(held: Array, rounds: int, steps: Steps) -> str:
    """Say where the loss on the rows held back is lowest, and by how much."""
    if not len(held):
        return f"No rows were held back; the final model has {steps.said(rounds)}."
    best = int(np.argmin(held))
    if not steps.counted:
        spread = (held.max() - held[best]) / abs(held.max()) if held.max() else 0.0
        return (
            f"The loss on rows held back is lowest under {steps.said(best + 1)}, {spread:.1%} "
            f"below the highest; the final model has {steps.said(rounds)}."
        )
    gain = (held[0] - held[best]) / abs(held[0]) if held[0] else 0.0
    return (
        f"The loss on rows held back is lowest after {best + 1} of {steps.said(len(held))}, "
        f"{gain:.1%} below that of the first; the final model has {rounds}."
    )


def _fitted_is_higher(train: Array, held: Array) -> bool:
    """Tell whether the loss on rows fitted mostly lies above that on rows held back."""
    both = min(len(train), len(held))
    return bool(both and np.mean(train[:both] > held[:both]) > 0.5)
