"""How the fit went: the loss by boosting round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.v2.figures.style import BLUE, INK, PAPER, VERMILION, Array, framed_figure, look
from src.v2.records import LearningCurve, Mode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_name(mode: Mode, classes: tuple[str, ...]) -> str:
    """Name the loss that boosting lowers.

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
def learning_curve(curve: LearningCurve, rounds: int, loss: str = "Loss") -> Figure:
    """Draw the loss by boosting round and the rounds that were kept.

    Parameters
    ----------
    curve
        Loss on the rows fitted and on the later rows that stop the fit.
    rounds
        Rounds of the final model.
    loss
        Name of the loss, for the axis.
    """
    train, held = np.array(curve.train_loss), np.array(curve.val_loss)
    note = (
        "Rows held back: the purged tail of each training window, mean over folds. They choose "
        "the rounds and are no out-of-sample score."
    )
    if _fitted_is_higher(train, held):
        note += (
            " The loss on rows fitted may lie above that on rows held back: they are other "
            "dates, and quieter dates are easier."
        )
    figure = framed_figure(
        7.6, 3.6, "Did boosting stop in time?", _curve_answer(held, rounds), note
    )
    axes = figure.add_subplot()
    for part, color, name in ((train, BLUE, "rows fitted"), (held, VERMILION, "rows held back")):
        if len(part):
            axes.plot(np.arange(1, len(part) + 1), part, color=color, lw=1.8, label=name)
    if len(held):
        best = int(np.argmin(held))
        axes.plot(best + 1, held[best], "o", color=VERMILION, ms=6, markeredgecolor=PAPER)
    axes.axvline(rounds, color=INK, lw=0.9, ls=(0, (4, 3)), label=f"final model, {rounds} rounds")
    axes.set_xlim(0, max(len(train), len(held), rounds) * 1.02 + 1)
    axes.grid(axis="y")
    axes.set_xlabel("Boosting round")
    axes.set_ylabel(loss)
    axes.legend(loc="best")
    return figure


def _curve_answer(held: Array, rounds: int) -> str:
    """Say where the loss on the rows held back is lowest, and by how much."""
    if not len(held):
        return f"No rows were held back; the final model has {rounds} rounds."
    best = int(np.argmin(held))
    gain = (held[0] - held[best]) / abs(held[0]) if held[0] else 0.0
    return (
        f"The loss on rows held back is lowest after {best + 1} of {len(held)} rounds, "
        f"{gain:.1%} below that of the first; the final model has {rounds}."
    )


def _fitted_is_higher(train: Array, held: Array) -> bool:
    """Tell whether the loss on rows fitted lies above that on rows held back in most rounds."""
    both = min(len(train), len(held))
    return bool(both and np.mean(train[:both] > held[:both]) > 0.5)
