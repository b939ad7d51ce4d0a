"""What the pictures of SHAP values share: units, order, and how shap is let draw.

shap draws from NumPy's global generator and, for the dependence, through pyplot; both are
left as found. It is imported only when drawing, since that takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.v2.figures.style import Array, number, shorten
from src.v2.records import Mode, ShapSample

SEED = 0
"""Seed of the jitter of points; it changes no number."""
SHOWN = 20
"""Features with a row in the summary, and candidates for the colour of a dependence."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How SHAP values are shown.

    Parameters
    ----------
    name
        What one unit is, as it stands on an axis.
    factor
        Shown value = factor times the value in the model's margin.
    short
        The name in a sentence, after a number.
    """

    name: str = "units of the model's margin"
    factor: float = 1.0
    short: str = ""

    def write(self, value: float, *, signed: bool = True) -> str:
        """Write a value of the margin with its unit."""
        return f"{number(value * self.factor, '+.2g' if signed else '.2g')} {self.short}".strip()


def shap_unit(mode: Mode, target: str, outputs: tuple[str, ...]) -> Unit:
    """Say what SHAP values of a run's last output are measured in.

    Parameters
    ----------
    mode, target
        Of the run: a return, an excess return and a rank have their own units.
    outputs
        Names of the model's outputs.
    """
    if mode == "regression":
        if target == "rank":
            return Unit("rank within the date", 1.0, "of the rank")
        kind = "excess return" if target == "excess" else "forward return"
        return Unit(f"percentage points of {kind}", 100.0, "points")
    if len(outputs) == 1:
        return Unit(f"log-odds of {shorten(outputs[0], 24)}", 1.0, "log-odds")
    return Unit(f"log-odds score of {shorten(outputs[-1], 24)}", 1.0, "log-odds")


def mean_abs_shap(sample: ShapSample) -> Array:
    """Return the mean absolute SHAP value of each output and feature."""
    return np.abs(sample.values).mean(axis=0)


def features_by_shap(sample: ShapSample) -> list[str]:
    """Name the features by falling mean absolute SHAP value, summed over the outputs."""
    total = mean_abs_shap(sample).sum(axis=0)
    return [sample.feature_names[place] for place in np.argsort(-total, kind="stable")]


@contextmanager
def shap_guard(figure: Any) -> Iterator[Any]:
    """Give shap the figure, a seeded generator and silence; put all back afterwards.

    shap asks pyplot for the current figure. Handing it ours with an Agg manager keeps
    pyplot from choosing a backend and opening a window of the user's.
    """
    import shap
    from matplotlib._pylab_helpers import Gcf
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    state = np.random.get_state()
    before = Gcf.get_active()
    number = max((n for n in Gcf.figs if isinstance(n, int)), default=0) + 1
    manager = FigureCanvasAgg.new_manager(figure, number)
    try:
        Gcf._set_new_active_manager(manager)
        np.random.seed(SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield shap
    finally:
        np.random.set_state(state)
        Gcf.destroy(manager)
        figure.canvas.manager = None
        if before is not None:
            Gcf.set_active(before)
